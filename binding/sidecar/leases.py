"""Notices leases that run out: the guest falls silent then, and nobody else would say why."""

from __future__ import annotations

from binding.process.loop import Loop, Timer
from binding.sidecar.status import StatusPages
from binding.sidecar.status_page import Page
from guest.network import FAMILIES, Family

_REPORTED_WITHIN = 5.0
"""Seconds from a renewal to the report of `serve` about it, on a busy node."""


class LeaseWatch:
    """A finding for each lease that has run out, until the guest renews it."""

    def __init__(self, loop: Loop, pages: StatusPages) -> None:
        self._loop, self._pages = loop, pages
        self._timer: Timer | None = None

    def look(self) -> None:
        """Compare what guests were given with the time; look again when the next lease ends."""
        now, ends = self._loop.now(), list[float]()
        for page in self._pages.opened():
            for family in FAMILIES:
                end = _end(page, family)
                if end is not None and end > now:
                    ends.append(end)
                text = _text(page, family) if end is not None and end <= now else ""
                self._pages.find(page.guest.network, f"lease ipv{family}", text)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if ends:
            self._timer = self._loop.at(min(ends), self.look)


def _end(page: Page, family: Family) -> float | None:
    given, lease = page.leased.get(family), page.guest.lease
    return None if given is None or lease is None else given + lease + _REPORTED_WITHIN


def _text(page: Page, family: Family) -> str:
    addresses = page.guest.ipv4[:1] if family == 4 else page.guest.ipv6
    which = ", ".join(str(one.ip) for one in addresses)
    return (
        f"the lease of {which} ran out and was not renewed: does the DHCP client still run in the "
        "guest? without the key `lease` leases are infinite"
    )
