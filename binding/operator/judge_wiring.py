"""Judges links, gateways and what else is on one guest's network. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, GuestStatus, Said, Severity, Warned
from binding.operator.look import Look, gateways
from binding.operator.remedies import REMEDIES, finding, ok
from binding.process.logs import epoch
from guest.network import Address

_RECENT = 3600.0
"""Seconds for which a gateway that moved is worth a warning."""
_QEMU = (0, 107)
"""Users that QEMU runs as in KubeVirt."""
_LINK_KINDS = ("tap", "nic", "bridge", "placeholder")
_NO_HARM = ("mtu", "placeholder", "placeholder-up", "bridge-port", "addrgenmode")
"""Codes of warnings about links with which the guest has its network all the same."""
PARAGRAPHS = {
    "placeholder-up": ("placeholder", "ip link set LINK down in the pod's network namespace"),
    "addrgenmode": ("bridge-port", "ip link set LINK addrgenmode none"),
    "port-closed": ("bridge-port", REMEDIES["bridge-port"]),
}
"""Anchor and remedy of a code that is no anchor itself."""


def is_of_links(one: Warned) -> bool:
    """Return whether a warning of the sidecar is about a link of the guest."""
    return one.kind.partition(" ")[0] in _LINK_KINDS


def judge_links(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about the links of a guest."""
    wrong = [one for one in guest.warned if is_of_links(one)]
    for one in wrong:
        yield _link_fault(guest, one)
    if not any(one.code == "pod-has-mac" for one in wrong):
        yield from _kept(guest, look)
    tap = look.links.get(guest.tap)
    yield from _reader(guest, look)
    for link in (guest.tap, guest.nic, guest.bridge):
        yield from _held_back(link, look)
    if not wrong and tap is not None:
        path = " - ".join(filter(None, (guest.tap, guest.bridge, guest.nic)))
        yield ok(f"the links are as they should be: {path}, MTU {tap.mtu}")


def _reader(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Tell of a tap that no QEMU reads, and of one that QEMU may not open."""
    tap, details = look.links.get(guest.tap), look.details.get(guest.tap)
    if tap is None or details is None or details.kind != "tun" or tap.carrier or not tap.up:
        return
    text = f"no process reads {guest.tap}, so no QEMU is plugged in"
    remedy = REMEDIES["no-qemu"].replace("TAP", guest.tap)
    if details.owner is not None:
        text += f"; it belongs to user {details.owner}"
    if details.odd:
        text += f"; it is {', '.join(details.odd)}"
    if details.owner not in (None, *_QEMU):
        text += ", and QEMU, user 107, may not open it"
        remedy = "who made this tap? restart the VM, so that virt-handler makes its own"
    yield finding("harm", text, "no-qemu", remedy=remedy)


def _kept(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Tell of entries by which the bridge takes frames of guest and gateways for the pod's."""
    whose = {guest.mac: "the guest's own MAC"}
    whose |= {mac: f"the MAC of gateway {address}" for address, mac in guest.gateways.items()}
    for mac, what in whose.items():
        for link in sorted(look.kept.get(mac, frozenset()) & {guest.tap, guest.nic, guest.bridge}):
            text = f"the bridge keeps frames for {mac}, {what}, by a permanent entry at {link}"
            remedy = f"bridge fdb del {mac} dev {link} master; who made that entry?"
            yield finding("harm", text, "pod-has-mac", remedy=remedy)


def _held_back(link: str, look: Look) -> Iterator[Finding]:
    """Tell of traffic control of others by which frames do not pass."""
    if what := look.queues.get(link):
        text = f"{link} has {', '.join(what)}: what the guest sends or gets may be held back"
        remedy = REMEDIES["traffic-control"].replace("LINK", link)
        yield finding("warning", text, "traffic-control", remedy=remedy)


def _link_fault(guest: GuestStatus, one: Warned) -> Finding:
    kind = one.kind.partition(" ")[0]
    link = guest.nic.removesuffix("-nic") if kind == "placeholder" else getattr(guest, kind)
    anchor, remedy = PARAGRAPHS.get(one.code) or (one.code, REMEDIES[one.code])
    remedy = remedy.replace("LINK", link).replace("BRIDGE", guest.bridge)
    remedy = remedy.replace(" mtu MTU", f" mtu {guest.mtu}")
    severity: Severity = "warning" if one.code in _NO_HARM else "harm"
    return finding(severity, one.text, anchor, time=one.time, remedy=remedy)


def judge_gateways(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield the findings about the guest's gateways."""
    permanent = dict(guest.told.permanent_neighbors) if guest.told else {}
    for gateway in gateways(guest):
        if (mac := permanent.get(gateway)) is not None:
            text = f"gateway {gateway} is at {mac} by the pod's permanent entry: dsbridge answers"
            yield ok(f"{text} for it")
        elif (found := _gateway(guest, look, gateway)) is not None:
            yield found


def _gateway(guest: GuestStatus, look: Look, address: Address) -> Finding | None:
    """Judge one gateway; None where what is wrong is told with the links."""
    traffic = look.traffic_of(guest)
    gateway = str(address)
    mac = guest.gateways.get(gateway)
    router = guest.router.address if address.version == 6 and guest.router else ""
    silent = next((one for one in (gateway, router) if one in traffic.unanswered), "")
    if gateway in traffic.asked - traffic.claimed.keys():
        silent = gateway
    if mac is not None and guest.tap in look.ports.get(mac, ()):
        text = f"the bridge sends frames for {mac}, the MAC of gateway {gateway}, to the guest"
        remedy = REMEDIES["gateway-at-tap"].replace("BRIDGE", guest.bridge)
        return finding("harm", text, "gateway-at-tap", remedy=remedy)
    # Without the gateway's MAC dsbridge cannot answer for a router of its own: one cause, one text.
    if silent and mac is not None:
        text = f"gateway {silent} does not answer the guest, which asks for its MAC"
        is_explained = bool(traffic.stays_inside) or any(is_of_links(one) for one in guest.warned)
        return None if is_explained else finding("harm", text, "gateway-mac")
    if mac is not None:
        return _known_gateway(guest, look, gateway, mac)
    if any(one.answer for one in guest.asked.values()):
        return finding("harm", f"the MAC of gateway {gateway} is not known", "gateway-mac")
    return ok(f"gateway {gateway} is asked for when the guest appears")


def _known_gateway(guest: GuestStatus, look: Look, gateway: str, mac: str) -> Finding:
    text = f"gateway {gateway} is at {mac}"
    now = look.traffic_of(guest).claimed.get(gateway, mac)
    if now != mac:
        text += f", but {now} answers for it"
        return finding("warning", text, "gateway-moved")
    if (moved := _moved(guest, gateway, look)) is not None:
        text = f"gateway {gateway} has moved from {moved.text} to {mac}"
        return finding("warning", text, "gateway-moved", time=moved.time)
    return ok(text)


def _moved(guest: GuestStatus, gateway: str, look: Look) -> Said | None:
    moved = guest.moved.get(gateway)
    return moved if moved and look.epoch - epoch(moved.time) < _RECENT else None
