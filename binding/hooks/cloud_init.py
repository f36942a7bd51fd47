"""networkData for a guest whose user wrote none: each NIC, both families.

cloud-init's own fallback asks for DHCP on the first NIC only. What it renders of networkData at
the guest's first boot stays in the guest, whose next pod has another MAC unless the VMI fixes one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from binding.discover.vmi import Vmi
from binding.hooks import static_network
from binding.ipc.about import Remark
from guest.network import GuestNetwork

# CloudInitData marshals under Go's field names; CloudInitNoCloudSource has JSON names and
# leaves empty fields out.
_GIVEN = ("NetworkData", "networkData", "networkDataBase64", "networkDataSecretRef")
_NOTHING = "#cloud-config\n{}\n"
_READ_AT_EACH_BOOT = "updates: {network: {when: [boot-new-instance, boot]}}"
# Names of a VM's only NIC: udev's, and the kernel's where the image turns udev's off.
_USUAL_NAMES = ("enp1s0", "eth0")
_USER_DATA = ("UserData", "userData")


class CloudInitError(ValueError):
    """The cloud-init data cannot be used; the text says what was expected."""


def complete(data: bytes, guests: Iterable[GuestNetwork], vmi: Vmi | None = None) -> bytes:
    """Return CloudInitData or CloudInitNoCloudSource with networkData for our guests.

    The user's networkData stays as it is. Nothing is added when the VMI has NICs of other
    bindings: they would lose cloud-init's fallback, and their MACs are not known here. What
    needs no change comes back as the same bytes. Raises CloudInitError.
    """
    source = _object(data)
    if source is None:
        return data
    wanted = dict(source)
    ours = tuple(guests)
    writes = _is_ours_to_write(source, ours, vmi)
    if writes:
        _refuse_static_drive(source, ours)
        # The file is network-config for NoCloud, OpenStack's network_data.json else.
        config = _openstack(ours) if _is_config_drive(source) else _config(ours, _fixed(vmi))
        wanted["NetworkData" if "DataSource" in source else "networkData"] = json.dumps(config)
    # virt-launcher throws the metadata (host name, SSH keys) of a hook's answer away when
    # it is without userData.
    if "DataSource" in source and not source.get("UserData"):
        wanted["UserData"] = f"#cloud-config\n{_READ_AT_EACH_BOOT}\n" if writes else _NOTHING
    return data if wanted == source else json.dumps(wanted).encode()


def warnings(data: bytes, guests: Iterable[GuestNetwork], vmi: Vmi) -> Iterator[Remark]:
    """Yield what a guest loses with this pod, of the networkData that `complete` wrote for it.

    Also what the annotation wants and `complete` does not write. Raises CloudInitError.
    """
    source, ours = _object(data), tuple(guests)
    if source is None:
        return
    if not _is_ours_to_write(source, ours, vmi):
        yield from _unwritten(source, ours, vmi)
        return
    if not _is_config_drive(source) and not _is_version1(ours, _fixed(vmi)):
        yield from _left_down(ours)
    users = [str(source[key]) for key in _USER_DATA if source.get(key)]
    if "DataSource" in source and not users:
        return  # its userData is ours and has cloud-init read again
    if any(re.search("^updates:", text, re.MULTILINE) for text in users):
        return
    is_found_by_name = len(ours) == 1 and not _is_config_drive(source)
    for guest in ours:
        if static_network.is_static(guest):
            text = (
                f"cloudInit {guest.cloud_init}: cloud-init writes this pod's addresses into the "
                "guest and does not look again: the guest keeps them in the VM's next pod. Write "
                f"in userData {_READ_AT_EACH_BOOT}, and migrate only where the CNI keeps the "
                "address"
            )
            if guest.cloud_init == "static":
                text += (
                    ". An image whose cloud-init is older than 23.1 and renders for NetworkManager "
                    "or ifupdown loses the IPv6 routes; write static-v1 for it"
                )
            yield Remark(guest.network, text)
        elif guest.network not in _fixed(vmi) and not is_found_by_name:
            text = (
                f"cloud-init finds the NIC by this pod's MAC, {guest.mac}, and does not look "
                "again: the NIC has no configuration in the VM's next pod. Set macAddress in the "
                f"VMI, or write in userData {_READ_AT_EACH_BOOT}"
            )
            yield Remark(guest.network, text)


def _unwritten(source: dict[str, Any], ours: Iterable[GuestNetwork], vmi: Vmi) -> Iterator[Remark]:
    why = "the VM has networkData of its own; take it out"
    if not _all_ours(vmi, ours):
        why = "the VM has NICs of other bindings, which would be left out; write networkData"
    elif not any(source.get(key) for key in _GIVEN):
        why = "dsbridge serves no NIC of the VM; give addresses"
    for guest in ours:
        if guest.cloud_init != "dhcp":
            text = f"cloudInit {guest.cloud_init} is not written: {why}"
            yield Remark(guest.network, text)


def _left_down(ours: Iterable[GuestNetwork]) -> Iterator[Remark]:
    for guest in ours:
        if _asks_nobody(guest):
            text = (
                "cloud-init: the NIC has IPv6 by SLAAC alone, which network config version 2 has "
                "no word for: images with ifupdown leave the NIC down. Set macAddress in the VMI, "
                "and dsbridge writes version 1; or write networkData with the subnet ipv6_slaac"
            )
            yield Remark(guest.network, text)


def _refuse_static_drive(source: dict[str, Any], ours: Iterable[GuestNetwork]) -> None:
    for guest in ours:
        if static_network.is_static(guest) and _is_config_drive(source):
            raise CloudInitError(
                f"network {guest.network}: cloudInit {guest.cloud_init}: the network_data.json of "
                "a config drive cannot say that a gateway is on-link; use cloudInitNoCloud in the "
                "VM's volume, or leave cloudInit out"
            )


def _is_ours_to_write(
    source: dict[str, Any], ours: Iterable[GuestNetwork], vmi: Vmi | None
) -> bool:
    """Say whether the user wrote no networkData and cloud-init's fallback would not do."""
    if any(source.get(key) for key in _GIVEN) or not _all_ours(vmi, ours):
        return False
    # cloud-init configures no NIC that is not in it.
    return any(one.is_served and (one.gets_ipv4 or one.gets_ipv6) for one in ours)


def _is_config_drive(source: dict[str, Any]) -> bool:
    return source.get("DataSource") == "configDrive"


def _fixed(vmi: Vmi | None) -> set[str]:
    """Return the networks whose NIC has the same MAC in every pod of the VM."""
    return {one.name for one in vmi.interfaces if one.mac} if vmi is not None else set()


def _object(data: bytes) -> dict[str, Any] | None:
    if not data.strip():
        return None
    try:
        source = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CloudInitError(f"cloud-init data is not JSON ({error}); send the object") from None
    if source is not None and not isinstance(source, dict):
        raise CloudInitError("cloud-init data is not a JSON object; send the object")
    return source


def _all_ours(vmi: Vmi | None, ours: Iterable[GuestNetwork]) -> bool:
    if vmi is None:
        return True
    present = {interface.name for interface in vmi.interfaces if interface.state != "absent"}
    return present <= {guest.network for guest in ours}


# On a NIC that nobody serves both families are tried, as cloud-init's fallback does.
def _dhcp4(guest: GuestNetwork) -> bool:
    return guest.gets_ipv4 or not guest.is_served


def _ipv6(guest: GuestNetwork) -> bool:
    return guest.gets_ipv6 or not guest.is_served


def _dhcp6(guest: GuestNetwork) -> bool:
    return _ipv6(guest) and guest.ipv6_mode != "slaac"


def _asks_nobody(guest: GuestNetwork) -> bool:
    """Say whether the NIC has router advertisements alone, and nothing static."""
    return not (static_network.is_static(guest) or _dhcp4(guest) or _dhcp6(guest))


def _is_version1(guests: tuple[GuestNetwork, ...], fixed: set[str]) -> bool:
    """Say whether the config is of version 1: where an annotation or a NIC by SLAAC needs it.

    Not for SLAAC's sake where version 2 says more: the only NIC's names in the next pod, static
    routes, and that a boot need not wait for a NIC.
    """
    if any(guest.cloud_init == "static-v1" for guest in guests):
        return True
    says_less = (
        (len(guests) == 1 and guests[0].network not in fixed)
        or any(static_network.is_static(guest) for guest in guests)
        or not all(guest.is_served for guest in guests)
    )
    return not says_less and any(map(_asks_nobody, guests))


def _config(guests: tuple[GuestNetwork, ...], fixed: set[str]) -> dict[str, Any]:
    """Network config as one JSON object, which cloud-init reads as YAML."""
    if _is_version1(guests, fixed):
        nics = [
            {"type": "physical", "name": name, "mac_address": guest.mac, **_v1(guest)}
            for name, guest in _named(guests)
        ]
        return {"version": 1, "config": nics}
    return _v2(guests, fixed)


def _v1(guest: GuestNetwork) -> dict[str, Any]:
    if static_network.is_static(guest):
        return static_network.version1(guest)
    # Without a subnet ifupdown (ENI) would leave the NIC down.
    made = ("ipv6_slaac", _ipv6(guest) and not _dhcp6(guest))
    kinds = (("dhcp4", _dhcp4(guest)), ("dhcp6", _dhcp6(guest)), made)
    accepts = {"accept-ra": True} if _ipv6(guest) else {}
    return {**accepts, "subnets": [{"type": kind} for kind, wanted in kinds if wanted]}


def _named(guests: tuple[GuestNetwork, ...]) -> Iterator[tuple[str, GuestNetwork]]:
    """Yield each NIC with udev's name for it on KubeVirt's machines, in the order of the VMI.

    cloud-init's renderers but netplan's take an entry's key for the name of the NIC where none has
    the MAC.
    """
    return ((f"enp{slot}s0", guest) for slot, guest in enumerate(guests, 1))


def _v2(guests: tuple[GuestNetwork, ...], fixed: set[str]) -> dict[str, Any]:
    """Network config version 2."""
    ethernets = {
        name: {
            "match": {"macaddress": guest.mac},
            **(static_network.version2 if static_network.is_static(guest) else _asks)(guest),
        }
        for name, guest in _named(guests)
    }
    if len(guests) > 1 or guests[0].network in fixed or static_network.is_static(guests[0]):
        return {"version": 2, "ethernets": ethernets}
    # Another pod, another MAC. netplan finds the only NIC by the pattern. The other renderers take
    # a key for its name, and of entries with one name the last, which has no MAC. A NIC with
    # another name they find by its MAC, in this pod.
    lasting = {"match": {"name": "e*"}, **_asks(guests[0])}
    this_pod = next(iter(ethernets.values()))
    return {
        "version": 2,
        "ethernets": {"this-pod": this_pod, **dict.fromkeys(_USUAL_NAMES, lasting)},
    }


def _asks(guest: GuestNetwork) -> dict[str, Any]:
    return {
        "dhcp4": _dhcp4(guest),
        "dhcp6": _dhcp6(guest),
        # Routes come with the RA, whatever the addresses come with.
        **({"accept-ra": True} if _ipv6(guest) else {}),
        # Perhaps no server answers there: the guest's boot must not wait for one.
        **({} if guest.is_served else {"optional": True}),
    }


def _openstack(guests: Iterable[GuestNetwork]) -> dict[str, Any]:
    """network_data.json of a config drive.

    The type `ipv6_dhcpv6-stateful` would make NetworkManager ignore the RA, which alone has the
    routes: `ipv6_dhcp` stands for DHCPv6.
    """
    links, networks = [], []
    for guest in guests:
        links.append({"id": guest.network, "type": "phy", "ethernet_mac_address": guest.mac})
        dhcp6 = "ipv6_dhcp" if _dhcp6(guest) else "ipv6_slaac"
        kinds = ["ipv4_dhcp"] if _dhcp4(guest) else []
        kinds += [dhcp6] if _ipv6(guest) else []
        networks += [
            {"id": f"{guest.network}-{kind}", "link": guest.network, "type": kind} for kind in kinds
        ]
    return {"links": links, "networks": networks, "services": []}
