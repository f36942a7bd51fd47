"""KubeVirt's structured plugin: the same service, asked over its own socket."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc
import pytest

from proto import plugins_v1alpha1_pb2 as messages
from proto import plugins_v1alpha1_pb2_grpc as services
from tests.bed.cable import cable
from tests.bed.handler import managed_tap
from tests.bed.netns import end
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import ROOT, Sidecar
from tests.bed.udhcpc import leased
from tests.bed.wait import crowd, until
from tests.samples import MANAGED_DOMAIN, vmi_json

VMI, MANAGED = vmi_json().encode(), MANAGED_DOMAIN.encode()


@contextmanager
def plugin() -> Iterator[tuple[Pod, Sidecar, services.DomainHookServiceStub]]:
    """Start as the injected container does: before KubeVirt's phase 1, which follows."""
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        directory = made.workdir / "dsbridge"
        directory.mkdir()
        log_file = made.workdir / "plugin.log"
        environ = {"CONTAINER_NAME": "dsbridge", "DSBRIDGE_PLUGIN_DIR": str(directory)}
        process = made.netns.popen(
            *(sys.executable, "-m", "binding"),
            resolv_conf=made.resolv_conf,
            cwd=ROOT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | environ,
            stdin=subprocess.DEVNULL,
            stderr=stack.enter_context(log_file.open("wb")),
        )
        stack.callback(end, process)
        socket = directory / "dsbridge.sock"
        until(socket.exists, "the plugin's socket")
        managed_tap(made.netns)
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{socket}"))
        sidecar = Sidecar(made, process, directory, log_file)
        yield made, sidecar, services.DomainHookServiceStub(channel)


def request(**changes: object) -> messages.MutateDomainRequest:
    context = messages.SidecarContext(invocation_context="Boot")
    fields = {"domain_type": "libvirt", "domain": MANAGED, "vmi": VMI, "sidecar_context": context}
    return messages.MutateDomainRequest(**(fields | changes))


def test_the_guest_is_served_and_the_domain_stays_as_it_is():
    with plugin() as (made, sidecar, stub):
        assert stub.MutateDomain(request(), timeout=20 * crowd()).domain == MANAGED
        (guest,) = sidecar.status()["guests"]
        assert (guest["shape"], guest["provider"]) == ("plugin", "in-pod")
        with cable(made.netns, mac=made.layout.mac) as vm:
            vm.ip("link set eth0 up")
            assert leased(vm)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"vmi": b"{"}, "JSON", id="VMI that is not JSON"),
        pytest.param({"domain": b"<domain"}, "line 1", id="domain that is not XML"),
        pytest.param({"domain_type": "firecracker"}, "firecracker", id="domain of another kind"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(changes, named):
    with plugin() as (_, sidecar, stub):
        with pytest.raises(grpc.RpcError) as refused:
            stub.MutateDomain(request(**changes), timeout=20 * crowd())
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert named in refused.value.details()
        assert sidecar.status()["guests"] == []
        assert stub.MutateDomain(request(), timeout=20 * crowd()).domain == MANAGED


def test_it_ends_with_status_0_when_the_kubelet_says_so():
    with plugin() as (_, sidecar, stub):
        stub.MutateDomain(request(), timeout=20 * crowd())
        sidecar.process.terminate()
        assert sidecar.exit_status() == 0
