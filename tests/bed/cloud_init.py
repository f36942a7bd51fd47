"""cloud-init's own renderers, from the distribution's package: unpacked, never installed."""

from __future__ import annotations

import fcntl
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.bed.image import apt
from tests.bed.netns import Netns

RENDERERS = ("netplan", "networkd", "sysconfig", "eni", "network-manager")
_CACHE = Path(__file__).parents[2] / ".cache" / "cloud-init"
_RENDER = r"""
import json, sys
from importlib import import_module
from cloudinit import distros
from cloudinit.net.network_state import parse_net_config_data
from cloudinit.sources.helpers.openstack import convert_net_json

name, given, target = sys.argv[1:]
given = json.loads(given)
module = import_module("cloudinit.net." + name.replace("-", "_"))
distro = "fedora" if name in ("sysconfig", "network-manager") else "debian"
config = {**distros.fetch(distro).renderer_configs.get(name, {}), "postcmds": False}
if "netplan_path" in config:
    # Of all paths this alone is joined as it is: absolute, it would be the machine's own.
    config["netplan_path"] = config["netplan_path"].lstrip("/")
renderer = module.Renderer(config)
given = convert_net_json(given) if "links" in given else given
renderer.render_network_state(parse_net_config_data(given, renderer=renderer), target=target)
"""


def _unpacked() -> Path:
    """Return where cloud-init's modules are: seconds when the package must be downloaded."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (_CACHE / "usr").exists():
            with tempfile.TemporaryDirectory(dir=_CACHE) as text:
                apt("apt-get", "download", "cloud-init", cwd=Path(text))
                (package,) = Path(text).glob("*.deb")
                subprocess.run(["dpkg", "-x", package, Path(text) / "all"], check=True)
                (Path(text) / "all" / "usr").rename(_CACHE / "usr")
    return _CACHE / "usr/lib/python3/dist-packages"


def rendered(renderer: str, network_data: str, guest: Netns, target: Path) -> dict[str, str]:
    """Return the files that one of RENDERERS writes in a guest with these NICs, by path.

    `network_data` is of version 2, or OpenStack's network_data.json.
    """
    json.loads(network_data)
    command = ("env", f"PYTHONPATH={_unpacked()}", "/usr/bin/python3", "-c", _RENDER)
    guest.run(*command, renderer, network_data, f"{target}/")
    return {
        f"/{path.relative_to(target)}": path.read_text()
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }


def nics(guest: Netns, **macs: str) -> None:
    """Give the guest NICs of these names with these MACs."""
    lines = (
        f"link add {name} address {mac} type veth peer name peer{number}"
        for number, (name, mac) in enumerate(macs.items())
    )
    guest.ip("\n".join(lines))


def cloud_init_data(**given: Any) -> dict[str, Any]:
    """Return CloudInitData as virt-launcher marshals it: Go's names, all fields."""
    return {
        "DataSource": "noCloud",
        "NoCloudMetaData": {"instance-id": "x", "local-hostname": "vm"},
        "ConfigDriveMetaData": None,
        "UserData": "#cloud-config\npassword: fedora\n",
        "NetworkData": "",
        "DevicesData": None,
        "VolumeName": "cloudinitdisk",
        **given,
    }
