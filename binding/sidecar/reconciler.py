"""Makes the desired state true, watches what could make it false, and makes it true again.

One thing at a time: a hook call, a look at the links, a changed answer to "who serves" queue for
one lock.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import replace

from binding.ipc.messages import Define, Report
from binding.packet import guard, link_table, links
from binding.packet.link_names import LinkNames
from binding.process import capabilities, logs, memory
from binding.process.loop import Lock, Loop, Timer
from binding.sidecar import pod_warnings
from binding.sidecar.child import Phase
from binding.sidecar.desired import VERSION, Desired, DesiredFile, Saved, netns
from binding.sidecar.faults import PodLinks, to_mend
from binding.sidecar.filter_watch import FilterWatch
from binding.sidecar.leases import LeaseWatch
from binding.sidecar.plugs import Plugs
from binding.sidecar.plumb_child import PlumbError
from binding.sidecar.pod_guard import PodGuard
from binding.sidecar.serve_child import LateError, ServeChild, ServeError
from binding.sidecar.status import StatusPages
from binding.sidecar.tap_claims import TapClaims
from binding.sidecar.termination import TerminationMessage
from binding.sidecar.unasked import Reminder
from guest.network import GuestNetwork

_log = logging.getLogger(__name__)

_POLICY = capabilities.remedy()
_SOON = 0.2
"""Seconds from the first news of a change to the look at it: links change in bursts."""
_LINKS_CHANGE_FOR = 1.0
"""Seconds after a hook call in which changes of links may still be those that it made."""
_LONGEST_PAUSE = 5.0
"""Seconds between two tries of what has failed."""


class Reconciler:
    """Keeps the desired state of one pod true."""

    def __init__(self, loop: Loop, table: str, state: str) -> None:
        self._loop = loop
        self.plugs = Plugs()
        self.file = DesiredFile(f"{state}/desired.json")
        self._lock = Lock()
        self._look_at: Timer | None = None
        self._pause = _SOON
        self._wiring_until = 0.0
        self._nics: dict[str, int] = {}
        self._claims = TapClaims()
        self.desired = Desired()
        self.pages = StatusPages(TerminationMessage().say)
        self._reminder = Reminder(loop, self.pages)
        self._leases = LeaseWatch(loop, self.pages)
        self._filter_watch = FilterWatch(loop, self._lock, table, self.pages)
        self.guard = PodGuard(loop, table, self.look_soon, self._filter_watch.changed)
        self.serve = ServeChild(loop, self._reported)

    @property
    def wired(self) -> tuple[str, ...]:
        """Return the taps that we made."""
        return tuple(one.names.tap for one in self.desired.wirings)

    @property
    def served(self) -> tuple[GuestNetwork, ...]:
        """Return the guests whose frames are read."""
        return tuple(filter(guard.is_heard, self._claims.ours(self.desired.guests)))

    @property
    def is_wiring(self) -> bool:
        """Whether links change because a VM starts: KubeVirt's phase 1, and ours."""
        return not self.desired.guests or self._loop.now() < self._wiring_until

    def restore(self) -> None:
        """Go on with what a former sidecar of this pod has saved. Raises OSError."""
        saved = self.file.load()
        if saved is None:
            return
        self.desired, self._nics = saved.desired, dict(saved.nics)
        self.serve.handovers.decided = dict(saved.decided)
        logs.name_vmi(*self.desired.instance)
        self.pages.open(self.desired.guests, self.desired.warnings)
        _log.info("going on with the %d guests of a former sidecar", len(self.desired.guests))
        self.look_soon()

    async def define(self, request: Define) -> str:
        """Do what a hook call asks for. Returns why that cannot be (nothing has changed), or ""."""
        async with self._lock:
            self._wiring_until = math.inf
            try:
                refusal = await self._define(request)
            finally:
                self._wiring_until = self._loop.now() + _LINKS_CHANGE_FOR
            self.pages.called(refusal)
            return refusal

    async def _define(self, request: Define) -> str:
        former, wanted = self.desired, _wanted(request)
        logs.name_vmi(*request.instance)
        try:
            _check_privileges(wanted)
            self._claim(wanted.guests)
            unguarded = await self._wire(wanted)
            _check_taps(wanted.guests)
        except (_RefusedError, OSError) as refusal:
            self._claim(former.guests)
            return _text(refusal)
        self._open(wanted, unguarded)
        try:
            await self.serve.serve(self.served)
        except LateError as error:
            self.look_soon()
            return f"{error}; KubeVirt calls again"
        except ServeError as error:
            self._claim(former.guests)
            self._open(former, "")
            self.look_soon()
            return _with_remedy(error)
        decided = self.serve.handovers.decided
        call = request.vmi, request.domain
        self.file.save(Saved(VERSION, netns(), wanted, *call, self._nics, decided))
        self._reminder.start()
        self.look_soon()
        return ""

    def look_soon(self, seconds: float = _SOON) -> None:
        """Compare the pod with the desired state in a moment."""
        if self._look_at is None:
            self._look_at = self._loop.after(seconds, lambda: self._loop.spawn(self._look()))

    async def _look(self) -> None:
        self._look_at = None
        async with self._lock:
            try:
                is_true = await self._make_true()
            except (PlumbError, ServeError, OSError) as error:
                _log.warning("cannot mend the pod yet: %s", error)
                self.pages.failed(str(error))
                is_true = False
        self._pause = _SOON if is_true else min(2 * self._pause, _LONGEST_PAUSE)
        if not is_true:
            self.look_soon(self._pause)

    async def _make_true(self) -> bool:
        """Mend what dsbridge made, warn of the rest; return whether all is true now."""
        self._claim(self.desired.guests)
        wirings, pod = self._claims.our_wirings(self.desired.wirings), PodLinks.read()
        if to_mend(wirings, pod.links, self._nics):
            _log.warning("links that dsbridge made are not as it left them; mending them")
            await self.guard.mend(wirings, self._nics)
            pod = PodLinks.read()
        pod_warnings.link_faults(self.pages, self.desired.guests, wirings, pod)
        self._reminder.look(pod.links)
        there = tuple(guest for guest in self.desired.guests if guest.tap in pod.links)
        unguarded = await self.guard.enforce(self._filters(replace(self.desired, guests=there)))
        self._warn(unguarded)
        if self.desired.guests:  # else a serve that was started ahead stays for its first guests
            await self.serve.serve(tuple(one for one in self.served if one in there))
        return (not unguarded or self.guard.is_for_good) and not self._claims.taken

    def _claim(self, guests: tuple[GuestNetwork, ...]) -> None:
        self._claims.claim([one.tap for one in guests])

    def _open(self, wanted: Desired, unguarded: str) -> None:
        self.desired = wanted
        self.pages.open(wanted.guests, wanted.warnings)  # before the first report of serve
        self._warn(unguarded)

    async def _wire(self, wanted: Desired) -> str:
        """Return why the guard is off, or an empty string: without it all else works."""
        wanted = replace(wanted, wirings=self._claims.our_wirings(wanted.wirings))
        table = link_table.read()
        # A wired pod whose CNI changed addresses or MTU is mended, not wired anew under the guest.
        is_wired = _links(wanted) == _links(self.desired) and all(
            one.names.tap in table for one in wanted.wirings
        )
        if not wanted.wirings or is_wired:
            return await self.guard.enforce(self._filters(wanted))
        child = self.serve.child
        if child.phase is Phase.RUNNING and memory.is_tight() and not self.desired.guests:
            # A serve that was started ahead and a plumb that wires have no room at once.
            child.end()
            await child.gone()
        made = [link for one in wanted.wirings for link in (one.names.tap, one.names.nic)]
        filters = self._filters(wanted, made)
        try:
            unguarded = await self.guard.wire(wanted.wirings, filters)
        except PlumbError as error:
            raise _RefusedError(f"wiring was undone: {_with_remedy(error)}") from error
        except OSError as error:
            raise _RefusedError(f"cannot start plumb, which wires the pod: {error}") from error
        names = (one.names.nic for one in wanted.wirings)
        table = link_table.read()
        self._nics = {name: table[name].index for name in names if name in table}
        return unguarded

    def _filters(self, wanted: Desired, made: Iterable[str] = ()) -> tuple[guard.Filter, ...]:
        """Return the guard at links that are there, or that plumb makes before it is set."""
        ours = self._claims.ours(wanted.guests)
        every = guard.filters(ours, self.pages.families_served(ours), wanted.spared)
        there = {*links.names(), *made}
        return tuple(one for one in every if one.is_of_pod or one.link in there)

    def _warn(self, unguarded: str) -> None:
        guests = self.desired.guests
        pod_warnings.unguarded(self.pages, guests, unguarded)
        pod_warnings.left_to_others(self.pages, guests, self._claims.taken)

    def _reported(self, report: Report) -> None:
        before = self.pages.families_served(self.desired.guests)
        self.pages.take(report)
        self._leases.look()
        self._filter_watch.served()
        if self.pages.families_served(self.desired.guests) != before:
            self.look_soon()


def _wanted(request: Define) -> Desired:
    return Desired(
        guests=request.guests,
        wirings=request.wirings,
        warnings=request.warnings,
        instance=request.instance,
        settings=request.settings,
        spared=request.spared,
    )


def _links(desired: Desired) -> list[tuple[LinkNames, str, int, int]]:
    return [(one.names, one.mac, one.queues, one.owner) for one in desired.wirings]


class _RefusedError(Exception):
    """The text tells KubeVirt's user what is missing and what to do."""


def _with_remedy(error: PlumbError | ServeError) -> str:
    remedy = f"; the sidecar lacks {error.privilege}: {_POLICY}" if error.privilege else ""
    return f"{error}{remedy}"


def _text(refusal: _RefusedError | OSError) -> str:
    if isinstance(refusal, OSError):  # of a node that is short of files or memory
        return f"cannot look at the pod's links: {refusal}; KubeVirt calls again"
    return str(refusal)


def _check_privileges(wanted: Desired) -> None:
    needed = {"NET_ADMIN"} if wanted.wirings else set()
    if any(guard.is_heard(guest) for guest in wanted.guests):
        needed.add("NET_RAW")
    if missing := sorted(needed - capabilities.permitted()):
        raise _RefusedError(
            f"the sidecar lacks {' and '.join(missing)}: the pod was not granted it; {_POLICY}"
        )


def _check_taps(guests: tuple[GuestNetwork, ...]) -> None:
    for guest in guests:
        mtu = links.mtu(guest.tap)
        if mtu is None:
            raise _RefusedError(
                f"network {guest.network}: there is no link {guest.tap} in the pod, only "
                f"{', '.join(links.names())}; does the binding's domainAttachmentType fit?"
            )
