"""What the hook server asks of the kernel about a link, without netlink or privilege."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFMTU = 0x8921
_IFREQ = struct.Struct("16si20x")


def mtu(link: str) -> int | None:
    """Return the MTU of a link in bytes, None when there is no such link."""
    request = _IFREQ.pack(link.encode()[:15], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFMTU, request)
        except OSError:
            return None
    return int(_IFREQ.unpack(answer)[1])


def names() -> list[str]:
    """Return the links there are, for an error message."""
    return [name for _, name in socket.if_nameindex()]
