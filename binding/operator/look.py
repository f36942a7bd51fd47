"""Looks at the pod as it is now: links, packet filters, processes, frames. Judges nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from binding.ipc.codec import decode, encode
from binding.ipc.messages import Undone
from binding.ipc.status import Status
from binding.operator import link_details, listen, traffic_control
from binding.operator.link_details import Details
from binding.operator.traffic import Traffic
from binding.packet import guard, link_table, links
from binding.packet.guard import GuardTable, Observed
from binding.packet.link_table import LinkState
from binding.process import capabilities
from binding.process.logs import timestamp
from binding.process.spawn import Process
from guest.network import Family

_LISTENS = 2.0
_PLUMB_WITHIN = 10.0
_BRIDGE_FILTERS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, at `time`."""

    time: str
    epoch: float
    permitted: frozenset[str] = frozenset()
    """Capabilities granted to the container."""
    links: dict[str, LinkState] = field(default_factory=dict)
    details: dict[str, Details] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    """Frames that came in by each link since it was made: at a tap, those of the guest."""
    queues: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What traffic control of others can hold back, by link."""
    ports: dict[str, frozenset[str]] = field(default_factory=dict)
    """Bridge ports by which frames for a guest's MAC are sent, by network."""
    guard: Observed | None = None
    guard_error: str = ""
    bridge_filters: tuple[str, ...] = ()
    """Settings by which frames of a bridge pass iptables, too."""
    traffic: dict[str, Traffic] = field(default_factory=dict)
    processes: dict[str, str] = field(default_factory=dict)
    """State letter of /proc/PID/stat by program; empty where there is no such process."""
    out_of_memory: int = 0
    """Processes of the container that the kernel has killed for want of memory."""
    hook_socket: bool = True
    """Whether the socket by which KubeVirt calls is where KubeVirt looks for it."""


def take(status: Status, directory: Path) -> Look:
    """Look at everything; what cannot be seen is left empty.

    `directory` is where KubeVirt looks for the sidecar's socket.
    """
    permitted = capabilities.permitted()
    guests = tuple(one.told for one in status.guests if one.told is not None)
    arriving = {
        one.network
        for one in status.guests
        if one.told is not None and one.told.migration_target and not one.arrived
    }
    looked, why = packet_filters(status)
    table, details = {}, {}
    queues: dict[str, tuple[str, ...]] = {}
    ports: dict[str, frozenset[str]] = {}
    with suppress(OSError):
        table = link_table.read()
        details = link_details.read()
        names = {one.index: one.name for one in table.values()}
        ours = {link for one in status.guests for link in (one.tap, one.bridge, one.nic)}
        queues = traffic_control.foreign({n: name for n, name in names.items() if name in ours})
        for one in status.guests:
            learned = traffic_control.learned(one.mac)
            ports[one.network] = frozenset(names[n] for n in learned if n in names)
    found: dict[str, Traffic] = {}
    if "NET_RAW" in permitted and guests:
        capabilities.hold({"NET_RAW"})
        found = listen.listen(guests, _LISTENS, arriving)
        capabilities.drop()
    return Look(
        time=timestamp(time.time()),
        epoch=time.time(),
        permitted=permitted,
        links=table,
        details=details,
        frames=links.received(),
        queues=queues,
        ports=ports,
        guard=looked,
        guard_error=why,
        bridge_filters=tuple(_bridge_filters()),
        traffic=found,
        processes={one.name: _state(one.pid) for one in status.processes if one.pid},
        out_of_memory=_killed(),
        hook_socket=any(directory.glob("*.sock")),
    )


def packet_filters(status: Status) -> tuple[Observed | None, str]:
    """Have plumb compare the kernel's packet filters with those that there should be.

    Returns what plumb saw, or None and the reason.
    """
    if "NET_ADMIN" not in capabilities.permitted():
        return None, "no NET_ADMIN"
    guests = tuple(one.told for one in status.guests if one.told is not None)
    families: dict[str, frozenset[Family]] = {}
    for one in status.guests:
        if one.serves:
            by_us = {f for f, name in ((4, "ipv4"), (6, "ipv6")) if one.serves[name] == "in-pod"}
            families[one.network] = frozenset(by_us)  # type: ignore[arg-type]  # 4 and 6
    table = link_table.read()
    there = tuple(guest for guest in guests if guest.tap in table)
    wanted = GuardTable(status.table, guard.filters(there, families, status.spared))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(_PLUMB_WITHIN)
        number = os.memfd_create("look")
        os.write(number, f"{encode(wanted)}\n".encode())
        os.lseek(number, 0, os.SEEK_SET)
        process = Process("binding.plumb", ("look",), stdin=number, stdout=theirs.fileno())
        os.close(number)
        theirs.close()
        said = b""
        with suppress(OSError):
            while chunk := ours.recv(65536):
                said += chunk
    process.kill()
    while (code := process.poll()) is None:
        time.sleep(0.01)
    with suppress(ValueError):
        return decode(Observed, said), ""
    with suppress(ValueError):
        return None, decode(Undone, said).error
    return None, f"plumb ended with status {code}"


def _bridge_filters() -> Iterator[str]:
    for name in _BRIDGE_FILTERS:
        with suppress(OSError):
            if Path("/proc/sys/net/bridge", name).read_text().strip() == "1":
                yield name


def _state(pid: int | None) -> str:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _killed() -> int:
    with suppress(OSError, ValueError):
        for line in Path("/sys/fs/cgroup/memory.events").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
