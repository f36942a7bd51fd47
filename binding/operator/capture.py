"""`dsbridge capture`: what guests and their servers say to each other, as pcapng.

Opened by Wireshark or tcpdump -r. DHCP, ARP, RA and ND of the taps only: never the guests' own
traffic.
"""

from __future__ import annotations

import argparse
import math
import select
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from binding.operator import ask, pcapng
from binding.packet import bpf, links
from binding.packet.port import Port
from binding.process import capabilities
from binding.version import VERSION
from guest.ethernet import ETH_ARP, ETH_IPV4, UDP

_LONGEST = 65_535
_OUTGOING = 4  # PACKET_OUTGOING


def capture(given: argparse.Namespace) -> int:
    """Write frames until interrupted, until a limit or until the reader goes; return the status."""
    if given.file is None and sys.stdout.isatty():
        return _refuse("a capture is no text for a terminal: use -w FILE, or | tcpdump -r -")
    taps = given.tap or _taps(given.directory)
    ports = opened(taps)
    if not ports:
        return 1
    sys.stderr.write(f"listening at {', '.join(one.link for one in ports)}; end it by Ctrl-C\n")
    until = time.monotonic() + given.seconds if given.seconds else math.inf
    try:
        out = given.file.open("wb") if given.file else sys.stdout.buffer
    except OSError as error:
        return _refuse(f"cannot write {given.file}: {error.strerror}")
    with suppress(KeyboardInterrupt, BrokenPipeError), out:
        written = write(out, ports, until, given.count or math.inf, given.protocols)
        sys.stderr.write(f"{written} frames\n")
    return 0


def opened(taps: Sequence[str]) -> list[Port]:
    """Return a packet socket at each tap, none with the reason on stderr."""
    capabilities.hold({"NET_RAW"})
    ports = []
    for tap in taps:
        try:
            port = Port.open(tap, bpf.program(bpf.CAPTURE_RULES))
        except OSError as error:
            remedy = "; the container lacks NET_RAW" if isinstance(error, PermissionError) else ""
            there = ", ".join(name for name in links.names() if name.startswith("tap"))
            others = f"; taps here: {there or 'none'}" if links.index(tap) is None else ""
            _refuse(f"cannot capture at {tap}: {error.strerror}{remedy}{others}")
            return []
        port.hear_outgoing(wanted=True)
        ports.append(port)
    capabilities.drop()
    if not ports:
        _refuse("there is no guest to listen to: name a tap")
    return ports


def write(
    out: BinaryIO,
    ports: Sequence[Port],
    until: float,
    most: float,
    protocols: Iterable[str] | None = None,
) -> int:
    """Write frames until a monotonic time or until there are so many; return their number."""
    out.write(pcapng.section(f"dsbridge {VERSION}"))
    out.writelines(pcapng.interface(port.link) for port in ports)
    out.flush()
    poll = select.poll()
    numbers = {port.socket.fileno(): number for number, port in enumerate(ports)}
    for port in ports:
        poll.register(port.socket, select.POLLIN)
    wanted, written = set(protocols or ()), 0
    while written < most and (left := until - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(None if left == math.inf else left * 1000):
            number = numbers[descriptor]
            try:
                frame, address = ports[number].socket.recvfrom(_LONGEST)
            except OSError:  # it went down, or away
                continue
            if written >= most or (wanted and protocol(frame) not in wanted):
                continue
            outbound = address[2] == _OUTGOING
            direction = pcapng.OUTBOUND if outbound else pcapng.INBOUND
            out.write(pcapng.packet(number, time.time_ns(), frame, direction))
            out.flush()
            written += 1
    return written


def protocol(frame: bytes) -> str:
    """Return arp, nd, dhcp4 or dhcp6, of a frame that passed the kernel's filter."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == ETH_ARP:
        return "arp"
    if ethertype == ETH_IPV4:
        return "dhcp4"
    return "dhcp6" if frame[20:21] == bytes((UDP,)) else "nd"


def _taps(directory: Path) -> list[str]:
    status = ask.status(directory)
    if status is None:
        return [name for name in links.names() if name.startswith("tap")]
    return [guest.tap for guest in status.guests]


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1
