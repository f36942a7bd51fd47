"""The status object: what the sidecar tells an operator, and `status`, `diagnose` and metrics read.

docs/reference.md documents every field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from binding.ipc.messages import Router

Guard = Literal["on", "off", "not needed"]


@dataclass(frozen=True, slots=True)
class LastExchange:
    """The latest request of a kind."""

    reply: str
    """Empty for silence."""
    note: str
    time: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class Modes:
    """How the guest is given addresses of each family."""

    ipv4: str
    ipv6: str


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """One NIC of the VM."""

    network: str
    shape: str
    provider: str
    serves: dict[str, str]
    """`in-pod` or `kube-ovn` by family; empty while `auto` finds out."""
    modes: Modes
    tap: str
    nic: str
    bridge: str
    mac: str
    mtu: int
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    router: Router | None
    counters: dict[str, int]
    last: dict[str, LastExchange]
    arrived: bool
    """The guest came by migration and has been heard here."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One of our programs."""

    name: str
    pid: int | None
    phase: str = "running"
    restarts: int = 0
    resting: bool = False
    """serve: all is quiet, the stand-in answers."""
    last_end: str = ""
    """How the latest end came that was not of the program's own will."""


@dataclass(frozen=True, slots=True)
class Status:
    """One sidecar."""

    version: str
    plugin: str
    guard: Guard
    warnings: tuple[str, ...] = ()
    """Of no network in particular."""
    guests: tuple[GuestStatus, ...] = ()
    processes: tuple[ProcessStatus, ...] = field(default_factory=tuple)
