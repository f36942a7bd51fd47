"""A persistent tap device, made as KubeVirt makes it (linux/if_tun.h). Nothing else needs ioctl."""

from __future__ import annotations

import fcntl
import os
import struct

DEVICE = "/dev/net/tun"

_IFF_TAP = 0x0002
_IFF_MULTI_QUEUE = 0x0100
_IFF_NO_PI = 0x1000
_IFF_ONE_QUEUE = 0x2000
_IFF_TUN_EXCL = 0x8000  # fail rather than attach to a tap that is there
_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER, _TUNSETGROUP = (
    0x400454CA,
    0x400454CB,
    0x400454CC,
    0x400454CE,
)


def create(name: str, *, multi_queue: bool, owner: int) -> None:
    """Make a tap that `owner` may attach to; it goes away with its namespace.

    QEMU's own flag must equal multi_queue or it cannot attach; IFF_VNET_HDR is left to
    QEMU, which sets it then. OSError names the device file when that is the trouble.
    """
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_TUN_EXCL
    flags |= _IFF_MULTI_QUEUE if multi_queue else _IFF_ONE_QUEUE
    handle = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        # Until it is persistent, closing the handle is what removes it again.
        fcntl.ioctl(handle, _TUNSETOWNER, owner)
        fcntl.ioctl(handle, _TUNSETGROUP, owner)
        fcntl.ioctl(handle, _TUNSETPERSIST, 1)
    finally:
        os.close(handle)
