"""DHCPv4 on the wire as it really is: offloaded checksums, Windows, and a guest gone mad."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.guests import Started, started
from tests.bed.handler import managed_tap
from tests.bed.launcher import collect, phase2
from tests.bed.packet_sockets import packet_socket
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import sidecar
from tests.bed.vm import nics, vm
from tests.bed.wait import Limit, until
from tests.dhcp.v4_wire import ADDRESS, MAC, SERVER, VECTORS, Seen, ones_complement, routes, vector
from tests.samples import MANAGED_DOMAIN, vmi_json

SOL_PACKET, PACKET_AUXDATA, CHECKSUM_NOT_READY = 263, 8, 1 << 3
V4_ONLY = {"dsbridge.io/default": {"ipv6": "off"}}
# The client of the report has ended. Its script notes a lease in /tmp/leased.4.
RENEW = (
    "rm /tmp/leased.4; udhcpc -f -i eth0 -s /leased4 >/dev/null 2>&1 & "
    "until [ -s /tmp/leased.4 ]; do usleep 50000; done; kill -USR1 $!"
)
FLOOD = 3
"""Seconds."""


def as_captured(made: Pod) -> None:
    """Make the pod the one that the captured requests were made for."""
    made.netns.ip(f"""
        link set eth0 address {MAC}
        addr flush dev eth0
        addr add {ADDRESS}/32 dev eth0
        route add {SERVER} dev eth0 scope link
        route add default via {SERVER} dev eth0""")


def plugged(running: Started) -> socket.socket:
    """Return the guest's end of the cable."""
    running.guest.ip("link set eth0 up")
    return packet_socket(running.guest, "eth0")


def ask(guest: socket.socket, frame: bytes, within: float = 1, kind: int | None = None) -> Seen:
    """Send a request, again every 0.1 s, and return the reply to it, of this kind if one is given.

    What was sent again is answered again: an OFFER may come when a REQUEST has been sent.
    """
    limit = Limit(within)
    guest.settimeout(0.1)
    while not limit.over():
        guest.send(frame)
        try:
            while not limit.over():
                reply = guest.recv(65_536)
                if reply[36:38] == b"\0\x44" and reply[46:50] == frame[46:50]:
                    seen = Seen(reply)
                    if kind in (None, *seen.options[53]):
                        return seen
        except TimeoutError:
            continue
    raise TimeoutError(f"no reply within {within} s")


def test_windows_gets_its_routes_as_option_249_too() -> None:
    with started("calico", "own", V4_ONLY, as_captured) as running, plugged(running) as guest:
        for name, kind in (("discover", 2), ("selecting", 5), ("init-reboot", 5), ("inform", 5)):
            reply = ask(guest, vector(f"windows-{name}")[0], kind=kind)
            assert reply.options[249] == reply.options[121]
            assert routes(reply.options[249]) == [
                (f"{SERVER}/32", "0.0.0.0"),
                ("0.0.0.0/0", str(SERVER)),
            ]


def garbage(seed: int = 3) -> list[bytes]:
    """Real requests with octets changed and ends cut off, and UDP checksums that say nothing."""
    chance = random.Random(seed)
    frames = []
    for path in sorted(VECTORS.glob("[!w]*.hex")):
        whole = bytearray(vector(path.stem)[0])
        whole[40:42] = b"\0\0"  # no checksum: nothing but its own bytes speak against it
        for _ in range(40):
            broken = bytearray(whole)
            for _ in range(chance.randint(1, 30)):
                broken[chance.randrange(42, len(broken))] = chance.randrange(256)
            frames += [bytes(broken), bytes(broken[: chance.randrange(14, len(broken))])]
    return frames


def resident(pid: int) -> int:
    """Return the kB of a process's resident memory."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def serve(running: Started) -> int:
    processes = running.sidecar.status()["processes"]
    return next(one["pid"] for one in processes if one["name"] == "serve")


def test_after_a_flood_of_garbage_the_same_process_answers_within_a_second() -> None:
    with started("calico", "own", V4_ONLY, as_captured) as running, plugged(running) as guest:
        honest = vector("windows-discover")[0]
        frames = garbage()
        for frame in frames[:100]:  # what a first use allocates is no growth
            guest.send(frame)
        assert ask(guest, honest).yiaddr == ADDRESS
        pid = serve(running)
        memory, sent, end = resident(pid), 0, time.monotonic() + FLOOD
        while time.monotonic() < end:
            guest.send(frames[sent % len(frames)])
            sent += 1
        assert ask(guest, honest).yiaddr == ADDRESS
        shown = running.sidecar.status()
        assert serve(running) == pid
        assert shown["guests"][0]["counters"]["malformed"] > 100
        assert resident(pid) < memory + 1024
        assert len(running.sidecar.log) < 100_000, "one guest's noise is not the node's disk"


def requests(tap: socket.socket) -> Iterator[tuple[bool, bool]]:
    """Yield of each DHCPv4 request that waits here: what the kernel says of its UDP checksum
    (left to hardware), and whether it is right as it is."""
    tap.settimeout(0)
    while True:
        try:
            frame, ancillary, _, _ = tap.recvmsg(2048, 64)
        except BlockingIOError:
            return
        if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\0\x43":
            ((_, _, data),) = ancillary
            pseudo = frame[26:34] + struct.pack("!HH", 17, len(frame) - 34)
            right = ones_complement(pseudo + frame[34:]) == 0xFFFF
            yield bool(struct.unpack_from("=I", data)[0] & CHECKSUM_NOT_READY), right


@pytest.mark.vm
def test_a_virtual_machine_renews_with_a_checksum_that_no_hardware_completes() -> None:
    """Its client's own packet socket writes whole checksums; its kernel's UDP leaves them open."""
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        managed_tap(made.netns)
        domain = phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)
        domain = hook.define(domain, vmi_json())
        with packet_socket(made.netns, "tap0") as tap, vm(made, *nics(domain)) as machine:
            tap.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            assert machine.report().lease.ipv4 == made.layout.ipv4
            machine.run(RENEW)
            text = "ACK to REQUEST: 10.244.1.5, RENEWING"
            until(lambda: text in running.log, text)
            assert "inet 10.244.1.5/24" in machine.run("ip addr show dev eth0")
            assert set(requests(tap)) == {(False, True), (True, False)}
            assert "malformed" not in running.status()["guests"][0]["counters"]
