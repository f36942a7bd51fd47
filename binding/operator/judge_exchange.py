"""Judges whether a guest was given its addresses and, where it lacks both families, why.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import UNASKED, Finding, GuestStatus, LastExchange
from binding.operator.dhcp_exchange import DhcpExchange
from binding.operator.look import Look
from binding.operator.protocols import KINDS
from binding.operator.remedies import finding, ok
from binding.operator.router_exchange import judge_router
from binding.operator.traffic import Traffic
from guest.exchange import FROM_OTHER_MAC


def judge(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield what the guest was given in each family, and what not and why."""
    if guest.provider == "off" or not guest.ipv4 + guest.ipv6:
        yield ok("nothing is served, the path is transparent")
        return
    told = guest.told
    if told is not None and told.migration_target and not guest.arrived:
        text = "the guest still runs on its other node: dsbridge waits for its first frame here"
        yield ok(text)
        return
    causes = tuple(_causes(guest, look))
    is_explained = any(one.severity != "ok" for one in causes)
    yield from causes
    for family in ("ipv4", "ipv6"):
        mode = getattr(guest.modes, family)
        if not getattr(guest, family) or mode == "off":
            continue
        if guest.serves.get(family) == "kube-ovn":
            yield from _by_ovn(guest, family)
            continue
        if mode != "slaac":
            yield from DhcpExchange(guest, look, family).judge(is_explained=is_explained)
        if family == "ipv6" and not is_explained:
            yield from judge_router(guest, look)


def _by_ovn(guest: GuestStatus, family: str) -> Iterator[Finding]:
    """Say what OVN has given; what it leaves out stands among the guest's warnings."""
    protocol, answer = ("DHCPv4", "ACK") if family == "ipv4" else ("DHCPv6", "REPLY")
    if guest.counters.get(answer):
        addresses = ", ".join(getattr(guest, family)[: 1 if family == "ipv4" else None])
        text = f"the guest has been given {addresses} by {protocol} of OVN"
        yield ok(text)


def _causes(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Tell why the guest lacks the addresses of both families."""
    traffic, tap = look.traffic_of(guest), look.links.get(guest.tap)
    if tap is None or (not tap.carrier and tap.up) or guest.arrived:
        return
    lacks = f"so it lacks {', '.join((*guest.ipv4, *guest.ipv6))}"
    others = sorted(mac for mac in traffic.macs if mac != guest.mac)
    strange = _from_another_mac(guest)
    tags = ", ".join(map(str, sorted(traffic.vlans)))
    if tags and not _has_asked(guest):
        text = f"the guest sends with VLAN tag {tags}, and the pod network has none, {lacks}"
        yield finding("harm", text, "vlan")
    elif strange is not None:
        text = f"the guest asks {strange.note}, and its NIC has {guest.mac}, {lacks}"
        yield finding("harm", text, "other-mac", time=strange.time)
    elif not _has_asked(guest) and not look.frames.get(guest.tap) and not traffic.macs:
        text = f"no frame at all has come in by {guest.tap}: the NIC is down in the guest, {lacks}"
        yield finding("harm", text, "no-frame")
    elif not _has_asked(guest) and others and guest.mac not in traffic.macs:
        text = f"the guest sends from another MAC, {others[0]}; its NIC has {guest.mac}, {lacks}"
        yield finding("harm", text, "other-mac")
    else:
        yield from _static(guest, traffic)


def _from_another_mac(guest: GuestStatus) -> LastExchange | None:
    """Return the latest request from another MAC, of a guest that has asked from no other."""
    if any(one.answer for one in guest.asked.values() if one.answer and one.answer.reply != "NA"):
        return None
    silences = (one.silence for kind, one in guest.asked.items() if kind not in UNASKED)
    found = [one for one in silences if one and one.note.startswith(FROM_OTHER_MAC)]
    return max(found, key=lambda one: one.time, default=None)


def _has_asked(guest: GuestStatus) -> bool:
    return any(kind in guest.asked for kinds in KINDS.values() for kind in kinds)


def _static(guest: GuestStatus, traffic: Traffic) -> Iterator[Finding]:
    """Name an address that the guest has, but was not given."""
    own = {text.partition("/")[0] for text in guest.ipv4 + guest.ipv6}
    told = guest.told
    prefixes = [one.network for one in told.ipv6] if told and told.has_slaac else []
    prefixes += told.delegated if told else ()
    more: list[str] = []
    for text, address in traffic.sources.items():
        is_made = any(address in one for one in prefixes if address.version == 6)
        if text in own or address.is_link_local or address.is_multicast or is_made:
            continue
        seen = "" if _has_asked(guest) else f"neither DHCP nor RS, but frames from {text}: "
        gateways = (told.gateway4, told.gateway6) if told is not None else ()
        same = (one for one in own if (":" in one) == (address.version == 6))
        if address not in gateways and traffic.answers.intersection(same):
            more.append(text)
            continue
        whose = "the address of its gateway" if address in gateways else "which is not its own"
        what = f"{seen}the guest uses {text}, {whose}: a static address"
        yield finding("harm", what, "static-address")
    if more:
        what = f"besides its own the guest uses {', '.join(more)}: shared with others, or of"
        what += " machines behind it; does the pod network deliver to them?"
        yield ok(what)
