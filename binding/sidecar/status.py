"""What became of each guest: counters, last exchanges and warnings, for log and `status`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from binding.ipc.channel import Message
from guest.network import Family, GuestNetwork

_log = logging.getLogger(__name__)
_MOST_WARNINGS = 20
_BOTH: tuple[Family, ...] = (4, 6)


@dataclass(slots=True)
class _Page:
    guest: GuestNetwork
    found: list[str] = field(default_factory=list)
    """Warnings of the last call; the next one takes back what is no longer so."""
    before: tuple[str, ...] = ()
    """Those of the call before it: they have been logged."""
    warnings: list[str] = field(default_factory=list)
    """What has happened, for good."""
    counters: Counter[str] = field(default_factory=Counter)
    last: dict[str, dict[str, str]] = field(default_factory=dict)
    router: dict[str, str | None] | None = None
    serves: list[int] | None = None
    """The families that we serve; None while `auto` is finding out."""
    findings: dict[str, str] = field(default_factory=dict)
    """What OVN leaves out now, by kind."""


class Ledger:
    """Adds up what successive `serve` children report."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}
        self.warnings: tuple[str, ...] = ()
        """Of a VMI without a guest of ours, such as that there is none."""

    def serve(self, guests: tuple[GuestNetwork, ...], warnings: tuple[str, ...]) -> None:
        """Open a page for each guest; equal guests keep theirs. Log what is new."""
        pages = {}
        for guest in guests:
            page = self._pages.get(guest.network)
            if page is None or page.guest != guest:
                page = _Page(guest)
                _log.info("%s", _summary(guest), extra=_about(guest))
            page.before, page.found = tuple(page.found), []
            pages[guest.network] = page
        self._pages = pages
        for warning in warnings:
            network = warning.partition(":")[0].removeprefix("network ")
            for page in [pages[network]] if network in pages else pages.values():
                self._find(page, warning)
            if not pages and warning not in self.warnings:
                _log.warning("%s", warning)
        self.warnings = () if pages else warnings

    def take(self, message: Message) -> None:
        """Add one report of `serve`; a guest that is no longer served is passed over."""
        for report in message["guests"]:
            page = self._pages.get(report["network"])
            if page is None:
                continue
            page.counters.update(report["counters"])
            page.router = report["router"]
            self._divide(page, report["serves"])
            self._findings(page, report["findings"])
            for event in report["events"]:
                self._event(page, event)

    def status(self) -> list[dict[str, Any]]:
        """Return the `guests` of the status object."""
        return [
            {
                "network": page.guest.network,
                "shape": page.guest.shape,
                "provider": page.guest.provider,
                "serves": _serves(page.serves),
                "modes": {"ipv4": page.guest.ipv4_mode, "ipv6": page.guest.ipv6_mode},
                "tap": page.guest.tap,
                "mac": page.guest.mac,
                "mtu": page.guest.mtu,
                "ipv4": [str(address) for address in page.guest.ipv4],
                "ipv6": [str(address) for address in page.guest.ipv6],
                "router": page.router,
                "counters": dict(sorted(page.counters.items())),
                "last": page.last,
                "arrived": page.guest.migration_target and bool(page.counters),
                "warnings": [*page.findings.values(), *page.found, *page.warnings],
            }
            for page in self._pages.values()
        ]

    def warn(self, network: str, text: str) -> None:
        """Keep a warning about a guest, until the next call."""
        if network in self._pages:
            self._find(self._pages[network], text)

    def served(self, guests: Collection[GuestNetwork]) -> dict[str, frozenset[Family]]:
        """Return by network the families that we serve of these guests, as far as is known."""
        return {
            name: frozenset(family for family in _BOTH if family in page.serves)
            for name, page in self._pages.items()
            if page.serves is not None and page.guest in guests
        }

    def _divide(self, page: _Page, serves: list[int] | None) -> None:
        if serves == page.serves:
            return
        page.serves = serves
        if page.guest.provider == "auto" and serves is not None:
            who = ", ".join(f"{family} by {by}" for family, by in _serves(serves).items())
            _log.info("auto: %s", who, extra=_about(page.guest))

    def _findings(self, page: _Page, news: dict[str, str]) -> None:
        for kind, text in news.items():
            before = page.findings.pop(kind, "")
            if text:
                page.findings[kind] = text
                _log.warning("%s", text, extra=_about(page.guest))
            elif before:
                _log.info("mended: %s", before, extra=_about(page.guest))

    def _event(self, page: _Page, event: dict[str, Any]) -> None:
        reply, request, note = event["reply"], event["request"], event["note"]
        text = ": ".join(filter(None, (_words(request, reply), note)))
        if event["warning"]:
            self._warn(page, text)
        else:
            level = logging.INFO if reply else logging.DEBUG
            _log.log(level, "%s", text, extra=_about(page.guest))
        if not request and not reply:
            return
        page.last[request or reply] = {
            "reply": reply,
            "note": note,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }

    def _find(self, page: _Page, text: str) -> None:
        if text in page.found:
            return
        page.found.append(text)
        if text not in page.before:
            _log.warning("%s", text, extra=_about(page.guest))

    def _warn(self, page: _Page, text: str) -> None:
        if text in page.warnings:
            return
        _log.warning("%s", text, extra=_about(page.guest))
        if len(page.warnings) < _MOST_WARNINGS:
            page.warnings.append(text)


def _serves(ours: list[int] | None) -> dict[str, str]:
    if ours is None:
        return {}
    return {f"ipv{family}": "in-pod" if family in ours else "kube-ovn" for family in _BOTH}


def _words(request: str, reply: str) -> str:
    if request and reply:
        return f"{reply} to {request}"
    return f"silence to {request}" if request else reply


def _about(guest: GuestNetwork) -> dict[str, str]:
    return {"network": guest.network, "mac": guest.mac, "tap": guest.tap}


def _summary(guest: GuestNetwork) -> str:
    addresses = [str(a.ip) for a in guest.ipv4] + [str(a.ip) for a in guest.ipv6]
    told = ", ".join(addresses) or "no address"
    return f"{guest.provider} for {told} ({guest.shape}, MTU {guest.mtu})"
