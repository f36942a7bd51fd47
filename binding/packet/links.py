"""What sidecar, serve and plumb ask of the kernel about a link, without netlink or privilege."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from contextlib import suppress

from binding.packet.link_names import LISTENING_BRIDGE
from binding.packet.link_table import IFF_UP

_SIOCGIFMTU = 0x8921
_SIOCGIFINDEX = 0x8933
_SIOCGIFFLAGS = 0x8913
_LONGEST_NAME = 15  # IFNAMSIZ without its NUL
_NUMBER, _FLAGS = struct.Struct("16si20x"), struct.Struct("16sH22x")


def mtu(link: str) -> int | None:
    """Return the MTU of a link in bytes, None when there is no such link. Raises OSError."""
    return _ask(_SIOCGIFMTU, link)


def index(link: str, by: int | None = None) -> int | None:
    """Return the index of a link, None when there is no such link. Raises OSError.

    A link that was made anew by the same name has another index. The kernel is asked by any socket,
    such as that of the descriptor `by`.
    """
    return _ask(_SIOCGIFINDEX, link) if by is None else _answer(by, _SIOCGIFINDEX, link, _NUMBER)


def listening_bridge(link: str) -> str:
    """Return the name of the bridge to which the guard at this link copies the frames we want.

    The name has the link's index in it, so a link that was made anew gets another bridge.
    """
    return f"{LISTENING_BRIDGE}{index(link)}"


def place(link: str) -> str:
    """Return where a packet socket listens: at the link's listening bridge if that is up."""
    bridge = listening_bridge(link)
    return bridge if is_up(bridge) else link


def is_up(link: str) -> bool | None:
    """Return whether a link is up, None when there is no such link. Raises OSError."""
    flags = _ask(_SIOCGIFFLAGS, link, _FLAGS)
    return None if flags is None else bool(flags & IFF_UP)


def _ask(what: int, link: str, form: struct.Struct = _NUMBER) -> int | None:
    """Return None where there is no such link. Raises OSError where that cannot be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return _answer(any_socket.fileno(), what, link, form)


def _answer(by: int, what: int, link: str, form: struct.Struct) -> int | None:
    if len(link.encode()) > _LONGEST_NAME:
        return None
    try:
        answer = fcntl.ioctl(by, what, form.pack(link.encode(), 0))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return int(form.unpack(answer)[1])


def received() -> dict[str, int]:
    """Return how many frames have come in by each link since it was made: at a tap, the guest's."""
    found = {}
    with suppress(OSError), open("/proc/self/net/dev") as table:  # noqa: PTH123  # the sidecar has no pathlib
        for line in table.readlines()[2:]:
            name, _, numbers = line.partition(":")
            found[name.strip()] = int(numbers.split()[1])
    return found


def names() -> list[str]:
    """Return the names of the links there are."""
    return [name for _, name in socket.if_nameindex()]
