"""What goes wrong around a sidecar: it may cost a moment, and never the guest."""

import errno
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import grpc
import pytest

from proto import v1alpha3_pb2, v1alpha3_pb2_grpc
from ra import arp
from tests.bed import handler
from tests.bed.cable import cable
from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.launcher import collect, phase2
from tests.bed.packet_sockets import listening
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar
from tests.bed.udhcpc import leased
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, OWN_DOMAIN, TWO_NICS, TWO_NICS_DOMAIN, vmi_json

OFF = {"dsbridge.io/default": {"provider": "off"}}


@contextmanager
def managed(**environ):
    with pod("flat") as made, sidecar(made, **environ) as side, collect(side.hooks_dir) as hook:
        handler.managed_tap(made.netns)
        yield made, side, hook


def domain(made):
    return phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)


@contextmanager
def plugged(made):
    with cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu) as guest:
        guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)  # its RS would wake whoever rests
        guest.ip("link set eth0 up")
        yield guest


def serve(side):
    return next(one for one in side.status()["processes"] if one["name"] == "serve")


def files(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def without_room_for_files(pid):
    """Let a process open nothing more; what it has open stays."""

    def limit(number):
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={number}:"], check=True)

    limit(3)
    try:
        yield
    finally:
        limit(1024)


# Python runs this where it is found, in our processes too.
WITHOUT_NETFILTER = f"""
import socket
class Socket(socket.socket):
    def __init__(self, family=-1, kind=-1, proto=-1, fileno=None):
        if family == socket.AF_NETLINK and proto == 12:
            raise OSError({errno.EPROTONOSUPPORT}, "Protocol not supported")
        super().__init__(family, kind, proto, fileno)
socket.socket = Socket
"""


def test_a_kernel_without_netfilter_serves_without_a_guard(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_NETFILTER)
    with managed(PYTHONPATH=str(tmp_path)) as (made, side, hook):
        hook.define(domain(made), vmi_json())
        assert side.status()["guard"] == "off"
        assert listening(made.netns) == {"tap0", "eth0-nic"}
        with plugged(made) as guest:
            assert leased(guest)


def test_a_moment_without_file_descriptors_does_not_end_a_rest_for_good():
    with managed() as (made, side, hook), plugged(made) as guest:
        hook.define(domain(made), vmi_json())
        assert leased(guest)
        until(lambda: serve(side)["resting"], "rest")
        with without_room_for_files(side.process.pid):
            assert not leased(guest, hostname="b", tries=2)
        assert leased(guest, hostname="b", tries=9)


def test_a_moment_without_file_descriptors_does_not_leave_a_killed_serve_dead():
    with managed() as (made, side, hook), plugged(made) as guest:
        hook.define(domain(made), vmi_json())
        sidecar, child = side.process.pid, serve(side)["pid"]
        with without_room_for_files(sidecar):
            os.kill(child, signal.SIGKILL)
            until(lambda: "cannot start serve, retrying" in side.log, "it is said")
        assert leased(guest, tries=9)


@pytest.mark.parametrize("number", [7, 8, 9])
def test_a_start_without_file_descriptors_is_tried_again_and_keeps_none_open(number):
    with pod("flat") as made, sidecar(made, prefix=("prlimit", f"--nofile={number}:")) as side:
        pid = side.process.pid
        until(lambda: side.log.count("retrying in") > 1, "two tries")
        before, tries = files(pid), side.log.count("retrying in")
        until(lambda: side.log.count("retrying in") > tries, "another try")
        until(lambda: files(pid) <= before, "no more files than before")
        subprocess.run(["prlimit", "--pid", str(pid), "--nofile=1024:"], check=True)
        with collect(side.hooks_dir) as hook:
            handler.managed_tap(made.netns)
            hook.define(domain(made), vmi_json())
            with plugged(made) as guest:
                assert leased(guest)


def ask_briefly(hook):
    request = v1alpha3_pb2.OnDefineDomainParams(
        domainXML=OWN_DOMAIN.encode(), vmi=vmi_json().encode()
    )
    with hook.dial() as channel:
        v1alpha3_pb2_grpc.CallbacksStub(channel).OnDefineDomain(request, timeout=0.1)


def test_a_caller_that_does_not_wait_leaves_nothing_half_done():
    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        with pytest.raises(grpc.RpcError) as ended:
            ask_briefly(hook)
        assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED

        def called():
            with suppress(grpc.RpcError):
                ask_briefly(hook)
            return side.status()["last_call"] or side.status()["guests"]

        until(called, "hooks has read a call in time")
        until(lambda: serve(side)["pid"] and side.status()["guard"] == "on", "it is wired")
        with plugged(made) as guest:
            assert leased(guest)


def test_where_nobody_is_served_any_more_no_process_stays():
    with managed() as (made, side, hook):
        hook.define(domain(made), vmi_json())
        hook.define(domain(made), vmi_json(OFF))
        assert serve(side)["pid"] is None
        with collect(side.hooks_dir) as again:  # asks Info
            assert again
        assert serve(side)["pid"] is None


def test_calls_that_change_something_leave_no_file_open():
    with managed() as (made, side, hook):
        hook.define(domain(made), vmi_json())
        until(lambda: serve(side)["phase"] == "running", "serve has its packet sockets")
        child = serve(side)["pid"]
        before = files(child), files(side.process.pid)
        for lease in range(600, 610):
            hook.on_define_domain(domain(made), vmi_json({"dsbridge.io/default": {"lease": lease}}))
        assert serve(side)["pid"] == child
        # A program that ends, or a question for status, has one open for a moment.
        until(lambda: files(side.process.pid) <= before[1], "no more files than before")
        assert files(child) <= before[0]


def test_a_nic_that_the_guest_never_brings_up_keeps_no_sidecar_awake():
    with pod("flat", blue=True) as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        instance = vmi_json({"dsbridge.io/blue": {"ipv6": "off"}}, "03-two-iface-multus")
        hook.define(TWO_NICS_DOMAIN, instance)
        with plugged(made) as guest:
            assert leased(guest)
            until(lambda: serve(side)["resting"], "rest")


def test_a_network_that_talks_to_itself_keeps_no_sidecar_awake(tmp_path):
    with started("flat", "managed") as vm, client("networkd", vm.guest, tmp_path) as program:
        program.lease(timeout=20)
        ended = threading.Event()
        with capture(vm.pod.gateway, "pod0") as outside:
            frame = arp.gratuitous(IPv4Address("10.244.1.77"), "02:00:00:00:00:77")

            def talk():
                while not ended.wait(2):
                    outside.send(frame)

            talker = threading.Thread(target=talk)
            talker.start()
            try:
                until(lambda: serve(vm.sidecar)["resting"], "rest", 25)
            finally:
                ended.set()
                talker.join()


def test_a_request_that_wakes_serve_is_not_lost_by_a_call_that_changes_something():
    with managed() as (made, side, hook), plugged(made) as guest:
        hook.define(domain(made), vmi_json())
        assert leased(guest)
        until(lambda: serve(side)["resting"], "rest")
        once = "busybox udhcpc -f -n -q -t 1 -T 5 -x hostname:b -i eth0 -s /bin/true 2>&1"
        asking = guest.popen("sh", "-c", once, stdout=subprocess.PIPE)
        until(lambda: serve(side)["pid"], "somebody is woken")
        hook.on_define_domain(domain(made), vmi_json({"dsbridge.io/default": {"lease": 777}}))
        said, _ = asking.communicate()
        assert b"obtained" in said


def test_a_tap_that_is_gone_silences_no_other_nic():
    with pod("flat", blue=True) as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        hook.define(TWO_NICS_DOMAIN, TWO_NICS)
        (blue,) = (one["tap"] for one in side.status()["guests"] if one["tap"] != "tap0")
        with plugged(made) as guest:
            assert leased(guest)
            made.netns.ip(f"link del {blue}")
            os.kill(serve(side)["pid"], signal.SIGKILL)
            until(lambda: serve(side)["restarts"] == 1, "a successor")
            assert leased(guest, hostname="b")


# The node has no file left for the first sockets, and no memory at every 5th turn of the loop.
SHORT_OF_EVERYTHING = f"""
import selectors, socket, sys
tries = []
turns = []
listen = socket.socket.listen
select = selectors.EpollSelector.select
def late(self, *words):
    tries.append(1)
    if len(tries) < 3:
        raise OSError({errno.ENFILE}, "Too many open files in system")
    return listen(self, *words)
def scarce(self, timeout=None):
    turns.append(1)
    if len(turns) % 5 == 0:
        raise MemoryError
    return select(self, timeout)
if sys.orig_argv[2] == "binding":  # the sidecar only
    socket.socket.listen, selectors.EpollSelector.select = late, scarce
"""


def test_a_node_that_is_short_of_files_and_memory_ends_no_sidecar(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SHORT_OF_EVERYTHING)
    with managed(PYTHONPATH=str(tmp_path)) as (made, side, hook):
        assert side.log.count("cannot start yet") == 2
        assert "MemoryError" in side.log
        hook.define(domain(made), vmi_json())
        with plugged(made) as guest:
            assert leased(guest)
        assert side.process.poll() is None
