"""Keeps one `serve` child alive and tells it whom to serve.

The child may die of anything that a guest sends; this process never dies with it. The
packet sockets are kept here too, so that a successor answers the same guests at once,
with the frames that came in between, and without any privilege.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from binding.ipc import channel
from binding.ipc.codec import decode, encode
from binding.ipc.handover import Notes
from binding.packet import links
from binding.packet.port import Heard, Port
from binding.sidecar.plumb_child import APPLICATION
from binding.sidecar.standby import Rest
from guest.network import GuestNetwork

_log = logging.getLogger(__name__)

_ANSWER_WITHIN = 10.0
_SLOWEST_RESTART = 5.0
_LONG_LIVED = 10.0


class ServeError(Exception):
    """The child could not open the sockets of these guests."""

    def __init__(self, link: str, reason: str, privilege: str = "") -> None:
        super().__init__(f"packet socket on {link or 'the taps'}: {reason}")
        self.link = link
        self.privilege = privilege
        """The capability that is missing, if that is the reason."""


class Supervisor:
    """One `serve` child at a time, restarted for ever."""

    def __init__(self, on_report: Callable[[channel.Message], None]) -> None:
        self._on_report = on_report
        self._guests: tuple[GuestNetwork, ...] = ()
        self._there: tuple[int | None, ...] = ()
        self._decided: dict[str, list[int]] = {}
        self._sessions: dict[str, str] = {}
        self._notes: tuple[Notes, ...] = ()
        self._changed: tuple[str, ...] = ()
        self._ports: dict[str, Port] = {}
        self._rest: Rest | None = None
        self._serving: asyncio.Future[None] | None = None
        self._asked = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._started = 0.0
        self._quick_ends = 0
        self._used = False
        self._handed = False
        self._called = False
        self._closing = False
        self.restarts = 0

    @property
    def resting(self) -> bool:
        """Whether all is quiet, so that no child is needed."""
        return self._rest is not None and self._child is None

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        return self._child.pid if self._child else None

    def _start(self) -> None:
        """Start a child, later if the node is short of what it takes; somebody waits for it."""
        self._started = time.monotonic()
        self._used = False
        try:
            ours, theirs = channel.pair()
        except OSError as error:
            self._start_later(error)
            return
        with theirs:
            try:
                self._child = subprocess.Popen(  # noqa: S603  # our own module
                    [sys.executable, "-m", "binding.serve", str(theirs.fileno())],
                    cwd=APPLICATION,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                self._start_later(error)
                return
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._readable)

    def _start_later(self, error: OSError) -> None:
        _log.error("serve does not start, again in %.0f s: %s", _SLOWEST_RESTART, error)
        asyncio.get_running_loop().call_later(_SLOWEST_RESTART, self._resume)

    def prepare(self) -> None:
        """Start a child ahead of its first guests: its imports take most of their start."""
        if self._child is None and not self._called and not self._closing:
            self._start()

    async def serve(self, guests: tuple[GuestNetwork, ...]) -> None:
        """Serve exactly these guests; returns when their sockets are open.

        Raises ServeError and goes on serving the former guests.
        """
        self._called = True
        if not guests:
            self._serve_nobody()
            return
        names = [link for guest in guests for link in (guest.tap, guest.nic)]
        there = tuple(links.index(name) for name in names)
        if (guests, there) == (self._guests, self._there):
            return
        heard = self._stop_resting()
        to_open = {name for name, index in zip(names, there, strict=True) if index is not None}
        if self._used and not to_open <= self._ports.keys():
            self._end()  # it has given up the privilege to open more
        if self._child is None:
            self._start()
        former = self._guests
        self._guests = guests
        same = {guest.network for guest in guests if guest in former}
        self._decided = {name: ours for name, ours in self._decided.items() if name in same}
        self._sessions = {name: left for name, left in self._sessions.items() if name in same}
        # Their sessions only say whether the guest is there: what it is told is another.
        self._changed = tuple(n.network for n in self._notes if n.network not in same)
        self._serving = asyncio.get_running_loop().create_future()
        self._tell(heard)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await self._serving
        except (ServeError, TimeoutError) as error:
            self._guests = former
            self._end()
            self._resume()
            if isinstance(error, TimeoutError):
                raise ServeError("", f"no answer within {_ANSWER_WITHIN:.0f} s") from error
            raise
        finally:
            self._serving = None
        self._there = there

    def _serve_nobody(self) -> None:
        """Let the child go that was prepared for nothing."""
        self._guests, self._there = (), ()
        self._notes, self._sessions, self._decided = (), {}, {}
        self._end()
        self._stop_resting()
        self._keep({})

    def close(self) -> None:
        """End the child for good."""
        self._closing = True
        self._serve_nobody()

    def _tell(self, heard: tuple[Heard, ...] = ()) -> None:
        guests = self._guests
        if self._serving is None:
            # Who waits is told of a tap that is gone; nobody else shall suffer by it.
            guests = tuple(one for one in guests if links.index(one.tap) is not None)
        known = [port for link, port in self._ports.items() if link in self._links()]
        self._asked += 1
        message = {
            "op": "serve",
            "number": self._asked,
            "guests": encode(guests),
            "decided": self._decided,
            "notes": {note.network: encode(replace(note, steps=())) for note in self._notes},
            "changed": self._changed,
            "heard": encode(heard),
            "sockets": [port.link for port in known],
        }
        # A child that dies of its notes must not find them again.
        self._handed = bool(self._notes)
        self._notes, self._changed = (), ()
        self._used = True
        if self._control is not None:
            channel.send(self._control, message, [port.socket.fileno() for port in known])

    def _links(self) -> set[str]:
        return {link for guest in self._guests for link in (guest.tap, guest.nic) if link}

    def _readable(self) -> None:
        assert self._control is not None
        try:
            received = channel.receive(self._control)
        except BlockingIOError:
            return
        if received is None:
            self._ended()
        else:
            self._take(*received)

    def _take(self, message: channel.Message, descriptors: list[int]) -> None:
        match message["op"]:
            case "ready" if self._rest is not None:
                self._tell(self._stop_resting())
            case "serving":
                self._keep(dict(zip(message["sockets"], descriptors, strict=True)))
                self._settle(message["number"])
            case "failed":
                error = ServeError(message["link"], message["error"], message["privilege"])
                if not self._settle(message["number"], error):
                    _log.error("serve cannot take its guests over: %s", error)
            case "resting":
                self._notes = decode(tuple[Notes, ...], message["notes"])
            case "report":
                for one in message["guests"]:
                    if one["serves"] is not None:
                        self._decided[one["network"]] = one["serves"]
                    if one["session"] is not None:
                        self._sessions[one["network"]] = one["session"]
                self._on_report(message)

    def _settle(self, number: int, error: ServeError | None = None) -> bool:
        """End the wait for the answer to that command; False when nobody waits for it."""
        if self._serving is None or self._serving.done() or number != self._asked:
            return False
        if error is None:
            self._serving.set_result(None)
        else:
            self._serving.set_exception(error)
        return True

    def _keep(self, sockets: dict[str, int]) -> None:
        for port in self._ports.values():
            port.socket.close()
        self._ports = {link: Port(link, socket.socket(fileno=fd)) for link, fd in sockets.items()}

    def _ended(self) -> None:
        """Start a successor: at once the first time, later when it keeps dying."""
        status = self._end(patience=1.0)
        if self._closing:
            return
        if self._notes and self._serving is not None:
            # It left before it read what somebody waits for.
            self._changed = tuple(note.network for note in self._notes)
            self._resume()
            return
        if self._notes and self._rest is None:
            self._rest = Rest(self._notes, self._ports, self._start)
            self._notes = ()
            return
        lived = time.monotonic() - self._started
        self._quick_ends = 0 if lived > _LONG_LIVED else self._quick_ends + 1
        # It may have died of them; and who stands in knows better than its last report.
        if self._rest is None and not (self._handed and self._quick_ends):
            self._notes = tuple(
                Notes(guest.network, guest.tap, guest.nic, self._sessions[guest.network])
                for guest in self._guests
                if guest.network in self._sessions
            )
        self._sessions = {}
        pause = min(0.05 * 2**self._quick_ends, _SLOWEST_RESTART) if self._quick_ends > 1 else 0.0
        self.restarts += 1
        _log.error("serve ended with status %s, next one in %.1f s", status, pause)
        asyncio.get_running_loop().call_later(pause, self._resume)

    def _resume(self) -> None:
        nobody = self._called and not self._guests
        if self._closing or self._child is not None or nobody:
            return
        self._start()
        if self._guests and self._rest is None:
            self._tell()

    def _stop_resting(self) -> tuple[Heard, ...]:
        if self._rest is None:
            return ()
        self._notes, heard = self._rest.end()
        self._rest = None
        return heard

    def _end(self, patience: float = 0.0) -> int | None:
        if self._child is None:
            return None
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
        try:
            status = self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        self._child = None
        return status
