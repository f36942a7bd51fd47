"""NICs that KubeVirt plugs into a running VM, or out of it, in the `takeover` shape. Pure.

KubeVirt calls no hook then. The links that it has wired say which NICs there are; the VMI is that
of the VM's start. A link's name has only the hash of its network's name: an annotation
`dsbridge.io/<network>` with that hash tells the name, else the link's name is taken for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from binding.discover import annotation
from binding.discover.nic import pod_link
from binding.discover.vmi import InterfaceStatus, Vmi, VmiNetwork
from binding.discover.vmi_interface import VmiInterface
from binding.ipc.snapshot import Snapshot
from binding.packet import link_names


def as_plugged(snapshot: Snapshot, vmi: Vmi, links: Collection[str]) -> Vmi:
    """Return the VMI with the bridge NICs that there are now.

    `links` are the names of the pod's links now; none: KubeVirt has told of all NICs itself.
    """
    if not links:
        return vmi
    kept = tuple(one for one in vmi.interfaces if not _is_unplugged(snapshot, vmi, one, links))
    known = {
        pod_link(snapshot, vmi, network)
        for network in vmi.networks
        if any(one.name == network.name for one in kept)
    }
    found = {_network(vmi, link): link for link in _wired(snapshot, links) if link not in known}
    return replace(
        vmi,
        interfaces=(*kept, *(VmiInterface(name, core_bridge=True) for name in found)),
        networks=(
            *(one for one in vmi.networks if one.name not in found),
            *(VmiNetwork(name, "multus") for name in found),
        ),
        statuses={
            **vmi.statuses,
            **{name: InterfaceStatus(pod_link=link) for name, link in found.items()},
        },
    )


def _is_unplugged(
    snapshot: Snapshot, vmi: Vmi, interface: VmiInterface, links: Collection[str]
) -> bool:
    network = vmi.network(interface.name)
    if network is None or not network.secondary or not interface.core_bridge:
        return False
    names = link_names.names_of(pod_link(snapshot, vmi, network), primary=False)
    return names.bridge not in links and names.tap not in links


def _wired(snapshot: Snapshot, links: Collection[str]) -> Iterator[str]:
    for link in snapshot.links:
        if link_names.is_secondary(link.name):
            names = link_names.names_of(link.name, primary=False)
            if {names.bridge, names.tap, names.nic} <= set(links):
                yield link.name


def _network(vmi: Vmi, link: str) -> str:
    annotated = (
        name.removeprefix(annotation.PREFIX)
        for name in vmi.annotations
        if name.startswith(annotation.PREFIX)
    )
    return next((one for one in annotated if link_names.hashed(one) == link), link)
