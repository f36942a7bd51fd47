"""From pod and VMI to what each guest NIC is told: where every value comes from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface

from binding.discover import addressing, annotation, dns_name
from binding.discover.annotation import Override
from binding.discover.nic import Attachment, MissingLink, Nic, nic_of
from binding.discover.vmi import Vmi, VmiError
from binding.discover.vmi_interface import Interface
from binding.ipc.snapshot import Snapshot
from binding.ipc.wiring import Wiring
from guest.network import Boot, GuestNetwork

__all__ = ["Attachment", "Discovery", "MissingLink", "guests"]

DEFAULT_PLUGIN = "dsbridge"
HOOK_SIDECARS = "hooks.kubevirt.io/hookSidecars"


@dataclass(frozen=True, slots=True)
class Discovery:
    """All NICs of a VMI that are ours."""

    guests: tuple[GuestNetwork, ...] = ()
    wirings: tuple[Wiring, ...] = ()
    """One for every guest of shape `own`, in the same order."""
    warnings: tuple[str, ...] = ()


def guests(  # noqa: PLR0913  # all that a NIC depends on
    snapshot: Snapshot,
    vmi: Vmi,
    attached: Mapping[str, Attachment],
    *,
    plugin: str | None,
    defaults: Override,
    wired: Collection[str] = (),
) -> Discovery:
    """Return what the guests of this VMI are told.

    `attached` are the domain's interfaces by network. `wired` are the taps that we made in
    this pod: a later pass shows them in the domain, where they look like KubeVirt's.
    Raises MissingLink, OverrideError and VmiError.
    """
    ours, takeover = _ours(vmi, plugin or None)
    warnings = [*_unused(vmi)]
    found, wirings = [], []
    for interface in ours:
        change = annotation.of_network(vmi.annotations, interface.name, defaults)
        attachment = attached.get(interface.name)
        nic = nic_of(snapshot, vmi, interface, attachment, takeover=takeover, wired=wired)
        notes: list[str] = []
        found.append(_guest(snapshot, vmi, nic, change, notes))
        if nic.shape == "own":
            wirings.append(_wiring(vmi, nic))
        warnings += [f"network {interface.name}: {note}" for note in notes]
    _check_taps(found)
    if not ours:
        warnings.append(f"no interface of VMI {vmi.name} has binding {plugin or DEFAULT_PLUGIN}")
    return Discovery(tuple(found), tuple(wirings), tuple(warnings))


def _check_taps(guests: Iterable[GuestNetwork]) -> None:
    taps: dict[str, str] = {}
    for guest in guests:
        other = taps.setdefault(guest.tap, guest.network)
        if other != guest.network:
            raise VmiError(
                f"networks {other} and {guest.network} both lead to {guest.tap}; "
                "only one network of a VMI can be the pod's, the others need multus"
            )


def _ours(vmi: Vmi, plugin: str | None) -> tuple[tuple[Interface, ...], bool]:
    """Return the interfaces to serve, and whether we take them over from KubeVirt."""
    present = [interface for interface in vmi.interfaces if interface.state != "absent"]
    named = tuple(one for one in present if one.binding == (plugin or DEFAULT_PLUGIN))
    if named or plugin or HOOK_SIDECARS not in vmi.annotations:
        return named, False
    return tuple(one for one in present if one.core_bridge), True


def _unused(vmi: Vmi) -> Iterable[str]:
    """Name the annotations that change nothing, such as one with a mistyped network."""
    known = [annotation.PREFIX + interface.name for interface in vmi.interfaces]
    for name in vmi.annotations:
        if name.startswith(annotation.PREFIX) and name not in known:
            yield f"annotation {name} is of no interface of the VMI; known: {', '.join(known)}"


def _guest(
    snapshot: Snapshot, vmi: Vmi, nic: Nic, change: Override, notes: list[str]
) -> GuestNetwork:
    if nic.rewired and not (change.gateways or change.routes or change.addresses):
        notes.append(
            f"the routes of {nic.names.pod} are unknown, this sidecar started after the pod was "
            f"rewired; give gateways in annotation {annotation.PREFIX}{nic.network} or restart the "
            "VM"
        )
    own = addressing.addresses(nic.link, change)
    routes = addressing.routes(nic.link, own, change)
    ipv6 = tuple(address for address in own if isinstance(address, IPv6Interface))
    search = _search(snapshot, vmi, change, notes)
    dhcp = nic.interface.dhcp
    guest = GuestNetwork(
        network=nic.network,
        tap=nic.tap,
        mac=nic.mac(vmi, notes),
        mtu=nic.mtu(change.mtu, notes),
        shape=nic.shape,
        provider=change.provider or "in-pod",
        uid=vmi.uid,
        bridge=nic.bridge,
        nic=nic.port,
        migration_target=vmi.migration_target,
        shield=change.shield is not False,
        ipv4=tuple(address for address in own if isinstance(address, IPv4Interface)),
        ipv6=ipv6,
        ipv4_mode=change.ipv4 or "dhcp",
        ipv6_mode=change.ipv6 or "dhcp",
        routes=routes,
        gateway_lladdrs=addressing.lladdrs(nic.link, routes),
        permanent_neighbors=addressing.permanent(nic.link, own),
        deprecated=addressing.deprecated(vmi.status(nic.network).addresses, ipv6)
        if vmi.migration_target
        else (),
        lease=change.lease if isinstance(change.lease, int) else None,
        hostname=_hostname(vmi, change, notes),
        domain=max(search, key=len, default=""),
        search=search,
        dns=snapshot.nameservers if change.dns is None else change.dns,
        ntp=dhcp.ntp if change.ntp is None else change.ntp,
        boot=_boot(nic.interface, change),
        private=dhcp.private,
        captive_portal=change.captive_portal or "",
        pref64=change.pref64,
        ipv6_only=change.ipv6_only,
    )
    if guest.provider == "kube-ovn" and not nic.rewired and guest.mac != nic.link.mac.lower():
        notes.append(
            f"MAC: the guest has {guest.mac}, the pod's link {nic.link.mac}, and OVN drops what "
            "another MAC sends; leave macAddress out of the VMI, or give the pod the same one in "
            "annotation ovn.kubernetes.io/mac_address"
        )
    if own and not guest.dns and change.dns is None:
        notes.append("the guest gets no DNS server: the pod's resolv.conf names none; give dns")
    notes += _untold(guest)
    return guest


def _untold(guest: GuestNetwork) -> Iterable[str]:
    """Say what neither DHCP nor a router advertisement can, so that it does not fail in silence."""
    for route in guest.routes:
        via = route.gateway
        if route.destination.version == 4 and via is not None and via.version == 6:
            yield (
                f"the guest is not told the route to {route.destination}: it leads through {via}, "
                "and DHCPv4 only tells of IPv4 gateways; give gateways"
            )
    if not guest.ipv6 or guest.ipv6_mode == "off":
        return
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


def _search(snapshot: Snapshot, vmi: Vmi, change: Override, notes: list[str]) -> tuple[str, ...]:
    if change.search is not None:
        return change.search
    pod, invalid = dns_name.search_list(snapshot.search)
    good, worse = dns_name.search_list(dns_name.with_subdomain(pod, vmi.subdomain))
    notes += [f"search domain {name!r} is no DNS name and left out" for name in invalid + worse]
    return good


def _hostname(vmi: Vmi, change: Override, notes: list[str]) -> str:
    if change.hostname:
        return change.hostname
    try:
        return dns_name.valid(vmi.hostname)
    except ValueError:
        notes.append(f"host name {vmi.hostname!r} is no DNS name and left out")
        return ""


def _boot(interface: Interface, change: Override) -> Boot:
    """Merge the VMI's boot file and server into what the override says of the rest."""
    boot, dhcp = change.boot or Boot(), interface.dhcp
    return replace(boot, file=boot.file or dhcp.boot_file, server=boot.server or dhcp.tftp_server)


def _wiring(vmi: Vmi, nic: Nic) -> Wiring:
    return Wiring(
        names=nic.names,
        mac=nic.link.mac,
        mtu=nic.link.mtu,
        addresses=nic.link.addresses,
        queues=max(1, vmi.queues(nic.interface)),
        owner=vmi.runtime_user,
        routes=nic.link.routes,
    )
