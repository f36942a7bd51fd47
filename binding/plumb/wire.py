"""Own wiring: pod link and tap become ports of a bridge, under KubeVirt's names.

The pod link's addresses and MAC are the guest's from then on. So bridge, tap, port and
placeholder must not use them, nor send anything by themselves: no link-local address (hence no
DAD, RS or MLD), no ARP answer, no STP, no multicast querier.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from errno import EOPNOTSUPP
from functools import partial

from binding.ipc.messages import Wired
from binding.ipc.wiring import Wiring
from binding.packet.link_table import IFF_LOWER_UP, IFF_UP
from binding.packet.raw_netlink import RTM_NEWADDR
from binding.plumb import pod_link, tap
from binding.plumb.device_conf import ADDRESSES_NONE, generate_addresses, ignore_arp
from binding.plumb.netlink import (
    IPRoute,
    NetlinkError,
    NetlinkMessage,
    dump,
    link_index,
    renew,
    request,
)
from binding.plumb.steps import Step, carry_out
from guest.network import IPInterface

# The kernel refuses these as bridge ports; QEMU can open the latter two itself.
_NO_PORTS = ("macvlan", "ipvlan", "macvtap", "ipvtap")
_PLACEHOLDERS = ("dummy", "bridge")

Links = Mapping[str, NetlinkMessage]


class LinkError(Exception):
    """Another program's link has a name that wiring needs, or the pod's own link is missing."""


def wire(ipr: IPRoute, wirings: Sequence[Wiring], before_each: Callable[[], object]) -> Wired:
    """Wire all NICs or none.

    `before_each` is called before each step, and may raise to stop there. Raises StepError after
    every change was undone, LinkError before anything was touched.
    """
    links = {link.get("ifname"): link for link in dump(ipr.link)}
    adopted = [one for one in wirings if _complete(links, one)]
    wired = [one for one in wirings if one not in adopted]
    for one in wired:
        _check(links, one)
    made = [step for one in wired for step in steps(ipr, links, one)]
    carry_out(made, before_each, before_undo=partial(renew, ipr))
    return Wired(*(tuple(one.names.pod for one in part) for part in (wired, adopted)))


def steps(ipr: IPRoute, links: Links, wiring: Wiring) -> Iterator[Step]:
    """Yield the steps from the links that the pod has to a wired pod link.

    Where an earlier plumb was killed half-way, its changes are undone first: no QEMU had opened
    its tap yet.
    """
    names = wiring.names
    killed = names.nic in links or _was_taken_down(links[names.pod], wiring)
    for name in (names.tap, names.bridge, *([names.pod] if names.nic in links else [])):
        if name in links:
            yield Step(f"remove {name} of an interrupted wiring", partial(_delete, ipr, name))
    if killed:
        before = pod_link.recall(links.get(names.nic) or links[names.pod], wiring)
        yield Step(f"restore {names.pod}", partial(pod_link.restore, ipr, before))
    else:
        before = pod_link.remember(ipr, links[names.pod])
    for part in bridge_steps(ipr, wiring):
        yield from part
    yield from _nic(ipr, wiring, before)
    yield from placeholder_steps(ipr, wiring)
    for name in (names.bridge, names.nic, names.tap):
        yield Step(f"bring up {name}", partial(set_link, ipr, name, state="up"))


def _was_taken_down(link: NetlinkMessage, wiring: Wiring) -> bool:
    """Say whether the CNI's link is down, which its addresses say it had brought up."""
    return bool(wiring.records and wiring.addresses) and not link["flags"] & IFF_UP


def bridge_steps(ipr: IPRoute, wiring: Wiring) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps that make the bridge, and those that make the tap and attach it."""
    names = wiring.names
    bridge = partial(
        ipr.link,
        "add",
        ifname=names.bridge,
        kind="bridge",
        mtu=wiring.mtu,
        address=_random_mac(),  # else the kernel changes the bridge's MAC with every new port
        br_stp_state=0,
        br_forward_delay=0,
        br_mcast_snooping=0,
    )
    device = partial(tap.create, names.tap, multi_queue=wiring.queues > 1, owner=wiring.owner)
    return (
        Step(f"create bridge {names.bridge}", bridge, partial(_delete, ipr, names.bridge)),
        Step(f"silence {names.bridge}", partial(silence, ipr, names.bridge)),
    ), (
        Step(f"create tap {names.tap}", device, partial(_delete, ipr, names.tap)),
        Step(f"silence {names.tap}", partial(silence, ipr, names.tap)),
        Step(f"set the MTU of {names.tap}", partial(set_link, ipr, names.tap, mtu=wiring.mtu)),
        attach_step(ipr, names.tap, names.bridge),
    )


def _nic(ipr: IPRoute, wiring: Wiring, before: pod_link.PodLink) -> Iterator[Step]:
    """Turn the pod link into a bridge port; the undo of the first step undoes all of them."""
    nic, index = wiring.names.nic, before.index
    restore = partial(pod_link.restore, ipr, before)
    change = partial(ipr.link, "set", index=index)
    yield Step(f"take down {before.name}", partial(change, state="down"), restore)
    yield Step(f"rename {before.name} to {nic}", partial(change, ifname=nic))
    yield Step(f"flush the addresses of {nic}", partial(pod_link.flush, ipr, index))
    yield Step(f"set the MAC of {nic}", partial(change, address=_random_mac()))
    yield Step(f"silence {nic}", partial(silence, ipr, nic))
    yield attach_step(ipr, nic, wiring.names.bridge)
    # The guest's MAC is behind the tap: a frame from outside with that MAC must not move it.
    no_learning = partial(ipr.brport, "set", index=index, learning=0)
    yield Step(f"turn off learning on {nic}", no_learning)


def placeholder_steps(ipr: IPRoute, wiring: Wiring) -> Iterator[Step]:
    """Make a link that stays down, with the pod link's name, MAC and addresses, for CNI CHECK."""
    name = wiring.names.pod
    create = partial(_create_placeholder, ipr, wiring)
    yield Step(f"create placeholder {name}", create, partial(_delete, ipr, name))
    yield Step(f"turn off ARP on {name}", partial(set_link, ipr, name, arp=False))
    yield Step(f"silence {name}", partial(silence, ipr, name))
    for address in wiring.addresses:
        yield Step(f"keep {address} on {name}", partial(_keep, ipr, name, address))


def _create_placeholder(ipr: IPRoute, wiring: Wiring) -> None:
    what = {"ifname": wiring.names.pod, "address": wiring.mac, "mtu": wiring.mtu}
    try:
        ipr.link("add", kind="dummy", **what)
    except NetlinkError as error:
        if error.code != EOPNOTSUPP:
            raise
        ipr.link("add", kind="bridge", **what)


def _keep(ipr: IPRoute, name: str, address: IPInterface) -> None:
    message = pod_link.address_message(link_index(ipr, name), address, pod_link.NODAD)
    request(ipr, message, RTM_NEWADDR, pod_link.CREATE)


def attach_step(ipr: IPRoute, port: str, bridge: str) -> Step:
    """Return the step that makes a link a port of the bridge."""

    def attach() -> None:
        set_link(ipr, port, master=link_index(ipr, bridge))

    return Step(f"attach {port} to {bridge}", attach)


def silence(ipr: IPRoute, name: str) -> None:
    number = link_index(ipr, name)
    generate_addresses(ipr, number, ADDRESSES_NONE)
    ignore_arp(ipr, number)


def set_link(ipr: IPRoute, name: str, **what: object) -> None:
    """Change a link, by its name."""
    ipr.link("set", index=link_index(ipr, name), **what)


def _delete(ipr: IPRoute, name: str) -> None:
    ipr.link("del", index=link_index(ipr, name))


def _random_mac() -> str:
    """Locally administered, unicast."""
    octets = os.urandom(6)
    return bytes([octets[0] & 0xFC | 0x02, *octets[1:]]).hex(":")


def _kind(link: NetlinkMessage) -> str:
    return link.get(("linkinfo", "kind")) or ""


def _complete(links: Links, wiring: Wiring) -> bool:
    """Say whether the pod's links are as steps() would leave them."""
    names = wiring.names
    try:
        pod, nic, bridge, port = (
            links[name] for name in (names.pod, names.nic, names.bridge, names.tap)
        )
    except KeyError:
        return False
    return (
        nic.get("master") == port.get("master") == bridge["index"]
        and all(link["flags"] & IFF_UP for link in (nic, bridge, port))
        and pod.get("address") == wiring.mac
        and port.get("mtu") == bridge.get("mtu") == wiring.mtu
        and _fits(port, wiring)
    )


def _fits(port: NetlinkMessage, wiring: Wiring) -> bool:
    if _kind(port) != "tun":
        return False
    multi_queue = bool(port.get(("linkinfo", "data", "tun_multi_queue")))
    owner = port.get(("linkinfo", "data", "tun_owner"))
    return multi_queue == (wiring.queues > 1) and owner == wiring.owner


def _check(links: Links, wiring: Wiring) -> None:
    """Raise LinkError unless every link is the pod's or what an interrupted run left."""
    names = wiring.names
    if names.nic not in links and names.pod not in links:
        raise LinkError(f"the pod has no link {names.pod}, only {', '.join(links)}")
    port = links[names.nic if names.nic in links else names.pod]
    if _kind(port) in _NO_PORTS:
        remedy = "register the binding with domainAttachmentType: tap"
        if not _kind(port).endswith("tap"):
            remedy = "have the network attached by a veth, bridge or macvtap plugin"
        raise LinkError(
            f"{names.pod} is a {_kind(port)} link, which cannot be the port of a bridge; {remedy}"
        )
    expected: dict[str, tuple[str, ...]] = {names.bridge: ("bridge",), names.tap: ("tun",)}
    if names.nic in links:
        expected[names.pod] = _PLACEHOLDERS
    for name, kinds in expected.items():
        if name in links and _kind(links[name]) not in kinds:
            raise LinkError(
                f"link {name} already exists and dsbridge did not create it (kind: "
                f"{_kind(links[name]) or 'hardware'}); remove it, or the component that creates it"
            )
    if names.tap in links and links[names.tap]["flags"] & IFF_LOWER_UP:
        raise LinkError(
            f"{names.tap} is open in QEMU, but not wired as this VM needs it "
            f"(MTU {wiring.mtu}, {wiring.queues} queues); restart the VM"
        )
