"""What became of each guest, for the log and for `status`: counters, exchanges, warnings."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from binding.ipc.messages import Event, Report, Router
from binding.ipc.status import GuestStatus, LastExchange, Modes
from binding.process.logs import timestamp
from guest.network import Family, GuestNetwork

_log = logging.getLogger(__name__)
_MOST_WARNINGS = 20
_BOTH: tuple[Family, ...] = (4, 6)


@dataclass(slots=True)
class _Page:
    """What is told of one guest."""

    guest: GuestNetwork
    found: list[str] = field(default_factory=list)
    """Warnings of the last hook call; the next one takes back what is no longer so."""
    before: tuple[str, ...] = ()
    """Those of the call before it: they have been logged."""
    warnings: list[str] = field(default_factory=list)
    """What has happened, for good."""
    counters: Counter[str] = field(default_factory=Counter)
    last: dict[str, LastExchange] = field(default_factory=dict)
    router: Router | None = None
    serves: tuple[int, ...] | None = None
    """The families that we serve; None while `auto` is finding out."""
    findings: dict[str, str] = field(default_factory=dict)
    """What OVN leaves out now, by kind."""
    faults: dict[str, str] = field(default_factory=dict)
    """What is not as it should be in the pod now, by kind."""


class StatusPages:
    """One page for each guest; adds up what successive `serve` report."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}
        self.warnings: tuple[str, ...] = ()
        """Of a VMI without a guest of ours, such as that there is none."""

    def open(self, guests: tuple[GuestNetwork, ...], warnings: tuple[str, ...]) -> None:
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

    def take(self, report: Report) -> None:
        """Add one report of `serve`; a guest that is no longer served is passed over."""
        for one in report.guests:
            page = self._pages.get(one.network)
            if page is None:
                continue
            page.counters.update(one.counters)
            page.router = one.router
            self._divide(page, one.serves)
            for kind, text in one.findings.items():
                self._change(page, page.findings, kind, text)
            for event in one.events:
                self._event(page, event)

    def fault(self, network: str, faults: dict[str, str]) -> None:
        """Make these all that is wrong with the links of a network now."""
        page = self._pages.get(network)
        if page is not None:
            for kind in {*page.faults, *faults}:
                if page.faults.get(kind, "") != faults.get(kind, ""):
                    self._change(page, page.faults, kind, faults.get(kind, ""))

    def find(self, network: str, kind: str, text: str) -> None:
        """Make this the finding of a kind about a network; an empty text takes it back."""
        page = self._pages.get(network)
        if page is not None and page.findings.get(kind, "") != text:
            self._change(page, page.findings, kind, text)

    def guests(self) -> Iterable[GuestStatus]:
        """Yield the status of each guest."""
        for page in self._pages.values():
            guest = page.guest
            yield GuestStatus(
                network=guest.network,
                shape=guest.shape,
                provider=guest.provider,
                serves=_serves(page.serves),
                modes=Modes(guest.ipv4_mode, guest.ipv6_mode),
                tap=guest.tap,
                nic=guest.nic,
                bridge=guest.bridge,
                mac=guest.mac,
                mtu=guest.mtu,
                ipv4=tuple(map(str, guest.ipv4)),
                ipv6=tuple(map(str, guest.ipv6)),
                router=page.router,
                counters=dict(sorted(page.counters.items())),
                last=dict(page.last),
                arrived=guest.migration_target and bool(page.counters),
                warnings=(
                    *page.faults.values(), *page.findings.values(), *page.found, *page.warnings
                ),
            )  # fmt: skip

    def served(self, guests: Collection[GuestNetwork]) -> dict[str, frozenset[Family]]:
        """Return by network the families that we serve of these guests, as far as is known."""
        return {
            name: frozenset(family for family in _BOTH if family in page.serves)
            for name, page in self._pages.items()
            if page.serves is not None and page.guest in guests
        }

    def _divide(self, page: _Page, serves: tuple[int, ...] | None) -> None:
        if serves == page.serves:
            return
        page.serves = serves
        if page.guest.provider == "auto" and serves is not None:
            who = ", ".join(
                f"{family.replace('ip', 'IP')} is served by {_WHO[by]}"
                for family, by in _serves(serves).items()
            )
            _log.info("provider auto: %s", who, extra=_about(page.guest))

    @staticmethod
    def _change(page: _Page, texts: dict[str, str], kind: str, text: str) -> None:
        before = texts.pop(kind, "")
        if text:
            texts[kind] = text
            _log.warning("%s", text, extra=_about(page.guest))
        elif before:
            _log.info("resolved: %s", before, extra=_about(page.guest))

    def _event(self, page: _Page, event: Event) -> None:
        text = ": ".join(filter(None, (_words(event), event.note)))
        if event.warning:
            self._warn(page, text)
        else:
            level = logging.INFO if event.reply else logging.DEBUG
            _log.log(level, "%s", text, extra=_about(page.guest))
        if event.request or event.reply:
            when = timestamp(event.at)
            page.last[event.request or event.reply] = LastExchange(event.reply, event.note, when)

    @staticmethod
    def _find(page: _Page, text: str) -> None:
        if text in page.found:
            return
        page.found.append(text)
        if text not in page.before:
            _log.warning("%s", text, extra=_about(page.guest))

    @staticmethod
    def _warn(page: _Page, text: str) -> None:
        if text in page.warnings:
            return
        _log.warning("%s", text, extra=_about(page.guest))
        if len(page.warnings) < _MOST_WARNINGS:
            page.warnings.append(text)


_WHO = {"in-pod": "dsbridge", "kube-ovn": "OVN"}


def _serves(ours: tuple[int, ...] | None) -> dict[str, str]:
    if ours is None:
        return {}
    return {f"ipv{family}": "in-pod" if family in ours else "kube-ovn" for family in _BOTH}


def _words(event: Event) -> str:
    if event.request and event.reply:
        return f"{event.reply} to {event.request}"
    return f"silence to {event.request}" if event.request else event.reply


def _about(guest: GuestNetwork) -> dict[str, str]:
    return {"network": guest.network, "mac": guest.mac, "tap": guest.tap}


def _summary(guest: GuestNetwork) -> str:
    addresses = [str(a.ip) for a in guest.ipv4] + [str(a.ip) for a in guest.ipv6]
    told = ", ".join(addresses) or "no address"
    return f"{guest.provider} for {told} ({guest.shape}, MTU {guest.mtu})"
