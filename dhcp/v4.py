"""The DHCPv4 server of one guest (RFC 2131): a request and what is known, to a reply or silence.

Keeps no state: the guest's addresses are known before it asks, so equal requests get
equal answers, and a restarted process answers as the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface

from binding.exchange import Exchange
from binding.frame import UDP, Packet, mac_bytes, mac_text
from binding.guest import GuestNetwork
from dhcp.v4_options import boot_fields, default_gateway, lease, parameters
from dhcp.v4_reply import EVERYBODY, NOBODY, SERVER_PORT, Reply, compose
from dhcp.v4_request import BROADCAST_FLAG, Request, read

__all__ = ["SERVER_PORT", "answer", "server_identifier"]

# The IPv4 dummy address (RFC 7600): never a guest's own and never on-link for it. A
# link-local one would be on-link for Windows, whose renewals to it then fail.
DUMMY = IPv4Address("192.0.0.8")
_OFFER, _ACK, _NAK = 2, 5, 6
_WORDS = {_OFFER: "OFFER", _ACK: "ACK", _NAK: "NAK"}


def server_identifier(guest: GuestNetwork) -> IPv4Address:
    """Return the address that the guest knows its server by (option 54).

    The default gateway, or that of another route: the guest can reach it and never has it
    itself, and what it sends there is answered at the tap. Without one, a fixed address.
    """
    others = (r.gateway for r in guest.routes if isinstance(r.gateway, IPv4Address))
    return default_gateway(guest) or next(others, DUMMY)


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
    chaddr = request.chaddr[:6]
    reasons = (
        (request.kind not in _ANSWERS, "BOOTP without DHCP"),
        (guest.ipv4_mode == "off", "IPv4 is off"),
        (not guest.ipv4, "the pod has no IPv4 address"),
        (packet.src_mac != guest.mac, f"from another MAC, {packet.src_mac}"),
        (chaddr != mac_bytes(guest.mac), f"for another MAC, {mac_text(chaddr)}"),
        (request.giaddr != NOBODY, f"relayed by {request.giaddr}"),
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
    if request.server is not None and request.server != server_identifier(guest):
        return Exchange("REQUEST", note=f"for another server, {request.server}")
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
    more = parameters(guest, address or guest.ipv4[0], request)
    if address:
        more = [(1, address.netmask.packed), *_echoed(request), *more]
    else:  # its prefix is not known: neither mask nor broadcast address
        more = [*_echoed(request), *(option for option in more if option[0] != 28)]
    reply = Reply(
        kind=_ACK,
        server=server_identifier(guest),
        to=to,
        ciaddr=request.ciaddr,
        boot=boot_fields(guest, request),
        options=tuple(more),
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
    frame, dropped = compose(reply, request, guest)
    if dropped:
        note += f", no room for option {', '.join(map(str, dropped))}"
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
