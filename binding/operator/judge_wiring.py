"""Judges links, gateways and what else is on one guest's network. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, GuestStatus, Said, Severity, Status, Warned
from binding.operator.look import Look
from binding.operator.remedies import REMEDIES, finding, ok
from binding.operator.traffic import Traffic
from binding.process.logs import epoch

_RECENT = 3600.0
"""Seconds for which a gateway that moved is worth a warning."""
_QEMU = (0, 107)
"""Users that QEMU runs as in KubeVirt."""
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
    yield from _reader(guest, look)
    for link in (guest.tap, guest.nic, guest.bridge):
        yield from _held_back(guest, link, look)
    if guest.tap in status.wired:
        yield from _made_by_us(guest, look)
    if not wrong and tap is not None:
        path = " - ".join(filter(None, (guest.tap, guest.bridge, guest.nic)))
        yield ok(f"the links are as they should be: {path}, MTU {tap.mtu}", network=name)


def _reader(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Tell of a tap that no QEMU reads, and of one that QEMU may not open."""
    tap, details = look.links.get(guest.tap), look.details.get(guest.tap)
    if tap is None or details is None or details.kind != "tun" or tap.carrier or not tap.up:
        return
    text = f"no process reads {guest.tap}, so no QEMU is plugged in"
    remedy = REMEDIES["no-qemu"].replace("TAP", guest.tap)
    if details.owner is not None:
        text += f"; it belongs to user {details.owner}"
    if details.owner not in (None, *_QEMU):
        text += ", and QEMU, user 107, may not open it"
        remedy = "who made this tap? restart the VM, so that virt-handler makes its own"
    yield finding("harm", text, "no-qemu", network=guest.network, time=look.time, remedy=remedy)


def _held_back(guest: GuestStatus, link: str, look: Look) -> Iterator[Finding]:
    """Tell of settings of a link by which frames do not pass."""
    about = {"network": guest.network, "time": look.time}
    closed = look.details[link].closed if link in look.details else ()
    state = look.links.get(link)
    if closed and state is not None and state.up and state.carrier:
        yield finding("warning", f"{link}: {', '.join(closed)}", "bridge-port", **about)
    if what := look.queues.get(link):
        text = f"{link} has {', '.join(what)}: what the guest sends or gets may be held back"
        remedy = REMEDIES["traffic-control"].replace("LINK", link)
        yield finding("warning", text, "traffic-control", remedy=remedy, **about)


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
    if anchor == "placeholder" and "is up" in one.text:
        remedy = f"ip link set {guest.nic.removesuffix('-nic')} down in the pod's network namespace"
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


def judge_gateways(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about the guest's gateways."""
    told, name = guest.told, guest.network
    if told is None or guest.provider == "off":
        return
    traffic = look.traffic.get(name, Traffic())
    is_ours = {family: by == "in-pod" for family, by in guest.serves.items()}
    for family, gateway, gets in (
        ("ipv4", told.gateway4, told.gets_ipv4),
        ("ipv6", told.gateway6, told.gets_ipv6),
    ):
        if gateway is None or not is_ours.get(family) or not gets:
            continue
        if (mac := dict(told.permanent_neighbors).get(gateway)) is not None:
            text = f"gateway {gateway} is at {mac} by the pod's permanent entry: dsbridge answers"
            yield ok(f"{text} for it", network=name)
            continue
        mac, now = guest.gateways.get(str(gateway)), traffic.claimed.get(str(gateway))
        router = guest.router.address if family == "ipv6" and guest.router else ""
        silent = next((g for g in (str(gateway), router) if g in traffic.unanswered), "")
        if silent:
            text = f"gateway {silent} does not answer the guest, which asks for its MAC"
            yield finding("harm", text, "gateway-mac", network=name, time=look.time)
        elif mac is not None and now is not None and now != mac:
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
