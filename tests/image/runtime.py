"""The container runtime's and the kubelet's part: the built image in a pod, as KubeVirt asks.

Stricter than KubeVirt's own sidecar container in one thing: the root file system is read-only.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.pod import Pod
from tests.bed.wait import until
from tests.image.seccomp import runtime_default

STORE = Path(os.environ.get("IMAGE_STORE", Path(__file__).parents[2] / ".cache/image"))
"""Where .ci/image has put what it built."""
IMAGE = "localhost/dsbridge:dev"
MEMORY = 64_000_000
"""Bytes, and 200m CPU: what KubeVirt gives the sidecar of a guaranteed VM."""
PLUGIN = "dsbridge"
_TUN = {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}


@dataclass(frozen=True, slots=True)
class Root:
    """The image, unpacked: its files and its configuration."""

    path: Path
    config: dict[str, Any]

    def run(self, *argv: str, given: str = "") -> str:
        """Run a program of the image with the image's files as root, and return its output."""
        command = ["chroot", str(self.path), *argv]
        return subprocess.run(
            command, check=True, text=True, input=given, stdout=subprocess.PIPE
        ).stdout


@dataclass(frozen=True, slots=True)
class Container:
    """The sidecar's container while it runs."""

    name: str
    pid: int
    """Of its first process, seen from here."""
    hooks_dir: Path

    def exec(self, *argv: str, check: bool = True) -> str:
        """Run as `kubectl exec` does and return stdout."""
        return _runc("exec", self.name, *argv, check=check)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start as `kubectl exec` does."""
        command = [*_RUNC, "exec", self.name, *argv]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def status(self) -> dict[str, Any]:
        """Return what `dsbridge status --json` says."""
        return json.loads(self.exec("dsbridge", "status", "--json"))

    def child(self, module: str) -> int:
        """Return the pid of the child that runs this module, seen from here."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        (found,) = [
            int(pid) for pid in children if module.encode() in _words(Path(f"/proc/{pid}/cmdline"))
        ]
        return found

    def memory(self, v1: str, v2: str) -> str:
        """Read a file of the container's memory cgroup, by its name in either version."""
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                return Path(f"/sys/fs/cgroup/memory{path}/{v1}").read_text()
        return Path(f"/sys/fs/cgroup{path}/{v2}").read_text()

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel ended a process of it for its memory."""
        words = self.memory("memory.oom_control", "memory.events").split()
        return words[words.index("oom_kill") + 1] != "0"


@contextmanager
def unpacked(image: str = IMAGE) -> Iterator[Root]:
    """Mount an image that `make image` or `make test-arm64` built."""
    container = _buildah("from", "--pull-never", image)
    try:
        config = json.loads(_buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
        root = Root(Path(_buildah("mount", container)), config)
        for file in root.path.rglob("*"):
            if file.is_file() and not file.is_symlink():
                file.read_bytes()  # into the node's cache, not into the container's account
        yield root
    finally:
        _buildah("rm", container)


@contextmanager
def started(
    root: Root, pod: Pod, capabilities: Collection[str], *, tun: bool = False, **more: Any
) -> Iterator[Container]:
    """Start the image in the pod with what the admission policy grants.

    `more` is for `_spec`: another seccomp profile, variables for the sidecar.
    """
    name = f"dsbridge-{pod.netns.name}"
    bundle, hooks_dir = pod.workdir / "bundle", pod.workdir / "hooks"
    bundle.mkdir()
    hooks_dir.mkdir()
    os.chown(hooks_dir, 0, 107)  # an emptyDir under the pod's fsGroup
    hooks_dir.chmod(0o2775)
    spec = _spec(root, pod, name, hooks_dir, capabilities, tun=tun, **more)
    (bundle / "config.json").write_text(json.dumps(spec))
    log_file = pod.workdir / "container.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*_RUNC, "run", "--bundle", str(bundle), name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _state(name) == "running" or process.poll() is not None, "the container")
        assert process.poll() is None, log_file.read_text()
        pid = json.loads(_runc("state", name))["pid"]
        yield Container(name, pid, hooks_dir)
    except Exception as error:  # whatever it is: it is raised again
        error.add_note(f"log of the container:\n{log_file.read_text()}")
        raise
    finally:
        subprocess.run([*_RUNC, "kill", name, "TERM"], check=False, capture_output=True)
        try:
            process.wait(10)
        finally:
            subprocess.run([*_RUNC, "delete", "--force", name], check=False, capture_output=True)


def _spec(  # noqa: PLR0913  # what the kubelet decides
    root: Root,
    pod: Pod,
    name: str,
    hooks_dir: Path,
    capabilities: Collection[str],
    *,
    tun: bool,
    seccomp: dict[str, Any] | None = None,
    **variables: str,
) -> dict[str, Any]:
    granted = [f"CAP_{one}" for one in capabilities]
    environ = {
        "XDG_CACHE_HOME": "/var/run/kubevirt-private",
        "XDG_CONFIG_HOME": "/var/run/kubevirt-private",
        "XDG_RUNTIME_DIR": "/var/run",
        "CONTAINER_NAME": "hook-sidecar-0",
        "NETWORK_BINDING_PLUGIN_NAME": PLUGIN,
        **variables,
    }
    return {
        "ociVersion": "1.0.2",
        "hostname": "virt-launcher-vm1",
        "root": {"path": str(root.path), "readonly": True},
        "process": {
            "user": {"uid": 107, "gid": 107, "additionalGids": [107]},
            "args": root.config["Entrypoint"],
            "env": root.config["Env"] + [f"{key}={value}" for key, value in environ.items()],
            "cwd": root.config["WorkingDir"],
            "noNewPrivileges": True,
            # No ambient, no inheritable: what containerd and CRI-O set up for a user that is
            # not root.
            "capabilities": {"bounding": granted, "permitted": granted, "effective": granted},
        },
        "mounts": _mounts(hooks_dir, pod.resolv_conf),
        "linux": {
            "cgroupsPath": f"/{name}",
            "namespaces": [
                *({"type": kind} for kind in ("pid", "ipc", "uts", "mount")),
                {"type": "network", "path": str(pod.netns.path)},
            ],
            "devices": [_TUN] if tun else [],
            "resources": {
                "memory": {"limit": MEMORY},
                "cpu": {"quota": 20_000, "period": 100_000},
                "devices": [
                    {"allow": False, "access": "rwm"},
                    *(
                        [{"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}]
                        if tun
                        else []
                    ),
                ],
            },
            "seccomp": seccomp or runtime_default(granted),
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    }


def _mounts(hooks_dir: Path, resolv_conf: Path) -> list[dict[str, Any]]:
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": quiet},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, "ro"]},
        {
            "destination": "/var/run/kubevirt-hooks",
            "type": "bind",
            "source": str(hooks_dir),
            "options": ["rbind", "rw"],
        },
        {
            "destination": "/etc/resolv.conf",
            "type": "bind",
            "source": str(resolv_conf),
            "options": ["rbind", "ro"],
        },
    ]


_RUNC = ("runc", "--root", str(STORE / "runc"))


def _runc(*words: str, check: bool = True) -> str:
    return subprocess.run(
        [*_RUNC, *words], check=check, timeout=60, text=True, stdout=subprocess.PIPE
    ).stdout


def _state(name: str) -> str:
    done = subprocess.run([*_RUNC, "state", name], check=False, capture_output=True, text=True)
    return json.loads(done.stdout)["status"] if done.returncode == 0 else ""


def _buildah(*words: str) -> str:
    command = ["buildah", "--root", f"{STORE}/store", "--runroot", f"{STORE}/run", *words]
    return subprocess.run(
        command, check=True, timeout=120, text=True, stdout=subprocess.PIPE
    ).stdout.strip()


def _words(cmdline: Path) -> list[bytes]:
    try:
        return cmdline.read_bytes().split(b"\0")
    except FileNotFoundError:  # it has just ended
        return []
