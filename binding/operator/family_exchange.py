"""Judges how far a guest came in being given the addresses of one family. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from binding.ipc.status import Asked, Finding, GuestStatus, LastExchange
from binding.operator.look import Look
from binding.operator.remedies import finding, ok
from binding.operator.traffic import Traffic
from binding.process.logs import epoch


@dataclass(frozen=True, slots=True)
class _Words:
    """The messages of one DHCP."""

    name: str
    begins: str
    offers: str
    asks: tuple[str, ...]
    gives: str
    declines: str
    releases: str
    no_client: str


_DHCP = {
    "ipv4": _Words(
        *("DHCPv4", "DISCOVER", "OFFER", ("REQUEST",), "ACK", "DECLINE", "RELEASE"),
        "no-dhcp4-client",
    ),
    "ipv6": _Words(
        "DHCPv6",
        "SOLICIT",
        "ADVERTISE",
        ("DHCPv6 REQUEST", "RENEW", "REBIND", "CONFIRM"),
        "REPLY",
        "DHCPv6 DECLINE",
        "DHCPv6 RELEASE",
        "no-dhcp6-client",
    ),
}
_WITHOUT_ADDRESS = ("no address", "prefix ")  # as dhcp.v6 notes a REPLY
KINDS = {
    "ipv4": ("DISCOVER", "REQUEST", "DECLINE", "RELEASE", "INFORM", "BOOTP"),
    "ipv6": (
        *("SOLICIT", "DHCPv6 REQUEST", "RENEW", "REBIND", "CONFIRM", "DHCPv6 DECLINE"),
        *("DHCPv6 RELEASE", "INFORMATION-REQUEST", "RS"),
    ),
}
"""Of requests, by family."""


class FamilyExchange:
    """Findings about one address family of one guest."""

    def __init__(self, guest: GuestStatus, look: Look, family: str, mode: str) -> None:
        self._guest, self._look, self._family, self._mode = guest, look, family, mode
        self._words = _DHCP[family]
        self._traffic = look.traffic.get(guest.network, Traffic())
        addresses = getattr(guest, family)
        # DHCPv4 gives one address.
        self._addresses = ", ".join(addresses[: 1 if family == "ipv4" else None])

    def judge(self, *, is_explained: bool) -> Iterator[Finding]:
        """Yield the findings; `is_explained`: another finding says why the address is missing."""
        if self._mode != "slaac":
            yield from self._dhcp(is_explained=is_explained)
        if self._family == "ipv6" and not is_explained:
            yield from self._router()

    def _find(self, text: str, anchor: str, at: LastExchange | None = None) -> Finding:
        when = at.time if at else self._look.time
        return finding("harm", text, anchor, network=self._guest.network, time=when)

    def _ok(self, text: str, at: LastExchange | None = None) -> Finding:
        return ok(text, network=self._guest.network, time=at.time if at else "")

    def _asked(self, kind: str) -> Asked | None:
        return self._guest.asked.get(kind)

    def _given(self) -> LastExchange | None:
        """Return the latest exchange by which the guest was given its address."""
        words = self._words
        answers = [one.answer for kind in (words.begins, *words.asks) if (one := self._asked(kind))]
        given = [one for one in answers if one is not None and one.reply == words.gives]
        given = [one for one in given if not one.note.startswith(_WITHOUT_ADDRESS)]
        return max(given, key=lambda one: one.time, default=None)

    def _dhcp(self, *, is_explained: bool) -> Iterator[Finding]:
        given, words = self._given(), self._words
        ended = self._ended(given)
        if ended is not None:
            yield ended
        elif given is not None or (self._family == "ipv4" and self._guest.counters.get("ACK")):
            yield self._ok(
                f"the guest has been given {self._addresses} by {words.name}{self._use()}", given
            )
            yield from self._refused_since(given)
        elif self._guest.arrived:
            yield self._ok(
                f"the guest came by migration and keeps {self._addresses} by {words.name}"
            )
        elif self._has_it():
            yield self._ok(
                f"the guest has {self._addresses} by its own configuration: it answers for it"
            )
        elif not is_explained and (why := self._why_not()) is not None:
            yield why

    def _has_it(self) -> bool:
        own = self._addresses.partition("/")[0]
        return self._traffic.has.get(own) == self._guest.mac or own in self._traffic.sources

    def _use(self) -> str:
        return ", and uses it" if self._has_it() else ""

    def _ended(self, given: LastExchange | None) -> Finding | None:
        """Tell of an address that was given up, or whose lease has run out."""
        words = self._words
        for kind, what, anchor in (
            (words.declines, "declined", "declined"),
            (words.releases, "released", "released"),
        ):
            asked = self._asked(kind)
            both = (asked.answer, asked.silence) if asked else ()
            latest = max((one for one in both if one), key=lambda one: one.time, default=None)
            if latest is not None and (given is None or latest.time > given.time):
                text = f"the guest has {what} {self._addresses} by {words.name}: {latest.note}"
                if anchor == "declined":
                    text += "; another host has it"
                return self._find(text.rstrip(": "), anchor, latest)
        told = self._guest.told
        lease = told.lease if told else None
        if given is not None and lease is not None:
            until = epoch(given.time) + lease
            if self._look.epoch > until:
                ago = int(self._look.epoch - until)
                text = f"the lease of {self._addresses} ran out {ago} s ago and was not renewed"
                return self._find(text, "expired", given)
        return None

    def _refused_since(self, given: LastExchange | None) -> Iterator[Finding]:
        """Warn of requests without an answer after the address was given."""
        for kind in KINDS[self._family]:
            asked = self._asked(kind)
            silence = asked.silence if asked else None
            if silence is None or given is None or silence.time <= given.time or kind == "RS":
                continue
            text = f"{kind} gets no answer since: {silence.note}"
            anchor = "other-mac" if "MAC" in silence.note else "silence"
            yield finding("warning", text, anchor, network=self._guest.network, time=silence.time)

    def _why_not(self) -> Finding | None:
        words, lacks = self._words, f"so it lacks {self._addresses}"
        refused = self._silence()
        if refused is not None:
            kind, silence = refused
            anchor = "other-mac" if "MAC" in silence.note else "silence"
            verb = f"its {kind} gets no answer ({silence.note or 'no reason given'})"
            text = f"the guest has had no {words.gives}: {verb}, {lacks}"
            return self._find(text, anchor, silence)
        naks = [a.answer for k in words.asks if (a := self._asked(k)) and a.answer]
        wrong = max((one for one in naks if one.reply == "NAK"), key=lambda x: x.time, default=None)
        if wrong is not None:
            text = f"the guest asks for an address that is not its own: NAK, {wrong.note}; {lacks}"
            return self._find(text, "refused-address", wrong)
        begun = self._asked(words.begins)
        if begun is not None and begun.answer is not None:
            text = f"{words.offers} without {words.asks[0]}: the guest does not take it, {lacks}"
            return self._find(text, "no-request", begun.answer)
        malformed = self._malformed()
        if malformed is not None:
            text = f"its request is malformed: {malformed.note}; {lacks}"
            return self._find(text, "malformed", malformed)
        return self._never_asked(lacks)

    def _silence(self) -> tuple[str, LastExchange] | None:
        words, found = self._words, []
        for kind in (words.begins, *words.asks):
            asked = self._asked(kind)
            if asked is not None and asked.silence is not None and asked.answer is None:
                found.append((kind, asked.silence))
        return max(found, key=lambda one: one[1].time, default=None)

    def _malformed(self) -> LastExchange | None:
        asked = self._asked("malformed")
        if asked is not None and asked.silence is not None:
            of = _DHCP["ipv6" if self._family == "ipv4" else "ipv4"].name
            return None if asked.silence.note.startswith(of) else asked.silence
        if self._guest.counters.get("malformed"):
            return LastExchange("", "its lengths or its checksum are wrong", self._look.time)
        return None

    def _never_asked(self, lacks: str) -> Finding | None:
        words, guest = self._words, self._guest
        tap = self._look.links.get(guest.tap)
        if tap is None or not tap.carrier or not tap.up:
            return None  # said with the links
        other = next(name for name in KINDS if name != self._family)
        asks_other = any(kind in guest.asked for kind in KINDS[other])
        if self._family == "ipv6" and "RS" in guest.asked:
            text = f"RS, but no SOLICIT: the guest has no DHCPv6 client, {lacks}"
            return self._find(text, words.no_client)
        if "INFORMATION-REQUEST" in guest.asked and self._family == "ipv6":
            text = f"the guest asks DHCPv6 for options only, not for an address, {lacks}"
            return self._find(text, words.no_client)
        if asks_other:
            text = f"the guest has never asked by {words.name}, though it has by IPv{other[-1]}"
            anchor = words.no_client if self._family == "ipv4" else "no-ipv6-in-guest"
            return self._find(f"{text}: {lacks}", anchor)
        sources = ", ".join(self._traffic.sources)
        if sources:
            text = f"neither DHCP nor RS, but frames from {sources}"
            return self._find(f"{text}: {lacks}", "never-asked")
        return self._find(f"the guest has never asked by {words.name}, {lacks}", "never-asked")

    def _router(self) -> Iterator[Finding]:
        guest = self._guest
        if guest.told is not None and guest.told.gateway6 is None and guest.router is None:
            return
        speaks = any(one.version == 6 for one in self._traffic.sources.values())
        if self._mode == "slaac" and "RS" not in guest.asked and not (guest.arrived or speaks):
            text = f"no RS: the guest does not ask for a router, so it lacks {self._addresses}"
            yield self._find(text, "no-rs")
            return
        if guest.counters.get("RA"):
            last = guest.asked.get("RS", Asked()).answer or guest.last.get("RA")
            yield self._ok("the guest has been told its IPv6 router by RA", last)
        asks = any(kind in guest.asked for kind in KINDS["ipv6"] if kind != "RS")
        if "RS" not in guest.asked and asks and not guest.arrived:
            text = "DHCPv6, but no RS: does the guest accept router advertisements?"
            yield finding("warning", text, "no-rs", network=guest.network, time=self._look.time)
            return
        rs = guest.asked.get("RS", Asked()).silence
        if rs is not None and not guest.counters.get("RA") and not guest.arrived:
            yield self._find(f"RS gets no answer: {rs.note}", "silence", rs)
