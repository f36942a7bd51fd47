"""`dsbridge diagnose --json` beside a sidecar, as an administrator runs it by kubectl exec."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.guests import started
from tests.bed.netns import Netns
from tests.bed.sidecar import PROGRAM, ROOT
from tests.bed.wait import until

WARNING, HARM = 1, 2


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one run said."""

    status: int
    findings: tuple[dict[str, Any], ...]
    said: str

    @property
    def wrong(self) -> dict[str, dict[str, Any]]:
        """What is not ok, by anchor."""
        return {one["anchor"]: one for one in self.findings if one["severity"] != "ok"}

    @property
    def well(self) -> str:
        """What is ok."""
        return "\n".join(one["text"] for one in self.findings if one["severity"] == "ok")


def run(space: Netns, hooks_dir: Path, *words: str, prefix: tuple[str, ...] = ()):
    """Run a command of the operator's in a pod."""
    command = space.command(*prefix, *PROGRAM, *words, "--hooks-dir", str(hooks_dir))
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def diagnose(vm, prefix: tuple[str, ...] = ()) -> Diagnosis:
    """Diagnose once."""
    done = run(vm.pod.netns, vm.sidecar.hooks_dir, "diagnose", "--json", prefix=prefix)
    found = tuple(json.loads(done.stdout)) if done.stdout else ()
    return Diagnosis(done.returncode, found, done.stdout + done.stderr)


def until_diagnosed(vm, anchor: str, timeout: float = 20, **options) -> Diagnosis:
    """Diagnose until a finding with this anchor is made; the error quotes the last run."""
    said: list[Diagnosis] = []

    def found():
        said.append(diagnose(vm, **options))
        return said[-1] if anchor in said[-1].wrong else None

    try:
        return until(found, f"diagnose names {anchor}", timeout)
    except TimeoutError as error:
        error.add_note(said[-1].said)
        raise


def solicit(vm) -> None:
    """Have the guest send an RS.

    On a busy machine our RA may come before networkd asks for one, and then networkd never does.
    """
    vm.guest.run("rdisc6", "-1", "eth0", check=False)


def until_well(vm, timeout: float = 20) -> Diagnosis:
    """Diagnose until nothing is wrong."""
    said: list[Diagnosis] = []

    def found():
        said.append(diagnose(vm))
        return said[-1] if said[-1].status == 0 else None

    try:
        return until(found, "nothing is wrong", timeout)
    except TimeoutError as error:
        error.add_note(said[-1].said)
        raise


@contextmanager
def booted(*, speaks_ipv6=True, **settings):
    """A guest whose NIC is up and whose client is yet to come."""
    annotations = {"dsbridge.io/default": settings} if settings else None
    with started("flat", "managed", annotations) as vm:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=int(not speaks_ipv6))
        vm.guest.ip("link set eth0 up")
        yield vm


def udhcpc(vm):
    """Lease an address once, by busybox."""
    words = "udhcpc -f -n -q -t 4 -T 1 -i eth0 -s /bin/true"
    done = vm.guest.run("sh", "-c", f"busybox {words} 2>&1", check=False)
    assert "obtained" in done


def harmed(vm, anchor, *texts, status=HARM):
    """Diagnose until this finding is made with these texts, a remedy and a time."""
    seen = until_diagnosed(vm, anchor)
    finding = seen.wrong[anchor]
    for text in texts:
        assert text in finding["text"], seen.said
    assert seen.status == status, seen.said
    assert finding["remedy"]
    assert finding["time"]
    return seen


def until_logged(vm, text):
    """Wait until the sidecar has logged a text."""
    until(lambda: text in vm.sidecar.log, f"the log tells {text!r}")
