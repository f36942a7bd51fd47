"""The process between a pod's tap and a guest's namespace: POD-NETNS GUEST-NETNS TAP QUEUES.

It opens the tap as QEMU's user does and forwards frames with their virtio headers both
ways, so that the guest's partial checksums arrive as a VM's would. It imports nothing
of the project: it starts in 20 ms and sleeps while nothing is sent.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
TUN_F_CSUM = 1
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
QEMU_USER = 107
LONGEST = 65_536 + 10


def enter(path: str) -> None:
    """Move to a network namespace (os.setns came with Python 3.12)."""
    descriptor = os.open(path, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {path}")
    os.close(descriptor)


def attach(name: str, flags: int = 0, user: int = 0, *, headers: bool = True) -> int:
    """Return a descriptor of a tap; one that belongs to another user is refused.

    Without virtio `headers` the kernel completes checksums before a frame is read.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags |= IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if headers else 0)
    os.setegid(user)
    os.seteuid(user)  # also takes NET_ADMIN away for as long
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    finally:
        os.seteuid(0)
        os.setegid(0)
    if headers:
        fcntl.ioctl(descriptor, TUNSETOFFLOAD, TUN_F_CSUM)
    return descriptor


def forward(taps: list[int], nic: int) -> None:
    """Forward frames until a side is gone."""
    poll = select.poll()
    for descriptor in (*taps, nic):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, events in poll.poll():
            if events & (select.POLLERR | select.POLLHUP):
                return
            try:
                frame = os.read(descriptor, LONGEST)
                os.write(taps[0] if descriptor == nic else nic, frame)
            except OSError:
                continue  # the far side is down: that frame is lost, as on any cable


def main() -> None:
    pod, guest, tap, queues = sys.argv[1:]
    enter(pod)
    multiqueue = IFF_MULTI_QUEUE if int(queues) > 1 else 0
    taps = [attach(tap, multiqueue, QEMU_USER) for _ in range(int(queues))]
    enter(guest)
    nic = attach("eth0")
    print("plugged", flush=True)
    forward(taps, nic)


if __name__ == "__main__":
    main()
