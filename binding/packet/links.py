"""What the hook server asks of the kernel about a link, without netlink or privilege."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFMTU = 0x8921
_SIOCGIFINDEX = 0x8933
_SIOCGIFFLAGS = 0x8913
_IFF_UP = 1
_NUMBER, _FLAGS = struct.Struct("16si20x"), struct.Struct("16sH22x")


def mtu(link: str) -> int | None:
    """Return the MTU of a link in bytes, None when there is no such link."""
    try:
        return _ask(_SIOCGIFMTU, link)
    except OSError:
        return None


def index(link: str) -> int | None:
    """Return the number of a link, which a successor of the same name does not have."""
    try:
        return _ask(_SIOCGIFINDEX, link)
    except OSError:
        return None


def ear(link: str) -> str:
    """Return the name of what a guard at this link hands to our packet sockets by.

    Bound to the link as it is: if it is made anew, nothing comes by its former ear.
    """
    return f"dsb-ear{index(link)}"


def place(link: str) -> str:
    """Return where to listen for what comes in by a link: at its ear, if that hears anything."""
    try:
        is_up = _ask(_SIOCGIFFLAGS, ear(link), _FLAGS) & _IFF_UP
    except OSError:
        return link
    return ear(link) if is_up else link


def _ask(what: int, link: str, form: struct.Struct = _NUMBER) -> int:
    request = form.pack(link.encode()[:15], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, what, request)
    return int(form.unpack(answer)[1])


def names() -> list[str]:
    """Return the links there are, for an error message."""
    return [name for _, name in socket.if_nameindex()]
