"""Debian's installer, booted from the network: netcfg by DHCP, then a preseed from beyond."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bed.console import parse
from tests.bed.installer import installer
from tests.bed.netns import end
from tests.bed.pod import NAMESERVERS, REMOTE4, SEARCH, Pod, pod
from tests.bed.virtual_machine import virtual_machine
from tests.bed.wait import until
from tests.samples import vmi_object

pytestmark = [pytest.mark.netns, pytest.mark.vm_long]
UNATTENDED = ("auto=true", "priority=critical", "locale=en_US", "keymap=us", "interface=auto")
SCRIPT = """exec >/dev/console 2>&1
nic=$(ls /sys/class/net | grep -v lo)
echo
echo "@hostname $(hostname)"
ip addr show dev $nic scope global | grep inet | sed 's/^ */@addr /'
ip -4 route show dev $nic | sed 's/^/@route4 /'
ip -6 route show dev $nic | sed 's/^/@route6 /'
sed 's/^/@resolv /' /etc/resolv.conf
echo "@end ."
sleep 600
"""


@contextmanager
def web(made: Pod, address: str) -> Iterator[str]:
    """Serve preseed and script beyond the gateway; yield the preseed's URL."""
    directory = made.workdir / "web"
    directory.mkdir()
    url = f"http://{address}:8000"
    command = f"wget -q -O /tmp/script {url}/script && sh /tmp/script"
    (directory / "preseed.cfg").write_text(f"d-i preseed/early_command string {command}\n")
    (directory / "script").write_text(SCRIPT)
    with (made.workdir / "web.log").open("wb") as log:
        process = made.remote.popen(
            *(sys.executable, "-m", "http.server", "--bind", address),
            *("--directory", str(directory), "8000"),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: ":8000" in made.remote.run("ss", "-ltn"), "the web server")
        yield f"{url}/preseed.cfg"
    finally:
        end(process)


def test_the_installer_is_told_all_of_the_pod_and_fetches_its_preseed() -> None:
    """netcfg releases its IPv6 address as soon as it has written down what it found."""
    with pod("flat") as made, web(made, str(REMOTE4)) as url:
        kernel = installer(*UNATTENDED, f"url={url}")
        with (
            virtual_machine(made, vmi_object("01-single-binding"), kernel=kernel) as machine,
            machine.daemon.started(machine.domain) as guest,
        ):
            said = guest.wait_for("@end", 0, 240)
            [told] = machine.sidecar.status()["guests"]
    lease, layout = parse(said).lease, made.layout
    assert lease.ipv4 == layout.ipv4, said
    assert str(lease.default4) == layout.gateway4
    assert str(lease.default6) == layout.router
    assert NAMESERVERS[0] in lease.dns
    assert lease.search[:1] == SEARCH[:1]
    assert lease.hostname == "vmi-single"
    assert str(layout.ipv6[0].ip) in told["last"]["DHCPv6 REQUEST"]["note"], told
    assert told["counters"]["DHCPv6 RELEASE"], told
