"""What an operator sees of a running sidecar: status, diagnose, capture."""

import signal
import subprocess
from contextlib import contextmanager

import pytest
from scapy.layers.dhcp import DHCP
from scapy.utils import rdpcap

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.sidecar import PROGRAM, ROOT
from tests.bed.wait import until

pytestmark = pytest.mark.netns


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
    with leased() as begun:
        assert "10.244.1.5/24" in begun.sidecar.cli("status")
        metrics = begun.sidecar.cli("status", "--prometheus")
        assert 'dsbridge_messages_total{network="default",message="ACK"} 1' in metrics


def test_diagnose_tells_a_guest_that_has_leased_from_one_that_has_not_asked():
    with started("flat", "managed") as begun:
        command = begun.pod.netns.command(
            *PROGRAM, "diagnose", "--hooks-dir", str(begun.sidecar.hooks_dir)
        )
        silent = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert silent.returncode == 1
        assert "the guest has had no ACK" in silent.stdout
        with client("networkd", begun.guest, begun.pod.workdir) as program:
            program.lease(timeout=20)
            until(lambda: "given 10.244.1.5/24 by DHCPv4" in run(command), "the lease shows")


def run(command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_capture_is_a_pcap_of_both_directions(tmp_path):
    with started("flat", "managed") as begun:
        file = tmp_path / "tap0.pcap"
        with file.open("wb") as out:
            words = begun.pod.netns.command(*PROGRAM, "capture", "tap0")
            capture = subprocess.Popen(words, cwd=ROOT, stdout=out)
        until(lambda: file.stat().st_size >= 24, "the pcap header")
        with client("networkd", begun.guest, begun.pod.workdir) as program:
            program.lease(timeout=20)
        capture.send_signal(signal.SIGINT)
        assert capture.wait(60) == 0
        kinds = {frame[DHCP].options[0][1] for frame in rdpcap(str(file)) if DHCP in frame}
        assert {1, 2, 3, 5} <= kinds or {1, 5} <= kinds
