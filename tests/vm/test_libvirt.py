"""libvirt defines and starts the very domain that OnDefineDomain returned, in every shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.bed.console import Terminal
from tests.bed.dnsmasq import dnsmasq
from tests.bed.libvirt_domain import Kernel
from tests.bed.pod import REMOTE4, REMOTE6, pod
from tests.bed.virtual_machine import VirtualMachine, small_guest, virtual_machine
from tests.bed.wait import until
from tests.samples import domain_xml, vmi_object

pytestmark = [pytest.mark.netns, pytest.mark.vm_long]
IPXE = Path("/usr/lib/ipxe/ipxe.lkrn")
BOOT = {"boot": {"file": "menu.ipxe", "server": "10.244.1.1"}}
ONE, SEVERAL = "01-single-binding", "07-multiqueue"
VMI = {"takeover": "17-hooksidecar-annotation-core-bridge"}


def instance(
    sample: str = ONE, settings: dict[str, Any] | None = None, **interface: object
) -> dict[str, Any]:
    """Return a VMI with these settings of ours; `interface` changes fields of its NIC."""
    value = vmi_object(sample)
    value["metadata"]["annotations"]["dsbridge.io/default"] = json.dumps(settings or {})
    value["spec"]["domain"]["devices"]["interfaces"][0].update(interface)
    return value


@contextmanager
def started(
    vmi: dict[str, Any], *, kernel: Kernel | None = None, **how: Any
) -> Iterator[tuple[VirtualMachine, Terminal]]:
    """Start the VM in a flat pod; its kernel is the small guest's unless told."""
    with (
        pod("flat") as made,
        virtual_machine(made, vmi, kernel=kernel or small_guest(), **how) as machine,
        machine.daemon.started(machine.domain) as guest,
    ):
        yield machine, guest


def nic(machine: VirtualMachine, path: str) -> str | None:
    """Return an attribute of the domain's NIC, such as `model/type`."""
    tag, attribute = path.split("/")
    found = etree.fromstring(machine.domain).find(f"devices/interface/{tag}")
    return None if found is None else found.get(attribute)


def has_all(machine: VirtualMachine, guest: Terminal) -> None:
    """Expect both addresses of the pod in the guest, and answers to its pings."""
    report = guest.report(120)
    layout = machine.pod.layout
    assert report.mac == layout.mac
    assert report.lease.ipv4 == layout.ipv4
    assert [one.ip for one in report.lease.ipv6] == [one.ip for one in layout.ipv6]
    assert set(report.reached) == {str(REMOTE4), str(REMOTE6)}


@pytest.mark.parametrize(
    "shape, sample",
    # Of takeover the domain is not edited: one of them shows it.
    [("own", ONE), ("own", SEVERAL), ("managed", ONE), ("managed", SEVERAL), ("takeover", ONE)],
)
def test_a_guest_of_the_domain_has_both_addresses(shape: str, sample: str) -> None:
    with started(instance(VMI.get(shape, sample)), shape=shape) as (machine, guest):
        has_all(machine, guest)
        status = Path(f"/proc/{machine.daemon.qemu()}/status").read_text()
        assert "Uid:\t107\t107" in status
        assert "CapEff:\t0000000000000000" in status
        queues = guest.run("ls -d /sys/class/net/eth0/queues/tx-* | wc -l").strip()
        assert queues == ("4" if sample == SEVERAL else "1")
        assert [one["shape"] for one in machine.sidecar.status()["guests"]] == [shape]


def test_a_guest_by_virtio_transitional_has_both_addresses() -> None:
    vmi = instance()
    vmi["spec"]["domain"]["devices"]["useVirtioTransitional"] = True
    with started(vmi) as (machine, guest):
        assert nic(machine, "model/type") == "virtio-transitional"
        has_all(machine, guest)


@pytest.mark.parametrize("model", ["e1000e", "e1000", "rtl8139"])
def test_a_loader_on_another_model_has_both_addresses(model: str, tmp_path: Path) -> None:
    """Debian's kernel for clouds drives virtio alone; iPXE drives them all."""
    script = tmp_path / "script"
    script.write_text(
        "#!ipxe\nifopen net0\nifconf -c dhcp net0\nifconf -c ipv6 net0\n"
        "echo @got ${net0/chip} ${net0/ip} ${net0/ip6}\necho @end .\nsleep 600\n"
    )
    with started(instance(model=model), kernel=Kernel(IPXE, script)) as (machine, guest):
        assert nic(machine, "model/type") == model
        said = guest.wait_for("@end", 0, 120)
        got = re.findall(r"@got .*? (\S+) (\S+)\s*$", said, re.MULTILINE)
        assert got[-1:] == [("10.244.1.5", "fd00:10:244:1::5")], said


def test_boot_order_boots_from_the_nic() -> None:
    """The NIC's own ROM, without a kernel of ours."""
    with (
        pod("flat") as made,
        virtual_machine(made, instance(settings=BOOT, bootOrder=1)) as machine,
    ):
        assert nic(machine, "boot/order") == "1"
        assert nic(machine, "rom/enabled") is None
        served = made.workdir / "tftp"
        served.mkdir()
        (served / "menu.ipxe").write_text("#!ipxe\necho @booted from ${net0/ip} \nsleep 600\n")
        options = ("--enable-tftp", f"--tftp-root={served}", "--dhcp-range=192.0.2.99,192.0.2.99")
        with (
            dnsmasq(made.gateway, "cni0", made.workdir / "boot", *options),
            machine.daemon.started(machine.domain) as guest,
        ):
            assert "from 10.244.1.5" in guest.wait_for("@booted", 0, 120)


def test_a_link_that_is_down_comes_up_goes_down_and_up_again() -> None:
    with started(instance(state="down")) as (machine, guest):
        assert nic(machine, "link/state") == "down"
        name = str(etree.fromstring(machine.domain).findtext("name"))
        assert guest.report(120).lease.ipv4 == ()

        def link(state: str) -> None:
            machine.daemon.virsh("domif-setlink", name, "tap0", state)
            carrier = "cat /sys/class/net/eth0/carrier"
            wanted = str(int(state == "up"))
            until(lambda: guest.run(carrier).strip() == wanted, f"the guest's carrier: {wanted}")

        link("up")
        asked = "udhcpc -i eth0 -n -q -t 15 -T 1 -s /leased4 2>&1; ip addr show eth0"
        assert str(machine.pod.layout.ipv4[0]) in guest.run(asked, 40)
        link("down")
        link("up")
        assert "bytes from" in guest.run(f"ping -c 1 -w 20 {REMOTE4}", 40)
        solicited = "ip -6 route show default"
        until(lambda: "fe80::" in guest.run(solicited), "the guest's IPv6 router")


@pytest.mark.parametrize("shape", ["own", "managed"])
def test_the_mtu_of_the_annotation_is_the_guests(shape: str) -> None:
    with started(instance(settings={"mtu": 1300}), shape=shape) as (_, guest):
        assert guest.report(120).lease.mtu == 1300
        larger = "ip link set eth0 mtu 1301 2>/dev/null || echo refused"
        assert "refused" in guest.run(larger)


def test_what_others_put_into_the_domain_reaches_qemu() -> None:
    given = domain_xml("01-single-binding.tap.qemucmd").decode()
    given = given.replace("<devices>", "<!-- kept --><devices><future x='1'>y</future>", 1)
    with started(instance(), only_call=given) as (machine, guest):
        assert "<!-- kept -->" in machine.domain
        future = etree.fromstring(machine.domain).find("devices/future")
        assert future is not None
        assert (future.get("x"), future.text) == ("1", "y")
        has_all(machine, guest)
        words = Path(f"/proc/{machine.daemon.qemu()}/cmdline").read_bytes().split(b"\0")
        assert words[words.index(b"-fw_cfg") + 1] == b"name=opt/x,string=y"
