"""A sidecar, or one of its programs, that is killed or hangs: the guest goes on being answered."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.bed import handler
from tests.bed.cable import cable
from tests.bed.capture import capture
from tests.bed.guests import started
from tests.bed.launcher import collect, phase2
from tests.bed.pod import pod
from tests.bed.processes import family
from tests.bed.sidecar import sidecar
from tests.bed.wait import crowd, until
from tests.samples import MANAGED_DOMAIN, vmi_json

OFFER = bytes((53, 1, 2))


def asks(guest, name="a", tries=6):
    """Ask for a lease, as a guest that boots; another host name is another request."""
    words = f"udhcpc -f -n -q -t {tries} -T 1 -x hostname:{name} -i eth0 -s /bin/true"
    return "obtained" in guest.run("sh", "-c", f"busybox {words} 2>&1", check=False)


def process(side, name):
    return next(one for one in side.status()["processes"] if one["name"] == name)


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_a_sidecar_started_again_serves_from_what_the_killed_one_saved(shape):
    with started("flat", shape) as vm:
        vm.guest.ip("link set eth0 up")
        assert asks(vm.guest)
        vm.sidecar.process.kill()
        vm.sidecar.process.wait()
        with sidecar(vm.pod) as again:
            until(lambda: asks(vm.guest, "b", 1), "the guest is answered without any call", 20)
            (guest,) = again.status()["guests"]
            assert guest["shape"] == shape
            until(lambda: again.status()["guard"] == "on", "the guard is on", 10)
            with collect(again.hooks_dir) as hook:
                assert hook.define(vm.domain, vm.vmi)
            assert asks(vm.guest, "c")


def test_a_sidecar_started_again_mends_what_changed_while_there_was_none():
    with started("flat", "own") as vm:
        vm.guest.ip("link set eth0 up")
        vm.sidecar.process.kill()
        vm.sidecar.process.wait()
        vm.pod.netns.run("nft", "flush", "ruleset")
        vm.pod.netns.ip("link set eth0-nic nomaster\nlink del k6t-eth0")
        with sidecar(vm.pod) as again:
            until(lambda: asks(vm.guest, "b", 1), "the guest is answered without any call", 20)
            until(lambda: not again.status()["guests"][0]["warnings"], "nothing is wrong", 10)


def test_a_pod_that_is_another_is_not_served_from_saved_state():
    # Both at once: the kernel gives the number of a namespace that has gone to the next one.
    with started("flat", "managed") as vm, pod("flat") as made:
        saved = (vm.sidecar.hooks_dir / "state/desired.json").read_text()
        state = made.workdir / "hook-sidecar-0/state"
        state.mkdir(parents=True)
        (state / "desired.json").write_text(saved)
        with sidecar(made) as side, collect(side.hooks_dir):
            assert side.status()["guests"] == []


@pytest.mark.parametrize("name", ["desired.json", "snapshot.json"])
@pytest.mark.parametrize("content", ["{", '{"version": 99}', "[" * 200_000, "FIFO", "DIRECTORY"])
def test_whatever_stands_in_place_of_state_a_sidecar_starts(name, content):
    with pod("flat") as made:
        state = made.workdir / "hook-sidecar-0/state"
        state.mkdir(parents=True)
        if content == "FIFO":
            os.mkfifo(state / name)
        elif content == "DIRECTORY":
            (state / name / "more").mkdir(parents=True)
        else:
            (state / name).write_text(content)
        with sidecar(made) as side, collect(side.hooks_dir):
            assert "ignoring" in side.log


def test_a_hung_serve_is_replaced_and_the_guest_answered():
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        assert asks(vm.guest)
        hung = process(vm.sidecar, "serve")["pid"]
        os.kill(hung, signal.SIGSTOP)
        assert asks(vm.guest, "b", 20)
        serve = process(vm.sidecar, "serve")
        assert serve["pid"] != hung
        assert "killed by SIGKILL" in serve["last_end"]
        assert "had not answered" in vm.sidecar.log


def stop_at_spawn(side, module, after=None):
    """Stop the sidecar's process of this module that comes after `after`; return its pid."""

    def spawned():
        for pid in set(family(side.process.pid)[1:]) - {after}:
            with suppress(FileNotFoundError, ProcessLookupError):
                if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGSTOP)
                    return pid
        return None

    end = time.monotonic() + 30
    while time.monotonic() < end:
        if pid := spawned():
            return pid
    raise TimeoutError(module)


def test_a_serve_that_is_stopped_as_it_starts_is_replaced_within_seconds():
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        assert asks(vm.guest)
        os.kill(killed := process(vm.sidecar, "serve")["pid"], signal.SIGKILL)
        stopped = stop_at_spawn(vm.sidecar, "binding.serve", killed)
        assert process(vm.sidecar, "serve")["phase"] == "starting"
        until(lambda: asks(vm.guest, "b", 1), "another request is answered", 15)
        assert process(vm.sidecar, "serve")["pid"] != stopped
        assert "binding.serve is killed: it was stopped" in vm.sidecar.log


def test_hooks_that_are_stopped_as_they_start_are_replaced_within_seconds():
    with started("flat", "managed") as vm, collect(vm.sidecar.hooks_dir) as hook:
        os.kill(process(vm.sidecar, "hooks")["pid"], signal.SIGKILL)
        until(lambda: process(vm.sidecar, "hooks")["pid"] is None, "its end is seen")
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(hook.socket))
            stop_at_spawn(vm.sidecar, "binding.hooks")
            assert hook.define(vm.domain, vm.vmi)
        assert "binding.hooks is killed: it was stopped" in vm.sidecar.log


def test_a_plumb_that_is_stopped_as_it_starts_is_replaced_within_seconds():
    with started("flat", "managed") as vm:
        vm.pod.netns.run("nft", "flush", "ruleset")
        stop_at_spawn(vm.sidecar, "binding.plumb")
        listed = ("nft", "list", "tables")
        until(lambda: "dsbridge" in vm.pod.netns.run(*listed), "the guard is there again", 15)
        assert "it was stopped" in vm.sidecar.log


def test_a_serve_killed_every_second_leaves_no_guest_without_answers():
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        assert asks(vm.guest)
        end, asked = time.monotonic() + 20, 0
        while time.monotonic() < end:
            pid = process(vm.sidecar, "serve")["pid"]
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            asked += 1
            assert asks(vm.guest, f"name{asked}", 8)
        assert process(vm.sidecar, "serve")["restarts"] >= 3


def discover(mac):
    sender = bytes.fromhex(mac.replace(":", ""))
    header = BOOTP(op=1, xid=7, chaddr=sender) / DHCP(options=[("message-type", 1), "end"])
    ports = UDP(sport=68, dport=67)
    packet = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255")
    return bytes(packet / ports / header)


def kill_every_second(sidecar, ended):
    """Kill each `serve` that is there; return how many that were."""
    killed = 0
    while not ended.wait(1):
        for pid in family(sidecar)[1:]:
            with suppress(FileNotFoundError, ProcessLookupError):
                if b"binding.serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
    return killed


@pytest.mark.parametrize("seconds", [20, pytest.param(60, marks=pytest.mark.matrix)])
def test_a_serve_killed_every_second_pauses_no_known_answer(seconds):
    """The sidecar's stand-in repeats them meanwhile."""
    with started("flat", "managed") as vm, ThreadPoolExecutor(1) as beside:
        vm.guest.ip("link set eth0 up")
        with capture(vm.guest, "eth0") as wire:
            asked, ended = discover(vm.pod.layout.mac), threading.Event()

            def is_answered():
                wire.send(asked)
                time.sleep(0.25)  # the stand-in repeats five a second
                heard = wire.read().received[:]
                wire.received.clear()
                return OFFER in b"".join(heard)

            until(is_answered, "a first answer")
            kills = beside.submit(kill_every_second, vm.sidecar.process.pid, ended)
            answered, longest, end = time.monotonic(), 0.0, time.monotonic() + seconds
            while time.monotonic() < end:
                if is_answered():
                    answered = time.monotonic()
                longest = max(longest, (time.monotonic() - answered) / crowd())
            ended.set()
        assert kills.result(10) >= 5
        assert longest < 1


def test_sigterm_is_heeded_when_the_guest_has_ended_and_not_before():
    """kubelet sends it to all containers at once, while the guest still shuts down."""
    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        domain, vmi = managed(made)
        assert hook.define(domain, vmi)
        with cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu) as guest:
            guest.ip("link set eth0 up")
            assert asks(guest)
            side.process.terminate()
            assert asks(guest, "b")
            with pytest.raises(TimeoutError):
                until(lambda: side.process.poll() is not None, "its end", 4)
            assert asks(guest, "c")
        assert side.process.wait(20) == 0


def test_sigterm_ends_at_once_where_nobody_is_served():
    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir):
        begun = time.monotonic()
        side.process.terminate()
        assert side.process.wait(10) == 0
        assert time.monotonic() - begun < 8


def test_a_shutdown_that_was_never_served_ends_the_sidecar_all_the_same():
    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        domain, vmi = managed(made)
        hook.define(domain, vmi)
        with cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu) as guest:
            guest.ip("link set eth0 up")
            assert asks(guest)
            until(lambda: process(side, "serve"), "status")
        with hook.dial() as channel:  # virt-launcher dials, and gives up before it has asked
            del channel

        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(hook.socket))
        assert side.process.wait(40) == 0


def managed(made):
    handler.managed_tap(made.netns)
    return phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu), vmi_json()
