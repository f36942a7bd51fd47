"""The sidecar as virt-launcher and the kubelet see it: socket, errors, restarts, end."""

import json
import os
import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from tests.bed import handler
from tests.bed.cable import cable
from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.launcher import collect, phase2
from tests.bed.packet_sockets import listening, listening_bridge
from tests.bed.pod import pod
from tests.bed.pod_state import as_before, state
from tests.bed.sidecar import sidecar
from tests.bed.udhcpc import leased
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN as MANAGED
from tests.samples import OWN_DOMAIN as NO_NIC
from tests.samples import vmi_json

VMI = vmi_json()


@contextmanager
def running(layout="flat", **environ):
    with ExitStack() as stack:
        made = stack.enter_context(pod(layout))
        side = stack.enter_context(sidecar(made, **environ))
        hook = stack.enter_context(collect(side.hooks_dir))
        yield made, side, hook


def serve_of(side):
    return next(p for p in side.status()["processes"] if p["name"] == "serve")


def warnings(side):
    return "; ".join(side.status()["guests"][0]["warnings"])


def acks(side):
    return side.status()["guests"][0]["counters"].get("ACK", 0)


def refusal(call, *args):
    with pytest.raises(grpc.RpcError) as caught:
        call(*args)
    return caught.value.code(), caught.value.details()


def test_the_socket_is_the_only_file_and_its_name_is_unique_in_the_pod():
    with running() as (_, side, hook):
        files = [path.name for path in side.hooks_dir.iterdir() if not path.is_dir()]
        assert files == ["hook-sidecar-0-dsbridge.sock"]
        assert hook.versions == ("v1alpha1", "v1alpha2", "v1alpha3")
        assert hook.points == ("OnDefineDomain", "Shutdown")


@pytest.mark.parametrize("plugin", ["team/bridge", "x" * 200])
def test_any_name_that_a_registration_may_have_makes_a_socket(plugin):
    with running(NETWORK_BINDING_PLUGIN_NAME=plugin) as (_, side, _):
        (socket,) = [path for path in side.hooks_dir.iterdir() if not path.is_dir()]
        assert socket.name.startswith("hook-sidecar-0-")
        assert len(socket.name) <= 65
        assert side.status()["plugin"] == plugin


def test_cloud_init_is_subscribed_only_where_the_policy_says_there_is_one():
    with running(DSBRIDGE_CLOUD_INIT="1") as (_, _, hook):
        assert "PreCloudInitIso" in hook.points


def test_a_killed_serve_is_back_within_two_seconds_and_answers_the_same_guest():
    with running() as (made, side, hook):
        hook.define(NO_NIC, VMI)
        with cable(made.netns, mac=made.layout.mac) as guest:
            guest.ip("link set eth0 up")
            assert leased(guest)
            until(lambda: acks(side) == 1, "the first report")
            before = serve_of(side)
            os.kill(before["pid"], signal.SIGKILL)
            until(lambda: serve_of(side)["pid"] not in (None, before["pid"]), "a successor", 2)
            assert leased(guest)
            assert serve_of(side)["restarts"] == 1
            until(lambda: acks(side) == 2, "counters that add up over both")


def test_a_killed_serve_leaves_what_it_had_learned_to_its_successor():
    """The snapshot's MAC of the gateway may be long out of date by then."""
    moved = "02:00:00:00:00:77"

    def router():
        return begun.sidecar.status()["guests"][0]["router"]["lladdr"]

    with (
        started("cilium", "managed") as begun,
        client("networkd", begun.guest, begun.pod.workdir) as program,
    ):
        program.lease(timeout=20)
        begun.pod.gateway.ip(f"link set pod0 address {moved}")
        until(lambda: begun.guest.reaches("2001:db8:2::10") and router() == moved, "the move")
        before = serve_of(begun.sidecar)
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: serve_of(begun.sidecar)["pid"] not in (None, before["pid"]), "successor", 2)
        program.renew()
        until(lambda: begun.sidecar.status()["guests"][0]["counters"].get("REQUEST", 0) > 1, "ACK")
        assert router() == moved


@pytest.mark.parametrize("override", [{"provider": "off"}, {"addresses": []}], ids=str)
def test_where_nothing_is_served_no_process_waits_for_a_guest(override):
    vmi = vmi_json({"dsbridge.io/default": override})
    with running() as (_, side, hook):
        until(lambda: serve_of(side)["pid"], "the prepared process")
        hook.define(NO_NIC, vmi)
        assert serve_of(side)["pid"] is None
        assert serve_of(side)["restarts"] == 0
        assert side.status()["guard"] == "not needed"
        hook.define(NO_NIC, VMI)
        assert serve_of(side)["pid"]


def test_a_vm_without_a_nic_of_ours_is_said_to_be_one():
    with running(NETWORK_BINDING_PLUGIN_NAME="other") as (_, side, hook):
        hook.on_define_domain(NO_NIC, VMI)
        (warning,) = side.status()["warnings"]
        assert "has binding other" in warning
        assert side.log.count(warning) == 1
        hook.on_define_domain(NO_NIC, VMI)
        assert side.log.count(warning) == 1


def test_an_equal_call_changes_nothing():
    with running() as (made, side, hook):
        first = hook.define(NO_NIC, VMI)
        before, serve = state(made.netns), serve_of(side)["pid"]
        assert hook.define(NO_NIC, VMI) == first
        assert as_before(made.netns, before)
        assert serve_of(side)["pid"] == serve


def test_a_missing_tap_is_named_and_the_retry_succeeds():
    with running() as (made, _, hook):
        code, text = refusal(hook.on_define_domain, MANAGED, VMI)
        assert code == grpc.StatusCode.FAILED_PRECONDITION
        assert "tap0" in text
        handler.managed_tap(made.netns)
        assert hook.define(MANAGED, VMI)


def test_a_tap_that_was_made_anew_is_guarded_and_served_after_the_next_call():
    with running() as (made, _, hook):
        handler.managed_tap(made.netns)
        hook.define(MANAGED, VMI)
        mtu = made.layout.mtu
        made.netns.ip(f"""
            link del tap0
            tuntap add dev tap0 mode tap user 107 group 107
            link set tap0 mtu {mtu} master k6t-eth0 up""")
        hook.define(MANAGED, VMI)
        with (
            cable(made.netns, mac=made.layout.mac, mtu=mtu) as guest,
            capture(made.gateway, "pod0") as outside,
        ):
            guest.ip("link set eth0 up")
            assert leased(guest)
            assert b"\x63\x82\x53\x63" not in b"".join(outside.read().received), "DHCP left"


def test_a_nic_that_appears_between_two_calls_is_listened_to_after_the_second():
    with running() as (made, side, hook):
        handler.managed_tap(made.netns)
        made.netns.ip("link set eth0-nic down\nlink set eth0-nic name later")
        hook.define(MANAGED, VMI)
        until(lambda: "eth0-nic is gone or has another name" in warnings(side), "a warning")
        made.netns.ip("link set later name eth0-nic\nlink set eth0-nic up")
        hook.define(MANAGED, VMI)
        assert listening_bridge(made.netns, "eth0-nic") in listening(made.netns)
        until(lambda: not warnings(side), "the warning is taken back")


def test_no_packet_socket_is_in_the_way_of_the_guests_own_traffic():
    with running() as (made, side, hook):
        handler.managed_tap(made.netns)
        hook.define(MANAGED, VMI)
        bridges = {listening_bridge(made.netns, link) for link in ("tap0", "eth0-nic")}
        assert listening(made.netns) == bridges
        os.kill(serve_of(side)["pid"], signal.SIGKILL)
        until(lambda: serve_of(side)["restarts"] == 1, "a successor")
        assert listening(made.netns) == bridges


@pytest.mark.parametrize(
    ("domain", "vmi", "named"),
    [
        pytest.param(NO_NIC, "{", "JSON", id="VMI that is not JSON"),
        pytest.param("<domain", VMI, "line 1", id="domain that is not XML"),
        pytest.param(
            NO_NIC,
            vmi_json({"dsbridge.io/default": {"ip6": 1}}),
            "ip6",
            id="annotation with an unknown key",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_before_anything_is_touched(domain, vmi, named):
    with running() as (made, _, hook):
        before = state(made.netns)
        code, text = refusal(hook.on_define_domain, domain, vmi)
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert named in text
        assert as_before(made.netns, before)


def test_a_sidecar_that_starts_anew_after_phase_1_still_knows_the_routes():
    with pod("flat") as made:
        with sidecar(made) as side, collect(side.hooks_dir):
            handler.managed_tap(made.netns)
            side.process.kill()
            side.process.wait()
        with ExitStack() as stack:
            side = stack.enter_context(sidecar(made))
            until(lambda: "listens on" in side.log, "the old socket has made room")
            hook = stack.enter_context(collect(side.hooks_dir))
            hook.define(MANAGED, VMI)
            (guest,) = side.status()["guests"]
            assert not guest["warnings"]
            assert guest["ipv4"] == ["10.244.1.5/24"]
            snapshot = json.loads((side.hooks_dir / "state/snapshot.json").read_text())
            (eth0,) = [link for link in snapshot["links"] if link["name"] == "eth0"]
            assert {"destination": "0.0.0.0/0", "gateway": "10.244.1.1"} in eth0["routes"]


@pytest.mark.parametrize("how", ["Shutdown", "SIGTERM"])
def test_it_ends_when_the_vm_does_with_status_0(how):
    with running() as (_, side, hook):
        hook.define(NO_NIC, VMI)
        serve = serve_of(side)["pid"]
        if how == "Shutdown":
            hook.shutdown()
        else:
            side.process.terminate()
        assert side.exit_status() == 0
        assert not Path(f"/proc/{serve}").exists()
        assert not [path for path in side.hooks_dir.iterdir() if path.suffix == ".sock"]


CONTRADICTIONS = {
    "the pod's NIC as target": ("dev='tap0'", "dev='eth0-nic'", "is the pod's NIC"),
    "a bridge as target": ("dev='tap0'", "dev='k6t-eth0'", "k6t-eth0"),
    "lo as target": ("dev='tap0'", "dev='lo'", "lo"),
    "a target that is not there": ("dev='tap0'", "dev='tap7'", "there is no link tap7"),
    "a group MAC": ("{mac}", "01:00:5e:00:00:01", "01:00:5e:00:00:01"),
    "no MAC": ("{mac}", "00:00:00:00:00:00", "00:00:00:00:00:00"),
    "an MTU of 1": ("size='1450'", "size='1'", "MTU 1"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_domain_that_contradicts_the_pod_is_refused_at_once_and_what_was_served_goes_on(name):
    was, becomes, named = CONTRADICTIONS[name]
    with running() as (made, side, hook):
        handler.managed_tap(made.netns)
        domain = phase2(MANAGED, mac=made.layout.mac, mtu=made.layout.mtu).replace('"', "'")
        assert hook.define(domain, VMI)
        served, serve = side.status()["guests"], serve_of(side)["pid"]
        wrong = domain.replace(was.format(mac=made.layout.mac), becomes)
        assert wrong != domain
        code, text = refusal(hook.on_define_domain, wrong, VMI)
        assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
        assert named in text
        (now,) = side.status()["guests"]
        assert (now["tap"], now["mac"], now["mtu"]) == tuple(
            served[0][key] for key in ("tap", "mac", "mtu")
        )
        assert serve_of(side)["pid"] == serve
        with cable(made.netns, mac=made.layout.mac) as guest:
            guest.ip("link set eth0 up")
            assert leased(guest)
