"""The process between a pod's tap and a guest's namespace: POD-NETNS GUEST-NETNS TAP QUEUES.

It opens the tap as QEMU's user does and forwards frames with their virtio headers both
ways, so that the guest's partial checksums arrive as a VM's would. It imports nothing
of the project: it starts in 20 ms and sleeps while nothing is sent.

On its standard input it is told of a migration, a word a line:
`open POD-NETNS TAP` as QEMU on the target opens its tap and waits; `move MAC` as the guest runs
there from then on, which QEMU announces by a RARP frame; `close` as QEMU on the source ends.
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


class Migration:
    """What the guest's NIC is plugged into, before, now and after."""

    def __init__(self, taps: list[int], poll: select.poll) -> None:
        self.taps, self._poll = taps, poll
        self._before, self._after = list[int](), list[int]()

    def told(self, words: list[str]) -> bool:
        """Do what standard input says; False at its end."""
        if not words:
            return False
        if words[0] == "open":
            enter(words[1])
            self._after = [attach(words[2], 0, QEMU_USER)]
        elif words[0] == "move":
            for one in self.taps:
                self._poll.unregister(one)
            self._before, self.taps = self.taps, self._after
            for one in self.taps:
                self._poll.register(one, select.POLLIN)
            os.write(self.taps[0], announcement(words[1]))
        else:
            for one in self._before:
                os.close(one)
        print(words[0], flush=True)
        return True


def forward(taps: list[int], nic: int) -> None:
    """Forward frames until a side, or who started this process, is gone."""
    poll = select.poll()
    for descriptor in (*taps, nic, 0):
        poll.register(descriptor, select.POLLIN)
    migration = Migration(taps, poll)
    while True:
        for descriptor, events in poll.poll():
            if descriptor == 0:
                if not migration.told(os.read(0, 4096).decode().split()):
                    return
                break  # what else was ready may be of another tap
            if events & (select.POLLERR | select.POLLHUP):
                return
            try:
                frame = os.read(descriptor, LONGEST)
                os.write(migration.taps[0] if descriptor == nic else nic, frame)
            except OSError:
                continue  # the far side is down: that frame is lost, as on any cable


def announcement(mac: str) -> bytes:
    """Return what QEMU sends for a guest that has arrived, with a virtio header of nothing."""
    octets = bytes.fromhex(mac.replace(":", ""))
    request = struct.pack("!HHBBH6s4x6s4x", 1, 0x0800, 6, 4, 3, octets, octets)
    return bytes(10) + b"\xff" * 6 + octets + b"\x80\x35" + request.ljust(46, b"\0")


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
