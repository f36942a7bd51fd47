"""A pod on a logical switch of a real OVN, configured as Kube-OVN would from a Subnet.

All daemons run in one namespace, with a directory of their own and Open vSwitch's userspace
datapath: nothing of the machine's kernel or services is used. They end with the namespace.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bed.layouts import LAYOUTS
from tests.bed.netns import Netns, netns
from tests.bed.pod import NAMESERVERS, Pod

LAYOUT = LAYOUTS["kube-ovn"]
ROUTER4, ROUTER6 = "10.16.0.1", "fd00:10:16::1"
SERVER_ID = "169.254.0.254"
SERVER_MAC = "00:00:00:3c:77:0e"
PORT = "vm1.default"
_CIDR4, _CIDR6 = (str(one[0].network) for one in (LAYOUT.ipv4, LAYOUT.ipv6))
_SCHEMAS = {
    "conf": "/usr/share/openvswitch/vswitch.ovsschema",
    "nb": "/usr/share/ovn/ovn-nb.ovsschema",
    "sb": "/usr/share/ovn/ovn-sb.ovsschema",
}


@dataclass(frozen=True, slots=True)
class Subnet:
    """Options as Kube-OVN writes them to OVN; None: that key of its Subnet is off."""

    dhcp4: dict[str, str] | None = field(
        default_factory=lambda: {
            "lease_time": "3600",
            "router": ROUTER4,
            "server_id": SERVER_ID,
            "server_mac": SERVER_MAC,
            "mtu": str(LAYOUT.mtu),
        }
    )
    dhcp6: dict[str, str] | None = field(default_factory=lambda: {"server_id": SERVER_MAC})
    ra: dict[str, str] | None = field(
        default_factory=lambda: {
            "address_mode": "dhcpv6_stateful",
            "max_interval": "30",
            "min_interval": "5",
            "send_periodic": "true",
        }
    )
    router: bool = True
    """False: an underlay subnet, whose gateway is a machine outside of OVN."""
    mac: str = LAYOUT.mac
    """What the logical port has; Kube-OVN takes it from the pod's mac_address annotation."""


DEFAULTS = Subnet()
"""enableDHCP and enableIPv6RA without options: no DNS server is among Kube-OVN's defaults."""
COMPLETE = replace(
    DEFAULTS,
    dhcp4=DEFAULTS.dhcp4 | {"dns_server": str(NAMESERVERS[0])},
    dhcp6=DEFAULTS.dhcp6 | {"dns_server": str(NAMESERVERS[1])},
)


@dataclass(frozen=True, slots=True)
class Ovn:
    """The running daemons and the pod that is plugged in."""

    pod: Pod
    netns: Netns
    directory: Path

    def nbctl(self, *words: str) -> str:
        """Run ovn-nbctl."""
        return self._run("ovn-nbctl", f"--db=unix:{self.directory}/nb.sock", *words).strip()

    def vsctl(self, *words: str) -> str:
        """Run ovs-vsctl."""
        return self._run("ovs-vsctl", f"--db=unix:{self.directory}/conf.sock", *words)

    def settle(self) -> None:
        """Wait until the switch does what the northbound database says."""
        self.nbctl("--timeout=20", "--wait=hv", "sync")

    def offer(self, family: int, options: dict[str, str] | None) -> None:
        """Set or take away what DHCP of a family tells the port."""
        words = []
        if options is not None:
            cidr = (_CIDR4 if family == 4 else _CIDR6).replace(":", r"\:")
            pairs = " ".join(f'"{key}"="{value}"' for key, value in options.items())
            words = [self.nbctl("create", "DHCP_Options", f"cidr={cidr}", f"options={pairs}")]
        self.nbctl(f"lsp-set-dhcpv{family}-options", PORT, *words)

    def daemon(self, program: str, name: str, *words: str, control: bool = True) -> None:
        """Start a daemon in the namespace and return once it has detached."""
        at = self.directory / name
        options = [
            f"--pidfile={at}.pid",
            f"--log-file={at}.log",
            "--detach",
            "--no-chdir",
            "-vconsole:off",
        ]
        if control:
            options.append(f"--unixctl={at}.ctl")
        self._run(*self.netns.command(program, *options, *words))

    def _run(self, *argv: str) -> str:
        places = ("RUNDIR", "LOGDIR", "DBDIR")
        own = {f"{p}_{name}": str(self.directory) for p in ("OVS", "OVN") for name in places}
        done = subprocess.run(
            argv, env=os.environ | own, text=True, timeout=30, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def ovn(subnet: Subnet = COMPLETE) -> Iterator[Ovn]:
    """Start OVN with one switch and plug a pod in; the router answers ping, nothing is beyond."""
    with ExitStack() as stack:
        workdir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dsbridge-")))
        workdir.chmod(0o755)
        directory = workdir / "ovn"
        directory.mkdir()
        switch, inside = (stack.enter_context(netns(label)) for label in ("ovn", "pod"))
        pod = Pod(LAYOUT, inside, switch, switch, workdir, workdir / "resolv")
        pod.resolv_conf.write_text("".join(f"nameserver {one}\n" for one in NAMESERVERS))
        made = Ovn(pod, switch, directory)
        _plug(made)
        _daemons(made)
        _subnet(made, subnet)
        # While it starts and sees the databases fill up, ovn-controller 23.03 crashes now and then.
        made.nbctl("--timeout=20", "--wait=sb", "sync")
        controller = ("--monitor", f"unix:{directory}/conf.sock")
        made.daemon("ovn-controller", "controller", *controller, control=False)
        made.settle()
        yield made


def _plug(made: Ovn) -> None:
    made.netns.ip(f"""
        link add pod0 type veth peer name eth0 address {LAYOUT.mac} netns {made.pod.netns.name}
        link set pod0 mtu {LAYOUT.mtu} addrgenmode none up""")
    made.pod.netns.ip(f"link set eth0 mtu {LAYOUT.mtu} up")
    made.pod.netns.ip("\n".join(f"addr add {one} dev eth0" for one in LAYOUT.ipv4))
    made.pod.netns.ip("\n".join(f"addr add {one} dev eth0 nodad" for one in LAYOUT.ipv6))
    made.pod.netns.ip("\n".join(f"route add {route}" for route in LAYOUT.routes))
    # The userspace datapath takes a checksum that was left to the hardware for a wrong one.
    made.pod.netns.run("ethtool", "-K", "eth0", "tx", "off")


def _daemons(made: Ovn) -> None:
    at = made.directory
    for name, schema in _SCHEMAS.items():
        made._run("ovsdb-tool", "create", f"{at}/{name}.db", schema)
        made.daemon(
            "ovsdb-server", f"db-{name}", f"--remote=punix:{at}/{name}.sock", f"{at}/{name}.db"
        )
    made.vsctl("--no-wait", "init")
    settings = {
        "system-id": "node1",
        "ovn-remote": f"unix:{at}/sb.sock",
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-bridge-datapath-type": "netdev",
    }
    pairs = [f"external-ids:{key}={value}" for key, value in settings.items()]
    made.vsctl("--no-wait", "set", "open", ".", *pairs)
    made.daemon("ovs-vswitchd", "vswitchd", f"unix:{at}/conf.sock")
    made.vsctl(
        *("add-br", "br-int", "--", "set", "bridge", "br-int"),
        *("datapath_type=netdev", "fail-mode=secure", "--", "add-port", "br-int", "pod0"),
        *("--", "set", "interface", "pod0", f"external-ids:iface-id={PORT}"),
    )
    databases = (f"--ovnnb-db=unix:{at}/nb.sock", f"--ovnsb-db=unix:{at}/sb.sock")
    made.daemon("ovn-northd", "northd", *databases)


def _subnet(made: Ovn, subnet: Subnet) -> None:
    addresses = " ".join([subnet.mac, *(str(one.ip) for one in (*LAYOUT.ipv4, *LAYOUT.ipv6))])
    made.nbctl(
        *("ls-add", "ovn-default"),
        *("--", "lsp-add", "ovn-default", PORT, "--", "lsp-set-addresses", PORT, addresses),
    )
    made.offer(4, subnet.dhcp4)
    made.offer(6, subnet.dhcp6)
    if not subnet.router:
        return
    port, router = "ovn-default-ovn-cluster", "ovn-cluster-ovn-default"
    networks = [f"{ROUTER4}/16", f"{ROUTER6}/112"]
    advertised = [f"ipv6_ra_configs:{key}={value}" for key, value in (subnet.ra or {}).items()]
    made.nbctl(
        *("lr-add", "ovn-cluster"),
        *("--", "lrp-add", "ovn-cluster", router, LAYOUT.gateway_mac, *networks),
        *("--", "lsp-add", "ovn-default", port, "--", "lsp-set-type", port, "router"),
        *("--", "lsp-set-addresses", port, "router"),
        *("--", "lsp-set-options", port, f"router-port={router}"),
        *(["--", "set", "logical_router_port", router, *advertised] if advertised else []),
    )
