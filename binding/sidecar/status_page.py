"""What `status` shows of one guest: warnings with their time, exchanges, counters."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from binding.ipc.about import RouterStatus
from binding.ipc.messages import Event, GuestReport
from binding.ipc.status import Asked, GuestStatus, LastExchange, Modes, Said, Warned
from binding.process.logs import timestamp
from guest.exchange import WITHOUT_ADDRESS
from guest.network import FAMILIES, Family, GuestNetwork

_MOST_KINDS = 40
"""Kinds of requests and reasons for silence that are remembered; there are about twenty."""
_MOST_COUNTERS = 100
"""`serve` names them, and may have been taken over by the guest."""
_MOST_GATEWAYS = 8
SILENT_GATEWAY = "gateway"
"""Kind of a finding: a gateway has told nobody its MAC."""
_LEASED_BY: dict[tuple[str, str], Family] = {
    **dict.fromkeys((("DISCOVER", "ACK"), ("REQUEST", "ACK")), 4),
    **dict.fromkeys(((one, "REPLY") for one in ("SOLICIT", "RENEW", "REBIND")), 6),
    ("DHCPv6 REQUEST", "REPLY"): 6,
}
_ENDED_BY: dict[str, Family] = {
    "RELEASE": 4,
    "DECLINE": 4,
    "DHCPv6 RELEASE": 6,
    "DHCPv6 DECLINE": 6,
}


@dataclass(slots=True)
class Page:
    """The page of one guest, until it is another or is to be given other addresses."""

    guest: GuestNetwork
    found: dict[str, Warned] = field(default_factory=dict)
    """Warnings of the last hook call by their text; the next call takes others back."""
    before: dict[str, Warned] = field(default_factory=dict)
    """Warnings of the call before that one: they have been logged."""
    warnings: dict[str, Warned] = field(default_factory=dict)
    """What has happened and is not taken back, by its text, with its first time."""
    counters: Counter[str] = field(default_factory=Counter)
    silences: Counter[str] = field(default_factory=Counter)
    asked: dict[str, Asked] = field(default_factory=dict)
    last: dict[str, LastExchange] = field(default_factory=dict)
    last_heard: float = 0.0
    router: RouterStatus | None = None
    gateways: dict[str, str] = field(default_factory=dict)
    moved: dict[str, Said] = field(default_factory=dict)
    leased: dict[Family, float] = field(default_factory=dict)
    """When the guest was given its address of a family last, in monotonic seconds."""
    serves: tuple[int, ...] | None = None
    """The families that we serve; None while `auto` is finding out."""
    findings: dict[str, Warned] = field(default_factory=dict)
    """Findings by kind; each may be taken back."""
    faults: dict[str, Warned] = field(default_factory=dict)
    """Faults of links by kind, as long as they last."""

    def keeps(self, guest: GuestNetwork) -> bool:
        """Return whether what has happened so far holds when the guest is told this instead."""
        return _given(self.guest) == _given(guest)

    def add(self, report: GuestReport) -> tuple[str, ...]:
        """Add the numbers of one report; return the gateways that have moved."""
        moved: list[str] = []
        for name, count in report.counters.items():
            if name in self.counters or len(self.counters) < _MOST_COUNTERS:
                self.counters[name] += count
        for reason, count in report.silences.items():
            known = reason in self.silences or len(self.silences) < _MOST_KINDS
            self.silences[reason if known else "other"] += count
        for address, mac in report.gateways.items():
            before = self.gateways.get(address, mac)
            if before != mac and (address in self.moved or len(self.moved) < _MOST_GATEWAYS):
                self.moved[address] = Said(before, now())
                moved.append(f"gateway {address} has moved from {before} to {mac}: told the guest")
        if 0 < len(report.gateways) <= _MOST_GATEWAYS:
            self.gateways = report.gateways
        self.router = report.router
        return tuple(moved)

    def silent_gateways(self) -> str:
        """Name the gateways that have told nobody their MAC; empty where none is missing."""
        guest, ours = self.guest, self.serves or ()
        known = {*self.gateways, *(str(address) for address, _ in guest.permanent_neighbors)}
        used = (guest.gets_ipv4 and guest.gateway4, guest.gets_ipv6 and guest.gateway6)
        missing = [str(one) for one in used if one and one.version in ours]
        which = ", ".join(one for one in missing if one not in known)
        if not which:
            return ""
        return (
            f"the MAC of gateway {which} is not known, it answers nobody: is it there, and does "
            f"the CNI let the guest's MAC, {guest.mac}, send?"
        )

    def exchanged(self, event: Event) -> None:
        """Remember an exchange as the latest of its kind."""
        kind, when = event.request or event.reply, timestamp(event.at)
        if kind not in self.asked and len(self.asked) >= _MOST_KINDS:
            return
        latest = LastExchange(event.reply, event.note, when)
        before = self.asked.get(kind, Asked())
        answer, silence = (latest, before.silence) if event.reply else (before.answer, latest)
        self.last[kind] = latest
        self.asked[kind] = Asked(before.count + 1, answer, silence)
        if event.request:
            self.last_heard = max(self.last_heard, event.at)
        self._lease(event)

    def _lease(self, event: Event) -> None:
        family = _LEASED_BY.get((event.request, event.reply))
        if family is not None and not event.note.startswith(WITHOUT_ADDRESS):
            self.leased[family] = time.monotonic() - max(0.0, time.time() - event.at)
        elif event.request in _ENDED_BY:
            self.leased.pop(_ENDED_BY[event.request], None)

    @property
    def warned(self) -> tuple[Warned, ...]:
        """All warnings that stand."""
        kinds = self.faults, self.findings, self.found, self.warnings
        return tuple(one for kind in kinds for one in kind.values())

    def status(self) -> GuestStatus:
        guest, warned = self.guest, self.warned
        return GuestStatus(
            network=guest.network,
            shape=guest.shape,
            provider=guest.provider,
            serves=serves(self.serves),
            modes=Modes(guest.ipv4_mode, guest.ipv6_mode),
            tap=guest.tap,
            nic=guest.nic,
            bridge=guest.bridge,
            mac=guest.mac,
            mtu=guest.mtu,
            ipv4=tuple(map(str, guest.ipv4)),
            ipv6=tuple(map(str, guest.ipv6)),
            router=self.router,
            counters=dict(sorted(self.counters.items())),
            last=dict(self.last),
            arrived=guest.migration_target and bool(self.counters),
            warnings=tuple(one.text for one in warned),
            warned=warned,
            asked=dict(self.asked),
            silences=dict(sorted(self.silences.items())),
            gateways=dict(self.gateways),
            moved=dict(self.moved),
            last_heard=timestamp(self.last_heard) if self.last_heard else "",
            told=guest,
        )


def _given(guest: GuestNetwork) -> tuple[object, ...]:
    """Return what makes a guest another one: place, addresses, and who gives them how."""
    where = guest.tap, guest.nic, guest.mac, guest.uid, guest.migration_target
    return (*where, guest.addresses, guest.provider, guest.ipv4_mode, guest.ipv6_mode)


def serves(ours: tuple[int, ...] | None) -> dict[str, str]:
    """Return who serves each family, `in-pod` or `kube-ovn`."""
    if ours is None:
        return {}
    return {f"ipv{family}": "in-pod" if family in ours else "kube-ovn" for family in FAMILIES}


def now() -> str:
    """Return the present time as the status object has it."""
    return timestamp(time.time())
