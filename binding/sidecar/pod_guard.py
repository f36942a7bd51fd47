"""Has the kernel wire and guard this pod, whenever what is asked of it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from binding.ipc.codec import encode
from binding.ipc.wiring import Wiring
from binding.packet import links
from binding.packet.guard import Filter, Table
from binding.process import capabilities
from binding.sidecar.plumb_child import PlumbError, plumb

Guard = Literal["on", "off", "not needed"]


class Enforcer:
    """What the kernel has been told."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._one_at_a_time = asyncio.Lock()
        self._set: _Set | None = None
        self.wired: tuple[Wiring, ...] = ()
        self.guard: Guard = "off"

    async def wire(self, wirings: tuple[Wiring, ...], filters: tuple[Filter, ...]) -> str:
        """Wire the NICs, then make the filters the whole guard.

        Returns why the guard cannot be, or an empty string. Raises PlumbError where a NIC
        cannot be wired, and all of it was undone.
        """
        if not wirings or (wirings == self.wired and all(map(_stands, wirings))):
            self.wired = wirings
            return await self.enforce(lambda: filters)
        async with self._one_at_a_time:
            self._set, self.guard = None, "off"  # filters go with their links
            actions = {"wire": encode(wirings)}
            if filters:
                actions["guard"] = encode(Table(self._table, filters))
            try:
                await plumb(actions)
            except PlumbError as error:
                if error.action == "wire":
                    raise
                self.wired = wirings
                return str(error)
            self.wired = wirings
            self._note(filters)
            return ""

    async def enforce(self, wanted: Callable[[], tuple[Filter, ...]]) -> str:
        """Make what is wanted when its turn has come the whole guard.

        Returns why that cannot be, or an empty string.
        """
        async with self._one_at_a_time:
            filters = wanted()
            if _as_set(filters) == (self._set or ()):
                self._note(filters)
                return ""
            if "NET_ADMIN" not in capabilities.permitted():
                self.guard = "off" if _is_needed(filters) else "not needed"
                return "the sidecar lacks NET_ADMIN" if _is_needed(filters) else ""
            try:
                await plumb({"guard": encode(Table(self._table, filters))})
            except PlumbError as error:
                self._set, self.guard = None, "off"
                return str(error)
            self._note(filters)
            return ""

    def _note(self, filters: tuple[Filter, ...]) -> None:
        self._set = _as_set(filters)
        self.guard = "on" if _is_needed(filters) else "not needed"


_Set = tuple[tuple[Filter, int | None], ...]
"""Filters, and the number of the link that each is at: they go with it."""


def _as_set(filters: tuple[Filter, ...]) -> _Set:
    return tuple((one, links.index(one.link)) for one in filters)


def _is_needed(filters: tuple[Filter, ...]) -> bool:
    """Whether anything is to be kept out; hearing does without a guard."""
    return any(one.drop for one in filters)


def _stands(wiring: Wiring) -> bool:
    return links.index(wiring.names.tap) is not None
