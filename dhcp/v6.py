"""DHCPv6 for one guest whose addresses are known before it asks (RFC 8415, now RFC 9915).

Pure: takes a packet from the tap and the guest's network, returns the answer or the reason
for silence. There is no lease database: the same message gets the same answer, also from
another process on another node.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network
from uuid import UUID, uuid5

from scapy.layers.dhcp6 import DUID_UUID, DHCP6OptPref, DHCP6OptRapidCommit
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from dhcp import v6_associations as associations
from dhcp.v6_message import (
    CLIENT_ID,
    CONFIRM,
    DECLINE,
    IA_PD,
    INFORMATION_REQUEST,
    REBIND,
    RELEASE,
    RENEW,
    REQUEST,
    SERVER_ID,
    SOLICIT,
    Message,
    parse,
)
from dhcp.v6_options import option, requested
from dhcp.v6_prefixes import delegations
from guest.build import built
from guest.ethernet import ALL_DHCP6_SERVERS, DHCP6_CLIENT, DHCP6_SERVER
from guest.exchange import FROM_OTHER_MAC, NO_PREFIX, NOT_ON_LINK, Exchange, Malformed
from guest.frame import Packet
from guest.network import OUR_LINK_LOCAL, OUR_MAC, Address, GuestNetwork

_ADVERTISE, _REPLY = 2, 7
_SERVERS = (ALL_DHCP6_SERVERS, IPv6Address("ff05::1:3"))
# RFC 8415 section 16: these MUST be discarded when unicast. The others name their server and may
# be unicast: RFC 9915 has no UseMulticast any more, so they are answered.
_MULTICAST_ONLY = (SOLICIT, CONFIRM, REBIND, INFORMATION_REQUEST)
_NAMELESS = (SOLICIT, CONFIRM, REBIND)
_NAMESPACE = UUID("b7d5b3f2-52f5-5c1c-9d68-2f1a5c1f0e5b")
# The least MTU of an IPv6 link, less IPv6 and UDP header.
_LEAST_MTU = 1280
_HEADERS = 48
_MOST_NAMED = 4
_TOO_LONG = "the answer would not fit into the MTU"


def server_duid(guest: GuestNetwork) -> bytes:
    """Return our DUID-UUID (RFC 6355) for this NIC: equal over restart and migration."""
    identity = f"{guest.uid or guest.mac}/{guest.network}"
    return built(DUID_UUID(uuid=uuid5(_NAMESPACE, identity)))


def answer(packet: Packet, guest: GuestNetwork) -> Exchange | None:
    """Answer a guest's UDP packet to port 547.

    None for any other packet. An exchange without a frame is deliberate silence; its note
    says why. Its request is `malformed` where the packet holds no message that can be read.
    """
    if packet.dport != DHCP6_SERVER or not isinstance(packet.src, IPv6Address):
        return None
    message = parse(packet.payload)
    if isinstance(message, Malformed):
        return message.exchange()
    silence = _silence(message, packet, guest)
    if silence:
        return Exchange(message.name, note=silence)
    answers = associations.answers(message, guest)
    if sum(each.size for each in answers) > _room(guest):  # scapy takes 0.4 ms for each
        return Exchange(message.name, note=_TOO_LONG)
    kind, options, note = _decide(message, guest, [each.built() for each in answers])
    payload = _message(kind, message, guest, options)
    if payload is None:
        return Exchange(message.name, note=_TOO_LONG)
    return Exchange(
        message.name,
        "ADVERTISE" if kind == _ADVERTISE else "REPLY",
        _frame(payload, packet),
        note,
        warning="declined" if message.kind == DECLINE and _ours(message, guest) else "",
    )


def _silence(message: Message, packet: Packet, guest: GuestNetwork) -> str:
    """Return why this message gets no answer (RFC 8415 section 16); empty when it gets one."""
    if packet.src_mac != guest.mac:
        return f"{FROM_OTHER_MAC}, {packet.src_mac}"
    if guest.ipv6_mode == "off":
        return "IPv6 is off for this network"
    unicast = not packet.dst.is_multicast and message.kind not in _MULTICAST_ONLY
    if not packet.src.is_link_local and not (unicast and _is_host(packet.src)):
        return f"from {packet.src}, which is not a link-local address"
    if packet.dst not in _SERVERS and not unicast:
        return f"sent to {packet.dst}, not to all DHCPv6 servers"
    return _misidentified(message, guest) or _aimless(message)


def _is_host(source: Address) -> bool:
    # udhcpc6 unicasts from its leased address, possibly one of its previous pod: it must be
    # answered to learn that this address is gone.
    return not (source.is_multicast or source.is_unspecified or source.is_loopback)


def _aimless(message: Message) -> str:
    if message.kind == INFORMATION_REQUEST and message.associations:
        return "asks for addresses in an INFORMATION-REQUEST"  # section 16.12
    if message.kind == CONFIRM and not message.named:
        return "names no address to confirm"  # section 18.3.3
    return ""


def _misidentified(message: Message, guest: GuestNetwork) -> str:
    """Return what is wrong with the identifiers (sections 16.2 to 16.12); empty when nothing."""
    kind, server = message.kind, message.server_id
    if message.client_id is None and kind != INFORMATION_REQUEST:
        return "no client identifier"
    if kind in _NAMELESS:
        return "has a server identifier" if server else ""
    if server is None:
        return "" if kind == INFORMATION_REQUEST else "no server identifier"
    return "" if server == server_duid(guest) else "for another server"


def _decide(
    message: Message, guest: GuestNetwork, answers: list[bytes]
) -> tuple[int, list[bytes], str]:
    """Return type, options that must go out (the IAs' answers among them), and a note."""
    ours = associations.offered(guest)
    if message.kind in (RELEASE, DECLINE):
        # Sections 18.3.7 and 18.3.8: Success whatever was named.
        options = [built(associations.status(associations.SUCCESS))]
        released = [prefix for ia in message.associations for prefix in ia.prefixes]
        note = _list([*message.named, *released])
        if message.kind == DECLINE and (declined := _ours(message, guest)):
            note = f"{_list(declined)} in use elsewhere, the guest reports"
        return _REPLY, options + answers, note
    if message.kind == CONFIRM:
        strange = [address for address in message.named if address not in ours]
        code = associations.NOT_ON_LINK if strange else associations.SUCCESS
        note = f"{NOT_ON_LINK}: {_list(strange)}" if strange else _list(message.named)
        return _REPLY, [built(associations.status(code))], note
    if message.kind == INFORMATION_REQUEST:
        return _REPLY, [], "options only"
    return _assign(message, guest, answers)


def _assign(
    message: Message, guest: GuestNetwork, options: list[bytes]
) -> tuple[int, list[bytes], str]:
    given = [_list(associations.offered(guest))] if associations.given(message, guest) else []
    prefixes = sorted(delegations(message, guest).values(), key=guest.delegated.index)
    given += [f"prefix {_list(prefixes)}"] if prefixes else []
    note = ", ".join([*given, f"lease {guest.lease_text}"]) if given else "no address"
    wanted = sum(ia.code == IA_PD for ia in message.associations)
    if wanted > len(prefixes):  # a router may insist on it, and go on with SOLICITs for ever
        note += f", {NO_PREFIX} {wanted - len(prefixes)} of {wanted} IA_PD"
    if message.kind != SOLICIT:
        return _REPLY, options, note
    if message.rapid_commit and given:
        return _REPLY, [built(DHCP6OptRapidCommit()), *options], note
    if given:
        # 255: the client need not wait for other servers (section 18.2.1).
        options = [built(DHCP6OptPref(prefval=255)), *options]
    return _ADVERTISE, options, note


def _message(kind: int, message: Message, guest: GuestNetwork, must: list[bytes]) -> bytes | None:
    """Put the message together; what was only asked for is left out when it does not fit."""
    head = [bytes([kind]) + message.transaction]
    if message.client_id is not None:
        head.append(option(CLIENT_ID, message.client_id))
    head.append(option(SERVER_ID, server_duid(guest)))
    payload = b"".join(head + must)
    room = _room(guest)
    if len(payload) > room:
        return None
    if message.kind in (SOLICIT, REQUEST, RENEW, REBIND, INFORMATION_REQUEST):
        payload += requested(message, guest, room - len(payload))
    return payload


def _room(guest: GuestNetwork) -> int:
    """Octets of a DHCPv6 message that fits into one packet."""
    return max(guest.mtu, _LEAST_MTU) - _HEADERS


def _frame(payload: bytes, packet: Packet) -> bytes:
    return built(
        Ether(dst=packet.src_mac, src=OUR_MAC),
        IPv6(src=str(OUR_LINK_LOCAL), dst=str(packet.src), hlim=64),
        UDP(sport=DHCP6_SERVER, dport=DHCP6_CLIENT),
        Raw(payload),
    )


def _ours(message: Message, guest: GuestNetwork) -> list[IPv6Address]:
    ours = associations.offered(guest)
    return [address for address in message.named if address in ours]


def _list(addresses: Sequence[IPv6Address | IPv6Network]) -> str:
    """Name addresses for the log: the guest says how many there are, we how long a line is."""
    words = [str(address) for address in addresses[:_MOST_NAMED]]
    if len(addresses) > _MOST_NAMED:
        words.append(f"and {len(addresses) - _MOST_NAMED} more")
    return " ".join(words) or "no address"
