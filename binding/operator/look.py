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
from binding.ipc.status import GuestStatus, Status
from binding.operator import listen, traffic_control
from binding.operator.questions import Wanted
from binding.operator.traffic import Traffic
from binding.packet import bridge_filters, guard, link_details, link_table, links
from binding.packet.guard import GuardTable, Observed
from binding.packet.link_details import Details
from binding.packet.link_table import LinkState
from binding.process import capabilities
from binding.process.logs import timestamp
from binding.process.spawn import Process
from guest.network import FAMILIES, Address, Family

_LISTENS = 2.0
_PLUMB_WITHIN = 10.0


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
    """Links by which the pod's bridges send to a MAC, by the MAC: of guests and gateways."""
    kept: dict[str, frozenset[str]] = field(default_factory=dict)
    """Links by which the pod's bridges keep frames to a MAC for the pod, by the MAC."""
    guard: Observed | None = None
    guard_error: str = ""
    bridge_filters: tuple[str, ...] = ()
    """Settings by which frames of a bridge pass iptables, too."""
    traffic: dict[str, Traffic] = field(default_factory=dict)
    processes: dict[str, str] = field(default_factory=dict)
    """State letter of /proc/PID/stat by program; empty where there is no such process."""
    out_of_memory: int = 0
    """Processes of the container that the kernel has killed for want of memory."""
    unsaved: str = ""
    """Why the sidecar's state cannot be saved now; empty where it can."""
    hook_socket: bool = True
    """Whether the socket by which KubeVirt calls is where KubeVirt looks for it."""

    def traffic_of(self, guest: GuestStatus) -> Traffic:
        """Return what was seen of a guest's frames; without NET_RAW that is nothing."""
        return self.traffic.get(guest.network, Traffic())


def take(status: Status, directory: Path) -> Look:
    """Look at everything; what cannot be seen is left empty.

    `directory` is where KubeVirt looks for the sidecar's socket.
    """
    permitted = capabilities.permitted()
    guests = tuple(one.told for one in status.guests if one.told is not None)
    looked, why = packet_filters(status)
    table, details = {}, {}
    queues: dict[str, tuple[str, ...]] = {}
    ports: dict[str, frozenset[str]] = {}
    kept: dict[str, frozenset[str]] = {}
    with suppress(OSError):
        table = link_table.read()
        details = link_details.read()
        names = {one.index: one.name for one in table.values()}
        ours = {link for one in status.guests for link in (one.tap, one.bridge, one.nic)}
        queues = traffic_control.foreign({n: name for n, name in names.items() if name in ours})
        for one in status.guests:
            for mac in {one.mac, *one.gateways.values()}:
                for into, only in ((ports, False), (kept, True)):
                    learned = traffic_control.learned(mac, kept=only)
                    into[mac] = frozenset(names[n] for n in learned if n in names)
    found: dict[str, Traffic] = {}
    if "NET_RAW" in permitted and guests:
        capabilities.hold({"NET_RAW"})
        wanted = {one.network: _wanted(one) for one in status.guests}
        found = listen.listen(guests, _LISTENS, wanted)
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
        kept=kept,
        guard=looked,
        guard_error=why,
        bridge_filters=bridge_filters.that_are_on(),
        traffic=found,
        processes={one.name: _state(one.pid) for one in status.processes if one.pid},
        out_of_memory=_killed(),
        unsaved=_unsaved(directory / "state"),
        hook_socket=any(directory.glob("*.sock")),
    )


def _wanted(guest: GuestStatus) -> Wanted:
    """Return what a guest is asked, and which gateways in its name: those that have answered."""
    told = guest.told
    if told is None:
        return Wanted()
    four = told.ipv4[:1] if guest.counters.get("ACK") else ()
    six = told.ipv6 if guest.counters.get("REPLY") else ()
    return Wanted(
        is_elsewhere=told.migration_target and not guest.arrived,
        given=frozenset((*(one.ip for one in four), *(one.ip for one in six))),
        knows_router="RS" in guest.asked,
        gateways=tuple(
            one
            for one in gateways(guest)
            if str(one) in guest.gateways and one not in dict(told.permanent_neighbors)
        ),
    )


def gateways(guest: GuestStatus) -> Iterator[Address]:
    """Yield the gateways that should answer a guest which dsbridge serves."""
    told = guest.told
    if told is None or guest.provider == "off":
        return
    for family, gateway, gets in (
        ("ipv4", told.gateway4, told.gets_ipv4),
        ("ipv6", told.gateway6, told.gets_ipv6),
    ):
        if gateway is not None and guest.serves.get(family) == "in-pod" and gets:
            yield gateway


def packet_filters(status: Status) -> tuple[Observed | None, str]:
    """Have plumb compare the kernel's packet filters with those that there should be.

    Returns what plumb saw, or None and the reason.
    """
    if "NET_ADMIN" not in capabilities.permitted():
        return None, "no NET_ADMIN"
    families: dict[str, frozenset[Family]] = {
        one.network: frozenset(f for f in FAMILIES if one.serves[f"ipv{f}"] == "in-pod")
        for one in status.guests
        if one.serves
    }
    table = link_table.read()
    there = (one.told for one in status.guests if one.told and one.told.tap in table)
    wanted = GuardTable(status.table, guard.filters(tuple(there), families, status.spared))
    said, code = _plumb_looks(encode(wanted))
    with suppress(ValueError):
        return decode(Observed, said), ""
    with suppress(ValueError):
        return None, decode(Undone, said).error
    return None, f"plumb ended with status {code}"


def _plumb_looks(asked: str) -> tuple[bytes, int]:
    """Return the answer of plumb, and its exit status.

    binding.sidecar.plumb_child would take 0.4 MiB more of the container's memory.
    """
    ours, theirs = socket.socketpair()
    with ours, os.fdopen(os.memfd_create("look"), "w+b") as line:
        ours.settimeout(_PLUMB_WITHIN)
        line.write(f"{asked}\n".encode())
        line.seek(0)
        with theirs:
            ends = line.fileno(), theirs.fileno()
            process = Process("binding.plumb", ("look",), stdin=ends[0], stdout=ends[1])
        said = b""
        with suppress(OSError):
            while chunk := ours.recv(65536):
                said += chunk
    process.kill()
    while (code := process.poll()) is None:
        time.sleep(0.01)
    return said, code


def _unsaved(state: Path) -> str:
    with suppress(OSError):
        room = os.statvfs(state)
        if not room.f_bavail or (room.f_files and not room.f_favail):
            return f"there is no space left in {state}"
        if not os.access(state, os.W_OK):
            return f"{state} cannot be written"
    return ""


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
