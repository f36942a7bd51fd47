"""A VM that moves live, by QEMU's own migration, between the pods of two nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bed.console import Terminal
from tests.bed.nodes import lead_to_target
from tests.bed.pod import Pod
from tests.bed.qmp import Qmp, qmp
from tests.bed.vm import Nic, vm
from tests.bed.wait import until


@dataclass(frozen=True, slots=True)
class Machine:
    """A QEMU process, with the guest running in it or not."""

    pod: Pod
    terminal: Terminal
    qmp: Qmp


@contextmanager
def machine(pod: Pod, *nics: Nic, incoming: bool = False) -> Iterator[Machine]:
    """Start QEMU in a pod: it boots the guest, or waits for one that is `incoming`."""
    control = pod.workdir / "qmp"
    control.unlink(missing_ok=True)
    options = ["-qmp", f"unix:{control},server=on,wait=off"]
    if incoming:
        options += ["-incoming", "defer"]
    with vm(pod, *nics, options=tuple(options)) as running, qmp(control) as connection:
        yield Machine(pod, running, connection)


def begin(source: Machine, target: Machine) -> None:
    """Begin to copy the guest's memory."""
    place = f"unix:{target.pod.workdir / 'incoming'}"
    target.qmp.execute("migrate-incoming", uri=place)
    source.qmp.execute("migrate", uri=place)


def move(source: Machine, target: Machine) -> None:
    """Migrate the guest; as soon as it runs on the target, the network leads there."""
    begin(source, target)
    until(lambda: target.qmp.is_running, "the guest runs on the target", 120)
    lead_to_target(source.pod, target.pod)
    until(lambda: source.qmp.migration == "completed", "the end of the migration")
