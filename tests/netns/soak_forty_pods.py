"""Half an hour of misfortune for forty VMs with short leases: none ever loses an address.

Run by `make soak` (SOAK_SECONDS, SOAK_PODS). In a pod after the other a program of the sidecar is
killed or stopped, a link flaps, somebody flushes what the sidecar made, or the guest floods its
tap. Memory, descriptors and the time to an OFFER go to .cache/soak, for the plot in docs/.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean

import grpc
import pytest

from tests.bed.clients import Client, client
from tests.bed.guests import Started, started
from tests.bed.packet_sockets import packet_socket
from tests.bed.processes import family, memory
from tests.bed.wait import crowd, until
from tests.differential import replies, request4

pytestmark = pytest.mark.timeout(0)
SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
PODS = int(os.environ.get("SOAK_PODS", "40"))
FIGURES = Path(__file__).parents[2] / ".cache/soak/figures.json"
LEASES = (180, 240, 360, 480)
"""Seconds. A machine that forty pods share with others may stop for a minute."""
CLIENTS = ("networkd", "dhcpcd", "dhclient", "udhcpc")
FAMILIES: dict[str, tuple[int, ...]] = {"udhcpc": (4,)}
PATIENT = {"udhcpc": "-T 10"}
"""Arguments. The bed has udhcpc wait 1 s for an answer, and after six it gives its lease up."""
EVERY = {"misfortune": 4.0, "flood": 30.0, "request": 4.0, "look": 0.5, "figures": 15.0}
"""Seconds."""
FLOOD = 3.0
"""Seconds."""
MIB = 2**20
TRIES = 5
_numbers = itertools.count(0xC0000000)


@dataclass(frozen=True)
class Guest:
    """One of the VMs, with a packet socket of our own at its NIC."""

    vm: Started
    program: Client
    nic: socket.socket
    first: frozenset[str]
    """The addresses that it was given."""

    @property
    def sidecar(self) -> int:
        return self.vm.sidecar.process.pid

    def addresses(self) -> frozenset[str]:
        (shown,) = self.vm.guest.query("addr", "show", "dev", "eth0")
        return frozenset(one["local"] for one in shown["addr_info"] if one["scope"] == "global")

    def offered_after(self) -> float:
        """Ask as a client does, each second anew, and return the seconds to an OFFER."""
        with within(0.0, self.nic):
            while self.nic.recv(65_536):
                pass
        asked, begun, again = set[int](), time.monotonic(), 0.0
        while time.monotonic() < begun + 60 * crowd():
            if time.monotonic() >= again:
                number, again = next(_numbers) & 0xFFFFFFFF, time.monotonic() + 1
                asked.add(number)
                self.nic.send(request4.made("DISCOVER", ("none",), number))
            with within(0.05, self.nic):
                if replies.number4(self.nic.recv(65_536)) in asked:
                    return time.monotonic() - begun
        raise TimeoutError("nobody offers an address")

    def flood(self) -> None:
        """Send well-formed requests, no two alike, as fast as we can."""
        end = time.monotonic() + FLOOD
        while time.monotonic() < end:
            with within(0.1, self.nic):
                self.nic.send(request4.made("DISCOVER", ("none",), next(_numbers) & 0xFFFFFFFF))


@contextmanager
def within(seconds: float, sock: socket.socket) -> Iterator[None]:
    """End a call of the socket after so long; nothing came, or there was no room, in that time."""
    sock.settimeout(seconds)
    with suppress(BlockingIOError, TimeoutError):
        yield


@dataclass
class Figures:
    """Of all pods, at one time."""

    at: float
    """Seconds since the first misfortune."""
    memory: float
    """MiB of anonymous memory of a pod's programs, on average."""
    largest: float
    """MiB of the largest sidecar."""
    descriptors: float
    """Of a sidecar, on average."""
    most_descriptors: int
    offers: list[float] = field(default_factory=list)
    """Seconds from DISCOVER to OFFER, of each request since the figures before."""


def figures(guests: list[Guest], at: float, offers: list[float]) -> Figures:
    pids = [one.sidecar for one in guests]
    open_files = [sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) for pid in pids]
    whole = memory(each for pid in pids for each in family(pid))
    return Figures(
        at=round(at, 1),
        memory=round(whole / MIB / len(pids), 2),
        largest=round(max(memory([pid]) for pid in pids) / MIB, 2),
        descriptors=round(mean(open_files), 2),
        most_descriptors=max(open_files),
        offers=[round(one, 4) for one in offers],
    )


def test_no_guest_with_a_short_lease_loses_an_address(tmp_path: Path) -> None:
    chance, done, lost = random.Random(4), Counter[str](), Counter[str]()
    with ExitStack() as stack:
        guests = [_guest(stack, tmp_path, number) for number in range(PODS)]
        _all_is_well(guests)
        found = [figures(guests, 0.0, [])]
        turn, offers = itertools.cycle(guests), list[float]()
        begun = time.monotonic()
        due = dict.fromkeys(EVERY, begun)
        while time.monotonic() < begun + SECONDS:
            name = min(due, key=lambda one: due[one])
            time.sleep(max(0.0, due[name] - time.monotonic()))
            due[name] = time.monotonic() + EVERY[name]
            one = chance.choice(guests)
            match name:
                case "misfortune":
                    what = chance.choice(sorted(MISFORTUNES))
                    MISFORTUNES[what](one.vm)
                    done[what] += 1
                case "flood":
                    threading.Thread(target=one.flood, daemon=True).start()
                    done["flood"] += 1
                    offers.append(
                        chance.choice([each for each in guests if each is not one]).offered_after()
                    )
                case "request":
                    offers.append(one.offered_after())
                case "look":
                    one = next(turn)
                    if not one.first <= one.addresses():
                        lost[one.vm.pod.netns.name] += 1
                    assert one.vm.sidecar.process.poll() is None, one.vm.sidecar.log[-4000:]
                case "figures":
                    found.append(figures(guests, time.monotonic() - begun, offers))
                    offers = []
                    _save(found, done, lost)
        _all_is_well(guests)
        found.append(figures(guests, time.monotonic() - begun, offers))
        _save(found, done, lost)
        print(f"\n{PODS} pods, {SECONDS:.0f} s: {dict(done)}; addresses lost: {dict(lost)}")
        print(f"before {found[0]}\nafter {found[-1]}")
        assert not lost
        assert max(one.largest for one in found) <= 12
        assert found[-1].memory <= found[0].memory + 1
        assert found[-1].descriptors <= found[0].descriptors + 1


def _guest(stack: ExitStack, tmp_path: Path, number: int) -> Guest:
    name, lease = CLIENTS[number % len(CLIENTS)], LEASES[number // len(CLIENTS) % len(LEASES)]
    settings = {"dsbridge.io/default": {"lease": lease}}
    vm = _started(stack, settings)
    room = tmp_path / str(number)
    room.mkdir()
    families = FAMILIES.get(name, (4, 6))
    program = stack.enter_context(
        client(name, vm.guest, room, families=families, extra=PATIENT.get(name, ""))
    )
    program.lease(120)
    nic = stack.enter_context(packet_socket(vm.guest, "eth0"))
    made = Guest(vm, program, nic, frozenset())
    return Guest(vm, program, nic, made.addresses())


def _started(stack: ExitStack, settings: dict[str, object]) -> Started:
    """Start a VM; where a pod has no time for that, in another one, as KubeVirt does."""
    for _ in range(TRIES):
        try:
            return stack.enter_context(started("kube-ovn", "own", settings))
        except (grpc.RpcError, TimeoutError):
            continue
    raise RuntimeError(f"no VM has started in {TRIES} pods")


def _all_is_well(guests: list[Guest]) -> None:
    """Wait until every pod is as it should be, and at rest."""

    def is_well(one: Guest) -> bool:
        status = one.vm.sidecar.status()
        (about,) = status["guests"]
        serve = next(each for each in status["processes"] if each["name"] == "serve")
        return status["guard"] == "on" and not about["warnings"] and bool(serve["resting"])

    for one in guests:
        until(lambda one=one: is_well(one), f"{one.program.name} is well", 300)


def _save(found: list[Figures], done: Counter[str], lost: Counter[str]) -> None:
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    what = {"pods": PODS, "done": done, "lost": lost, "figures": [asdict(one) for one in found]}
    FIGURES.write_text(json.dumps(what))


def _signal(number: int, name: str) -> Callable[[Started], None]:
    def act(vm: Started) -> None:
        for pid in family(vm.sidecar.process.pid)[1:]:
            try:
                if name in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, number)
            except (FileNotFoundError, ProcessLookupError):  # it has ended by itself
                continue

    return act


def _ip(lines: str) -> Callable[[Started], None]:
    def act(vm: Started) -> None:
        """What an earlier misfortune took away cannot be changed: `ip` says so, and goes on."""
        vm.pod.netns.run(
            "sh", "-c", f"ip -force -batch - 2>/dev/null <<'END'\n{lines}\nEND", check=False
        )

    return act


def _flush(vm: Started) -> None:
    vm.pod.netns.run("nft", "flush", "ruleset")


def _carrier(vm: Started) -> None:
    vm.pod.gateway.ip("link set pod0 down\nlink set pod0 up")


MISFORTUNES: dict[str, Callable[[Started], None]] = {
    "serve killed": _signal(signal.SIGKILL, "binding.serve"),
    "serve stopped": _signal(signal.SIGSTOP, "binding.serve"),
    "hooks killed": _signal(signal.SIGKILL, "binding.hooks"),
    "plumb killed": _signal(signal.SIGKILL, "binding.plumb"),
    "guard flushed": _flush,
    "NIC down": _ip("link set eth0-nic down"),
    "NIC out of the bridge": _ip("link set eth0-nic nomaster"),
    "bridge down": _ip("link set k6t-eth0 down"),
    "bridge deleted": _ip("link del k6t-eth0"),
    "carrier lost": _carrier,
}
