"""virt-launcher's part, against a sidecar that records what it is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from lxml import etree

from proto import info_pb2, info_pb2_grpc, v1alpha3_pb2, v1alpha3_pb2_grpc
from tests.bed.launcher import collect

DOMAIN = "<domain><devices><controller type='usb'/></devices></domain>"
VMI = '{"spec": {"domain": {"devices": {"interfaces": [%s]}}}}'


class Recorder(info_pb2_grpc.InfoServicer, v1alpha3_pb2_grpc.CallbacksServicer):
    def __init__(self) -> None:
        self.domains: list[etree._Element] = []

    def Info(self, request, context):  # noqa: ARG002, N802  # the protocol's name and arguments
        return info_pb2.InfoResult(name="recorder", versions=["v1alpha2", "v1alpha3"])

    def OnDefineDomain(self, request, context):  # noqa: ARG002, N802  # the protocol's name and arguments
        domain = etree.fromstring(request.domainXML)
        self.domains.append(etree.fromstring(request.domainXML))
        etree.SubElement(domain.find("devices"), "interface").set("call", str(len(self.domains)))
        return v1alpha3_pb2.OnDefineDomainResult(domainXML=etree.tostring(domain))


@pytest.fixture
def recorder(tmp_path: Path):
    server = grpc.server(ThreadPoolExecutor(1))
    recorder = Recorder()
    info_pb2_grpc.add_InfoServicer_to_server(recorder, server)
    v1alpha3_pb2_grpc.add_CallbacksServicer_to_server(recorder, server)
    server.add_insecure_port(f"unix:{tmp_path}/a.sock")
    server.start()
    yield recorder
    server.stop(None).wait()


def marks(domain: etree._Element) -> list[str]:
    return [nic.get("call") or nic.find("alias").get("name") for nic in domain.iter("interface")]


def test_one_nic_is_defined_in_three_passes(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()  # a sub-directory is no hook
    with collect(tmp_path) as hook:
        assert hook.name == "recorder"
        result = hook.define(DOMAIN, VMI % "{}")
    first, second, third = recorder.domains
    assert marks(first) == ["placeholder-0", "placeholder-1", "placeholder-2"]
    assert marks(second) == [], "what pass 1 returned is thrown away"
    assert second.find("devices/controller/address") is not None
    assert marks(third) == ["2"], "what pass 2 returned is kept"
    assert marks(etree.fromstring(result)) == ["2", "3"]


def test_four_nics_leave_no_placeholder_and_two_passes(recorder: Recorder, tmp_path: Path) -> None:
    with collect(tmp_path) as hook:
        hook.define(DOMAIN, VMI % "{}, {}, {}, {}")
    second, third = recorder.domains
    assert marks(second) == []
    assert third.find("devices/interface/address") is not None, "libvirt's read-back places it"


def test_a_hooks_directory_that_stays_empty_times_out(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="no hook socket"), collect(tmp_path, timeout=0.5):
        pass
