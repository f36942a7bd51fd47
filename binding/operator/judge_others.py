"""Judges what other machines do on one guest's network, and the guest as a server. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, GuestStatus, Severity
from binding.operator.look import Look
from binding.operator.remedies import finding
from binding.operator.traffic import Traffic
from binding.packet import guard

_NIC_KINDS = {"dhcp4-to-client": "DHCPv4", "dhcp6-to-client": "DHCPv6", "ra": "RA"}
_MANY_ECHOES = 3
"""Frames from the guest's MAC at the pod NIC; a single one may be a reflection."""
_MANY_QUERIES = 3


def judge_others(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about other machines on the guest's network, and a server in the guest."""
    traffic = look.traffic_of(guest)
    yield from _duplicates(guest, look, traffic)
    yield from _name_servers(guest, traffic)
    if guest.provider != "kube-ovn":
        yield from _rogues(guest, look, traffic)
    dropped = look.guard.dropped if look.guard else ()
    if kinds := guard.served_by_guest(dropped, guest.tap):
        text = f"the guest acts as a server or router: its {kinds} stop here"
        counts = (one for one in dropped if guard.served_by_guest((one,), guest.tap))
        evidence = ", ".join(f"{one.packets} {one.message}" for one in counts)
        yield finding("warning", text, "guest-server", evidence=evidence)


def _duplicates(guest: GuestStatus, look: Look, traffic: Traffic) -> Iterator[Finding]:
    own = {text.partition("/")[0] for text in guest.ipv4 + guest.ipv6}
    now: set[str] = set()
    for address, mac in traffic.claimed.items():
        # A gateway that answers for every address is a proxy, not another host.
        if address in own and mac not in (guest.mac, *guest.gateways.values()):
            now.add(f"another host has the guest's address {address}: {mac}")
    yield from (finding("harm", one, "duplicate-address") for one in sorted(now))
    for one in guest.warned:
        if one.code == "duplicate-address" and one.text not in now:
            # Other hosts were asked just now, and that one did not answer.
            severity: Severity = "warning" if traffic.probes else "harm"
            yield finding(severity, one.text, "duplicate-address", time=one.time)
    by = look.ports.get(guest.mac, frozenset())
    mac_is_elsewhere = guest.nic in by and guest.tap not in by
    if mac_is_elsewhere or traffic.echoes >= _MANY_ECHOES:
        text = f"the bridge sends frames for the guest's MAC {guest.mac} out by {guest.nic}"
        if not mac_is_elsewhere:
            text = f"another machine sends from the guest's MAC {guest.mac}"
            text = f"{text}: its frames come in by {guest.nic}"
        seen = f"{traffic.echoes} frames from it came in by {guest.nic}"
        yield finding("harm", text, "duplicate-mac", evidence=seen)


def _name_servers(guest: GuestStatus, traffic: Traffic) -> Iterator[Finding]:
    """Warn of DNS servers that the guest asks in vain."""
    for server in map(str, guest.told.dns if guest.told else ()):
        asked = traffic.queries[server]
        if asked >= _MANY_QUERIES and not traffic.replies[server] and not traffic.is_cut:
            text = f"DNS server {server} has answered none of {asked} queries of the guest"
            yield finding("warning", text, "dns-silent")


def _rogues(guest: GuestStatus, look: Look, traffic: Traffic) -> Iterator[Finding]:
    is_guarded = look.guard is not None and not look.guard.wrong
    anchor = "rogue" if is_guarded else "rogue-unguarded"
    severity: Severity = "warning" if is_guarded else "harm"
    named = False
    for one in guest.warned:
        if one.code == "rogue":
            named = True
            yield finding(severity, one.text, anchor, time=one.time)
    for what, address, mac in sorted(traffic.servers):
        if not any(mac in one.text for one in guest.warned):
            named = True
            text = f"rogue {what} {address} ({mac}) on the pod network"
            yield finding(severity, text, anchor)
    dropped = look.guard.dropped if look.guard else ()
    stopped = [
        f"{one.packets} {_NIC_KINDS[one.message]}"
        for one in dropped
        if one.link == guest.nic and one.message in _NIC_KINDS and one.packets
    ]
    if stopped and not named:
        text = f"rogue servers or routers on the pod network: {', '.join(stopped)} stopped"
        yield finding("warning", text, "rogue")
