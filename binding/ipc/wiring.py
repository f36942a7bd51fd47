"""The wiring of one NIC in the "own" shape, as asked of `binding.plumb wire`. Values only."""

from dataclasses import dataclass, field

from binding.packet.link_names import LinkNames
from guest.network import IPInterface, Route


@dataclass(frozen=True, slots=True)
class Wiring:
    """A pod link that becomes a bridge port beside a tap, its addresses the guest's."""

    names: LinkNames
    mac: str
    """Original MAC of the pod link; the placeholder keeps it."""
    mtu: int
    """Bytes, of the pod link; bridge and tap get the same."""
    addresses: tuple[IPInterface, ...] = ()
    """Addresses of the pod link; the placeholder keeps them, since CNI CHECK looks there."""
    queues: int = 1
    """Queues of the domain's NIC; the tap is multi-queue from 2 on."""
    owner: int = 107
    """User and group that QEMU runs as."""
    routes: tuple[Route, ...] = ()
    """Routes of the pod link; only to undo what a killed run left behind."""
    records: tuple[tuple[int, bytes], ...] = field(default=(), compare=False)
    """Those of the Snapshot; for the same."""


@dataclass(frozen=True, slots=True)
class Mend:
    """Wirings of which something was removed or changed since."""

    wirings: tuple[Wiring, ...]
    nics: dict[str, int]
    """Indexes of the pod NICs by their name as bridge ports, should they have another name now."""
