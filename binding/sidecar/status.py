"""What became of each guest, for the log and for `status`: counters, exchanges, warnings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable

from binding.ipc.about import Remark
from binding.ipc.messages import Event, Report
from binding.ipc.status import Fault, GuestStatus, Said, Warned
from binding.process import logs
from binding.process.logs import timestamp
from binding.sidecar.log_budget import LogBudget
from binding.sidecar.status_page import SILENT_GATEWAY, Page, now, serves
from guest.exchange import NO_BOOT_FILE
from guest.network import FAMILIES, Family, GuestNetwork

_log = logging.getLogger(__name__)
_MOST_WARNINGS = 20
_WHO = {"in-pod": "dsbridge", "kube-ovn": "OVN"}


class StatusPages:
    """One page for each guest; adds up what successive `serve` report."""

    def __init__(self, tell: Callable[[Iterable[str]], None] = lambda _: None) -> None:
        self._tell = tell
        """Called with all warnings that stand, whenever there may be others."""
        self._budget = LogBudget(time.monotonic())
        self._pages: dict[str, Page] = {}
        self.warnings: tuple[str, ...] = ()
        """About a VMI of which no NIC is served, such as that none has the plugin's binding."""
        self.last_call: Said | None = None
        self.last_plumb_error: Said | None = None

    def called(self, refusal: str) -> None:
        """Take note of an OnDefineDomain and of why it was refused; an empty text: it was not."""
        self.last_call = Said(refusal or "done", now())

    def failed(self, error: str) -> None:
        """Take note of what `plumb` could not do."""
        self.last_plumb_error = Said(error, now())

    def open(self, guests: tuple[GuestNetwork, ...], warnings: tuple[Remark, ...]) -> None:
        """Open a page for each guest; equal guests keep theirs. Log what is new."""
        pages = {}
        for guest in guests:
            page = self._pages.get(guest.network)
            if page is None or page.guest != guest:
                page = Page(guest) if page is None or not page.keeps(guest) else page
                page.guest = guest
                _log.info("%s", _summary(guest), extra=_about(guest))
            page.before, page.found = page.found, {}
            pages[guest.network] = page
        self._pages = pages
        for network, text in warnings:
            for page in [pages[network]] if network in pages else pages.values():
                self._find(page, text)
            if not pages and text not in self.warnings:
                _log.warning("%s", text)
        self.warnings = () if pages else tuple(one.text for one in warnings)
        self._tell(self._standing())

    def take(self, report: Report) -> None:
        """Add one report of `serve`; a guest that is no longer served is passed over."""
        for one in report.guests:
            page = self._pages.get(one.network)
            if page is None:
                continue
            for text in page.add(one):
                self._say(page, text, is_warning=True)
            self._divide(page, one.serves)
            for kind, text in one.findings.items():
                self._change(page, page.findings, kind, text)
            if SILENT_GATEWAY in page.findings:
                self._change(page, page.findings, SILENT_GATEWAY, page.silent_gateways())
            for event in one.events:
                self._event(page, event)
        self._tell(self._standing())

    def fault(self, network: str, faults: dict[str, Fault]) -> None:
        """Make these all that is wrong with the links of a network now."""
        page = self._pages.get(network)
        if page is not None:
            for kind in {*page.faults, *faults}:
                code, text = faults.get(kind, ("", ""))
                self._change(page, page.faults, kind, text, code)
            self._tell(self._standing())

    def find(self, network: str, kind: str, text: str) -> None:
        """Make this the finding of a kind about a network; an empty text takes it back."""
        page = self._pages.get(network)
        if page is not None:
            self._change(page, page.findings, kind, text)
            self._tell(self._standing())

    def _standing(self) -> list[str]:
        """Return all warnings that stand, each with its network."""
        texts = list(self.warnings)
        for network, page in self._pages.items():
            texts += [f"network {network}: {one.text}" for one in page.warned]
        return texts

    def opened(self) -> tuple[Page, ...]:
        """Return the page of each guest."""
        return tuple(self._pages.values())

    def remind(self, page: Page, text: str) -> None:
        """Log what a guest still lacks; an empty text: nothing."""
        if text:
            self._say(page, f"still missing: {text}", kind="unasked")

    def guests(self) -> Iterable[GuestStatus]:
        return (page.status() for page in self._pages.values())

    def families_served(self, guests: Collection[GuestNetwork]) -> dict[str, frozenset[Family]]:
        """Return by network the families that we serve of these guests, as far as is known."""
        return {
            name: frozenset(family for family in FAMILIES if family in page.serves)
            for name, page in self._pages.items()
            if page.serves is not None and page.guest in guests
        }

    def _divide(self, page: Page, ours: tuple[int, ...] | None) -> None:
        if ours == page.serves:
            return
        page.serves = ours
        if page.guest.provider == "auto" and ours is not None:
            who = ", ".join(
                f"{family.replace('ip', 'IP')} is served by {_WHO[by]}"
                for family, by in serves(ours).items()
            )
            _log.info("provider auto: %s", who, extra=_about(page.guest))

    def _change(
        self, page: Page, standing: dict[str, Warned], kind: str, text: str, code: str = ""
    ) -> None:
        before = standing.get(kind)
        if (before.text if before else "") == text:
            return
        standing.pop(kind, None)
        if text and len(standing) >= _MOST_WARNINGS:  # `serve` makes them of what a guest sends
            return
        if text:
            standing[kind] = Warned(kind, text, now(), code or kind)
            self._say(page, text, is_warning=True)
        elif before:
            self._say(page, f"resolved: {before.text}")

    def _event(self, page: Page, event: Event) -> None:
        event = event._replace(note=event.note + _unbootable(event, page.guest))
        text = ": ".join(filter(None, (_words(event), event.note)))
        if event.warning:
            self._warn(page, text, event)
        else:
            # Of an answer the whole note: the first REBINDING is to be seen after many RENEWING.
            note = event.note if event.reply else event.note.partition(",")[0]
            kind = f"{event.request} {event.reply} {note}"
            self._say(page, text, event.client | _about(page.guest, event.at), kind=kind)
        if event.request or event.reply:
            page.exchanged(event)

    def _find(self, page: Page, text: str) -> None:
        if text in page.found:
            return
        page.found[text] = page.before.get(text) or Warned("call", text, now(), "settings")
        if text not in page.before:
            self._say(page, text, is_warning=True)

    def _warn(self, page: Page, text: str, event: Event) -> None:
        if text in page.warnings:
            return
        self._say(page, text, _about(page.guest, event.at), is_warning=True)
        if len(page.warnings) < _MOST_WARNINGS:
            page.warnings[text] = Warned("event", text, timestamp(event.at), event.warning)

    def _say(
        self,
        page: Page,
        text: str,
        extra: dict[str, object] | None = None,
        *,
        kind: str = "",
        is_warning: bool = False,
    ) -> None:
        """Log a line about a guest, if the budget has room for one of this kind or text."""
        kind = f"{page.guest.network} {kind or text}"
        left_out = self._budget.take(kind, time.monotonic(), is_warning=is_warning)
        if left_out is None:
            return
        before = logs.written()
        level = logging.WARNING if is_warning else logging.INFO
        more = f" ({left_out} more like it left out)" if left_out else ""
        about = _about(page.guest) if extra is None else extra
        _log.log(level, "%s%s", text, more, extra=about, stacklevel=3)
        self._budget.spend(logs.written() - before, is_warning=is_warning)


def _words(event: Event) -> str:
    if event.request and event.reply:
        return f"{event.reply} to {event.request}"
    return f"silence to {event.request}" if event.request else event.reply


def _unbootable(event: Event, guest: GuestNetwork) -> str:
    """Return what a client that boots from the network misses in an OFFER."""
    boots = event.client.get("vendor", "").startswith(("PXEClient", "HTTPClient"))
    boot = guest.boot
    if event.reply != "OFFER" or not boots or boot.file or boot.url or boot.by_arch:
        return ""
    return f"; its PXE client takes none {NO_BOOT_FILE}: key `boot`"


def _about(guest: GuestNetwork, at: float | None = None) -> dict[str, object]:
    """Return the keys of a line about a guest; `at` is when that happened (epoch seconds)."""
    when = {} if at is None else {"at": at}
    return {"network": guest.network, "mac": guest.mac, "tap": guest.tap, **when}


def _summary(guest: GuestNetwork) -> str:
    addresses = [str(a.ip) for a in guest.ipv4] + [str(a.ip) for a in guest.ipv6]
    told = ", ".join(addresses) or "no address"
    waits = ""
    if guest.migration_target:
        waits = "; waiting for its first frame: it runs on another node"
    return f"{guest.provider} for {told} ({guest.shape}, MTU {guest.mtu}){waits}"
