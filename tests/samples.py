"""VMIs and domains as KubeVirt makes them, and pods as CNIs make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from types import MappingProxyType
from typing import Any

from binding.discover.annotation import parse_defaults
from binding.discover.guests import Discovery, guests
from binding.discover.nic import Attachment
from binding.discover.vmi import Vmi, decode
from binding.ipc.snapshot import Link, Snapshot
from binding.packet import link_names
from guest.network import Boot, GuestNetwork, Route

_HERE = Path(__file__).parent
VMIS = sorted(path.stem.removeprefix("vmi-") for path in (_HERE / "vmis").glob("*.json"))
DOMAINS = sorted(path.stem for path in (_HERE / "domains").glob("*.xml"))

POD_MAC = "0a:58:0a:f4:01:05"
GATEWAY_MAC = "0a:58:0a:f4:01:01"


def vmi_object(name: str) -> dict[str, Any]:
    """The JSON object of vmis/vmi-<name>.json, to be changed at will."""
    return json.loads((_HERE / "vmis" / f"vmi-{name}.json").read_bytes())


def vmi(name: str, annotations: dict[str, str] | None = None, **interface: object) -> Vmi:
    """The VMI, with more annotations and with fields of its first interface changed."""
    value = vmi_object(name)
    value["metadata"]["annotations"].update(annotations or {})
    value["spec"]["domain"]["devices"]["interfaces"][0].update(interface)
    return decode(json.dumps(value).encode())


def vmi_json(
    annotations: Mapping[str, object] | None = None,
    name: str = "01-single-binding",
    *,
    arriving: bool = False,
    mac: str = "",
) -> str:
    """The VMI as the sidecar gets it, with more annotations, whose values are encoded as JSON.

    `arriving`: on the target of a migration; `mac`: the macAddress of its first interface.
    """
    value = vmi_object(name)
    given = {key: json.dumps(one) for key, one in (annotations or {}).items()}
    value["metadata"]["annotations"].update(given)
    if mac:
        value["spec"]["domain"]["devices"]["interfaces"][0]["macAddress"] = mac
    if arriving:
        value["status"]["migrationState"] = {"migrationUid": "1", "targetNode": "node2"}
    return json.dumps(value)


def domain_xml(name: str) -> bytes:
    """The bytes of domains/<name>.xml."""
    return (_HERE / "domains" / f"{name}.xml").read_bytes()


def sample_of(domain: str) -> str:
    """The name of the VMI that a domain was made from."""
    return domain.split(".", maxsplit=1)[0]


def route(to: str, via: str | None = None) -> Route:
    return Route(ip_network(to), ip_address(via) if via else None)


def pod_link(
    name: str, addresses: tuple[str, ...], routes: tuple[Route, ...], **other: object
) -> Link:
    fields: dict[str, Any] = {"index": 2, "mac": POD_MAC, "mtu": 1450, "kind": "veth", "up": True}
    return Link(
        name,
        addresses=tuple(ip_interface(address) for address in addresses),
        routes=routes,
        **fields | other,
    )


def snapshot(*links: Link, search: tuple[str, ...] = ("ns1.svc.cluster.local",)) -> Snapshot:
    lo = Link("lo", 1, "00:00:00:00:00:00", 65536, up=True)
    return Snapshot(4026532000, (lo, *links), (ip_address("10.96.0.10"),), search)


FLAT_LINK = pod_link(
    "eth0",
    ("10.244.1.5/24", "fd00:10:244:1::5/64"),
    (
        route("0.0.0.0/0", "10.244.1.1"),
        route("10.244.1.0/24"),
        route("::/0", "fd00:10:244:1::1"),
        route("fd00:10:244:1::/64"),
    ),
    neighbors=((ip_address("10.244.1.1"), GATEWAY_MAC), (ip_address("10.244.1.77"), POD_MAC)),
)
FLAT = snapshot(FLAT_LINK)

KINDNET = snapshot(
    pod_link(
        "eth0",
        ("10.244.1.5/24", "fd00:10:244:1::5/64"),
        (
            route("0.0.0.0/0", "10.244.1.1"),
            route("10.244.1.0/24", "10.244.1.1"),
            route("10.244.1.1/32"),
            route("::/0", "fd00:10:244:1::1"),
            route("fd00:10:244:1::/64", "fd00:10:244:1::1"),
            route("fd00:10:244:1::1/128"),
        ),
    )
)

CALICO = snapshot(
    pod_link(
        "eth0",
        ("10.244.1.5/32", "fd00:10:244:1::5/128"),
        (
            route("0.0.0.0/0", "169.254.1.1"),
            route("169.254.1.1/32"),
            route("::/0", "fe80::ecee:eeff:feee:eeee"),
        ),
    )
)


def secondary(network: str, *addresses: str, name: str = "") -> Link:
    """A link that multus made for a secondary network."""
    return pod_link(
        name or link_names.hashed(network),
        addresses,
        (),
        index=7,
        mac="02:00:00:00:00:07",
        mtu=9000,
    )


MANAGED = {"default": Attachment("tap0", POD_MAC, 1450)}
NO_DOMAIN: dict[str, Attachment] = {}


def discovered(  # noqa: PLR0913  # all that discovery depends on
    instance: Vmi,
    pod: Snapshot = FLAT,
    attached: Mapping[str, Attachment] = NO_DOMAIN,
    *,
    plugin: str | None = "dsbridge",
    wired: tuple[str, ...] = (),
    annotations: Mapping[str, str] = MappingProxyType({}),
) -> Discovery:
    return guests(
        pod,
        instance,
        attached,
        plugin=plugin,
        defaults=parse_defaults(""),
        wired=wired,
        annotations=annotations,
    )


def told(
    instance: Vmi, pod: Snapshot = FLAT, attached: Mapping[str, Attachment] = NO_DOMAIN
) -> GuestNetwork:
    (guest,) = discovered(instance, pod, attached).guests
    return guest


def overridden(pod: Snapshot = FLAT, **keys: object) -> GuestNetwork:
    return told(vmi("01-single-binding", {"dsbridge.io/default": json.dumps(keys)}), pod)


ONE = vmi("01-single-binding")
# The domains of ONE as OnDefineDomain gets them: without a NIC, and with the one that KubeVirt
# made (launcher.phase2 gives it another pod's MAC and MTU).
OWN_DOMAIN = domain_xml("01-single-binding.sidecar-only.prephase2").decode()
MANAGED_DOMAIN = domain_xml("01-single-binding.managedtap.phase2").decode()
# Those of a VMI with a NIC in the secondary network `blue`.
TWO_NICS = vmi_json(name="03-two-iface-multus")
TWO_NICS_DOMAIN = domain_xml("03-two-iface-multus.sidecar-only.prephase2").decode()

# Every kind of field has a value that is not its default.
GUEST = GuestNetwork(
    network="default",
    tap="tap0",
    mac="52:54:00:12:34:56",
    mtu=1450,
    shape="own",
    provider="auto",
    uid="00000000-0000-4000-8000-000000000001",
    ipv4=(IPv4Interface("10.244.1.5/24"),),
    ipv6=(IPv6Interface("fd00:10:244:1::5/64"),),
    routes=(
        Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.244.1.1")),
        Route(IPv6Network("::/0"), IPv6Address("fe80::1")),
        Route(IPv4Network("169.254.1.1/32")),
    ),
    gateway_lladdrs=((IPv6Address("fe80::1"), "ee:ee:ee:ee:ee:ee"),),
    deprecated=(IPv6Network("fd00:9::/64"),),
    lease=3600,
    search=("default.svc.cluster.local",),
    dns=(IPv4Address("10.96.0.10"), IPv6Address("fd00:10:96::a")),
    boot=Boot(file="pxelinux.0", by_arch=((7, "grub.efi"),), parameters=("a", "b")),
    private=((224, b"\0\xff"),),
    pref64=IPv6Network("64:ff9b::/96"),
)

BESIDE_OVN = GuestNetwork(
    network="default",
    tap="tap0",
    nic="eth0-nic",
    mac="00:00:00:7d:1c:07",
    mtu=1400,
    provider="kube-ovn",
    ipv4=(IPv4Interface("10.16.0.7/16"),),
    ipv6=(IPv6Interface("fd00:10:16::7/112"),),
)
