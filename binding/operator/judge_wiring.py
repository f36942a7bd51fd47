"""Judges links, gateways and other machines on the network of one guest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, GuestStatus, Said, Severity, Status, Warned
from binding.operator.look import Look
from binding.operator.remedies import REMEDIES, finding, ok
from binding.operator.traffic import Traffic
from binding.process.logs import epoch

_NIC_KINDS = {"dhcp4-to-client": "DHCPv4", "dhcp6-to-client": "DHCPv6", "ra": "RA"}
_SERVER_KINDS = {
    "dhcp4-to-client": "DHCPv4 answers",
    "dhcp4-from-server": "DHCPv4 answers",
    "dhcp6-to-client": "DHCPv6 answers",
    "dhcp6-from-server": "DHCPv6 answers",
    "ra": "router advertisements",
}
_RECENT = 3600.0
"""Seconds for which a gateway that moved is worth a warning."""
_LINK_KINDS = ("tap", "nic", "bridge", "placeholder")
_BY_TEXT = (
    ("is gone", "link-gone"),
    ("has no carrier: its other end", "no-carrier"),
    ("is down", "link-down"),
    ("no port of bridge", "not-a-port"),
    ("has MTU", "mtu"),
)


def judge_links(status: Status, guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about the links of a guest."""
    name, wrong = guest.network, [one for one in guest.warned if one.kind in _LINK_KINDS]
    for one in wrong:
        yield _link_fault(guest, one)
    tap = look.links.get(guest.tap)
    details = look.details.get(guest.tap)
    if tap is not None and details is not None and details.kind == "tun" and not tap.carrier:
        owner = f"; it belongs to user {details.owner}" if details.owner is not None else ""
        if tap.up:
            text = f"no process reads {guest.tap}, so no QEMU is plugged in{owner}"
            yield finding("harm", text, "no-qemu", network=name, time=look.time)
    for link in (guest.tap, guest.nic, guest.bridge):
        closed = look.details[link].closed if link in look.details else ()
        state = look.links.get(link)
        if closed and state is not None and state.up and state.carrier:
            text = f"{link}: {', '.join(closed)}"
            yield finding("warning", text, "bridge-port", network=name, time=look.time)
    if guest.tap in status.wired:
        yield from _made_by_us(guest, look)
    if not wrong and tap is not None:
        path = " - ".join(filter(None, (guest.tap, guest.bridge, guest.nic)))
        yield ok(f"the links are as they should be: {path}, MTU {tap.mtu}", network=name)


def _link_fault(guest: GuestStatus, one: Warned) -> Finding:
    link = getattr(guest, one.kind, "") or one.kind
    anchor = next((anchor for words, anchor in _BY_TEXT if words in one.text), "link-gone")
    if one.kind == "placeholder":
        anchor = "placeholder"
    if anchor == "link-gone" and one.kind == "tap":
        anchor = "tap"
    severity: Severity = "warning" if anchor in ("mtu", "placeholder") else "harm"
    remedy = REMEDIES[anchor].replace("LINK", link).replace("BRIDGE", guest.bridge)
    remedy = remedy.replace(" mtu MTU", f" mtu {guest.mtu}")
    about = {"network": guest.network, "time": one.time, "remedy": remedy}
    return finding(severity, one.text, anchor, **about)


def _made_by_us(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    for link in (guest.bridge, guest.nic):
        if link in look.details and look.details[link].makes_addresses:
            text = f"{link} makes itself a link-local address: addrgenmode is not `none`"
            yield finding(
                "warning", text, "bridge-port", network=guest.network, time=look.time,
                remedy=f"ip link set {link} addrgenmode none",
            )  # fmt: skip
    pod_link = guest.nic.removesuffix("-nic")
    placeholder = look.links.get(pod_link) if pod_link != guest.nic else None
    if placeholder is not None and placeholder.up:
        text = f"placeholder {pod_link} is up: it may answer for the guest's addresses"
        yield finding(
            "warning", text, "placeholder", network=guest.network, time=look.time,
            remedy=f"ip link set {pod_link} down",
        )  # fmt: skip


def judge_gateways(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about the guest's gateways."""
    told, name = guest.told, guest.network
    if told is None or guest.provider == "off":
        return
    four = told.default4.gateway if told.default4 else None
    traffic = look.traffic.get(name, Traffic())
    is_ours = {family: by == "in-pod" for family, by in guest.serves.items()}
    for family, gateway in (("ipv4", four), ("ipv6", told.gateway6)):
        if gateway is None or not is_ours.get(family) or not getattr(guest, family):
            continue
        mac, now = guest.gateways.get(str(gateway)), traffic.claimed.get(str(gateway))
        if mac is not None and now is not None and now != mac:
            text = f"gateway {gateway} is at {mac}, but {now} answers for it"
            yield finding("warning", text, "gateway-moved", network=name, time=look.time)
        elif mac is not None and (moved := _moved(guest, str(gateway), look)) is not None:
            text = f"gateway {gateway} has moved from {moved.text} to {mac}"
            yield finding("warning", text, "gateway-moved", network=name, time=moved.time)
        elif mac is not None:
            yield ok(f"gateway {gateway} is at {mac}", network=name)
        elif not any(one.answer for one in guest.asked.values()):
            yield ok(f"gateway {gateway} is asked for when the guest appears", network=name)
        else:
            text = f"the MAC of gateway {gateway} is not known"
            yield finding("harm", text, "gateway-mac", network=name, time=look.time)


def _moved(guest: GuestStatus, gateway: str, look: Look) -> Said | None:
    moved = guest.moved.get(gateway)
    return moved if moved and look.epoch - epoch(moved.time) < _RECENT else None


def judge_others(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about other machines on the guest's network, and a server in the guest."""
    name = guest.network
    traffic = look.traffic.get(name, Traffic())
    yield from _duplicates(guest, look, traffic)
    if guest.provider != "kube-ovn":
        yield from _rogues(guest, look, traffic)
    dropped = look.guard.dropped if look.guard else ()
    by_guest = [one for one in dropped if one.link == guest.tap and one.packets]
    kinds = {what for one in by_guest if (what := _SERVER_KINDS.get(one.message))}
    if kinds:
        text = f"the guest acts as a server or router: its {' and '.join(sorted(kinds))} stop here"
        evidence = ", ".join(
            f"{one.packets} {one.message}" for one in by_guest if one.message in _SERVER_KINDS
        )
        yield finding(
            "warning", text, "guest-server", network=name, evidence=evidence, time=look.time
        )


def _duplicates(guest: GuestStatus, look: Look, traffic: Traffic) -> Iterator[Finding]:
    own = {text.partition("/")[0] for text in guest.ipv4 + guest.ipv6}
    for address, mac in traffic.claimed.items():
        if address in own and mac != guest.mac:
            text = f"another host has the guest's address {address}: {mac}"
            yield finding("harm", text, "duplicate-address", network=guest.network, time=look.time)
    for one in guest.warned:
        if one.kind == "event" and one.text.startswith("another host has"):
            yield finding(
                "harm", one.text, "duplicate-address", network=guest.network, time=one.time
            )


def _rogues(guest: GuestStatus, look: Look, traffic: Traffic) -> Iterator[Finding]:
    is_guarded = look.guard is not None and not look.guard.wrong
    anchor = "rogue" if is_guarded else "rogue-unguarded"
    severity: Severity = "warning" if is_guarded else "harm"
    named = False
    for one in guest.warned:
        if one.kind == "event" and one.text.startswith("rogue "):
            named = True
            yield finding(severity, one.text, anchor, network=guest.network, time=one.time)
    for what, address, mac in sorted(traffic.servers):
        if not any(mac in one.text for one in guest.warned):
            named = True
            text = f"rogue {what} {address} ({mac}) on the pod network"
            yield finding(severity, text, anchor, network=guest.network, time=look.time)
    dropped = look.guard.dropped if look.guard else ()
    stopped = [
        f"{one.packets} {_NIC_KINDS[one.message]}"
        for one in dropped
        if one.link == guest.nic and one.message in _NIC_KINDS and one.packets
    ]
    if stopped and not named:
        text = f"rogue servers or routers on the pod network: {', '.join(stopped)} stopped"
        yield finding("warning", text, "rogue", network=guest.network, time=look.time)
