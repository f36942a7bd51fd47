"""A guest that has what it needs costs next to nothing, and is answered all the same."""

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.processes import family, threads, wakeups
from tests.bed.wait import until

MIB = 1024
OFFER = bytes((53, 1, 2))


def processes(side):
    return {process["name"]: process for process in side.status()["processes"]}


def anonymous(pid):
    """KiB that count against the container's limit without appeal."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def is_alone(side):
    """Whether serve and hooks have left."""
    found = processes(side)
    return found["serve"]["resting"] and found["hooks"]["pid"] is None


def wait_for_rest(begun):
    """Wait until nothing is due but what the guest asks for, and the series of RAs.

    The kernel reports each bridge port once more when its forward delay of 15 s is over, and the
    sidecar then looks at the pod.
    """
    timers = "cat /sys/class/net/{tap0,eth0-nic}/brport/forward_delay_timer"
    until(lambda: begun.pod.netns.run("bash", "-c", timers).split() == ["0", "0"], "ports", 30)
    sidecar = begun.sidecar.process.pid

    def is_quiet():
        before = wakeups([sidecar])
        time.sleep(1)
        return not (wakeups([sidecar]) - before).total() and is_alone(begun.sidecar)

    until(is_quiet, "rest", 30)


@contextmanager
def at_rest(layout="flat", name="networkd"):
    with (
        started(layout, "managed", DSBRIDGE_HOOKS_LINGER="1") as begun,
        client(name, begun.guest, begun.pod.workdir) as program,
    ):
        program.lease(timeout=20)
        until(lambda: is_alone(begun.sidecar), "rest", 20)
        yield begun, program


def test_ten_seconds_after_the_lease_a_sidecar_needs_9_mib_and_is_alone():
    with at_rest() as (begun, _):
        found = processes(begun.sidecar)
        assert found["serve"]["pid"] is None
        assert found["serve"]["restarts"] == 0
        until(lambda: anonymous(found["sidecar"]["pid"]) <= 9 * MIB, "memory given back")


def test_a_busy_guest_wakes_nothing_at_rest():
    with at_rest() as (begun, _):
        sidecar = begun.sidecar.process.pid
        assert len(threads(sidecar)) == 1
        wait_for_rest(begun)
        gateway = begun.pod.layout.ipv4[0].network[1]
        before, end = wakeups([sidecar]), time.monotonic() + 5
        while time.monotonic() < end:
            assert begun.guest.reaches(gateway)
        assert family(sidecar) == [sidecar]
        assert (wakeups([sidecar]) - before).total() <= 5, "more than one wake-up a second"


def test_a_request_wakes_a_successor_that_answers_it_without_privilege():
    with at_rest() as (begun, program):
        program.renew()

        def last():
            return begun.sidecar.status()["guests"][0]["last"]["REQUEST"]["note"]

        until(lambda: "RENEWING" in last(), "the renewal is answered", 20)
        serve = processes(begun.sidecar)["serve"]["pid"]
        assert "CapPrm:\t0000000000000000" in Path(f"/proc/{serve}/status").read_text()


def discover(mac):
    """Return one DISCOVER, complete with checksums."""
    bootp = BOOTP(chaddr=bytes.fromhex(mac.replace(":", "")), xid=0x1234, flags=0x8000)
    ends = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    options = DHCP(options=[("message-type", "discover"), "end"])
    return bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ends / bootp / options)


def test_the_very_same_request_is_answered_at_rest_and_counted_by_the_next_serve():
    with at_rest() as (begun, _), capture(begun.guest, "eth0") as tap:
        request = discover(begun.pod.layout.mac)

        def offers():
            return [one for one in tap.read().received if one[282:285] == OFFER]

        tap.send(request)
        until(lambda: len(offers()) == 1, "OFFER", 10)
        until(lambda: is_alone(begun.sidecar), "rest", 25)
        sidecar = begun.sidecar.process.pid
        counted = begun.sidecar.status()["guests"][0]["counters"]["DISCOVER"]
        tap.send(request)

        def answered_without_serve():
            for pid in family(sidecar)[1:]:
                os.kill(pid, signal.SIGSTOP)
            return len(offers()) > 1

        until(answered_without_serve, "OFFER", 3)
        for pid in family(sidecar)[1:]:
            os.kill(pid, signal.SIGCONT)

        def counters():
            return begun.sidecar.status()["guests"][0]["counters"]

        until(lambda: counters()["DISCOVER"] == counted + 1, "the request is counted", 15)
        assert len(offers()) == 2


def test_a_successor_that_dies_as_it_starts_takes_no_request_with_it():
    with at_rest() as (begun, program):
        sidecar = begun.sidecar.process.pid
        died = {sidecar}

        def successor():
            return next((pid for pid in family(sidecar) if pid not in died), 0)

        program.renew()
        for _ in range(2):
            pid = until(successor, "a successor begins to start", 10)
            os.kill(pid, signal.SIGKILL)
            died.add(pid)

        def last():
            return begun.sidecar.status()["guests"][0]["last"]["REQUEST"]["note"]

        until(lambda: "RENEWING" in last(), "the renewal is answered", 20)
        assert processes(begun.sidecar)["serve"]["restarts"] == 2
        until(lambda: processes(begun.sidecar)["serve"]["resting"], "rest", 15)


def test_rest_goes_on_after_every_request():
    with at_rest() as (begun, program):
        for _ in range(2):
            program.renew()
            until(lambda: processes(begun.sidecar)["serve"]["pid"], "serve is back", 3)
            until(lambda: processes(begun.sidecar)["serve"]["resting"], "rest", 15)
        assert processes(begun.sidecar)["serve"]["restarts"] == 0


def test_the_virtual_router_answers_for_itself_at_rest():
    """The guest's NUD repeats its solicitation to the byte; nobody has to wake for it."""
    with at_rest("cilium") as (begun, _):
        begun.guest.sysctl(
            ipv6__neigh__eth0__base_reachable_time_ms=500,
            ipv6__neigh__eth0__delay_first_probe_time=1,
        )
        for _ in range(8):
            assert begun.guest.reaches("2001:db8:2::10")
        until(lambda: processes(begun.sidecar)["serve"]["resting"], "rest", 15)
        assert begun.guest.reaches("2001:db8:2::10")


def test_the_gateways_new_mac_reaches_the_guest_at_rest():
    with at_rest("cilium") as (begun, _):
        begun.pod.gateway.ip("link set pod0 address 02:00:00:00:77:77")
        until(
            lambda: begun.guest.reaches("2001:db8:2::10"), "the guest finds the gateway again", 10
        )


def test_a_new_guest_network_ends_the_rest():
    with at_rest() as (begun, _):
        changed = begun.vmi.replace(
            '"annotations": {', '"annotations": {"dsbridge.io/default": "{\\"lease\\": 600}", '
        ).replace(", }", "}")
        begun.hook.on_define_domain(begun.domain, changed)
        assert processes(begun.sidecar)["serve"]["pid"]


def test_dhcp_that_is_never_answered_wakes_nobody():
    """A dual-stack client on an IPv6-only pod asks DHCPv4 for ever, each time in other words."""
    off = {"dsbridge.io/default": {"ipv4": "off"}}
    with started("flat", "managed", off, DSBRIDGE_HOOKS_LINGER="1") as begun:
        begun.guest.ip("link set eth0 up")
        until(
            lambda: begun.sidecar.status()["guests"][0]["counters"].get("RS"), "the guest is here"
        )
        wait_for_rest(begun)
        sidecar = begun.sidecar.process.pid
        before = wakeups([sidecar])
        words = "busybox udhcpc -f -n -q -t 4 -T 1 -x hostname:a -i eth0 -s /bin/true 2>&1"
        assert "obtained" not in begun.guest.run("sh", "-c", words, check=False)
        assert family(sidecar) == [sidecar]
        assert (wakeups([sidecar]) - before).total() <= 2
