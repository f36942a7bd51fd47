"""`dsbridge capture`: what a guest and its servers say to each other, as pcap on stdout.

Opened by Wireshark or tcpdump -r. DHCP, ARP, RA and ND of one tap only: never the
guest's own traffic.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from contextlib import suppress

from binding.packet import bpf
from binding.packet.port import Port
from binding.process import capabilities

_MAGIC_NANOSECONDS = 0xA1B23C4D
_ETHERNET = 1
_LONGEST = 65_535


def capture(tap: str) -> int:
    """Write frames until interrupted or the reader goes; return the exit status."""
    capabilities.hold({"NET_RAW"})
    try:
        port = Port.open(tap, bpf.program(bpf.CAPTURE_RULES))
    except OSError as error:
        remedy = "; the container lacks NET_RAW" if isinstance(error, PermissionError) else ""
        sys.stderr.write(f"cannot capture on {tap}: {error.strerror}{remedy}\n")
        return 1
    capabilities.drop()
    port.hear_outgoing(wanted=True)
    port.socket.setblocking(True)  # noqa: FBT003  # its only argument
    with suppress(KeyboardInterrupt, BrokenPipeError):
        _copy(port.socket)
    return 0


def _copy(frames: socket.socket) -> None:
    out = sys.stdout.buffer
    out.write(struct.pack("=IHHiIII", _MAGIC_NANOSECONDS, 2, 4, 0, 0, _LONGEST, _ETHERNET))
    out.flush()
    while True:
        frame = frames.recv(_LONGEST)
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        out.write(struct.pack("=IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
        out.flush()
