"""The handovers of the guests, kept for the stand-in and for the next `serve`."""

from __future__ import annotations

from binding.ipc.handover import Handover, Repeat
from binding.ipc.messages import QueuedFrame, Report, Serve
from guest.network import GuestNetwork

_MOST_REPEATS = 16


class Handovers:
    """By network: the latest handover, and who serves the guest."""

    def __init__(self) -> None:
        self.latest: dict[str, Handover] = {}
        self.decided: dict[str, tuple[int, ...]] = {}
        """Families that we serve, where `auto` has found that out."""
        self.former: dict[str, GuestNetwork] = {}
        """By network, the GuestNetwork of its handover, where the guest has another since."""

    def change(self, former: tuple[GuestNetwork, ...], guests: tuple[GuestNetwork, ...]) -> None:
        """Go on with these guests.

        Of a guest that is another now only the RA state is kept: it says whether it was heard.
        """
        same = frozenset(guest.network for guest in guests if guest in former)
        told = {guest.network: guest for guest in former if guest.network not in same}
        names = {guest.network for guest in guests}
        self.decided = {name: ours for name, ours in self.decided.items() if name in same}
        self.latest = {
            name: one if name in same else one._replace(planned=(), repeats=())
            for name, one in self.latest.items()
            if name in names
        }
        self.former = {name: one for name, one in (told | self.former).items() if name in names}

    def forget_all(self) -> None:
        """Forget all guests: none is served any more."""
        self.latest, self.decided, self.former = {}, {}, {}

    def take_over(self, handovers: tuple[Handover, ...]) -> None:
        """Keep the last handovers of a `serve` that leaves, or of the stand-in."""
        self.latest |= {one.network: one for one in handovers}

    def keep_report(self, report: Report, guests: tuple[GuestNetwork, ...]) -> None:
        """Keep what the next `serve` needs, should this one die."""
        by_network = {guest.network: guest for guest in guests}
        for one in report.guests:
            guest = by_network.get(one.network)
            if guest is None:
                continue
            if one.serves is not None:
                self.decided[one.network] = one.serves
            if one.ra_state is not None:
                before = self.latest.get(one.network)
                repeats = _latest(before.repeats if before else (), one.repeats)
                self.latest[one.network] = Handover(
                    guest.network, guest.tap, guest.nic, one.ra_state, repeats=repeats
                )

    def serve(
        self,
        number: int,
        guests: tuple[GuestNetwork, ...],
        queued: tuple[QueuedFrame, ...],
        sockets: tuple[str, ...],
        *,
        anew: bool,
    ) -> Serve:
        """Return what a `serve` of these guests begins with; `anew`: without their handovers."""
        networks = {guest.network for guest in guests}
        known = () if anew else self.latest.values()
        handovers = (one for one in known if one.network in networks)
        former = tuple(one for name, one in sorted(self.former.items()) if name in networks)
        self.former = {}
        return Serve(
            number=number,
            guests=guests,
            decided=self.decided,
            handovers=tuple(one._replace(planned=()) for one in handovers),
            former=former,
            queued=queued,
            sockets=sockets,
        )


def _latest(before: tuple[Repeat, ...], news: tuple[Repeat, ...]) -> tuple[Repeat, ...]:
    asked = {(one.request, one.partial_checksum) for one in news}
    kept = (one for one in before if (one.request, one.partial_checksum) not in asked)
    return (*kept, *news)[-_MOST_REPEATS:]
