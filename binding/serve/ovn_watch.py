"""Watches OVN and other servers: what OVN leaves out, and servers that should not be there.

Where OVN serves a family, requests are seen at the tap and OVN's answers at the pod NIC; what
is missing is named by the key of Kube-OVN that would mend it. Where we serve, any other server
that answers from the network is a rogue. No I/O: `now` (monotonic seconds) comes from outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from typing import Literal

from binding.serve.other_servers import ServerMessage
from dhcp import v4_request, v6_message
from guest.ethernet import ICMPV6, ROUTER_SOLICITATION, UDP
from guest.exchange import Exchange, Malformed
from guest.frame import Packet
from guest.network import Family, GuestNetwork
from ra.gateway import eui64
from ra.neighbor import rs_fault

_TOGETHER = 1.0
"""Seconds at most from reading an answer to reading its request, by two sockets."""
PATIENCE = 5.0
"""Seconds to wait for OVN's answer before its absence is reported."""
_MOST_STRANGERS = 4
_MOST_ROGUES = 8

_FAMILY: dict[str, Family] = {"OFFER": 4, "ACK": 4, "NAK": 4, "ADVERTISE": 6, "REPLY": 6, "RA": 6}
# What is waited for after a request. OVN never answers RENEW and REBIND; DHCPv4's REQUEST has
# to be told from DHCPv6's.
_AWAITED: dict[tuple[Family, str], str] = {
    (4, "DISCOVER"): "OFFER",
    (4, "REQUEST"): "ACK",
    (6, "SOLICIT"): "ADVERTISE",
    (6, "REQUEST"): "REPLY",
    (6, "CONFIRM"): "REPLY",
    (6, "RS"): "RA",
}
Service = Literal["v4", "v6", "RA"]
_SERVICE: dict[str, Service] = {
    "OFFER": "v4",
    "ACK": "v4",
    "NAK": "v4",
    "ADVERTISE": "v6",
    "REPLY": "v6",
    "RA": "RA",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The name of one frame's counter, and exchanges to report."""

    counted: str = ""
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wait:
    """A request that OVN has not answered yet."""

    request: str
    answer: str
    since: float
    iaid0: bool = False


class OvnWatch:
    """Watches the servers of one guest. OVN serves the families `by_ovn`, dsbridge the others."""

    def __init__(self, guest: GuestNetwork, by_ovn: frozenset[Family]) -> None:
        self._guest = guest
        self._by_ovn = by_ovn
        self._waits: dict[Service, _Wait] = {}
        self._strangers: set[str] = set()
        self._rogues: set[tuple[str, str]] = set()
        self.rogue_macs: set[str] = set()
        """Of the routers and servers that have been named."""
        self._asked: dict[Service, tuple[str, bytes]] = {}
        self._latest: dict[Service, tuple[ServerMessage, float]] = {}
        self.findings: dict[str, str] = {}
        """New findings by kind since the last report; an empty text takes a finding back."""
        self._known: dict[str, str] = {}
        self._rdnss = False

    @property
    def wake_at(self) -> float | None:
        """When `due` must be called (monotonic seconds)."""
        if not self._waits:  # mostly, and the loop of `serve` asks twice for each frame
            return None
        return min(wait.since for wait in self._waits.values()) + PATIENCE

    def due(self, now: float) -> None:
        """Give up on answers that have not come."""
        for service, wait in list(self._waits.items()):
            if now >= wait.since + PATIENCE:
                del self._waits[service]
                self._find(f"{service} answer", self._explained(service, wait))

    def forget_waits(self) -> None:
        """Forget pending requests: OVN may have answered while no process was listening."""
        self._waits.clear()

    def from_guest(self, packet: Packet, now: float) -> Seen:
        """See a request of a family that OVN serves."""
        name, transaction, iaid0 = _request(packet)
        if not name:
            return Seen("malformed")
        if packet.src_mac != self._guest.mac:
            return Seen(
                name, (Exchange(name, note=f"from {packet.src_mac}"), *self._stranger(packet))
            )
        family: Family = 4 if packet.src.version == 4 else 6
        service: Service = "RA" if name == "RS" else "v4" if family == 4 else "v6"
        awaited = _AWAITED.get((family, name), "")
        early = self._early(service, awaited, transaction, now)
        if early is not None:
            return Seen(name, (Exchange(name, early.kind, note=_given(early)),))
        self._asked[service] = name, transaction
        if awaited and (self._guest.ipv4 if family == 4 else self._guest.ipv6):
            self._waits.setdefault(service, _Wait(name, awaited, now, iaid0))
        return Seen(name, (Exchange(name, note="for OVN"),))

    def from_network(self, answer: ServerMessage, now: float) -> Seen:
        """See what the network tells the guest."""
        if _FAMILY[answer.kind] not in self._by_ovn:
            return self._rogue(answer)
        service = _SERVICE[answer.kind]
        self._latest[service] = answer, now
        wait = self._waits.pop(service, None)
        self._find(f"{service} answer", "")
        if service == "RA":
            self._rdnss = answer.dns
        self._check(service, answer)
        request, transaction = self._asked.get(service, ("", b""))
        if transaction != answer.transaction or (service == "RA" and wait is None):
            # The request is read after this answer, or OVN sent this RA unasked.
            return Seen(answer.kind)
        return Seen(answer.kind, (Exchange(request, answer.kind, note=_given(answer)),))

    def _early(
        self, service: Service, awaited: str, transaction: bytes, now: float
    ) -> ServerMessage | None:
        """Return an answer that was read before its request: they come in by two sockets."""
        answer, at = self._latest.get(service, (None, -math.inf))
        if answer is None or now > at + _TOGETHER or answer.transaction != transaction:
            return None
        return answer if awaited and (answer.kind == awaited or answer.kind != "OFFER") else None

    def _check(self, service: Service, answer: ServerMessage) -> None:
        """Look for what the guest will miss in the answer."""
        if answer.addresses:
            self._find(f"{service} dns", self._without_dns(answer))
        self._find(f"{service} address", self._strange(answer))

    def _find(self, kind: str, text: str) -> None:
        # Also an empty text is reported once: it takes back a finding of a former `serve`.
        if self._known.get(kind) != text:
            self._known[kind] = self.findings[kind] = text

    def _without_dns(self, answer: ServerMessage) -> str:
        family = _FAMILY[answer.kind]
        if answer.dns or (family == 6 and self._rdnss):
            return ""
        option = "option 6" if family == 4 else "option 23"
        return (
            f"dns_server: the DHCPv{family} server {answer.server} names no DNS server ({option}); "
            f"add dns_server to dhcpV{family}Options of the Subnet"
        )

    def _strange(self, answer: ServerMessage) -> str:
        guest = self._guest
        if others := set(answer.addresses).difference(guest.addresses):
            given = ", ".join(sorted(map(str, others)))
            return f"address: {answer.server} gives {given}, which the pod does not have"
        prefix = answer.autonomous
        if prefix and _eui64_in(prefix, guest.mac) not in guest.addresses:
            return (
                f"address_mode: the RA of {answer.server} lets guests make an address of {prefix} "
                "by themselves, which OVN does not know; set address_mode=dhcpv6_stateful in "
                "ipv6RAConfigs of the Subnet"
            )
        return ""

    def _explained(self, service: Service, wait: _Wait) -> str:
        what = f"no {wait.answer} within {PATIENCE:.0f} s of {wait.request}"
        if service == "RA":
            address = "OVN gives an address but no route" if "v6" in self._latest else "no route"
            return (
                f"enableIPv6RA: {what}, {address}; set enableIPv6RA on the Subnet, or let an "
                "external router advertise where an underlay subnet has no logical router"
            )
        if wait.iaid0:
            return f"IAID 0: {what}; OVN takes IAID 0 for none, use another DHCPv6 client"
        if service in self._latest:
            return (
                f"enableDHCP: {what}, though OVN has answered: is ovn-controller of this node up?"
            )
        return (
            f"enableDHCP: {what}; set enableDHCP on the Subnet or annotate the pod with "
            f"ovn.kubernetes.io/dhcp-{service}-options"
        )

    def _stranger(self, packet: Packet) -> Iterator[Exchange]:
        if packet.src_mac in self._strangers or len(self._strangers) >= _MOST_STRANGERS:
            return
        self._strangers.add(packet.src_mac)
        note = f"MAC: the guest sends from {packet.src_mac}, but OVN's port has {self._guest.mac}"
        yield Exchange("", note=f"{note} and drops all else", warning="ovn-port")

    def _rogue(self, answer: ServerMessage) -> Seen:
        counted = f"rogue {answer.kind}"
        if len(self.rogue_macs) < _MOST_ROGUES:
            self.rogue_macs.add(answer.mac)
        known = (answer.kind, str(answer.server))
        if known in self._rogues or len(self._rogues) >= _MOST_ROGUES:
            return Seen(counted)
        self._rogues.add(known)
        note = f"{counted} from {answer.server} ({answer.mac}) on the pod network"
        return Seen(counted, (Exchange("", note=note, warning="rogue"),))


def _given(answer: ServerMessage) -> str:
    given = ", ".join(map(str, answer.addresses))
    return f"{given} from {answer.server}" if given else f"from {answer.server}"


def _eui64_in(prefix: IPv6Network, mac: str) -> IPv6Address | None:
    """Return the address that a guest makes of a prefix (RFC 4862 section 5.5.3)."""
    if prefix.prefixlen != 64:
        return None
    return prefix.network_address + int(eui64(mac)) % 2**64


def _request(packet: Packet) -> tuple[str, bytes, bool]:
    """Return name and transaction of a request, and whether it has an IA_NA with IAID 0."""
    if packet.protocol == ICMPV6:
        is_rs = packet.payload[0] == ROUTER_SOLICITATION and not rs_fault(packet)
        return "RS" if is_rs else "", b"", False
    if packet.protocol == UDP and packet.src.version == 4:
        request = v4_request.read(packet.payload)
        name = "" if isinstance(request, Malformed) else request.kind
        return name, packet.payload[4:8], False
    message = v6_message.parse(packet.payload)
    if isinstance(message, Malformed):
        return "", b"", False
    is_zero = any(ia.iaid == 0 for ia in message.associations)
    return message.name, message.transaction, is_zero
