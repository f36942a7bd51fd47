"""Warnings that tell an administrator of a fault before the guest runs into it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from binding.discover.annotation import PREFIX, Override
from binding.discover.nic import Nic
from binding.ipc.snapshot import Snapshot
from guest.network import GuestNetwork

# Its defaults, of the cluster's network and of user-defined ones.
_JOIN_NETWORKS = tuple(
    map(ip_network, ("100.64.0.0/16", "100.65.0.0/16", "fd98::/64", "fd99::/64"))
)


def remarks(guest: GuestNetwork, nic: Nic, change: Override, snapshot: Snapshot) -> Iterator[str]:
    """Yield the warnings about one guest, each with its remedy."""
    if not guest.is_served:
        return
    # In the shape `own` wiring refuses it.
    if guest.nic and guest.shape != "own" and nic.link.kind in ("macvlan", "ipvlan"):
        yield (
            f"the pod's link {nic.link.name} is a {nic.link.kind} link, which delivers no frame to "
            "another MAC than its own: behind a bridge the guest gets leases and reaches nothing; "
            "have the network attached by a veth, bridge or macvtap plugin"
        )
    if not nic.rewired and guest.mac != nic.link.mac.lower():
        yield from _other_mac(guest, nic)
    yield from nic.interface.dhcp.left_out
    yield from _unused(guest, change)
    if change.dns is None and not guest.dns:
        yield from _no_dns(guest, nic, snapshot)
    if guest.provider == "auto" and guest.delegated:
        yield (
            "delegate: where OVN offers the pod's IPv6 address, OVN serves DHCPv6 and delegates no "
            'prefix; write "provider": "in-pod"'
        )
    if change.ipv6_only is not None and guest.ipv6_only is None:
        yield (
            "ipv6Only: the guest has no IPv6 on this network, so option 108 is not sent; a guest "
            "that heeds it would have no network; leave ipv6Only out, or give an IPv6 address"
        )
    if guest.preference != "medium" and (guest.provider == "kube-ovn" or not guest.gets_ipv6):
        who = "OVN" if guest.provider == "kube-ovn" else "nobody"
        yield (
            f"preference {guest.preference}: {who} sends this NIC's router advertisements, so it "
            "has no effect; IPv4 has no preference, set route metrics in the guest, or defaultRoute"
        )
    if guest.provider != "kube-ovn":
        yield from _second_ipv4(guest)
        yield from _untold_ipv4_routes(guest)
        if guest.gets_ipv6:
            yield from _untold_ipv6(guest)


def _other_mac(guest: GuestNetwork, nic: Nic) -> Iterator[str]:
    """Name a MAC that the CNI will not let send, as far as the pod's layout shows which CNI it is.

    On other layouts (a bridge, Calico, AWS) the node learns any MAC by ARP.
    """
    pod = nic.link.mac.lower()
    remedy = (
        "the guest keeps the MAC of the pod that it came from: shut the VM down and start it, "
        "rather than migrate it"
        if guest.migration_target
        else "leave macAddress out of the VMI (and exclude the VM from kubemacpool)"
    )
    if guest.provider == "kube-ovn" or pod.startswith("00:00:00:"):
        yield (
            f"MAC: the guest has {guest.mac}, the pod's link {pod}, and OVN drops what another MAC "
            f"sends; {remedy}, or give the pod the same MAC in annotation "
            "ovn.kubernetes.io/mac_address"
        )
    elif _is_ovn_kubernetes(guest):
        yield (
            f"MAC: the guest has {guest.mac}, the pod's link {pod}, and OVN-Kubernetes drops what "
            f"another MAC sends: the guest gets leases and reaches nothing; {remedy}"
        )
    elif _is_cilium_like(guest, nic):
        yield (
            f"MAC: the guest has {guest.mac}, the pod's link {pod}; a CNI that wires pods as this "
            "one is (Cilium) delivers to the pod's MAC alone: the guest gets leases and reaches "
            f"nothing; {remedy}"
        )


def _is_ovn_kubernetes(guest: GuestNetwork) -> bool:
    """Say whether the pod has a route to the join networks of OVN-Kubernetes' routers."""
    return any(route.destination in _JOIN_NETWORKS and route.gateway for route in guest.routes)


def _is_cilium_like(guest: GuestNetwork, nic: Nic) -> bool:
    """Say whether the pod has host addresses only, behind a router with an address of its own.

    The gateways of Calico, AWS and Azure are link-local.
    """
    networks = [ip_network(str(address.network)) for address in nic.link.addresses]
    if any(network.prefixlen < network.max_prefixlen for network in networks):
        return False
    defaults = (route.gateway for route in (guest.default4, guest.default6) if route)
    gateways = [gateway for gateway in defaults if gateway is not None]
    known = {address for address, _ in guest.permanent_neighbors}
    return bool(gateways) and not any(one.is_link_local or one in known for one in gateways)


def _unused(guest: GuestNetwork, change: Override) -> Iterator[str]:
    """Name the gateways and routes of the annotation that the guest hears nothing of."""
    families = {address.version for address in guest.addresses}
    given = [("gateways", gateway) for gateway in change.gateways or ()]
    if given and change.default_route is False:
        yield "gateways are not told, since defaultRoute is false; leave one of both out"
    for key, one in (*given, *(("routes", route.destination) for route in change.routes or ())):
        if one.version not in families:
            yield (
                f"{key}: {one} is not told, the guest has no IPv{one.version} address on this NIC; "
                "give one in addresses, or leave it out"
            )


def _no_dns(guest: GuestNetwork, nic: Nic, snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.nameservers:
        yield "the guest gets no DNS server: the pod's resolv.conf names none; give dns"
    elif not nic.secondary:
        servers = ", ".join(map(str, snapshot.nameservers))
        yield (
            f"the guest gets no DNS server: none of its routes leads to {servers}; give gateways, "
            f"routes or dns in annotation {PREFIX}{guest.network}"
        )


def _second_ipv4(guest: GuestNetwork) -> Iterator[str]:
    if guest.gets_ipv4 and len(guest.ipv4) > 1:
        first, *others = guest.ipv4
        yield (
            f"the guest is not told {', '.join(map(str, others))}: DHCPv4 gives one address, the "
            f"pod's first, {first}; set the others in the guest, or choose the first with addresses"
        )


def _untold_ipv4_routes(guest: GuestNetwork) -> Iterator[str]:
    for route in guest.routes:
        via = route.gateway
        if route.destination.version == 4 and via is not None and via.version == 6:
            yield (
                f"the guest is not told the route to {route.destination}: it leads through {via}, "
                "and DHCPv4 only tells of IPv4 gateways; give gateways"
            )


def _untold_ipv6(guest: GuestNetwork) -> Iterator[str]:
    if guest.ipv6_mode == "slaac" and not any(a.network.prefixlen == 64 for a in guest.ipv6):
        had = ", ".join(map(str, guest.ipv6))
        yield f"ipv6 slaac: there is no /64 in {had}, so the guest makes no address; use dhcp"
    if guest.default6 is not None and guest.default6.gateway is None:
        yield "the IPv6 default route has no gateway, so the guest is told no router; give gateways"
    for route in guest.routes:
        via = route.gateway
        is_ipv6 = route.destination.version == 6 and via is not None
        if is_ipv6 and via != guest.gateway6:
            yield (
                f"the guest is not told the route to {route.destination}: it leads through {via}, "
                "and an advertisement only tells of its own router"
            )
