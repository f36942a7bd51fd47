"""What `serve` leaves behind of a guest: for the sidecar's stand-in, and for the next `serve`.

Named tuples, as in binding.ipc.messages.
"""

from typing import Any, NamedTuple, Self


class Repeat(NamedTuple):
    """A request of the guest, and what is answered to the very same frame again."""

    request: bytes
    """The whole frame."""
    partial_checksum: bool
    """The guest left the checksum of the request to the hardware."""
    tap: tuple[bytes, ...] = ()
    """Frames for the guest; none where the answer is silence."""
    nic: tuple[bytes, ...] = ()
    """Frames for the pod NIC that go with the answer."""
    wakes: bool = True
    """Whether `serve` is started for it: not for the NUD probe of the virtual router, which
    recurs for ever.
    """


class Planned(NamedTuple):
    """Frames to send at a time, and the guest's state in `ra/` after that."""

    at: float
    """Monotonic seconds."""
    tap: tuple[bytes, ...]
    nic: tuple[bytes, ...]
    ra_state: Any
    """ra.state.State as codec.plain gives it; only `serve` builds a State of it again."""


class Handover(NamedTuple):
    """What is known of one guest, and the frames that it would be sent unasked."""

    network: str
    tap: str
    nic: str
    ra_state: Any
    planned: tuple[Planned, ...] = ()
    repeats: tuple[Repeat, ...] = ()

    def after(self, now: float) -> Self:
        """Return the handover as it stands once the frames planned until now are sent."""
        sent = [one for one in self.planned if one.at <= now]
        left = tuple(one for one in self.planned if one.at > now)
        return self._replace(ra_state=sent[-1].ra_state if sent else self.ra_state, planned=left)
