"""What rtnetlink knows of each link beyond binding.packet.link_table, without a library.

Numbers are those of linux/if_link.h and linux/if_bridge.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from binding.packet.raw_netlink import RTM_GETLINK, as_number, as_text, attributes, dump

_IFNAME, _PROTINFO, _TXQLEN, _OPERSTATE, _LINKINFO, _AF_SPEC, _XDP = 3, 12, 13, 16, 18, 26, 43
_INFO_KIND, _INFO_DATA = 1, 2
_TUN_OWNER, _TUN_TYPE, _TUN_MULTI_QUEUE = 1, 3, 7
_IFF_TAP = 2
_XDP_ATTACHED = 2
_IF_OPER_UP = 6
_BR_VLAN_FILTERING = 7
_AF_INET6, _AF_BRIDGE, _ADDR_GEN_MODE = 10, 7, 8
_NO_ADDRESSES = 1  # IN6_ADDR_GEN_MODE_NONE
_PORT_STATE = 1
_LETS_PASS = {"unicast flood": 9, "multicast flood": 27, "broadcast flood": 30}
_HOLDS_BACK = {"isolated": 33, "neigh_suppress on": 32, "locked": 39, "proxy_arp on": 10}
"""Settings of a bridge port by which frames pass while they are on, and while they are off."""
_STATES = ("is disabled", "listens only (STP)", "learns only (STP)", "", "is blocked (STP)")
"""What a bridge port does in each of its states; 3 is forwarding."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of one link."""

    kind: str = ""
    owner: int | None = None
    """User that may open a tap."""
    makes_addresses: bool | None = None
    """Whether the kernel gives it a link-local IPv6 address (addrgenmode)."""
    closed: tuple[str, ...] = field(default_factory=tuple)
    """Settings of a bridge or of a bridge port by which frames do not pass."""
    odd: tuple[str, ...] = ()
    """Of a tap: by which QEMU may not be able to open it."""
    forwards: bool = True
    """Whether any frame passes this bridge port; where none does, `closed` names the reason."""


def read() -> dict[str, Details]:
    """Return the details of all links by name. Raises OSError."""
    found: dict[str, dict[int, bytes]] = {}
    for family in (0, _AF_BRIDGE):
        for body in dump(RTM_GETLINK, struct.pack("=BxHiII", family, 0, 0, 0, 0)):
            of_one = attributes(body[16:])
            name = as_text(of_one.get(_IFNAME, b""))
            found.setdefault(name, {}).update(of_one)
    return {name: _details(of_one) for name, of_one in found.items()}


def _number(data: bytes | None) -> int | None:
    return as_number(data) if data else None


def _details(of_one: dict[int, bytes]) -> Details:
    info = attributes(of_one.get(_LINKINFO, b""))
    kind = as_text(info.get(_INFO_KIND, b""))
    data = attributes(info.get(_INFO_DATA, b""))
    inet6 = attributes(attributes(of_one.get(_AF_SPEC, b"")).get(_AF_INET6, b""))
    mode = _number(inet6.get(_ADDR_GEN_MODE))
    return Details(
        kind,
        _number(data.get(_TUN_OWNER)) if kind == "tun" else None,
        None if mode is None else mode != _NO_ADDRESSES,
        tuple(_closed(kind, of_one, data)),
        tuple(_odd(data)) if kind == "tun" else (),
        not _held_up(of_one) and not _has_no_queue(kind, of_one),
    )


def _odd(data: dict[int, bytes]) -> Iterator[str]:
    if _number(data.get(_TUN_TYPE)) != _IFF_TAP:
        yield "a tun device, not a tap"
    if _number(data.get(_TUN_MULTI_QUEUE)):
        yield "a multi-queue tap, which QEMU opens only where the domain asks for queues"


def _held_up(of_one: dict[int, bytes]) -> str:
    """Return what a bridge port does in place of forwarding, if it does anything else."""
    state = _number(attributes(of_one.get(_PROTINFO, b"")).get(_PORT_STATE))
    # The kernel opens a port a moment after its link got carrier, with the operational state.
    if state is None or _number(of_one.get(_OPERSTATE)) != _IF_OPER_UP:
        return ""
    return _STATES[min(state, 4)]


def _has_no_queue(kind: str, of_one: dict[int, bytes]) -> bool:
    """Tell of a tap that keeps no frame for QEMU; other links need no queue of their own."""
    return kind == "tun" and _number(of_one.get(_TXQLEN)) == 0


def _closed(kind: str, of_one: dict[int, bytes], data: dict[int, bytes]) -> Iterator[str]:
    port = attributes(of_one.get(_PROTINFO, b""))
    if kind == "bridge" and _number(data.get(_BR_VLAN_FILTERING)):
        yield "vlan_filtering on"
    if _number(attributes(of_one.get(_XDP, b"")).get(_XDP_ATTACHED)):
        yield "an XDP program is attached"
    if what := _held_up(of_one):
        yield f"its bridge port {what}"
    if _has_no_queue(kind, of_one):
        yield "no frame to the guest finds room (txqueuelen 0)"
    for name, number in _LETS_PASS.items():
        if _number(port.get(number)) == 0:
            yield f"{name} off"
    for name, number in _HOLDS_BACK.items():
        if _number(port.get(number)):
            yield name
