"""Has the kernel enforce the guard of this pod, whenever what is to be dropped has changed."""

from __future__ import annotations

import asyncio
from typing import Literal

from binding import caps
from binding.child import PlumbError, plumb
from binding.codec import encode
from binding.guard import Filter


class Enforcer:
    """What the kernel drops now."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._filters: tuple[Filter, ...] | None = None
        self.state: Literal["on", "off"] = "off"

    def forget(self) -> None:
        """Enforce anew next time, whatever has been done."""
        self._filters = None

    async def enforce(self, filters: tuple[Filter, ...]) -> str:
        """Make these the whole guard; return why that cannot be, or an empty string."""
        async with self._one_at_a_time:
            if filters == self._filters or not (filters or self._filters):
                return ""
            if "NET_ADMIN" not in caps.permitted():
                return "the sidecar lacks NET_ADMIN"
            try:
                await plumb("guard", encode(filters))
            except PlumbError as error:
                self._filters, self.state = None, "off"
                return str(error)
            self._filters, self.state = filters, "on"
            return ""
