"""Judges how far a guest came in being given the addresses of one family by DHCP. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from binding.ipc.status import Asked, Finding, GuestStatus, LastExchange, Severity
from binding.operator.look import Look
from binding.operator.never_asked import MANY_BEGINNINGS, never_asked
from binding.operator.protocols import KINDS
from binding.operator.remedies import finding, ok
from binding.process.logs import epoch
from guest.exchange import (
    FOR_OTHER_MAC,
    FROM_OTHER_MAC,
    IPV6_PREFERRED,
    NO_BOOT_FILE,
    NO_PREFIX,
    NOT_ON_LINK,
    WITHOUT_ADDRESS,
)


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
    if NO_PREFIX in note:
        text = f"{text}: the guest insists on a prefix (IA_PD), and `delegate` has none for it"
        return text, "no-prefix"
    if NO_BOOT_FILE in note:
        return f"{text}: a PXE client takes none {NO_BOOT_FILE}", "no-boot-file"
    return f"{text}: the guest does not take it", "no-request"


class DhcpExchange:
    """Findings about one address family of one guest."""

    def __init__(self, guest: GuestStatus, look: Look, family: str) -> None:
        self._guest, self._look, self._family = guest, look, family
        self._words = _DHCP[family]
        self._traffic = look.traffic_of(guest)
        addresses = getattr(guest, family)
        # DHCPv4 gives one address.
        self._addresses = ", ".join(addresses[: 1 if family == "ipv4" else None])
        self._lacks = f"so it lacks {self._addresses}"
        self._given = self._latest_given()

    def judge(self, *, is_explained: bool) -> tuple[Finding, ...]:
        """Return what the first of these steps has to say that has anything to say.

        `is_explained`: another finding says why the address is missing.
        """
        has_address = (
            self._gave_it_up,
            self._let_it_run_out,
            self._does_not_take_it,
            self._was_given_it,
            self._came_with_it,
            self._has_it_by_hand,
        )
        why_not = (
            self._is_met_by_silence,
            self._asks_for_another,
            self._does_not_take_the_offer,
            self._is_malformed,
            self._never_asked,
        )
        for step in (*has_address, *(() if is_explained else why_not)):
            if found := tuple(step()):
                return found
        return ()

    def _find(
        self, text: str, anchor: str, at: LastExchange | None = None, severity: Severity = "harm"
    ) -> Finding:
        return finding(severity, text, anchor, time=at.time if at else "")

    def _asked(self, kind: str) -> Asked:
        return self._guest.asked.get(kind, Asked())

    def _latest_given(self) -> LastExchange | None:
        """Return the latest exchange by which the guest was given its address."""
        words = self._words
        answers = [self._asked(kind).answer for kind in (words.begins, *words.asks)]
        given = [one for one in answers if one is not None and one.reply == words.gives]
        given = [one for one in given if not one.note.startswith(WITHOUT_ADDRESS)]
        return max(given, key=_when, default=None)

    def _is_used(self) -> bool:
        """Say whether the guest shows at its tap that it has its address."""
        own = self._addresses.partition("/")[0]
        return self._traffic.has.get(own) == self._guest.mac or own in self._traffic.sources

    # --- how the guest has its address, or lost it -------------------------------

    def _gave_it_up(self) -> Iterator[Finding]:
        words, given = self._words, self._given
        for kind, what in ((words.declines, "declined"), (words.releases, "released")):
            asked = self._asked(kind)
            latest = max(filter(None, (asked.answer, asked.silence)), key=_when, default=None)
            if latest is not None and (given is None or latest.time > given.time):
                text = f"the guest has {what} {self._addresses} by {words.name}: {latest.note}"
                if what == "declined":
                    text += "; another host has it"
                yield self._find(text.rstrip(": "), what, latest)
                return

    def _let_it_run_out(self) -> Iterator[Finding]:
        for one in self._guest.warned:
            if one.kind == f"lease {self._family}":
                yield self._find(one.text, "expired", LastExchange("", "", one.time))

    def _does_not_take_it(self) -> Iterator[Finding]:
        """Tell of a guest that begins again and again, and does not answer for its address."""
        given, words, begun = self._given, self._words, self._asked(self._words.begins)
        if given is None or begun.answer is None or self._is_used():
            return
        since = epoch(begun.answer.time)
        is_recent = self._look.epoch - since < _BEGINS_AGAIN
        is_after = since - epoch(given.time) > _TAKES or begun.answer is given
        if begun.count >= MANY_BEGINNINGS and is_recent and is_after:
            text = f"{begun.answer.reply} to {words.begins} again and again: the guest does not"
            yield self._find(f"{text} take it, {self._lacks}", "no-request", begun.answer)

    def _was_given_it(self) -> Iterator[Finding]:
        given = self._given
        if given is None and not (self._family == "ipv4" and self._guest.counters.get("ACK")):
            return
        use = ", and uses it" if self._is_used() else ""
        text = f"the guest has been given {self._addresses} by {self._words.name}{use}"
        yield ok(text, time=given.time if given else "")
        for kind in KINDS[self._family]:
            silence = self._asked(kind).silence
            if silence and given and silence.time > given.time and kind != "RS":
                text = f"{kind} gets no answer since: {silence.note}"
                yield self._find(text, _anchor_of(silence), silence, "warning")
        for kind in self._words.asks:
            refusal = self._asked(kind).answer
            if refusal and _is_refusal(refusal) and (given is None or refusal.time > given.time):
                text = f"{kind} for another address than its own is refused since: {refusal.note}"
                yield self._find(text, "refused-address", refusal, "warning")
        yield from self._answers_nobody()

    def _answers_nobody(self) -> Iterator[Finding]:
        """Tell of a guest that has its address, and does not answer for it at its tap."""
        traffic, own = self._traffic, self._addresses.partition("/")[0]
        if not traffic.was_asked or traffic.is_cut or own in traffic.answers:
            return
        if self._is_used():
            asks = "ARP requests" if self._family == "ipv4" else "neighbour solicitations"
            text = f"the guest uses {self._addresses}, and answers no {asks} for it"
            yield self._find(f"{text}: nobody finds it", "deaf-guest")
            return
        sends = "though it sends" if traffic.macs[self._guest.mac] else "and sends nothing"
        text = f"the guest does not answer for {self._addresses} now, {sends}"
        # It is up and at work where it answers for its other addresses.
        yield self._find(text, "silent-guest", severity="harm" if traffic.answers else "warning")

    def _came_with_it(self) -> Iterator[Finding]:
        if self._guest.arrived:
            name = self._words.name
            yield ok(f"the guest came by migration and keeps {self._addresses} by {name}")

    def _has_it_by_hand(self) -> Iterator[Finding]:
        """Tell of a static configuration, and of machines that it looks for and are not there."""
        if not self._is_used():
            return
        text = f"the guest has {self._addresses} by its own configuration: it answers for it"
        yield ok(text)
        yield from self._answers_nobody()
        told, version = self._guest.told, int(self._family[-1])
        gateway = None
        if told is not None:
            gateway = told.gateway6 if version == 6 else told.gateway4
        known = {str(gateway), self._guest.router.address if self._guest.router else ""}
        asked = [one for one in self._traffic.unanswered if ip_address(one).version == version]
        if strange := [one for one in asked if one not in known]:
            text = f"the guest asks who has {', '.join(strange)}, and nobody answers: was a wrong"
            text += f" gateway or prefix length set by hand? The gateway is {gateway}"
            yield self._find(text, "wrong-gateway", severity="warning")

    # --- why the guest has no address --------------------------------------------

    def _is_met_by_silence(self) -> Iterator[Finding]:
        words, found = self._words, list[tuple[str, LastExchange]]()
        for kind in (words.begins, *words.asks):
            asked = self._asked(kind)
            if asked.silence is not None and asked.answer is None:
                found.append((kind, asked.silence))
        if found:
            kind, silence = max(found, key=lambda one: one[1].time)
            verb = f"its {kind} gets no answer ({silence.note or 'no reason given'})"
            text = f"the guest has had no {words.gives}: {verb}, {self._lacks}"
            yield self._find(text, _anchor_of(silence), silence)

    def _asks_for_another(self) -> Iterator[Finding]:
        answers = filter(None, (self._asked(kind).answer for kind in self._words.asks))
        refusals = filter(_is_refusal, answers)
        if (wrong := max(refusals, key=_when, default=None)) is not None:
            said = wrong.note if wrong.reply != "NAK" else f"NAK, {wrong.note}"
            text = f"the guest asks for an address that is not its own: {said}; {self._lacks}"
            yield self._find(text, "refused-address", wrong)

    def _does_not_take_the_offer(self) -> Iterator[Finding]:
        offer = self._asked(self._words.begins).answer
        if offer is not None and IPV6_PREFERRED in offer.note:
            yield ok(f"{_WITHOUT_IPV4} ({self._addresses})", time=offer.time)
        elif offer is not None:
            text, anchor = _untaken_offer(self._words, offer.note)
            yield self._find(f"{text}, {self._lacks}", anchor, offer)

    def _is_malformed(self) -> Iterator[Finding]:
        latest = self._asked("malformed").silence
        if latest is None and self._guest.counters.get("malformed"):
            latest = LastExchange("", "its lengths or its checksum are wrong", self._look.time)
        other = _DHCP["ipv6" if self._family == "ipv4" else "ipv4"].name
        if latest is not None and not latest.note.startswith(other):
            text = f"its request is malformed: {latest.note}; {self._lacks}"
            yield self._find(text, "malformed", latest)

    def _never_asked(self) -> Iterator[Finding]:
        found = never_asked(self._guest, self._look, self._family, self._lacks)
        yield from () if found is None else (found,)


def _is_refusal(answer: LastExchange) -> bool:
    return answer.reply == "NAK" or answer.note.startswith(NOT_ON_LINK)


def _when(exchange: LastExchange) -> str:
    return exchange.time


def _anchor_of(silence: LastExchange) -> str:
    return "other-mac" if silence.note.startswith((FROM_OTHER_MAC, FOR_OTHER_MAC)) else "silence"
