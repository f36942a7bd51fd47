"""A VM's start as far as its network sees it: pod, sidecar, virt-launcher's calls, a cable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lxml import etree

from tests.bed.cable import cable
from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect, phase2
from tests.bed.netns import Netns
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import Sidecar, explained, sidecar
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, OWN_DOMAIN, vmi_json


@dataclass(frozen=True, slots=True)
class Started:
    """What runs when a guest's kernel would begin to boot."""

    pod: Pod
    sidecar: Sidecar
    hook: Hook
    domain: str
    """As libvirt would get it."""
    vmi: str
    guest: Netns
    """eth0 is plugged into the tap and down."""


@contextmanager
def started(
    layout: str,
    shape: str,
    annotations: dict[str, Any] | None = None,
    prepare: Callable[[Pod], None] = lambda _: None,
    **environ: str,
) -> Iterator[Started]:
    """Start a VM in a pod of one of LAYOUTS, in the shape `managed` or `own`.

    `prepare` changes the pod before there is a sidecar.
    """
    with pod(layout) as made:
        prepare(made)
        with started_in(made, shape, annotations, **environ) as running:
            yield running


@contextmanager
def started_in(  # noqa: PLR0913  # what a VM's start depends on
    made: Pod,
    shape: str = "managed",
    annotations: dict[str, Any] | None = None,
    *,
    arriving: bool = False,
    prefix: tuple[str, ...] = (),
    mac: str = "",
    **environ: str,
) -> Iterator[Started]:
    """Start a VM, or let one that runs elsewhere arrive, in a pod that there is already.

    `prefix` is a command that runs the sidecar, such as one that takes privileges away; `mac` is
    the VMI's macAddress, the pod's by default; `environ` adds to the sidecar's environment.
    """
    instance = vmi_json(annotations, arriving=arriving, mac=mac)
    with (
        sidecar(made, prefix=prefix, **environ) as running,
        _with_socket(running),
        collect(running.hooks_dir) as hook,
    ):
        given = OWN_DOMAIN
        if shape == "managed":
            managed_tap(made.netns)
            given = phase2(MANAGED_DOMAIN, mac=mac or made.layout.mac, mtu=made.layout.mtu)
        domain = hook.define(given, instance)
        with _plugged(made, domain) as guest:
            yield Started(made, running, hook, domain, instance, guest)


@contextmanager
def _with_socket(running: Sidecar) -> Iterator[None]:
    """Wait for the hook socket; add the sidecar's log to what fails, from here on."""
    with explained(running):
        until(
            lambda: running.process.poll() is not None or any(running.hooks_dir.glob("*.sock")),
            "the sidecar's socket",
        )
        assert running.process.poll() is None, "the sidecar has ended"
        yield


@contextmanager
def _plugged(made: Pod, domain: str) -> Iterator[Netns]:
    """Plug a guest in as the domain says."""
    nic = etree.fromstring(domain).find("devices/interface")
    assert nic is not None, "the domain has no NIC"
    tap, mac, mtu = (
        str(nic.xpath(f"string({path})")) for path in ("target/@dev", "mac/@address", "mtu/@size")
    )
    with cable(made.netns, tap, mac=mac, mtu=int(mtu)) as guest:
        yield guest
