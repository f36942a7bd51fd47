"""Pod, VMI and annotation become the GuestNetwork of each NIC."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface
from types import MappingProxyType

from binding.discover import addressing, annotation, dns_name, impossible, network_status, resolver
from binding.discover.annotation import Override
from binding.discover.network_status import NetworkDns
from binding.discover.nic import Attachment, Nic, nic_of, pod_link
from binding.discover.plugged import as_plugged
from binding.discover.remarks import remarks
from binding.discover.vmi import Vmi, VmiError
from binding.discover.vmi_interface import VmiInterface
from binding.ipc.about import Remark
from binding.ipc.snapshot import Snapshot
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from guest.network import Address, Boot, GuestNetwork, TimeZone

DEFAULT_PLUGIN = "dsbridge"
HOOK_SIDECARS = "hooks.kubevirt.io/hookSidecars"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Discovery:
    """All NICs of a VMI that are ours."""

    guests: tuple[GuestNetwork, ...] = ()
    wirings: tuple[Wiring, ...] = ()
    """One for every guest of shape `own`, in the same order."""
    warnings: tuple[Remark, ...] = ()
    spared: tuple[str, ...] | None = None
    """In the shape takeover, where KubeVirt's DHCP server is muted: bridges of NICs that are not
    `bridge: {}`, where it is not. None in other shapes."""


def guests(  # noqa: PLR0913  # all that a NIC depends on
    snapshot: Snapshot,
    vmi: Vmi,
    attached: Mapping[str, Attachment],
    *,
    plugin: str | None,
    defaults: Override,
    wired: Collection[str] = (),
    links: Collection[str] = (),
    annotations: Mapping[str, str] = _NONE,
) -> Discovery:
    """Return what the guests of this VMI are told.

    `attached` are the domain's interfaces by network. `wired` are the taps that plumb made in
    this pod: in the domain of a later call they look like KubeVirt's. `links` are those that there
    are now in the shape `takeover`, in which KubeVirt plugs NICs in and out without a call.
    `annotations` are the pod's, as far as they are known.
    Raises MissingLink, OverrideError and VmiError.
    """
    ours, takeover = _ours(vmi, plugin or None)
    if takeover:
        vmi = as_plugged(snapshot, vmi, links)
        ours, _ = _ours(vmi, plugin or None)
    general = [*_unused(vmi)]
    networks = network_status.dns_by_link(annotations, general)
    warnings = [Remark("", text) for text in general]
    nics = [
        nic_of(snapshot, vmi, one, attached.get(one.name), takeover=takeover, wired=wired)
        for one in ours
    ]
    changes = {one.name: annotation.of_network(vmi.annotations, one.name, defaults) for one in ours}
    by_pod_network = _servers_by_pod_network(snapshot, vmi, nics, changes)
    found, wirings = [], []
    for nic in nics:
        warned: list[str] = []
        dns = networks.get(nic.names.pod) if nic.secondary else None
        guest = _guest(
            *(snapshot, vmi, nic, changes[nic.network]),
            network=dns or NetworkDns(),
            elsewhere=by_pod_network if nic.secondary else (),
            warned=warned,
        )
        found.append(guest)
        if nic.shape == "own":
            wirings.append(_wiring(vmi, nic, snapshot))
        warnings += [Remark(nic.network, text) for text in warned]
    _check_taps(found)
    if not ours:
        lacking = f"has binding {plugin or DEFAULT_PLUGIN}"
        if takeover:
            lacking = "is `bridge: {}`; one that KubeVirt plugs in will be served"
        warnings.append(Remark("", f"no interface of VMI {vmi.name} {lacking}"))
    spared = _bridges_of_others(snapshot, vmi) if takeover else None
    return Discovery(tuple(found), tuple(wirings), tuple(warnings), spared)


def _bridges_of_others(snapshot: Snapshot, vmi: Vmi) -> tuple[str, ...]:
    others = {one.name for one in vmi.interfaces if not one.core_bridge}
    networks = (one for one in vmi.networks if one.name in others)
    names = (
        link_names.names_of(pod_link(snapshot, vmi, one), primary=not one.secondary)
        for one in networks
    )
    return tuple(one.bridge for one in names)


def _servers_by_pod_network(
    snapshot: Snapshot, vmi: Vmi, nics: Iterable[Nic], changes: Mapping[str, Override]
) -> tuple[Address, ...]:
    """Return the pod's name servers that the guest reaches by its NIC on the pod's network."""
    for nic in nics:
        if not nic.secondary:
            change = changes[nic.network]
            told = {4: change.ipv4 != "off", 6: change.ipv6 != "off"}
            own = [one for one in addressing.addresses(nic.link, change) if told[one.version]]
            routes = addressing.routes(nic.link, own, change)
            return resolver.reachable(snapshot.nameservers, addressing.reached(own, routes))
    # KubeVirt's own DHCP server tells them by a NIC of another binding, such as masquerade.
    present = {one.name for one in vmi.interfaces if one.state != "absent"}
    there = (one for one in vmi.networks if one.name in present and one.kind != "other")
    return () if all(one.secondary for one in there) else snapshot.nameservers


def _check_taps(guests: Iterable[GuestNetwork]) -> None:
    taps: dict[str, str] = {}
    for guest in guests:
        other = taps.setdefault(guest.tap, guest.network)
        if other != guest.network:
            raise VmiError(
                f"networks {other} and {guest.network} both lead to {guest.tap}; "
                "only one network of a VMI can be the pod's, the others need multus"
            )


def _ours(vmi: Vmi, plugin: str | None) -> tuple[tuple[VmiInterface, ...], bool]:
    """Return the interfaces to serve, and whether they are KubeVirt's own (`bridge: {}`)."""
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


def _guest(  # noqa: PLR0913  # all that its answers depend on
    snapshot: Snapshot,
    vmi: Vmi,
    nic: Nic,
    change: Override,
    *,
    network: NetworkDns,
    elsewhere: Collection[Address],
    warned: list[str],
) -> GuestNetwork:
    if nic.rewired and not (change.gateways or change.routes or change.addresses):
        warned.append(
            f"the routes of {nic.names.pod} are unknown, this sidecar started after the pod was "
            f"rewired; give gateways in annotation {annotation.PREFIX}{nic.network} or restart the "
            "VM"
        )
    own = addressing.addresses(nic.link, change)
    annotation.check_mtu(change, nic.network, own)
    routes = addressing.routes(nic.link, own, change)
    ipv6 = tuple(address for address in own if isinstance(address, IPv6Interface))
    impossible.check(nic.network, change, own, routes)
    reached = addressing.reached(own, routes)
    dns, search = resolver.told(
        snapshot,
        vmi,
        change,
        network=network,
        elsewhere=elsewhere,
        reached=reached,
        warnings=warned,
    )
    dhcp = nic.interface.dhcp
    servers = dhcp.ntp if change.ntp is None else change.ntp
    routes = (*routes, *addressing.to_servers((*dns, *servers), own, routes))
    guest = GuestNetwork(
        network=nic.network,
        tap=nic.tap,
        mac=nic.mac(vmi, warned),
        mtu=nic.mtu(change.mtu, warned),
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
        preference=change.preference or "medium",
        gateway_lladdrs=addressing.lladdrs(nic.link, routes),
        permanent_neighbors=addressing.permanent(nic.link, own),
        deprecated=addressing.deprecated(vmi.status(nic.network).addresses, ipv6)
        if vmi.migration_target
        else (),
        delegated=change.delegate or (),
        lease=change.lease if isinstance(change.lease, int) else None,
        hostname=_hostname(vmi, change, warned),
        domain=next(iter(search), ""),
        fqdn_domain=resolver.fqdn_domain(snapshot, vmi.subdomain, vmi.namespace),
        search=search,
        dns=dns,
        ntp=tuple(one for one in servers if not isinstance(one, str)),
        ntp_names=tuple(one for one in servers if isinstance(one, str)),
        encrypted_dns=change.encrypted_dns or (),
        time_zone=change.time_zone or TimeZone(),
        boot=_boot(nic.interface, change),
        private=dhcp.private,
        captive_portal=change.captive_portal or "",
        pref64=change.pref64,
        # A guest that heeds option 108 where it has no IPv6 would have no network at all.
        ipv6_only=change.ipv6_only if ipv6 and change.ipv6 != "off" else None,
        cloud_init=change.cloud_init or "dhcp",
    )
    warned += remarks(guest, nic, change, snapshot)
    return guest


def _hostname(vmi: Vmi, change: Override, warned: list[str]) -> str:
    if change.hostname:
        return change.hostname
    try:
        return dns_name.valid(vmi.hostname)
    except ValueError:
        warned.append(f"host name {vmi.hostname!r} is no DNS name and left out")
        return ""


def _boot(interface: VmiInterface, change: Override) -> Boot:
    """Return the annotation's boot settings, with file and server of the VMI where it has none."""
    boot, dhcp = change.boot or Boot(), interface.dhcp
    return replace(boot, file=boot.file or dhcp.boot_file, server=boot.server or dhcp.tftp_server)


def _wiring(vmi: Vmi, nic: Nic, snapshot: Snapshot) -> Wiring:
    return Wiring(
        names=nic.names,
        mac=nic.link.mac,
        mtu=nic.link.mtu,
        addresses=nic.link.addresses,
        queues=max(1, vmi.queues(nic.interface)),
        owner=vmi.runtime_user,
        routes=nic.link.routes,
        records=snapshot.records,
    )
