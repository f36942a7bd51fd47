"""`make demo`: a pod, the sidecar, a guest, and what the guest got, in one table.

Environment: CNI=flat|calico|kube-ovn|cilium|all, GUEST=vm|netns|debian, SHAPE=own|managed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc

from tests.bed import debian
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.clients.lease import kernel
from tests.bed.console import Report, parse
from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect, phase2
from tests.bed.layouts import LAYOUTS
from tests.bed.libvirt import libvirt
from tests.bed.netns import Netns
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.table import REMOTES, compare, missing, render
from tests.bed.virtual_machine import defined, environment
from tests.bed.vm import Nic, accelerator, nics, vm
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, OWN_DOMAIN, vmi_json, vmi_object

DEBIAN = "cloud-init-networkmanager"
ALL = ("flat", "calico", "kube-ovn")
ERRORS = (TimeoutError, RuntimeError, subprocess.SubprocessError, grpc.RpcError)
DOMAINS = {"own": OWN_DOMAIN, "managed": MANAGED_DOMAIN}


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Say what happens now, and when it is done how long it took."""
    print(f"  {text:.<66} ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - start:5.1f} s", flush=True)


def demonstrate(layout: str, guest: str, shape: str) -> list[str]:
    """Run one layout and return what is missing."""
    print(f"\n{layout}, {shape} shape, guest: {guest}")
    with pod(layout) as made:
        with stage("pod as the CNI leaves it, reaching a host beyond its gateway"):
            pinged = [until(lambda a=a: made.netns.reaches(a) and a, f"ping {a}") for a in REMOTES]
            before = kernel(made.netns, "eth0")
        environ = environment(shape=shape, cloud_init=guest == "debian")
        with sidecar(made, **environ) as running:
            try:
                report = guest_of(made, running, guest, shape)
            except ERRORS:
                print(f"\nthe sidecar's log:\n{running.log[-4000:]}", file=sys.stderr)
                raise
        rows = compare(made, before, pinged, report)
        print(f"\n{render(('', 'pod', f'guest: {described(guest)}'), rows)}\n", flush=True)
        return [f"{layout}: {line}" for line in missing(rows)]


def guest_of(made: Pod, running: Sidecar, guest: str, shape: str) -> Report:
    """Play KubeVirt's part from the hook socket to Shutdown, with a guest that reports between."""
    with ExitStack() as stack:
        with stage("sidecar starts; virt-launcher finds its socket and asks Info"):
            hook = stack.enter_context(collect(running.hooks_dir))
        report = REPORT[guest](made, hook, shape)
        with stage("Shutdown; the sidecar ends"):
            hook.shutdown()
            if running.process.wait(timeout=5) != 0:
                raise RuntimeError(f"the sidecar's exit status is {running.process.returncode}")
        return report


def define(made: Pod, hook: Hook, shape: str) -> Nic:
    """Wire as virt-handler does, if it is its part, and define the domain."""
    domain = DOMAINS[shape]
    if shape == "managed":
        with stage("virt-handler wires bridge, tap and placeholder"):
            managed_tap(made.netns)
        domain = phase2(domain, mac=made.layout.mac, mtu=made.layout.mtu)
    with stage("OnDefineDomain, three passes"):
        (nic,) = nics(hook.define(domain, vmi_json()))
    return nic


def vm_report(made: Pod, hook: Hook, shape: str) -> Report:
    """Boot a virtual machine on the tap and let it report."""
    nic = define(made, hook, shape)
    with stage("kernel and initramfs of the VM; does KVM boot them?"):
        accel = accelerator()
    with stage(f"VM boots under {accel}, leases and pings"), vm(made, nic) as running:
        return running.report()


def netns_report(made: Pod, hook: Hook, shape: str) -> Report:
    """Plug a namespace into the tap and run a real client in it."""
    nic = define(made, hook, shape)
    with (
        stage("namespace on the tap: systemd-networkd leases, then pings"),
        cable(made.netns, nic.tap, mac=nic.mac, queues=nic.queues) as guest,
        client("networkd", guest, made.workdir) as running,
    ):
        lease = running.lease(timeout=30)
        return Report(nic.mac, lease, tuple(a for a in REMOTES if answers(guest, a)))


def debian_report(made: Pod, hook: Hook, shape: str) -> Report:
    """Have libvirt boot a Debian disk, configured by the cloud-init data that the sidecar made."""
    with ExitStack() as stack:
        with stage("disk of a Debian guest (made once, by mmdebstrap)"):
            disk = stack.enter_context(debian.disk())
            kernel = debian.kernel(DEBIAN)
        with stage("libvirtd starts in the pod: user 107, no capability"):
            daemon = stack.enter_context(libvirt(made))
        with stage("PreCloudInitIso, OnDefineDomain thrice; libvirt defines each"):
            domain = defined(
                *(made, hook, daemon, vmi_object("01-single-binding")),
                shape=shape, kernel=kernel, disks=(disk,), cloud_init="#cloud-config\n{}\n",
            )  # fmt: skip
        with stage("libvirt starts that domain; Debian boots, leases and pings"):
            terminal = stack.enter_context(daemon.started(domain))
            terminal.wait_for("@ready", 0, 240)
            until(lambda: _is_whole(parse(terminal.run("sleep 2; report"))), "both addresses", 120)
            pings = (f"ping -c 1 -w 20 {to} >/dev/null && echo @reached {to}" for to in REMOTES)
            return parse(terminal.run(f"report; {'; '.join(pings)}", 60))


def _is_whole(report: Report) -> bool:
    return bool(report.lease.ipv4 and report.lease.ipv6 and report.lease.search)


def answers(guest: Netns, address: str) -> bool:
    """Say whether an address answers within a few tries, as the first may be lost to ARP."""
    return any(guest.reaches(address) for _ in range(3))


REPORT = {"vm": vm_report, "netns": netns_report, "debian": debian_report}


def described(guest: str) -> str:
    if guest == "debian":
        return "Debian, by libvirt"
    return f"VM under {accelerator()}" if guest == "vm" else "systemd-networkd"


def choice(name: str, *known: str) -> str:
    value = os.environ.get(name) or known[0]
    if value not in known:
        sys.exit(f"{name}={value}: not one of {', '.join(known)}")
    return value


def interrupt(*_: object) -> None:
    """End at the first signal; a second one must not disturb the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    layout = choice("CNI", *LAYOUTS, "all")
    guest, shape = choice("GUEST", *REPORT), choice("SHAPE", *DOMAINS)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        problems = [
            line
            for name in (ALL if layout == "all" else (layout,))
            for line in demonstrate(name, guest, shape)
        ]
    except KeyboardInterrupt:
        print("\ninterrupted; everything is cleaned up", file=sys.stderr)
        return 130
    except grpc.RpcError as error:
        problems = [f"{error.code().name}: {error.details()}"]
    except ERRORS as error:
        problems = [str(error)]
    for line in problems:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
