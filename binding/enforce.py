"""Has the kernel wire and guard this pod, whenever what is asked of it has changed."""

from __future__ import annotations

import asyncio
from typing import Literal

from binding import caps, links
from binding.child import PlumbError, plumb
from binding.codec import encode
from binding.guard import Filter
from binding.wiring import Wiring

Guard = Literal["on", "off", "not needed"]


class Enforcer:
    """What the kernel has been told."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._filters: tuple[Filter, ...] | None = None
        self.wired: tuple[Wiring, ...] = ()
        self.guard: Guard = "off"

    async def wire(self, wirings: tuple[Wiring, ...], filters: tuple[Filter, ...]) -> str:
        """Wire the NICs, then make the filters the whole guard.

        Returns why the guard cannot be, or an empty string. Raises PlumbError where a NIC
        cannot be wired, and all of it was undone.
        """
        if not wirings or (wirings == self.wired and all(map(_stands, wirings))):
            self.wired = wirings
            return await self.enforce(filters)
        async with self._one_at_a_time:
            self._filters, self.guard = None, "off"  # filters go with their links
            actions = {"wire": encode(wirings)}
            if filters:
                actions["guard"] = encode(filters)
            try:
                await plumb(actions)
            except PlumbError as error:
                if error.action == "wire":
                    raise
                self.wired = wirings
                return str(error)
            self.wired, self._filters = wirings, filters
            self.guard = "on" if filters else "not needed"
            return ""

    async def enforce(self, filters: tuple[Filter, ...]) -> str:
        """Make these the whole guard; return why that cannot be, or an empty string."""
        async with self._one_at_a_time:
            if not (filters or self._filters):
                self.guard = "not needed"
                return ""
            if filters == self._filters:
                return ""
            if "NET_ADMIN" not in caps.permitted():
                self.guard = "off"
                return "the sidecar lacks NET_ADMIN"
            try:
                await plumb({"guard": encode(filters)})
            except PlumbError as error:
                self._filters, self.guard = None, "off"
                return str(error)
            self._filters, self.guard = filters, "on" if filters else "not needed"
            return ""


def _stands(wiring: Wiring) -> bool:
    return links.mtu(wiring.names.tap) is not None
