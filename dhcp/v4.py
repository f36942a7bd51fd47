"""The DHCPv4 server of one guest (RFC 2131): a request and what is known, to a reply or silence.

Keeps no state: the guest's addresses are known before it asks, so equal requests get
equal answers, and a restarted process answers as the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

from dhcp.v4_options import boot_fields, lease, parameters, shorter
from dhcp.v4_reply import EVERYBODY, NOBODY, SERVER_PORT, Reply, compose
from dhcp.v4_request import BROADCAST_FLAG, Request, read
from guest.ethernet import UDP, mac_bytes, mac_text
from guest.exchange import Exchange
from guest.frame import Packet
from guest.network import OUR_IPV4, GuestNetwork

__all__ = ["SERVER_PORT", "answer", "own_address", "server_identifier"]

_OFFER, _ACK, _NAK = 2, 5, 6
_TO_ONE_SERVER = ("REQUEST", "DECLINE", "RELEASE")
"""What names the server that is meant (RFC 2131 table 5); who leaves that out means us."""
_WORDS = {_OFFER: "OFFER", _ACK: "ACK", _NAK: "NAK"}


def server_identifier(guest: GuestNetwork) -> IPv4Address:
    """Return the address that the guest knows its server by (option 54)."""
    return guest.server4


def own_address(guest: GuestNetwork) -> IPv4Address | None:
    """Return the server identifier where it is nobody's but ours, so that ARP for it is, too.

    RENEWING is unicast (RFC 2131 section 4.3.2), and clients send it on the link itself.
    """
    serves = bool(guest.ipv4) and guest.ipv4_mode == "dhcp"
    return OUR_IPV4 if serves and server_identifier(guest) == OUR_IPV4 else None


def answer(packet: Packet, guest: GuestNetwork) -> Exchange | None:
    """Return the exchange that a packet to port 67 makes, or None if it is no DHCPv4 request.

    An exchange without a frame is deliberate silence; its note says why.
    """
    if packet.protocol != UDP or packet.dport != SERVER_PORT or packet.src.version != 4:
        return None
    request = read(packet.payload)
    if request is None:
        return None
    refusal = _refusal(packet, request, guest)
    if refusal:
        return Exchange(request.kind, note=refusal)
    return _ANSWERS[request.kind](packet, request, guest)


def _refusal(packet: Packet, request: Request, guest: GuestNetwork) -> str:
    chaddr, ours = request.chaddr[:6], (None, server_identifier(guest))
    reasons = (
        (request.kind not in _ANSWERS, "BOOTP without DHCP"),
        (guest.ipv4_mode == "off", "IPv4 is off"),
        (not guest.ipv4, "the pod has no IPv4 address"),
        (packet.src_mac != guest.mac, f"from another MAC, {packet.src_mac}"),
        (chaddr != mac_bytes(guest.mac), f"for another MAC, {mac_text(chaddr)}"),
        (request.giaddr != NOBODY, f"relayed by {request.giaddr}"),
        (
            request.kind in _TO_ONE_SERVER and request.server not in ours,
            f"for another server, {request.server}",
        ),
    )
    return next((why for holds, why in reasons if holds), "")


def _discover(_: Packet, request: Request, guest: GuestNetwork) -> Exchange:
    wanted = (address for address in guest.ipv4 if address.ip == request.requested)
    address = next(wanted, guest.ipv4[0])
    if 80 in request.options:  # RFC 4039
        return _give(_ACK, address, request, guest, "rapid commit")
    return _give(_OFFER, address, request, guest, "")


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
    # Only a lease can be given up for IPv6 (RFC 8925 section 3.3); without one of ours its
    # prefix is not known either: neither mask nor broadcast address.
    unsaid = {108} if address else {108, 28}
    known = parameters(guest, address or guest.ipv4[0], request)
    mask = [(1, address.netmask.packed)] if address else []
    more = [*mask, *_echoed(request), *(option for option in known if option[0] not in unsaid)]
    reply = Reply(
        kind=_ACK,
        server=server_identifier(guest),
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
    # dhcpcd after a rapid commit does not name it, and knows only the one that we offer.
    declined = request.requested or guest.ipv4[0].ip
    ours = any(address.ip == declined for address in guest.ipv4)
    note = f"{declined} is in use elsewhere, says the guest" if ours else f"{declined}, not ours"
    return Exchange("DECLINE", note=note, warning=ours)


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
        server=server_identifier(guest),
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
    # Broadcast and with our identifier: clients drop any other NAK (RFC 2131 section 4.3.2).
    reply = Reply(
        kind=_NAK,
        server=server_identifier(guest),
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
