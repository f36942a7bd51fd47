"""virt-handler's part: what its phase 1 makes of the pod's links, before virt-launcher acts."""

from __future__ import annotations

from tests.bed.netns import Netns

QEMU_USER = 107


def managed_tap(pod: Netns, link: str = "eth0", *, queues: int = 1, tap: str = "") -> None:
    """Wire a NIC for `domainAttachmentType: managedTap`; two queues or more make it multiqueue.

    `tap` is the tap's name where the pod's own link is not called eth0.
    """
    _wire(pod, link, queues, bridge_address="", tap=tap)


def core_bridge(pod: Netns, link: str = "eth0", *, queues: int = 1, index: int = 0) -> None:
    """Wire a NIC for the core binding `bridge: {}`; `index` is its place in the VMI's spec."""
    _wire(pod, link, queues, bridge_address=f"addr add 169.254.75.1{index}/32 dev {{bridge}}")


def unplug(pod: Netns, link: str) -> None:
    """Take away what phase 1 made of a NIC whose state is `absent`; the pod's own link stays."""
    short = link.removeprefix("pod")
    for name in (f"k6t-{short}", f"tap{short}", link):
        pod.ip(f"link del {name}")


def _wire(pod: Netns, link: str, queues: int, bridge_address: str, tap: str = "") -> None:
    """Replace the link by bridge, NIC, tap and placeholder; no route survives it."""
    short = link.removeprefix("pod")
    bridge, nic = f"k6t-{short}", f"{short}-nic"
    tap = tap or ("tap0" if link == "eth0" else f"tap{link[3:]}")
    found = pod.query("addr", "show", "dev", link)[0]
    mac, mtu = found["address"], found["mtu"]
    addresses = [
        f"{item['local']}/{item['prefixlen']}"
        for item in found["addr_info"]
        if item["scope"] == "global"
    ]
    multiqueue = "multi_queue" if queues > 1 else ""
    pod.ip(f"""
        link add {bridge} type bridge
        link set {link} down
        addr flush dev {link}
        link set {link} name {nic}
        tuntap add dev {tap} mode tap user {QEMU_USER} group {QEMU_USER} {multiqueue}
        link set {tap} mtu {mtu}""")
    random_mac = pod.query("link", "show", "dev", bridge)[0]["address"]
    # The stand-in for KubeVirt's dummy is a port-less bridge: not every kernel has dummies.
    pod.ip(f"""
        link set {nic} address {random_mac}
        link set {nic} master {bridge} up
        link set {nic} type bridge_slave learning off
        link set {tap} master {bridge} up
        link set {bridge} mtu {mtu} up
        {bridge_address.format(bridge=bridge)}
        link add {link} address {mac} mtu {mtu} type bridge
        link set {link} arp off""")
    pod.ip("\n".join(f"addr add {address} dev {link}" for address in addresses))
    if any("." in address for address in addresses):
        pod.sysctl(ipv4__conf__all__arp_ignore=1)
