"""One pod for each server that is compared: same CNI, same wiring, same tap.

The pod is Kube-OVN's, because OVN answers only there. dsbridge answers in the pod; peers answer
where they would in a cluster, behind the pod's NIC, and dnsmasq also at a tap itself. They are
given the guest's one address and every setting that makes them fast: no ping before an offer,
rapid commit, preference 255.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect, phase2
from tests.bed.layouts import LAYOUTS, Layout
from tests.bed.netns import Netns, end, netns
from tests.bed.ovn import ovn
from tests.bed.pod import NAMESERVERS, SEARCH, Pod, pod
from tests.bed.processes import family
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.wait import until

_TESTS = Path(__file__).parents[1] / "tests"
VMI = (_TESTS / "vmis/vmi-01-single-binding.json").read_text()
_DOMAIN = "01-single-binding.{}.xml"
DOMAINS = {
    "own": (_TESTS / "domains" / _DOMAIN.format("sidecar-only.prephase2")).read_text(),
    "managed": (_TESTS / "domains" / _DOMAIN.format("managedtap.phase2")).read_text(),
}
LAYOUT = "kube-ovn"
ROUTER4, ROUTER6 = "10.16.0.1", "fd00:10:16::1"


@dataclass(frozen=True, slots=True)
class Bed:
    """A wired pod, and the server of its guest."""

    pod: Pod
    servers: Callable[[], list[int]]
    """The processes that answer, now."""

    @property
    def tap(self) -> Tap:
        return Tap(self.pod.netns, self.pod.layout.mac, self.servers)


@dataclass(frozen=True, slots=True)
class Tap:
    """`tap0` of a namespace, whose guest has this MAC."""

    netns: Netns
    mac: str
    servers: Callable[[], list[int]]


def domain(made: Pod, shape: str) -> str:
    """Return what virt-launcher hands to OnDefineDomain, phase 1 done."""
    if shape == "managed":
        managed_tap(made.netns)
        return phase2(DOMAINS[shape], mac=made.layout.mac, mtu=made.layout.mtu)
    return DOMAINS[shape]


@contextmanager
def started(layout: str = LAYOUT, shape: str = "managed") -> Iterator[tuple[Pod, Sidecar, Hook]]:
    """Start a sidecar and define a domain, as for a VM that is about to boot."""
    with pod(layout) as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.define(domain(made, shape), VMI)
        yield made, running, hook


@contextmanager
def dsbridge() -> Iterator[Bed]:
    with started() as (made, running, _):
        yield Bed(made, lambda: family(running.process.pid))


@contextmanager
def dnsmasq() -> Iterator[Bed]:
    with _behind() as made:
        options = _dnsmasq(made.layout, "pod0", made.workdir)
        with _daemon(made.gateway, made.workdir, "dnsmasq", *options) as process:
            until(lambda: _listens(made.gateway, 67, 547), "dnsmasq")
            yield Bed(made, lambda: [process.pid])


@contextmanager
def dnsmasq_at_tap() -> Iterator[Tap]:
    """dnsmasq at the guest's tap itself, which has the gateway's addresses and is in no bridge."""
    layout = LAYOUTS[LAYOUT]
    with netns("dnsmasq") as space, TemporaryDirectory(prefix="dsbridge-") as directory:
        space.sysctl(ipv6__conf__default__accept_dad=0)
        space.ip(f"""
            tuntap add dev tap0 mode tap
            link set tap0 mtu {layout.mtu} up
            addr add {ROUTER4}/{layout.ipv4[0].network.prefixlen} dev tap0
            addr add {ROUTER6}/{layout.ipv6[0].network.prefixlen} dev tap0 nodad
            neigh add {_link_local(layout.mac)} lladdr {layout.mac} dev tap0""")
        options = _dnsmasq(layout, "tap0", Path(directory))
        with _daemon(space, Path(directory), "dnsmasq", *options) as process:
            until(lambda: _listens(space, 67, 547), "dnsmasq")
            yield Tap(space, layout.mac, lambda: [process.pid])


def _dnsmasq(layout: Layout, link: str, workdir: Path) -> list[str]:
    ipv4, ipv6 = layout.ipv4[0].ip, layout.ipv6[0].ip
    return [
        "--keep-in-foreground",
        f"--dhcp-range={ipv4},{ipv4},255.255.0.0,1h",
        f"--dhcp-range={ipv6},{ipv6},112,1h",
        f"--dhcp-option=option:dns-server,{NAMESERVERS[0]}",
        f"--dhcp-option=option:domain-search,{','.join(SEARCH)}",
        f"--dhcp-option=option:mtu,{layout.mtu}",
        f"--dhcp-option=option:router,{ROUTER4}",
        f"--dhcp-option=option6:dns-server,[{NAMESERVERS[1]}]",
        f"--dhcp-option=option6:domain-search,{','.join(SEARCH)}",
        f"--ra-param={link},mtu:{layout.mtu},600",
        *("--enable-ra", "--no-ping", "--dhcp-authoritative", "--dhcp-rapid-commit"),
        *(f"--interface={link}", "--bind-interfaces", "--except-interface=lo", "--port=0"),
        *("--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="),
        f"--dhcp-leasefile={workdir}/leases",
    ]


@contextmanager
def kea() -> Iterator[Bed]:
    """Kea for both families and radvd for the router advertisements."""
    with _behind() as made, ExitStack() as stack:
        processes = []
        for family_, configuration in (("4", _kea4(made)), ("6", _kea6(made))):
            file = made.workdir / f"kea{family_}.json"
            file.write_text(json.dumps({f"Dhcp{family_}": configuration}))
            daemon = _daemon(made.gateway, made.workdir, f"kea-dhcp{family_}", "-c", str(file))
            processes.append(stack.enter_context(daemon))
        file = made.workdir / "radvd.conf"
        file.write_text(_radvd(made))
        pid_file = made.workdir / "radvd.pid"
        daemon = _daemon(
            made.gateway,
            made.workdir,
            "radvd",
            "-n",
            "-C",
            str(file),
            "-m",
            "stderr",
            "-p",
            str(pid_file),
        )
        processes.append(stack.enter_context(daemon))
        until(lambda: _listens(made.gateway, 67, 547), "Kea")
        until(lambda: "pod0" in made.gateway.run("cat", "/proc/net/igmp6"), "radvd")
        yield Bed(made, lambda: [process.pid for process in processes])


@contextmanager
def ovn_bed() -> Iterator[Bed]:
    with ovn() as made:
        managed_tap(made.pod.netns)
        yield Bed(made.pod, made.netns.pids)


BEDS: dict[str, Callable[[], object]] = {
    "dsbridge": dsbridge,
    "dnsmasq": dnsmasq,
    "Kea + radvd": kea,
    "OVN": ovn_bed,
}


def versions() -> dict[str, str]:
    """Return the first words that each peer says of its version."""
    asked = {
        "dnsmasq": ("dnsmasq", "--version"),
        "Kea": ("kea-dhcp4", "-v"),
        "radvd": ("radvd", "--version"),
        "OVN": ("ovn-controller", "--version"),
        "systemd": ("networkctl", "--version"),
        "NetworkManager": ("NetworkManager", "--version"),
        "iperf3": ("iperf3", "--version"),
        "QEMU": ("qemu-system-x86_64", "--version"),
    }
    return {name: _version(command) for name, command in asked.items()}


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, text=True, capture_output=True, check=False)
    except FileNotFoundError:
        return "not installed"
    found = re.search(r"\d+(\.\d+)+|\b\d{3}\b", done.stdout + done.stderr)
    return found[0] if found else "unknown"


@contextmanager
def _behind() -> Iterator[Pod]:
    """A wired pod whose gateway has nothing to find out before it answers the guest."""
    with pod(LAYOUT) as made:
        managed_tap(made.netns)
        made.gateway.ip(
            f"neigh add {_link_local(made.layout.mac)} lladdr {made.layout.mac} dev pod0"
        )
        yield made


def _link_local(mac: str) -> IPv6Address:
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


@contextmanager
def _daemon(space: Netns, workdir: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    at = str(workdir)
    places = {"KEA_PIDFILE_DIR": at, "KEA_LOCKFILE_DIR": at, "KEA_DHCP_DATA_DIR": at}
    with (workdir / f"{words[0]}.log").open("wb") as log:
        process = space.popen(*words, env=os.environ | places, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


def _listens(space: Netns, *ports: int) -> bool:
    return all(space.run("ss", "-Hlun", f"sport = :{port}").strip() for port in ports)


def _kea4(made: Pod) -> dict[str, object]:
    address = str(made.layout.ipv4[0].ip)
    data = {
        "routers": ROUTER4,
        "domain-name-servers": str(NAMESERVERS[0]),
        "domain-search": ", ".join(SEARCH),
        "interface-mtu": str(made.layout.mtu),
    }
    return {
        "interfaces-config": {"interfaces": ["pod0"]},
        "lease-database": {"type": "memfile", "persist": False},
        "valid-lifetime": 3600,
        "option-data": [{"name": name, "data": text} for name, text in data.items()],
        "subnet4": [{"subnet": "10.16.0.0/16", "pools": [{"pool": f"{address} - {address}"}]}],
    }


def _kea6(made: Pod) -> dict[str, object]:
    address = str(made.layout.ipv6[0].ip)
    data = {
        "preference": "255",
        "dns-servers": str(NAMESERVERS[1]),
        "domain-search": ", ".join(SEARCH),
    }
    return {
        "interfaces-config": {"interfaces": ["pod0"]},
        "lease-database": {"type": "memfile", "persist": False},
        "data-directory": str(made.workdir),
        "preferred-lifetime": 3600,
        "valid-lifetime": 3600,
        "option-data": [{"name": name, "data": text} for name, text in data.items()],
        "subnet6": [
            {
                "subnet": "fd00:10:16::/112",
                "interface": "pod0",
                "rapid-commit": True,
                "pools": [{"pool": f"{address} - {address}"}],
            }
        ],
    }


def _radvd(made: Pod) -> str:
    return f"""interface pod0 {{
  AdvSendAdvert on; AdvManagedFlag on; AdvOtherConfigFlag on; AdvLinkMTU {made.layout.mtu};
  AdvRASolicitedUnicast on;
  prefix fd00:10:16::/112 {{ AdvOnLink on; AdvAutonomous off; }};
}};
"""
