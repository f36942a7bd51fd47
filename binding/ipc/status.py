"""The status object: what the sidecar tells an operator, and `status`, `diagnose` and metrics read.

docs/reference.md documents every field. Times are ISO 8601, UTC, with microseconds. Where a value
has few fields it is a named tuple, as in binding.ipc.messages.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from binding.ipc.about import Instance, RouterStatus
from guest.network import GuestNetwork

Guard = Literal["on", "off", "not needed"]
Severity = Literal["ok", "warning", "harm"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, judged."""

    severity: Severity
    text: str
    anchor: str = ""
    """Names the paragraph in docs/troubleshooting.md; empty where nothing is wrong."""
    remedy: str = ""
    evidence: str = ""
    """What was seen."""
    time: str = ""
    """When that was."""
    network: str = ""
    """Empty for what concerns the whole pod."""


class Said(NamedTuple):
    """A text, and since when it holds or when it was said."""

    text: str
    time: str


class Fault(NamedTuple):
    """What is wrong with a link; the code is that of `Warned`."""

    code: str
    text: str


class Warned(NamedTuple):
    """A warning that stands."""

    kind: str
    """`tap`, `nic`, `bridge`, `placeholder`: of links, alone or with `setting`, `MAC` or `address`
    behind it; `lease ipv4`, `lease ipv6`: ran out; `shield`: own servers; `other dsbridge`,
    `guard`, `MAC`, `v4 answer` …: found out by name; `call`: of the last hook call; `event`:
    it has happened."""
    text: str
    time: str
    code: str = ""
    """What is wrong, by which `diagnose` judges it: of links and of what has happened by a word of
    its own, such as `link-down` or `rogue`; of all else the kind."""


class LastExchange(NamedTuple):
    """The latest request of a kind."""

    reply: str
    """Empty for silence."""
    note: str
    time: str


UNASKED = frozenset(("RA", "NA", "ARP"))
"""Messages that dsbridge also sends unasked: they stand among the requests by their own name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The outcome of one kind of request."""

    count: int = 0
    """Exchanges that were told to the sidecar; a flood's are counted in `counters` alone."""
    answer: LastExchange | None = None
    """The latest that was answered."""
    silence: LastExchange | None = None
    """The latest that was not."""


class Modes(NamedTuple):
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
    router: RouterStatus | None
    counters: dict[str, int]
    last: dict[str, LastExchange]
    arrived: bool
    """The guest came by migration and has been heard here."""
    warnings: tuple[str, ...]
    warned: tuple[Warned, ...] = ()
    """The same warnings, with their kind and time."""
    asked: dict[str, Asked] = field(default_factory=dict)
    """By kind of request, such as DISCOVER, `DHCPv6 REQUEST`, RS."""
    silences: dict[str, int] = field(default_factory=dict)
    """How often a request got no answer, by `REQUEST: reason`."""
    gateways: dict[str, str] = field(default_factory=dict)
    """Gateways and router whose MAC is known, with that MAC."""
    moved: dict[str, Said] = field(default_factory=dict)
    """Gateways whose MAC has changed: the MAC before, and when the new one was seen."""
    last_heard: str = ""
    """When the guest last asked anything."""
    told: GuestNetwork | None = None
    """All that this guest may be told."""


class ProcessStatus(NamedTuple):
    """One of our programs."""

    name: str
    pid: int | None
    phase: str = "running"
    restarts: int = 0
    resting: bool = False
    """serve: all is quiet, the stand-in answers."""
    last_end: str = ""
    """How the latest end came that was not of the program's own will."""
    last_end_at: str = ""
    memory: int = 0
    """Anonymous bytes; 0 where there is no process or the kernel does not say."""


@dataclass(frozen=True, slots=True)
class Status:
    """What one sidecar tells of itself and of its guests."""

    version: str
    plugin: str
    guard: Guard
    warnings: tuple[str, ...] = ()
    """Warnings about no network in particular."""
    guests: tuple[GuestStatus, ...] = ()
    processes: tuple[ProcessStatus, ...] = field(default_factory=tuple)
    vmi: Instance = field(default_factory=Instance)
    """The VMI of the last hook call; empty before."""
    started: str = ""
    now: str = ""
    table: str = ""
    """Name of the guard's nf_tables table."""
    last_call: Said | None = None
    """The last OnDefineDomain and its outcome: `done`, or why it was refused."""
    last_plumb_error: Said | None = None
    """Why `plumb` could last not do what it was asked for."""
    removed: Said | None = None
    """Files of the state directory that somebody has removed, and when that was seen."""
    wired: tuple[str, ...] = ()
    """Taps that dsbridge made."""
    reloaded: dict[str, str] = field(default_factory=dict)
    """Settings of `dsbridge reload`, JSON by network, in place of the VMI's annotation."""
    spared: tuple[str, ...] | None = None
    """In the shape takeover: bridges at which KubeVirt's DHCP server is not muted."""
