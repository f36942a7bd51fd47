"""What a `serve` that leaves tells of its guests: for who stands in, and for its successor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from binding.ipc.repeats import Repeat


@dataclass(frozen=True, slots=True)
class Step:
    """Something to send at a time, and the session after it."""

    at: float
    """Monotonic seconds."""
    tap: tuple[bytes, ...]
    nic: tuple[bytes, ...]
    session: str
    """ra.session.State as JSON; opaque to all but `serve`."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What is known of one guest, and what its session will do by itself."""

    network: str
    tap: str
    nic: str
    session: str
    steps: tuple[Step, ...] = ()
    repeats: tuple[Repeat, ...] = ()

    def after(self, now: float) -> Notes:
        """Return the notes as they stand once the steps due by now are done."""
        done = [step for step in self.steps if step.at <= now]
        left = tuple(step for step in self.steps if step.at > now)
        return replace(self, session=done[-1].session if done else self.session, steps=left)
