"""Has `plumb` wire and guard the pod, and notices when the guard is no longer what it should be."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from binding.ipc.codec import decode, encode
from binding.ipc.messages import Guarded
from binding.ipc.status import Guard
from binding.ipc.wiring import Mend, Wiring
from binding.packet import links, table_changes
from binding.packet.guard import Filter, GuardTable
from binding.process import capabilities
from binding.process.loop import Loop
from binding.sidecar.log_budget import LogBudget
from binding.sidecar.plumb_child import Done, PlumbError, plumb

_log = logging.getLogger(__name__)
_MOST_TOLD = 8
_SHORT_FOR = 5.0
"""Seconds after which a guard that lacks a part is set again."""
_AT_LINKS = ("netdev ", "bridge ")
"""Families of nf_tables whose rules every frame of a guest passes."""
_InForce = tuple[tuple[Filter, tuple[int | None, int | None]], ...]
"""Filters, the index of the link that each is at, and of where that link's frames are heard."""


class PodGuard:
    """What the kernel has been told, and whether it still stands."""

    def __init__(
        self,
        loop: Loop,
        table: str,
        on_change: Callable[[], object],
        on_others: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._table = table
        self._on_change = on_change
        self._on_others = on_others
        self._in_force: _InForce | None = ()
        """None where that is not known: `enforce` then sets the guard in any case."""
        self._changes: socket.socket | None = None
        self._budget = LogBudget(loop.now())
        self._others: set[str] = set()
        """Tables of other programs that have been named in the log."""
        self.state: Guard = "off"
        self.is_for_good = False
        """Whether the guard is off for a reason that lasts as long as the pod."""

    async def wire(self, wirings: tuple[Wiring, ...], filters: tuple[Filter, ...]) -> str:
        """Wire the NICs, then make the filters the whole guard.

        Returns why the guard cannot be, or an empty string. Raises PlumbError where a NIC
        cannot be wired, and all of it was undone.
        """
        self._forget()  # filters go with their links
        actions = {"wire": encode(wirings)}
        if filters:
            actions["guard"] = encode(GuardTable(self._table, filters))
        try:
            done = await plumb(self._loop, actions)
        except PlumbError as error:
            if error.action == "wire":
                raise
            return self._off(error)
        return self._take(done, filters) if filters else ""

    async def mend(self, wirings: tuple[Wiring, ...], nics: dict[str, int]) -> None:
        """Mend these wirings. Raises PlumbError and OSError."""
        self._forget()
        await plumb(self._loop, {"mend": encode(Mend(wirings, nics))})

    async def enforce(self, filters: tuple[Filter, ...]) -> str:
        """Make these filters the whole guard; return why that cannot be, or an empty text."""
        if _with_links(filters) == self._in_force:
            self.state = "on" if _is_needed(filters) else "not needed"
            return ""
        if "NET_ADMIN" not in capabilities.permitted():
            self.state = "off" if _is_needed(filters) else "not needed"
            self.is_for_good = True
            return "the sidecar lacks NET_ADMIN" if _is_needed(filters) else ""
        self._forget()
        table = encode(GuardTable(self._table, filters))
        try:
            done = await plumb(self._loop, {"guard": table})
        except (PlumbError, OSError) as error:
            return self._off(error)
        return self._take(done, filters)

    def _take(self, done: Done, filters: tuple[Filter, ...]) -> str:
        """Take note of what plumb has set; return why the guard is off, or an empty text."""
        guarded = decode(Guarded, done.lines[-1])
        try:
            for descriptor in done.descriptors:
                self._changes = changes = socket.socket(fileno=descriptor)
                self._loop.watch(changes, lambda: self._heard(guarded.sender))
            self._in_force = tuple(zip(filters, guarded.places, strict=True))
        except OSError as error:
            return self._off(error)
        self.state = "on" if _is_needed(filters) else "not needed"
        if guarded.short:
            _log.warning("guard not whole, retrying in %.0f s: %s", _SHORT_FOR, guarded.short)
            self._in_force = None
            self._loop.after(_SHORT_FOR, self._on_change)
        return ""

    def _off(self, error: PlumbError | OSError) -> str:
        self._in_force, self.state = None, "off"
        self.is_for_good = isinstance(error, PlumbError) and bool(error.privilege)
        return str(error)

    def _heard(self, own: int) -> None:
        """Read the kernel's notices; set the guard anew after another program changed its table."""
        assert self._changes is not None
        others: set[str] = set()
        is_changed = table_changes.changed(self._changes, self._table, own, others)
        if others:
            self._on_others()
        at_links = {one for one in others if one.startswith(_AT_LINKS)}
        for name in sorted(at_links - self._others)[: _MOST_TOLD - len(self._others)]:
            self._others.add(name)
            _log.warning(
                "another program has made rules in table %s of nf_tables, which may drop what "
                "guests send or get: nft list table %s",
                name,
                name,
            )
        if is_changed:
            if (left_out := self._budget.take("changed", self._loop.now())) is not None:
                more = f" ({left_out} times more before)" if left_out else ""
                text = "another program changed the guard's table %s%s"
                _log.warning(text, self._table, more)
            self._forget()
            self._on_change()

    def _forget(self) -> None:
        self._in_force = None
        if self._changes is not None:
            self._loop.unwatch(self._changes)
            self._changes.close()
            self._changes = None


def _with_links(filters: tuple[Filter, ...]) -> _InForce:
    return tuple(
        (one, (links.index(one.link), links.index(links.place(one.link)))) for one in filters
    )


def _is_needed(filters: tuple[Filter, ...]) -> bool:
    """Whether a filter drops anything: frames are heard without a guard, too."""
    return any(one.drop for one in filters)
