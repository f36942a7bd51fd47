"""A persistent tap device, made as KubeVirt makes it (linux/if_tun.h); netlink makes no taps."""

from __future__ import annotations

import fcntl
import os
import struct

_DEVICE = "/dev/net/tun"

_IFF_TAP = 0x0002
_IFF_MULTI_QUEUE = 0x0100
_IFF_NO_PI = 0x1000
_IFF_ONE_QUEUE = 0x2000
_IFF_TUN_EXCL = 0x8000  # fail where a tap of that name exists, rather than attach to it
_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER, _TUNSETGROUP = (
    0x400454CA,
    0x400454CB,
    0x400454CC,
    0x400454CE,
)


class DeviceError(Exception):
    """/dev/net/tun is missing in this container, or may not be opened."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"{_DEVICE}: {error.strerror}")
        self.privilege = _DEVICE


def create(name: str, *, multi_queue: bool, owner: int) -> None:
    """Make a tap that the user and group `owner` may open; it ends with its network namespace.

    QEMU can open it only with the same multi_queue flag. QEMU sets IFF_VNET_HDR itself. Raises
    DeviceError, and OSError where the kernel refuses the tap.
    """
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_TUN_EXCL
    flags |= _IFF_MULTI_QUEUE if multi_queue else _IFF_ONE_QUEUE
    try:
        handle = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(error) from error
    try:
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        # Until the tap is persistent, closing the handle removes it.
        fcntl.ioctl(handle, _TUNSETOWNER, owner)
        fcntl.ioctl(handle, _TUNSETGROUP, owner)
        fcntl.ioctl(handle, _TUNSETPERSIST, 1)
    finally:
        os.close(handle)
