"""Every message between the sidecar and its programs, as one frozen value each.

binding.ipc.channel carries them; descriptors go beside the message that names them. Named tuples:
as dataclasses they cost each program 25 ms at its start, 0.1 s at 200m CPU. Their annotations are
types, not text: typing compiles text, and the first compile() costs the sidecar 0.3 MiB for ever.
"""

from typing import Any, NamedTuple

from binding.ipc.about import Instance, Remark, RouterStatus
from binding.ipc.handover import Handover, Repeat
from binding.ipc.wiring import Wiring
from guest.network import GuestNetwork

# Messages are read only, and so are these.
_NO_TEXTS: dict[str, str] = {}
_NO_COUNTS: dict[str, int] = {}

# --- between the sidecar and any of its children ---------------------------------------------


class Ask(NamedTuple):
    """The sidecar asks a child for what it has not reported yet, then for `Alive`."""


class Alive(NamedTuple):
    """A child reads its messages."""


class Ready(NamedTuple):
    """A child has done its imports and reads messages."""


# --- between the sidecar and serve -----------------------------------------------------------


class QueuedFrame(NamedTuple):
    """A frame that came in by a link while no `serve` was there."""

    link: str
    frame: bytes
    partial_checksum: bool
    answered: bool
    """The stand-in has answered it: `serve` only counts it."""


class Serve(NamedTuple):
    """The sidecar: serve exactly these guests. Beside it a packet socket for each of `sockets`."""

    number: int
    """Serial number of this `Serve`; the answer repeats it."""
    guests: tuple[GuestNetwork, ...]
    decided: dict[str, tuple[int, ...]]
    """Families that we serve, by network, where `auto` has found that out before."""
    handovers: tuple[Handover, ...]
    former: tuple[GuestNetwork, ...]
    """The GuestNetwork that a handover was made for, of each network where `guests` has another:
    the guest has been told the former, and must be told what of it no longer holds.
    """
    queued: tuple[QueuedFrame, ...]
    sockets: tuple[str, ...]
    """Links of the packet sockets, in the order of the descriptors."""


class Open(NamedTuple):
    """The sidecar: open packet sockets for these guests, before anything else."""

    number: int
    """Number of the `Serve` that follows once the program is ready."""
    guests: tuple[GuestNetwork, ...]


class Opened(NamedTuple):
    """serve: from here on no frame is lost. Beside it a packet socket for each of `sockets`."""

    number: int
    sockets: tuple[str, ...]


class Serving(NamedTuple):
    """serve: the guests are served. Beside it a packet socket for each of `sockets`."""

    number: int
    sockets: tuple[str, ...]


class Failed(NamedTuple):
    """serve: the sockets of these guests cannot be opened; the former guests stay served."""

    number: int
    link: str
    error: str
    privilege: str = ""
    """The capability that is missing, if that is the reason."""


class Resting(NamedTuple):
    """serve: all is quiet; this process ends, and the stand-in takes over."""

    handovers: tuple[Handover, ...]


class Event(NamedTuple):
    """One exchange with the guest, or something that an operator should know."""

    request: str
    reply: str
    note: str
    warning: str
    """As in guest.exchange.Exchange."""
    at: float
    """Seconds since the epoch."""
    client: dict[str, str] = _NO_TEXTS
    """What a DHCP client says of itself: transaction, client, vendor."""


class GuestReport(NamedTuple):
    """News of one guest since the last report."""

    network: str
    counters: dict[str, int] = _NO_COUNTS
    """Increments, so that successive `serve` add up."""
    serves: tuple[int, ...] | None = None
    """Families that we serve; None while `auto` finds out."""
    findings: dict[str, str] = _NO_TEXTS
    """What OVN leaves out, by kind; an empty text takes it back."""
    ra_state: Any = None
    """As in `Handover`; None while `auto` finds out."""
    router: RouterStatus | None = None
    events: tuple[Event, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    """Requests that the stand-in can answer, should this `serve` die."""
    silences: dict[str, int] = _NO_COUNTS
    """Requests without an answer, by `REQUEST: reason`: increments."""
    gateways: dict[str, str] = _NO_TEXTS
    """Gateways and router whose MAC is known, with that MAC."""


class Report(NamedTuple):
    """serve: what has happened since its last report."""

    guests: tuple[GuestReport, ...]


# --- between the sidecar and hooks -----------------------------------------------------------


class Pod(NamedTuple):
    """The sidecar: the pod as it was read."""

    snapshot: Any
    """binding.ipc.snapshot.Snapshot as codec.plain gives it: the sidecar does not build one."""
    wired: tuple[str, ...]
    """Taps that we made."""
    settings: dict[str, str] = _NO_TEXTS
    """JSON of `dsbridge reload` by network, in place of the VMI's annotation."""
    links: tuple[str, ...] = ()
    """Names of the pod's links now; only in the shape `takeover`, in which KubeVirt plugs NICs in
    and out without calling a hook."""


class Define(NamedTuple):
    """hooks: make this desired state true, then answer `Defined`."""

    number: int
    guests: tuple[GuestNetwork, ...]
    wirings: tuple[Wiring, ...]
    warnings: tuple[Remark, ...]
    vmi: str
    domain: str
    """VMI and domain as virt-launcher sent them, for `Discover`."""
    instance: Instance = Instance()
    settings: dict[str, str] = _NO_TEXTS
    """Settings of the `Pod` or `Discover` by which the guests were found."""
    discovery: int = 0
    """Number of the `Discover` that this is the answer to; 0 for a call of KubeVirt's."""
    spared: tuple[str, ...] | None = None
    """In the shape takeover: bridges at which KubeVirt's DHCP server is not muted."""


class Refused(NamedTuple):
    """hooks: a call was refused before the sidecar was asked for anything."""

    reason: str


class Defined(NamedTuple):
    """The sidecar: the state of `Define` is true, or it was refused and the former state holds."""

    number: int
    refusal: str = ""
    """Why the state cannot be made true; empty: it is true."""


class Discover(NamedTuple):
    """The sidecar: pod or settings have changed since the last call of KubeVirt's.

    Discover the guests of that call's VMI and domain again; answer `Define` or `Undiscovered`.
    """

    number: int
    vmi: str
    domain: str
    settings: dict[str, str]


class Undiscovered(NamedTuple):
    """hooks: the guests could not be discovered; those that are served stay as they are."""

    number: int
    reason: str


class Collected(NamedTuple):
    """hooks: virt-launcher has asked Info; OnDefineDomain comes within seconds."""


class Leaving(NamedTuple):
    """hooks: no connection for long; this process ends, the next connection starts another."""


class Ended(NamedTuple):
    """hooks: virt-launcher says that the VM has ended (Shutdown)."""


class Lost(NamedTuple):
    """hooks: a connection ended before its first call was served; that may have been Shutdown."""


# --- between the sidecar and `dsbridge reload`, by the control socket, one line of JSON each -----


class Reload(NamedTuple):
    """The command: take these settings for a NIC from now on."""

    network: str
    """Empty stands for the VM's only NIC."""
    settings: str | None
    """JSON as in the annotation; None: the VMI's annotation holds again."""


class Reloaded(NamedTuple):
    """The sidecar: the settings are in force, or they were refused and the NIC is as before."""

    refusal: str = ""
    network: str = ""
    before: tuple[GuestNetwork, ...] = ()
    """The NIC before and after; none where it was refused."""
    after: tuple[GuestNetwork, ...] = ()
    warnings: tuple[str, ...] = ()
    """Warnings that the settings cause."""


# --- answers of plumb, one line of JSON each -------------------------------------------------


class Wired(NamedTuple):
    """plumb: the pod links that it wired, and those that were wired already."""

    wired: tuple[str, ...]
    adopted: tuple[str, ...]


class Guarded(NamedTuple):
    """plumb: the guard stands at these links. Beside it, a socket for notices of its changes."""

    sender: int
    """By which the kernel's notices of plumb's own change name their sender."""
    places: tuple[tuple[int | None, int | None], ...]
    """By filter: the index of its link, and of where that link's frames are heard."""
    short: str = ""
    """Which part of the guard the node was too short of memory for; empty when it is whole."""


class Undone(NamedTuple):
    """plumb: this step failed, and everything before it was undone."""

    step: str
    error: str
    privilege: str = ""
    """The capability or device that is missing, if that is the reason."""


Message = (
    Ask | Alive | Ready | Serve | Open | Opened | Serving | Failed | Resting | Report
    | Pod | Define | Refused | Defined | Discover | Undiscovered | Collected | Leaving
    | Ended | Lost
)  # fmt: skip
