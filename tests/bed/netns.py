"""Named network namespaces, and processes in them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.bed.tap_forwarder import enter
from tests.bed.wait import crowd, until

T = TypeVar("T")

_serial = itertools.count(1)
# `ip netns exec` gives each process its own mounts, so this reaches nobody else. No image has
# Wireshark, whose table of vendors scapy would load: 16 MiB.
_WITH_RESOLV_CONF = """
mount --bind "$0" /etc/resolv.conf || exit
[ ! -d /usr/share/wireshark ] || mount -t tmpfs tmpfs /usr/share/wireshark || exit
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Netns:
    """One namespace, by the name that `ip netns` knows."""

    name: str

    @property
    def path(self) -> Path:
        """What setns(2) opens."""
        return Path("/run/netns") / self.name

    def ip(self, script: str) -> None:
        """Run lines of `ip -batch`; RuntimeError quotes what iproute2 said."""
        done = subprocess.run(
            ["ip", "-n", self.name, "-batch", "-"],
            input=script,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"ip in {self.name}: {done.stderr.strip()}\n{script.strip()}")

    def query(self, *args: str) -> list[dict[str, Any]]:
        """Return the JSON of `ip ARGS`, such as `query("addr", "show", "dev", "eth0")`."""
        text = subprocess.check_output(["ip", "-n", self.name, "-json", *args], text=True)
        return [item for item in json.loads(text or "[]") if item]

    def has(self, link: str) -> bool:
        """Say whether a link of that name exists."""
        return any(item["ifname"] == link for item in self.query("link", "show"))

    def command(self, *argv: str, resolv_conf: Path | None = None) -> list[str]:
        """Return the argv that runs argv in here, with a resolv.conf of its own if given."""
        inside = ["ip", "netns", "exec", self.name]
        if resolv_conf is not None:
            inside += ["sh", "-c", _WITH_RESOLV_CONF, str(resolv_conf)]
        return [*inside, *argv]

    def run(self, *argv: str, check: bool = True, timeout: float = 120) -> str:
        """Return stdout; CalledProcessError unless check is off."""
        return subprocess.run(
            self.command(*argv), check=check, timeout=timeout, text=True, stdout=subprocess.PIPE
        ).stdout

    def popen(
        self, *argv: str, resolv_conf: Path | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process whose pid is argv's own, not a wrapper's."""
        return subprocess.Popen(self.command(*argv, resolv_conf=resolv_conf), **options)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in here; the sockets that it opens stay in here."""

        def inside() -> T:
            enter(str(self.path))
            return function()

        with ThreadPoolExecutor(1) as thread:  # only that thread goes there
            return thread.submit(inside).result()

    def sysctl(self, **settings: int | str) -> None:
        """Set net.* values: `sysctl(ipv4__ip_forward=1)` is net.ipv4.ip_forward."""
        lines = [
            f"echo {value} > /proc/sys/net/{key.replace('__', '/')}"
            for key, value in settings.items()
        ]
        self.run("sh", "-ec", "\n".join(lines))

    def reaches(self, address: object) -> bool:
        """Send one echo request and say whether it was answered within a second."""
        command = self.command("busybox", "ping", "-q", "-c", "1", "-W", "1", str(address))
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def pids(self) -> list[int]:
        """Return the processes in here."""
        text = subprocess.check_output(["ip", "netns", "pids", self.name], text=True)
        return [int(pid) for pid in text.split()]

    def _end_processes(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            with suppress(TimeoutError):
                until(lambda: not self.pids(), f"processes in {self.name} end", 2)
                return


@contextmanager
def netns(label: str) -> Iterator[Netns]:
    """Make a namespace with lo up; at exit end what still runs in it and remove it."""
    space = Netns(f"{label}-{os.getpid()}-{next(_serial)}")
    try:
        subprocess.run(["ip", "netns", "add", space.name], check=True)
        space.ip("link set lo up")
        yield space
    finally:
        if space.path.exists():
            space._end_processes()
            subprocess.run(["ip", "netns", "del", space.name], check=True)


def end(process: subprocess.Popen[bytes], timeout: float = 5) -> int:
    """Ask a process of ours to end, insist after `timeout` seconds, return its exit status.

    The seconds are those of a quiet machine.
    """
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout * crowd())
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
