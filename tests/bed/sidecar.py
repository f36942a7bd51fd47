"""The real sidecar as the kubelet would start it in the pod."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.netns import end
from tests.bed.pod import Pod
from tests.bed.wait import until

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The running process, its hooks directory and its log."""

    pod: Pod
    process: subprocess.Popen[bytes]
    hooks_dir: Path
    log_file: Path

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self.log_file.read_text()

    def status(self) -> dict[str, Any]:
        """Return `status --json`, as `kubectl exec` would get it."""
        return json.loads(self.cli("status", "--json"))

    def exit_status(self) -> int:
        """Wait until it has ended and return its exit status."""
        until(lambda: self.process.poll() is not None, "the sidecar ends")
        return self.process.returncode

    def cli(self, *words: str) -> str:
        """Run a subcommand beside the sidecar and return its stdout."""
        return subprocess.run(
            self.pod.netns.command(*PROGRAM, *words, "--hooks-dir", str(self.hooks_dir)),
            cwd=ROOT,
            timeout=120,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout


@contextmanager
def sidecar(
    pod: Pod, *, name: str = "hook-sidecar-0", prefix: tuple[str, ...] = (), **environ: str
) -> Iterator[Sidecar]:
    """Start it, without waiting for its socket; `environ` adds to what KubeVirt sets.

    `prefix` is a command that executes what follows it.
    """
    hooks_dir = pod.workdir / name
    hooks_dir.mkdir(exist_ok=True)
    log_file = pod.workdir / f"{name}.log"
    with log_file.open("wb") as log:
        process = pod.netns.popen(
            *prefix,
            *PROGRAM,
            *("--hooks-dir", str(hooks_dir)),
            resolv_conf=pod.resolv_conf,
            cwd=ROOT,
            env=_environment(name) | environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Sidecar(pod, process, hooks_dir, log_file)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # SIGTERM waits for the guest to end
        end(process)


@contextmanager
def explained(running: Sidecar) -> Iterator[None]:
    """Add the sidecar's log to what fails."""
    try:
        yield
    except Exception as error:  # whatever it is: it is raised again
        error.add_note(f"log of the sidecar:\n{running.log}")
        raise


PROGRAM = (sys.executable, "-m", "binding")


def _environment(name: str) -> dict[str, str]:
    """Return what a hook sidecar finds since KubeVirt 1.9, and nothing of ours."""
    return {
        "PATH": os.environ["PATH"],
        "XDG_CACHE_HOME": "/var/run/kubevirt-private",
        "XDG_CONFIG_HOME": "/var/run/kubevirt-private",
        "XDG_RUNTIME_DIR": "/var/run",
        "CONTAINER_NAME": name,
        "NETWORK_BINDING_PLUGIN_NAME": "dsbridge",
    }
