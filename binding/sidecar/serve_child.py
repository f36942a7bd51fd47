"""Keeps a `serve` for the guests, and the stand-in in its place whenever there is none.

`serve` may die of anything that a guest sends; the sidecar never dies with it. The packet sockets
are kept here too, so that the next `serve` answers the same guests at once, with the frames that
came in between, and without any privilege.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from binding.ipc import messages
from binding.packet import links
from binding.process.loop import Future, Loop, Timer, within
from binding.sidecar.child import Change, Child, Phase
from binding.sidecar.early_ends import EarlyEnds
from binding.sidecar.frame_watch import FrameWatch
from binding.sidecar.handovers import Handovers
from binding.sidecar.packet_sockets import PacketSockets
from binding.sidecar.standby import Standby
from guest.network import GuestNetwork

_log = logging.getLogger(__name__)

_LIMITS = {"ready_within": 30.0, "answers_within": 2.0, "asked_every": 3.0}
"""Seconds."""
_SERVING_WITHIN = 15.0
"""Seconds; virt-handler gives the whole of SyncVMI 20, and calls again."""
_LATE = f"not open within {_SERVING_WITHIN:.0f} s: the node is overloaded"
_SLOWEST_START = 5.0
_SOONEST_START = 0.3
"""Seconds from the end of a `serve` that keeps dying to the next one, where a guest waits."""


_Places = dict[str, tuple[int | None, int | None]]
"""By link: its index, and that of the link where packet sockets listen for it."""


class ServeError(Exception):
    """`serve` could not open the packet sockets of these guests."""

    def __init__(self, link: str, reason: str, privilege: str = "") -> None:
        super().__init__(f"packet socket on {link or 'the taps'}: {reason}")
        self.privilege = privilege
        """The capability that is missing, if that is the reason."""


class LateError(ServeError):
    """The packet sockets are not open yet; `serve` goes on opening them."""


class ServeChild:
    """One `serve` at a time, or the stand-in."""

    def __init__(self, loop: Loop, on_report: Callable[[messages.Report], object]) -> None:
        self._loop = loop
        self._on_report = on_report
        self.child = Child(
            loop, "binding.serve", on_message=self._take, on_end=self._ended, **_LIMITS
        )
        self.handovers = Handovers()
        self._guests: tuple[GuestNetwork, ...] = ()
        self._places: _Places = {}
        self._sockets = PacketSockets()
        self._standby: Standby | None = None
        self._next_start: Timer | None = None
        self._serving: Future[None] | None = None
        self._number = 0
        self._early_ends = EarlyEnds()
        self._frame_watch = FrameWatch(loop, self.child, self._sockets)
        self._is_closing = False

    @property
    def is_resting(self) -> bool:
        """Whether the stand-in suffices, so that no `serve` runs or is about to."""
        return self._standby is not None and not self.child.is_there and self._next_start is None

    def prepare(self) -> None:
        """Start a `serve` ahead of its first guests: its imports take most of its start."""
        if not self._guests:
            self._start()

    async def serve(self, guests: tuple[GuestNetwork, ...]) -> None:
        """Serve exactly these guests; done when their packet sockets are open.

        Raises ServeError, and goes on serving the former guests, or LateError, and goes on trying.
        """
        if not guests:
            self._serve_nobody()
            await self.child.gone()
            return
        places = _places_of(guests)
        if (guests, places) == (self._guests, self._places) and self._serving is None:
            return
        former = self._guests
        self._change(guests)
        there = {name for name, (index, _) in places.items() if index is not None}
        self._serving = serving = Future[None]()
        if self._sockets.ports and not there <= self._sockets.ports.keys():
            self.child.end()  # serve has no privilege left to open more sockets
        elif self.child.phase is Phase.RUNNING:
            self._send_guests()
        elif self.child.phase is Phase.STARTING:
            self._open_early()
        if not self.child.is_there:
            self._start()
        try:
            await within(self._loop, _SERVING_WITHIN, serving)
        except TimeoutError:
            raise LateError("", _LATE) from None
        except ServeError:
            self._change(former)
            self.child.end()
            raise
        finally:
            self._serving = None
        self._places = places

    def close(self) -> None:
        """End `serve` for good."""
        self._is_closing = True
        self._serve_nobody()

    def _serve_nobody(self) -> None:
        self._guests, self._places = (), {}
        self.child.end()
        self._end_standby()
        self.handovers.forget_all()
        self._sockets.keep({})

    def _change(self, guests: tuple[GuestNetwork, ...]) -> None:
        former, self._guests = self._guests, guests
        queued = self._end_standby()
        self.handovers.change(former, guests)
        if not self.child.is_there or self.child.phase is Phase.STARTING:
            self._stand_by(queued)

    def _start(self) -> None:
        if self._next_start is not None:
            self._next_start.cancel()
            self._next_start = None
        if self.child.is_there or self._is_closing:
            return
        try:
            self.child.start(*([] if self._sockets.ports else ["first"]))
            self._open_early()
        except OSError as error:
            _log.warning("cannot start serve, retrying in %.0f s: %s", _SLOWEST_START, error)
            self._next_start = self._loop.after(_SLOWEST_START, self._start)

    def _open_early(self) -> None:
        """Have the first packet sockets opened before `serve` imports what answers take."""
        if self._serving is not None and not self._sockets.ports:
            self._number += 1
            self.child.send(messages.Open(self._number, self._guests))

    def _take(self, message: messages.Message, descriptors: list[int]) -> None:
        match message:
            case messages.Ready():
                # From now on it alone reads: whoever has other guests has to send them to it.
                self.child.note_ready()
                if self._guests:
                    self._send_guests()
            case messages.Opened() | messages.Serving():
                self._open(message, descriptors)
            case messages.Failed(number, link, error, privilege):
                failure = ServeError(link, error, privilege)
                if self._serving is not None and number == self._number:
                    self._serving.fail(failure)
                else:
                    _log.error("the restarted serve cannot open its packet sockets: %s", failure)
                    self.child.kill()
            case messages.Resting(handovers):
                self.handovers.take_over(handovers)
                self.child.change(Change.LEAVES)
            case messages.Report():
                self.handovers.keep_report(message, self._guests)
                self._on_report(message)
            case _:
                _log.error("serve sent the unexpected message %s", type(message).__name__)

    def _open(self, message: messages.Opened | messages.Serving, descriptors: list[int]) -> None:
        """Keep the packet sockets; until `serve` answers, the stand-in reads them."""
        queued = self._end_standby()  # it reads the former sockets, which are closed now
        if not self._sockets.keep(dict(zip(message.sockets, descriptors, strict=True))):
            self.child.kill()
            return
        if isinstance(message, messages.Serving):
            self._frame_watch.look()
        else:
            self._stand_by(queued)
        if self._serving is not None and message.number == self._number:
            self._serving.set(None)

    def _send_guests(self) -> None:
        """Send `serve` its guests; unless a hook call waits, without guests whose tap is gone."""
        guests = self._guests if self._serving is not None else _with_taps(self._guests)
        queued = self._end_standby()
        ports = self._sockets.of({link for guest in guests for link in (guest.tap, guest.nic)})
        self._number += 1
        anew = self._early_ends.count > 2  # perhaps serve dies of a handover
        message = self.handovers.serve(self._number, guests, queued, tuple(ports), anew=anew)
        self.child.send(message, [port.socket.fileno() for port in ports.values()])

    def _ended(self, phase: Phase, how: str) -> None:
        if self._is_closing or not self._guests:
            return
        if self._standby is None:  # else serve died before it got its guests
            self._stand_by()
        if phase is Phase.LEAVING:
            if self._serving is not None:
                self._start()  # serve left without reading the guests of a hook call
            return
        pause = self._early_ends.pause(self.child.age)
        if self._standby is not None and self._standby.has_called:  # a guest has been waiting since
            pause = min(pause, _SOONEST_START)
        _log.error("serve ended (%s), the next one starts in %.1f s", how, pause)
        self._next_start = self._loop.after(pause, self._start)

    def _stand_by(self, queued: tuple[messages.QueuedFrame, ...] = ()) -> None:
        if ports := self._sockets.ports:
            known = tuple(self.handovers.latest.values())
            try:
                self._standby = Standby(self._loop, known, ports, self._wanted, queued)
            except OSError:
                self._wanted()  # the frames wait in their packet sockets

    def _wanted(self) -> None:
        """Start `serve`: the stand-in lacks an answer, or has sent all planned frames."""
        if self._next_start is None:
            self._start()
        elif not self.child.is_there:
            self._next_start.cancel()
            self._next_start = self._loop.after(_SOONEST_START, self._start)

    def _end_standby(self) -> tuple[messages.QueuedFrame, ...]:
        standby, self._standby = self._standby, None
        handovers, queued = standby.end() if standby is not None else ((), ())
        self.handovers.take_over(handovers)
        return queued


def _places_of(guests: tuple[GuestNetwork, ...]) -> _Places:
    """Return where packet sockets listen for these guests. Raises ServeError.

    A packet socket must be bound anew where its link or listening bridge was made anew.
    """
    names = tuple(link for guest in guests for link in (guest.tap, guest.nic) if link)
    try:
        return {name: (links.index(name), links.index(links.place(name))) for name in names}
    except OSError as error:
        raise ServeError("", str(error)) from error


def _with_taps(guests: tuple[GuestNetwork, ...]) -> tuple[GuestNetwork, ...]:
    """Return the guests whose tap is there; all, where that cannot be known: `serve` then says."""
    with suppress(OSError):
        return tuple(one for one in guests if links.index(one.tap) is not None)
    return guests
