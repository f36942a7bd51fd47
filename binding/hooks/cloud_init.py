"""networkData for a guest whose user wrote none: each NIC by its MAC, both families.

cloud-init's own fallback asks for DHCP on the first NIC only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from binding.discover.vmi import Vmi
from guest.network import GuestNetwork

# CloudInitData marshals under Go's field names; CloudInitNoCloudSource has JSON names and
# leaves empty fields out.
_GIVEN = ("NetworkData", "networkData", "networkDataBase64", "networkDataSecretRef")
_NOTHING = "#cloud-config\n{}\n"


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
    served = any(one.is_served and (one.gets_ipv4 or one.gets_ipv6) for one in ours)
    # cloud-init then configures no NIC that is not in it.
    if served and not any(source.get(key) for key in _GIVEN) and _all_ours(vmi, ours):
        # The file is network-config for NoCloud, OpenStack's network_data.json else.
        config = _openstack(ours) if source.get("DataSource") == "configDrive" else _v2(ours)
        wanted["NetworkData" if "DataSource" in source else "networkData"] = json.dumps(config)
    # virt-launcher throws the metadata (host name, SSH keys) of a hook's answer away when
    # it is without userData.
    if "DataSource" in source and not source.get("UserData"):
        wanted["UserData"] = _NOTHING
    return data if wanted == source else json.dumps(wanted).encode()


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


def _v2(guests: Iterable[GuestNetwork]) -> dict[str, Any]:
    """Network config version 2; cloud-init reads YAML, which JSON is."""
    return {
        "version": 2,
        "ethernets": {
            guest.network: {
                "match": {"macaddress": guest.mac},
                "dhcp4": _dhcp4(guest),
                "dhcp6": _dhcp6(guest),
                # Routes come with the RA, whatever the addresses come with.
                **({"accept-ra": True} if _ipv6(guest) else {}),
                # Perhaps no server answers there: the guest's boot must not wait for one.
                **({} if guest.is_served else {"optional": True}),
            }
            for guest in guests
        },
    }


def _openstack(guests: Iterable[GuestNetwork]) -> dict[str, Any]:
    """network_data.json of a config drive."""
    links, networks = [], []
    for guest in guests:
        links.append({"id": guest.network, "type": "phy", "ethernet_mac_address": guest.mac})
        stateful = "ipv6_dhcpv6-stateful" if _dhcp6(guest) else "ipv6_slaac"
        kinds = ["ipv4_dhcp"] if _dhcp4(guest) else []
        kinds += [stateful] if _ipv6(guest) else []
        networks += [
            {"id": f"{guest.network}-{kind}", "link": guest.network, "type": kind} for kind in kinds
        ]
    return {"links": links, "networks": networks, "services": []}
