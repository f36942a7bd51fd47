"""The DHCPv4 server of one guest (RFC 2131): from a request and the guest's network to a reply.

The server keeps no state: the guest's addresses are known before it asks, so equal requests
get equal answers, also from a restarted process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

from dhcp.v4_options import (
    boot_fields,
    lease,
    lease_time,
    parameters,
    prefers_ipv6,
    shorter,
    v6only_wait,
)
from dhcp.v4_reply import EVERYBODY, NOBODY, Reply, compose
from dhcp.v4_request import BROADCAST_FLAG, Request, read
from guest.ethernet import BROADCAST, DHCP4_SERVER, UDP, mac_bytes, mac_text
from guest.exchange import FOR_OTHER_MAC, FROM_OTHER_MAC, IPV6_PREFERRED, Exchange, Malformed
from guest.frame import Packet
from guest.network import OUR_IPV4, GuestNetwork

_OFFER, _ACK, _NAK = 2, 5, 6
_TO_ONE_SERVER = ("REQUEST", "DECLINE", "RELEASE")
"""Messages that name their server (RFC 2131 table 5); without option 54 we are meant."""
_WORDS = {_OFFER: "OFFER", _ACK: "ACK", _NAK: "NAK"}


def own_address(guest: GuestNetwork) -> IPv4Address | None:
    """Return OUR_IPV4 where it is the server identifier: then ARP for it must be answered, too.

    A client in RENEWING unicasts to its server (RFC 2131 section 4.3.2).
    """
    return OUR_IPV4 if guest.gets_ipv4 and guest.server4 == OUR_IPV4 else None


def answer(packet: Packet, guest: GuestNetwork) -> Exchange | None:
    """Return the exchange that a packet to UDP port 67 makes; None for any other packet.

    An exchange without a frame is deliberate silence; its note says why. Its request is
    `malformed` where the packet holds no request that can be read.
    """
    if packet.protocol != UDP or packet.dport != DHCP4_SERVER or packet.src.version != 4:
        return None
    request = read(packet.payload)
    if isinstance(request, Malformed):
        return request.exchange()
    refusal = _refusal(packet, request, guest)
    if refusal:
        return Exchange(request.kind, note=refusal)
    return _ANSWERS[request.kind](packet, request, guest)


def _refusal(packet: Packet, request: Request, guest: GuestNetwork) -> str:
    chaddr, server = request.chaddr[:6], guest.server4
    unleased = not guest.ipv4 and not (request.kind == "DISCOVER" and prefers_ipv6(guest, request))
    reasons = (
        (request.kind not in _ANSWERS, "BOOTP without DHCP"),
        (guest.ipv4_mode == "off", "IPv4 is off"),
        (unleased, "the pod has no IPv4 address"),
        (packet.src_mac != guest.mac, f"{FROM_OTHER_MAC}, {packet.src_mac}"),
        (chaddr != mac_bytes(guest.mac), f"{FOR_OTHER_MAC}, {mac_text(chaddr)}"),
        (request.giaddr != NOBODY, f"relayed by {request.giaddr}"),
        (
            request.kind in _TO_ONE_SERVER and request.server not in (None, server),
            f"for another server, {request.server}",
        ),
        (_is_astray(packet, request, server), f"sent to another host, {packet.dst}"),
    )
    return next((why for holds, why in reasons if holds), "")


def _is_astray(packet: Packet, request: Request, server: IPv4Address) -> bool:
    """Tell whether a request goes to another host's MAC and address, as to a server elsewhere.

    Only RENEWING is answered all the same: a guest whose lease is of another server, from before
    a migration, unicasts to that server.
    """
    if packet.dst in (EVERYBODY, server) or packet.dst_mac == BROADCAST:
        return False
    renewing = request.kind == "REQUEST" and request.ciaddr != NOBODY
    return not renewing and request.server != server


def _discover(_: Packet, request: Request, guest: GuestNetwork) -> Exchange:
    if not guest.ipv4:
        return _offer_nothing(request, guest)
    wanted = (address for address in guest.ipv4 if address.ip == request.requested)
    address = next(wanted, guest.ipv4[0])
    # A lease that is committed cannot be given up for IPv6 (RFC 8925 section 3.2): OFFER first.
    if prefers_ipv6(guest, request):
        return _give(_OFFER, address, request, guest, IPV6_PREFERRED)
    if request.rapid_commit:  # RFC 4039
        return _give(_ACK, address, request, guest, "rapid commit")
    return _give(_OFFER, address, request, guest, "")


def _offer_nothing(request: Request, guest: GuestNetwork) -> Exchange:
    """OFFER 0.0.0.0 on a pod without IPv4: the client does without for V6ONLY_WAIT (RFC 8925).

    A client that would make itself an IPv4 link-local address is told not to (RFC 2563 section
    2.3). One that did not ask that is not told (RFC 8925 section 3.3.1), though dhcpcd before
    10.0.9 then asks again every few seconds.
    """
    autoconfigure = ((116, b"\0"),) if 116 in request.options else ()
    reply = Reply(
        kind=_OFFER,
        to=EVERYBODY,  # the client has no address that a unicast could go to
        options=(
            lease_time(guest),
            *_echoed(request),
            (108, v6only_wait(guest)),
            *autoconfigure,
        ),
    )
    return _exchange(reply, request, guest, "no address, IPv6 only")


def _request(packet: Packet, request: Request, guest: GuestNetwork) -> Exchange:
    """Answer a REQUEST by the client state that it shows (RFC 2131 section 4.3.2)."""
    wanted = request.requested
    if request.ciaddr != NOBODY and (request.server is None or wanted is None):
        wanted = request.ciaddr
        state = "REBINDING" if packet.dst == EVERYBODY else "RENEWING"
    else:
        state = "INIT-REBOOT" if request.server is None else "SELECTING"
    if wanted is None:
        return Exchange("REQUEST", note="names no address")
    for address in guest.ipv4:
        if address.ip == wanted:
            return _give(_ACK, address, request, guest, state)
    return _refuse(wanted, request, guest, state)


def _inform(packet: Packet, request: Request, guest: GuestNetwork) -> Exchange:
    sender = packet.src if isinstance(packet.src, IPv4Address) else NOBODY
    to = request.ciaddr if request.ciaddr != NOBODY else sender
    if not _is_host(to):
        return Exchange("INFORM", note=f"no answer can go to {to}")
    address = next((a for a in guest.ipv4 if a.ip == to), None)
    # Only a lease can be given up for IPv6 (RFC 8925 section 3.3). Where the client's address is
    # none of ours its prefix is not known either: neither mask nor broadcast address.
    unsaid = {108} if address else {108, 28}
    known = parameters(guest, address or guest.ipv4[0], request)
    mask = [(1, address.netmask.packed)] if address else []
    more = [*mask, *_echoed(request), *(option for option in known if option[0] not in unsaid)]
    reply = Reply(
        kind=_ACK,
        to=to,
        ciaddr=request.ciaddr,
        boot=boot_fields(guest, request),
        options=tuple(more),
        shorter=partial(shorter, guest, address or guest.ipv4[0], request),
    )
    return _exchange(reply, request, guest, str(to))


def _is_host(address: IPv4Address) -> bool:
    reserved = address.is_multicast or address.is_reserved or address.is_loopback
    return not reserved and address.packed[0] != 0


def _decline(_: Packet, request: Request, guest: GuestNetwork) -> Exchange:
    # dhcpcd, after a rapid commit, does not name the address: it knows only the one we offer.
    declined = request.requested or guest.ipv4[0].ip
    ours = any(address.ip == declined for address in guest.ipv4)
    note = f"{declined} is in use elsewhere, the guest reports" if ours else f"{declined}, not ours"
    return Exchange("DECLINE", note=note, warning="declined" if ours else "")


def _release(_: Packet, request: Request, __: GuestNetwork) -> Exchange:
    return Exchange("RELEASE", note=str(request.ciaddr))


def _give(
    kind: int, address: IPv4Interface, request: Request, guest: GuestNetwork, state: str
) -> Exchange:
    has_it = request.ciaddr == address.ip
    broadcast = request.flags & BROADCAST_FLAG and not has_it
    committed = ((80, b""),) if state == "rapid commit" else ()
    reply = Reply(
        kind=kind,
        to=EVERYBODY if broadcast else address.ip,
        ciaddr=address.ip if has_it and request.kind == "REQUEST" else NOBODY,
        yiaddr=address.ip,
        boot=boot_fields(guest, request),
        options=(
            *lease(guest, address),
            *committed,
            *_echoed(request),
            *parameters(guest, address, request),
        ),
        shorter=partial(shorter, guest, address, request),
    )
    return _exchange(reply, request, guest, ", ".join(filter(None, (str(address.ip), state))))


def _refuse(wanted: IPv4Address, request: Request, guest: GuestNetwork, state: str) -> Exchange:
    # Clients drop a NAK that is unicast or without our identifier (RFC 2131 section 4.3.2).
    reply = Reply(
        kind=_NAK,
        to=EVERYBODY,
        options=(*_echoed(request), (56, b"not the address of this machine")),
    )
    return _exchange(reply, request, guest, f"{wanted}, {state}")


def _exchange(reply: Reply, request: Request, guest: GuestNetwork, note: str) -> Exchange:
    frame, left_out = compose(reply, request, guest)
    note += "".join(f", no room for {what}" for what in left_out)
    return Exchange(request.kind, _WORDS[reply.kind], frame, note)


def _echoed(request: Request) -> tuple[tuple[int, bytes], ...]:
    return ((61, request.options[61]),) if 61 in request.options else ()  # RFC 6842


_ANSWERS: dict[str, Callable[[Packet, Request, GuestNetwork], Exchange]] = {
    "DISCOVER": _discover,
    "REQUEST": _request,
    "DECLINE": _decline,
    "RELEASE": _release,
    "INFORM": _inform,
}
