"""Judges how far a guest came in being given the addresses of one family. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from binding.ipc.status import Asked, Finding, GuestStatus, LastExchange
from binding.operator.look import Look
from binding.operator.never_asked import MANY_BEGINNINGS, never_asked
from binding.operator.protocols import KINDS
from binding.operator.remedies import finding, ok
from binding.operator.traffic import Traffic
from binding.process.logs import epoch
from guest.exchange import IPV6_PREFERRED, WITHOUT_ADDRESS


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


_DHCP = {
    "ipv4": _Words("DHCPv4", "DISCOVER", "OFFER", ("REQUEST",), "ACK", "DECLINE", "RELEASE"),
    "ipv6": _Words(
        name="DHCPv6",
        begins="SOLICIT",
        offers="ADVERTISE",
        asks=("DHCPv6 REQUEST", "RENEW", "REBIND", "CONFIRM"),
        gives="REPLY",
        declines="DHCPv6 DECLINE",
        releases="DHCPv6 RELEASE",
    ),
}
_WITHOUT_IPV4 = "the guest does without IPv4, as ipv6Only lets it: it takes no offer of it"

_BEGINS_AGAIN, _TAKES = 150.0, 5.0
"""Seconds between the tries of a client, at most, and from an OFFER to the REQUEST."""


def _untaken_offer(words: _Words, note: str) -> tuple[str, str]:
    """Return why a guest has not asked for what it was offered, by the note of the offer."""
    text = f"{words.offers} without {words.asks[0]}"
    if note.startswith(WITHOUT_ADDRESS):
        text = f"the guest asks {words.name} for no address, only for a prefix or options"
        return text, "no-dhcp6-client"
    if "no prefix for" in note:
        text = f"{text}: the guest insists on a prefix (IA_PD), and `delegate` has none for it"
        return text, "no-prefix"
    if "without a boot file" in note:
        return f"{text}: a PXE client takes none without a boot file", "no-boot-file"
    return f"{text}: the guest does not take it", "no-request"


def _lacks_router(guest: GuestStatus, traffic: Traffic) -> bool:
    """Say whether a guest asks DHCPv6, but for no router, and shows none that it knows.

    A client such as networkd sends no RS where an RA of ours came before. It shows the router by
    what it sends beyond its link, or by asking for the router's MAC.
    """
    if "RS" in guest.asked or guest.arrived or traffic.has_router:
        return False
    asks = any(kind in guest.asked for kind in KINDS["ipv6"])
    return asks and not (guest.router and guest.router.address in traffic.wanted)


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
        given = [one for one in given if not one.note.startswith(WITHOUT_ADDRESS)]
        return max(given, key=lambda one: one.time, default=None)

    def _dhcp(self, *, is_explained: bool) -> Iterator[Finding]:
        given, words = self._given(), self._words
        ended = self._ended(given)
        if ended is not None:
            yield ended
        elif given is not None or (self._family == "ipv4" and self._guest.counters.get("ACK")):
            if (untaken := self._untaken(given)) is not None:
                yield untaken
                return
            yield self._ok(
                f"the guest has been given {self._addresses} by {words.name}{self._use()}", given
            )
            yield from self._refused_since(given)
            yield from self._silent_now()
        elif self._guest.arrived:
            yield self._ok(
                f"the guest came by migration and keeps {self._addresses} by {words.name}"
            )
        elif self._has_it():
            yield self._ok(
                f"the guest has {self._addresses} by its own configuration: it answers for it"
            )
            yield from self._asks_in_vain()
        elif not is_explained and (why := self._why_not()) is not None:
            yield why

    def _has_it(self) -> bool:
        own = self._addresses.partition("/")[0]
        return self._traffic.has.get(own) == self._guest.mac or own in self._traffic.sources

    def _silent_now(self) -> Iterator[Finding]:
        """Warn of a guest that was given its address, and does not answer for it at its tap."""
        traffic, network = self._traffic, self._guest.network
        if not traffic.was_asked or self._has_it():
            return
        sends = "though it sends" if traffic.macs[self._guest.mac] else "and sends nothing"
        text = f"the guest does not answer for {self._addresses} now, {sends}"
        yield finding("warning", text, "silent-guest", network=network, time=self._look.time)

    def _asks_in_vain(self) -> Iterator[Finding]:
        """Warn where a static configuration has the guest look for machines that are not there."""
        told, version = self._guest.told, int(self._family[-1])
        gateway = None
        if told is not None:
            gateway = told.gateway6 if version == 6 else told.gateway4
        known = {str(gateway), self._guest.router.address if self._guest.router else ""}
        asked = [one for one in self._traffic.unanswered if ip_address(one).version == version]
        if strange := [one for one in asked if one not in known]:
            text = f"the guest asks who has {', '.join(strange)}, and nobody answers: was a wrong"
            text += f" gateway or prefix length set by hand? The gateway is {gateway}"
            yield finding(
                "warning", text, "wrong-gateway", network=self._guest.network, time=self._look.time
            )

    def _use(self) -> str:
        return ", and uses it" if self._has_it() else ""

    def _untaken(self, given: LastExchange | None) -> Finding | None:
        """Tell of a guest that begins again and again, and does not answer for its address."""
        words, begun = self._words, self._asked(self._words.begins)
        if given is None or begun is None or begun.answer is None or self._has_it():
            return None
        since = epoch(begun.answer.time)
        is_recent = self._look.epoch - since < _BEGINS_AGAIN
        is_after = since - epoch(given.time) > _TAKES or begun.answer is given
        if begun.count < MANY_BEGINNINGS or not is_recent or not is_after:
            return None
        text = f"{begun.answer.reply} to {words.begins} again and again: the guest does not take it"
        return self._find(f"{text}, so it lacks {self._addresses}", "no-request", begun.answer)

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
        kind = f"lease {self._family}"
        if (left := next((w for w in self._guest.warned if w.kind == kind), None)) is not None:
            return self._find(left.text, "expired", LastExchange("", "", left.time))
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
        refusals = (one for one in naks if one.reply == "NAK" or one.note.startswith("NotOnLink"))
        wrong = max(refusals, key=lambda one: one.time, default=None)
        if wrong is not None:
            said = wrong.note if wrong.reply != "NAK" else f"NAK, {wrong.note}"
            text = f"the guest asks for an address that is not its own: {said}; {lacks}"
            return self._find(text, "refused-address", wrong)
        if (begun := self._asked(words.begins)) is not None and begun.answer is not None:
            if IPV6_PREFERRED in begun.answer.note:
                return self._ok(f"{_WITHOUT_IPV4} ({self._addresses})", begun.answer)
            text, anchor = _untaken_offer(words, begun.answer.note)
            return self._find(f"{text}, {lacks}", anchor, begun.answer)
        if (malformed := self._malformed()) is not None:
            text = f"its request is malformed: {malformed.note}; {lacks}"
            return self._find(text, "malformed", malformed)
        return never_asked(self._guest, self._look, self._family, lacks)

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
        if _lacks_router(guest, self._traffic):
            text = "DHCPv6, but no RS: does the guest accept router advertisements?"
            yield finding("warning", text, "no-rs", network=guest.network, time=self._look.time)
            return
        rs = guest.asked.get("RS", Asked()).silence
        if rs is not None and not guest.counters.get("RA") and not guest.arrived:
            yield self._find(f"RS gets no answer: {rs.note}", "silence", rs)
