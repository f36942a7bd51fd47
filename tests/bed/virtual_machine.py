"""A VM from KubeVirt's objects to a running machine of libvirt's: sidecar, hooks, libvirtd."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.cloud_init import cloud_init_data
from tests.bed.domain_schema import complaints
from tests.bed.handler import core_bridge, managed_tap
from tests.bed.image import image
from tests.bed.launcher import Hook, collect, phase2
from tests.bed.libvirt import Libvirt, libvirt
from tests.bed.libvirt_domain import Kernel, on_this_machine
from tests.bed.pod import REMOTE4, REMOTE6, Pod
from tests.bed.sidecar import Sidecar, explained, sidecar
from tests.samples import domain_xml

_WORDS = (
    f"console=ttyS0 panic=-1 net.ifnames=0 quiet no_timer_check reach={REMOTE4} reach={REMOTE6}"
)


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """What there is when libvirt knows the domain and nothing runs yet."""

    pod: Pod
    sidecar: Sidecar
    hook: Hook
    daemon: Libvirt
    domain: str
    """What the last call of OnDefineDomain returned, octet for octet."""


@contextmanager
def virtual_machine(
    made: Pod, vmi: dict[str, Any], *, cloud_init: str | None = None, **how: Any
) -> Iterator[VirtualMachine]:
    """Take a VMI through a start up to where libvirt knows its domain; `how` is of `defined`."""
    environ = environment(shape=how.get("shape", "own"), cloud_init=cloud_init is not None)
    with ExitStack() as stack:
        side = stack.enter_context(sidecar(made, **environ))
        stack.enter_context(explained(side))
        hook = stack.enter_context(collect(side.hooks_dir))
        daemon = stack.enter_context(libvirt(made))
        domain = defined(made, hook, daemon, vmi, cloud_init=cloud_init, **how)
        yield VirtualMachine(made, side, hook, daemon, domain)


def environment(*, shape: str, cloud_init: bool) -> dict[str, str]:
    """Return what the admission policy, or its lack, makes of the sidecar's environment."""
    found = {}
    if shape == "takeover":
        found["NETWORK_BINDING_PLUGIN_NAME"] = ""
    if cloud_init:
        found["DSBRIDGE_CLOUD_INIT"] = "1"
    return found


def defined(  # noqa: PLR0913  # what a VM's start depends on
    made: Pod,
    hook: Hook,
    daemon: Libvirt,
    vmi: dict[str, Any],
    *,
    shape: str = "own",
    kernel: Kernel | None = None,
    disks: tuple[Path, ...] = (),
    cloud_init: str | None = None,
    only_call: str = "",
) -> str:
    """Take a VMI through the passes of a first start, each of which libvirt defines.

    Returns the domain of the last, which boots `kernel`, or its firmware where that is None.
    `cloud_init` is the VM's userData, which makes another disk, as the sidecar completes it.
    `only_call` is the domain of a single call instead: between two, libvirt drops what it does
    not know.
    """
    text = json.dumps(vmi)
    if cloud_init is not None:
        named = {"instance-id": "always-the-same", "local-hostname": vmi["metadata"]["name"]}
        given = cloud_init_data(UserData=cloud_init, NoCloudMetaData=named)
        data = hook.pre_cloud_init_iso(given, text)
        disks = (*disks, _seed(data, daemon.run))
    if shape != "own":
        wire = managed_tap if shape == "managed" else core_bridge
        wire(made.netns, queues=_queues(vmi))
    xml = only_call or _as_converted(made, shape, _queues(vmi))
    here = on_this_machine(xml, daemon.run, _readable(kernel, daemon.run), disks)
    if only_call:
        return hook.on_define_domain(here, text)
    domain = hook.define(here, text, daemon.define)
    if wrong := complaints(domain, made.workdir):
        raise RuntimeError(f"virt-xml-validate: {wrong}\n{domain}")
    return domain


def small_guest() -> Kernel:
    """Return the guest of `tests.bed.vm`."""
    found = image()
    return Kernel(found.kernel, found.initrd, f"{_WORDS} reach={REMOTE4} reach={REMOTE6}")


def _queues(vmi: dict[str, Any]) -> int:
    inside = vmi["spec"]["domain"]
    several = inside["devices"].get("networkInterfaceMultiqueue")
    return inside["cpu"]["cores"] if several else 1


def _as_converted(made: Pod, shape: str, queues: int) -> str:
    """Return the domain that KubeVirt's converter and its phase 2 would have made."""
    sample = "07-multiqueue" if queues > 1 else "01-single-binding"
    if shape == "own":
        return domain_xml(f"{sample}.sidecar-only.prephase2").decode()
    domain = domain_xml(f"{sample}.managedtap.phase2").decode()
    return phase2(domain, mac=made.layout.mac, mtu=made.layout.mtu)


def _readable(kernel: Kernel | None, run: Path) -> Kernel | None:
    """Copy what is booted to where user 107 can read it."""
    if kernel is None:
        return None
    for source, name in ((kernel.kernel, "kernel"), (kernel.initrd, "initrd")):
        (run / name).write_bytes(source.read_bytes())
    return Kernel(run / "kernel", run / "initrd", kernel.words)


def _seed(data: dict[str, Any], run: Path) -> Path:
    """Write the disk that virt-launcher makes of CloudInitData for NoCloud."""
    files = {
        "meta-data": json.dumps(data["NoCloudMetaData"]),
        "user-data": data["UserData"],
        "network-config": data["NetworkData"],
    }
    written = []
    for name, text in files.items():
        if text:
            (run / name).write_text(text)
            written.append(str(run / name))
    iso = run / "noCloud.iso"
    subprocess.run(
        ["genisoimage", "-quiet", "-output", iso, "-volid", "cidata", "-joliet", "-rock", *written],
        check=True,
    )
    iso.chmod(0o666)
    return iso
