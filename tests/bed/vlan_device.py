"""A link of 802.1Q, for kernels without one, as a process: NETNS LINK NAME TAGS.

What is sent at the new link NAME leaves LINK behind these tags, octets in hexadecimal, the
outermost first, and what comes in at LINK behind them comes out at NAME without. A priority tag,
VID 0, may also be missing from what comes in.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bed.netns import Netns, end
from tests.bed.tap_forwarder import LONGEST, attach, enter

ETH_P_ALL, PACKET_OUTGOING = 0x0003, 4
SOL_PACKET, PACKET_AUXDATA = 263, 8
_AUXDATA = "=IIIHHHH"
_HAS_TAG, _HAS_TPID = 1 << 4, 1 << 6
_ADDRESSES = 12
VID = 0x0FFF


@contextmanager
def vlan(
    space: Netns, name: str, *tags: bytes, link: str = "eth0", mac: str = ""
) -> Iterator[None]:
    """Give a namespace such a link, up, with the MAC of the link below unless told otherwise."""
    mac = mac or space.query("link", "show", "dev", link)[0]["address"]
    process = subprocess.Popen(
        [sys.executable, __file__, str(space.path), link, name, b"".join(tags).hex()],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout
        assert process.stdout.readline(), f"no {name} on {link}"
        space.ip(f"link set {name} address {mac}")
        yield
    finally:
        end(process)
        process.stdout.close()


def _whole(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """Put the outermost tag back, which the kernel takes out of a frame."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack(_AUXDATA, data)
            if status & _HAS_TAG:
                tag = struct.pack("!HH", tpid if status & _HAS_TPID else 0x8100, tci)
                return frame[:_ADDRESSES] + tag + frame[_ADDRESSES:]
    return frame


def _inner(frame: bytes, tags: bytes) -> bytes | None:
    """Return the frame without these tags; None where it has others or none."""
    rest = frame[_ADDRESSES:]
    for at in range(0, len(tags), 4):
        tpid, tci = struct.unpack_from("!HH", tags, at)
        got, its = struct.unpack_from("!HH", rest)
        if got == tpid and its & VID == tci & VID:
            rest = rest[4:]
        elif tci & VID:
            return None
    return frame[:_ADDRESSES] + rest


def main() -> None:
    space, link, name, hexadecimal = sys.argv[1:]
    tags = bytes.fromhex(hexadecimal)
    enter(space)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    raw.bind((link, ETH_P_ALL))
    tap = attach(name, headers=False)
    print("made", flush=True)
    poll = select.poll()
    for descriptor in (raw.fileno(), tap):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            try:
                if descriptor == tap:
                    frame = os.read(tap, LONGEST)
                    raw.send(frame[:_ADDRESSES] + tags + frame[_ADDRESSES:])
                    continue
                frame, ancillary, _, (_, _, kind, *_) = raw.recvmsg(LONGEST, 256)
                inner = None if kind == PACKET_OUTGOING else _inner(_whole(frame, ancillary), tags)
                if inner is not None:
                    os.write(tap, inner)
            except OSError:
                continue  # a side is down: that frame is lost, as on any link


if __name__ == "__main__":
    main()
