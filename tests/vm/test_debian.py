"""Debian, with every usual network manager: months of a VM, in minutes.

Each guest boots from a disk of its own by libvirt, has what the pod has, loses its link, renews,
reboots, and is stopped and started in another pod: other MAC, other addresses, the same disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lxml import etree

from tests.bed import debian
from tests.bed.console import Report, Terminal, parse
from tests.bed.layouts import LAYOUTS, Layout
from tests.bed.octets import LENGTH, PORT, octets
from tests.bed.pod import NAMESERVERS, REMOTE4, REMOTE6, SEARCH, pod
from tests.bed.virtual_machine import VirtualMachine, virtual_machine
from tests.bed.wait import until
from tests.conftest import GUESTS
from tests.samples import vmi_object

pytestmark = [pytest.mark.netns, pytest.mark.vm_long]
LEASE = 40
HOST = "vmi-single"
LOOK = "ps fax; systemctl --failed --no-pager; journalctl -b --no-pager -n 80 2>/dev/null"
BOOTS = 240
SETTLES = 90
# cloud-init's host name is the VM's own, as virt-launcher puts it into the metadata.
LACKS = {
    # networkd takes search domains of DHCP and RA only where UseDomains= is written.
    "cloud-init-networkd": ("search",),
    "netplan": ("search",),
    # dhclient's script writes the name servers of IPv6 in the place of those of IPv4.
    "ifupdown-dhclient": ("IPv4 name server",),
    # Neither udhcpc's script nor dhclient's for IPv6 sets a host name.
    "busybox": ("IPv4 name server", "host name"),
    # udhcpc's script writes `domain` behind dhcp6c's `search`, and the last of them counts.
    "wide-dhcpv6": ("search", "host name"),
}
"""What a client does not ask for, or does not use."""
# A renewal of IPv4 writes resolv.conf anew, one of dhclient for IPv6 does not.
LACKS_RENEWED = {
    "ifupdown-dhclient": ("IPv6 name server",),
    "busybox": ("IPv6 name server", "search", "host name"),
}
"""What it lacks once it has renewed, where that is something else."""
USER_DATA = {name: "#cloud-config\n{}\n" for name in debian.NAMES if name.startswith("cloud-init")}


@dataclass
class Guest:
    """A Debian system that runs, and what it has to have."""

    machine: VirtualMachine
    terminal: Terminal
    has: dict[str, bool] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        return self.machine.pod.layout

    def report(self) -> Report:
        return parse(self.terminal.run("report"))

    def lacks(self) -> list[str]:
        """Name what of the pod's network the guest has not got, or has too much."""
        found = self.report()
        lease, layout = found.lease, self.layout
        gateways = [via for to, via in lease.routes4 if to == "default"]
        expected = {
            "IPv4": lease.ipv4 == layout.told4,
            "IPv6": sorted(one.ip for one in lease.ipv6) == sorted(one.ip for one in layout.ipv6),
            "IPv4 route": gateways == [layout.gateway4],
            "IPv6 route": {via for to, via in lease.routes6 if to == "default"} == {layout.router},
            "IPv4 name server": NAMESERVERS[0] in lease.dns,
            "IPv6 name server": NAMESERVERS[1] in lease.dns,
            "search": lease.search == SEARCH,
            "MTU": lease.mtu == layout.mtu,
            "host name": (lease.hostname or "").partition(".")[0] == HOST,
            "MAC": found.mac == layout.mac,
        }
        return [name for name, there in expected.items() if not there]

    def settled(self, but: tuple[str, ...] = ()) -> None:
        """Wait until it lacks nothing but `but`."""
        missing: list[str] = []

        def nothing() -> bool:
            missing[:] = [one for one in self.lacks() if one not in but]
            if missing:
                self.terminal.run("sleep 3")  # on one emulated processor, asking is work
            return not missing

        try:
            until(nothing, "the guest has what the pod has", SETTLES)
        except TimeoutError as error:
            seen = self.terminal.run(f"report; {LOOK}", 60)
            raise TimeoutError(f"{error}\nmissing: {missing}\n{seen}") from None

    def reaches_beyond(self) -> None:
        """Expect pings and a transfer of each family beyond the gateway."""
        for address in (str(REMOTE4), str(REMOTE6)):
            answer = self.terminal.run(f"ping -c 1 -w 20 {address}", 60)
            assert " bytes from " in answer, answer
            with octets(self.machine.pod.remote, address):
                got = self.terminal.run(f"octets {address} {PORT}", 60).strip()
            assert got == str(LENGTH)

    def link(self, state: str) -> None:
        name = str(etree.fromstring(self.machine.domain).findtext("name"))
        self.machine.daemon.virsh("domif-setlink", name, "tap0", state)
        seen = "1" if state == "up" else "0"
        until(
            lambda: self.terminal.run("cat /sys/class/net/e*/carrier").strip() == seen,
            f"the guest's carrier is {seen}",
        )

    def answered(self, kind: str) -> int:
        (status,) = self.machine.sidecar.status()["guests"]
        return int(status["counters"].get(kind, 0))

    def renews(self) -> None:
        """Expect two more ACKs and two more REPLYs, and nothing lost by them."""
        for kind in ("ACK", "REPLY"):
            before = self.answered(kind)
            until(
                lambda kind=kind, before=before: self.answered(kind) >= before + 2,
                f"two renewals: {kind}",
                4 * LEASE,
            )

    def reboots(self) -> None:
        seen = self.terminal.console.stat().st_size
        self.terminal.type(b"sync; reboot\n")
        self.terminal.wait_for("@ready", seen, BOOTS)

    def stops(self) -> None:
        """Power off, so that the disk has everything."""
        self.terminal.type(b"sync; poweroff\n")
        until(self.terminal.ended, "the guest powers off", 60)


@contextmanager
def booted(name: str, layout: str, disk: Path, **settings: object) -> Iterator[Guest]:
    """Boot the disk in a new pod, as KubeVirt starts a VM."""
    vmi = vmi_object("01-single-binding")
    vmi["metadata"]["annotations"]["dsbridge.io/default"] = json.dumps(settings)
    with ExitStack() as stack:
        made = stack.enter_context(pod(layout))
        machine = stack.enter_context(
            virtual_machine(
                made,
                vmi,
                kernel=debian.kernel(name),
                disks=(disk,),
                cloud_init=USER_DATA.get(name),
            )
        )
        terminal = stack.enter_context(machine.daemon.started(machine.domain))
        terminal.wait_for("@ready", 0, BOOTS)
        yield Guest(machine, terminal)


def lacks(name: str) -> str:
    """Return the cell of docs/guests.md."""
    renewed = ", ".join(LACKS_RENEWED.get(name, ()))
    cell = ", ".join(LACKS.get(name, ()))
    return f"{cell}; once renewed: {renewed}" if renewed else cell or "nothing"


@pytest.mark.parametrize("name", debian.NAMES)
def test_a_guest_has_and_keeps_what_its_pod_has(
    name: str, record_property: Callable[..., None]
) -> None:
    but = LACKS.get(name, ())
    cells = {"Lacks": lacks(name)}
    with debian.disk() as disk, booted(name, "flat", disk) as guest:
        guest.settled(but)
        guest.reaches_beyond()
        cells["First boot"] = "yes"
        guest.link("down")
        guest.link("up")
        guest.settled(but)
        guest.reaches_beyond()
        cells["Link down and up"] = "yes"
        guest.reboots()
        guest.settled(but)
        guest.reaches_beyond()
        cells["Reboot"] = "yes"
    record_property(GUESTS, (name, cells))


@pytest.mark.parametrize("name", debian.NAMES)
def test_the_same_disk_has_what_the_next_pod_has(
    name: str, record_property: Callable[..., None]
) -> None:
    assert set(LAYOUTS["flat"].ipv4).isdisjoint(LAYOUTS["kube-ovn"].ipv4)
    but = LACKS.get(name, ())
    cells = {"Lacks": lacks(name)}
    with debian.disk() as disk:
        with booted(name, "flat", disk) as guest:
            guest.settled(but)
            guest.stops()
        but = LACKS_RENEWED.get(name, but)
        # What the guest remembers of the first pod never expires; here it has to renew.
        with booted(name, "kube-ovn", disk, lease=LEASE) as guest:
            guest.settled(but)
            guest.reaches_beyond()
            cells["Next pod"] = "yes"
            guest.renews()
            guest.settled(but)
            cells["Two renewals"] = "yes"
    record_property(GUESTS, (name, cells))
