"""What an operator sees of a running sidecar: status and its forms, capture, the log."""

import json
import os
import pty
import signal
import subprocess
from contextlib import contextmanager

import pytest
from scapy.layers.dhcp import DHCP
from scapy.utils import PcapNgReader

from tests.bed.clients import client
from tests.bed.diagnosis import run
from tests.bed.guests import started
from tests.bed.sidecar import PROGRAM, ROOT
from tests.bed.wait import until


@contextmanager
def leased():
    with (
        started("flat", "managed") as begun,
        client("networkd", begun.guest, begun.pod.workdir) as c,
    ):
        c.lease(timeout=20)
        yield begun


def test_status_has_the_keys_that_tools_rely_on():
    with leased() as begun:
        status = begun.sidecar.status()
        assert {"version", "plugin", "guard", "guests", "processes"} <= status.keys()
        (guest,) = status["guests"]
        assert guest["router"] == {
            "address": begun.pod.layout.router,
            "lladdr": begun.pod.layout.gateway_mac,
            "source": "eui64",
        }
        assert guest["counters"]["RA"] >= 1
        assert guest["last"]["SOLICIT"]["reply"] in ("ADVERTISE", "REPLY")


def test_status_speaks_to_people_and_to_prometheus():
    with leased() as vm:
        text = vm.sidecar.cli("status")
        assert "10.244.1.5/24" in text
        assert max(map(len, text.splitlines())) <= 80
        for told in ("10.96.0.10", "svc.cluster.local", "lease       infinite", " UTC, "):
            assert told in text
        metrics = vm.sidecar.cli("status", "-o", "prometheus")
        labels = 'vmi="vmi-single",network="default",protocol="dhcp4",message="ACK"'
        assert f'dsbridge_answers_total{{namespace="default",{labels}}} 1' in metrics
        assert 'protocol="dhcp4",message="to-server"' in metrics
        assert vm.sidecar.cli("status", "--prometheus").startswith("# HELP dsbridge_info")


def test_status_is_that_of_now_and_in_every_form():
    with leased() as vm:
        for form in ("text", "wide", "json", "prometheus", "rows"):
            assert vm.sidecar.cli("status", "-o", form)
        guest = vm.sidecar.status()["guests"][0]
        assert guest["told"]["dns"] == ["10.96.0.10", "fd00:10:96::a"]
        assert guest["asked"]["REQUEST"]["answer"]["reply"] == "ACK"
        assert guest["gateways"]["10.244.1.1"] == vm.pod.layout.gateway_mac


def test_the_log_names_the_vmi_and_the_time_of_the_exchange():
    with leased() as vm:
        until(lambda: "ACK to REQUEST" in vm.sidecar.log, "the ACK's line")
        lines = [json.loads(one) for one in vm.sidecar.log.splitlines()]
        (ack,) = [one for one in lines if one["msg"].startswith("ACK to REQUEST")]
        about = {key: ack[key] for key in ("kind", "namespace", "name", "uid", "network")}
        assert about == {
            "kind": "VirtualMachineInstance",
            "namespace": "default",
            "name": "vmi-single",
            "uid": json.loads(vm.vmi)["metadata"]["uid"],
            "network": "default",
        }
        last = vm.sidecar.status()["guests"][0]["asked"]["REQUEST"]["answer"]
        assert ack["timestamp"] == last["time"]


@contextmanager
def capturing(vm, file, *words):
    command = vm.pod.netns.command(
        *PROGRAM, "capture", *words, "--hooks-dir", str(vm.sidecar.hooks_dir)
    )
    with file.open("wb") as out:
        program = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE)
    try:
        assert b"listening at tap0" in program.stderr.readline()
        yield program
    finally:
        program.kill()
        program.wait()
        program.stderr.close()


def frames(file):
    with PcapNgReader(str(file)) as reader:
        return list(reader)


@pytest.fixture
def lease_captured(tmp_path):
    """A guest's lease in a file, and the address of that guest."""
    file = tmp_path / "tap0.pcapng"
    with started("flat", "managed") as vm, capturing(vm, file) as program:
        with client("networkd", vm.guest, vm.pod.workdir) as guest:
            guest.lease(timeout=20)
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 0
    return file, str(vm.pod.layout.ipv4[0].ip)


def test_capture_is_a_pcapng_of_both_directions(lease_captured):
    file, _ = lease_captured
    kinds = {frame[DHCP].options[0][1] for frame in frames(file) if DHCP in frame}
    assert {1, 2, 3, 5} <= kinds or {1, 5} <= kinds


def dissected(file, *fields):
    """Return what Wireshark's dissector reads, a tuple of fields for each frame."""
    wanted = [word for field in fields for word in ("-e", field)]
    told = subprocess.check_output(
        ["tshark", "-n", "-r", file, "-T", "fields", *wanted], text=True, stderr=subprocess.DEVNULL
    )
    return [tuple(line.split("\t")) for line in told.splitlines()]


def test_wireshark_reads_a_capture_field_by_field(lease_captured):
    file, address = lease_captured
    fields = ("frame.interface_name", "frame.packet_flags_direction", "dhcp.option.dhcp",
              "dhcp.ip.your", "dhcpv6.msgtype", "icmpv6.type", "_ws.malformed")  # fmt: skip
    frames_ = dissected(file, *fields)
    assert {one[0] for one in frames_} == {"tap0"}
    assert {one[6] for one in frames_} == {""}
    inbound, outbound = "0x00000001", "0x00000002"
    said = {one[1:] for one in frames_}
    assert (inbound, "1", "0.0.0.0", "", "", "") in said  # DISCOVER
    assert (outbound, "5", address, "", "", "") in said  # ACK
    assert any(one[1] == inbound and one[4] == "1" for one in frames_)  # SOLICIT
    assert any(one[1] == outbound and one[4] == "7" for one in frames_)  # REPLY
    assert any(one[1] == outbound and one[5] == "134" for one in frames_)  # RA


def test_capture_ends_by_count_and_takes_only_what_is_asked_for(tmp_path):
    file = tmp_path / "two.pcapng"
    with started("flat", "managed") as vm, capturing(vm, file, "-p", "dhcp4", "-c", "2") as program:
        with client("networkd", vm.guest, vm.pod.workdir) as guest:
            guest.lease(timeout=20)
        assert program.wait(60) == 0
    assert [DHCP in frame for frame in frames(file)] == [True, True]


def test_capture_says_what_it_cannot_do(tmp_path):
    with started("flat", "managed") as vm:
        done = run(vm.pod.netns, vm.sidecar.hooks_dir, "capture", "tap9")
        assert done.returncode == 1
        assert "cannot capture at tap9" in done.stderr
        assert "taps here: tap0" in done.stderr
        done = run(
            vm.pod.netns, vm.sidecar.hooks_dir, "capture", "-w", str(tmp_path / "none" / "x")
        )
        assert done.returncode == 1
        assert "cannot write" in done.stderr
        ours, theirs = pty.openpty()
        command = vm.pod.netns.command(
            *PROGRAM, "capture", "--hooks-dir", str(vm.sidecar.hooks_dir)
        )
        done = subprocess.run(
            command, cwd=ROOT, stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=30
        )
        os.close(ours)
        os.close(theirs)
        assert done.returncode == 1
        assert b"no text for a terminal" in done.stderr
