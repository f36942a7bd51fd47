"""What the admission policy makes of a virt-launcher pod, by a real CEL implementation."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.deploy.policy import DEPLOY, admitted, documents, patched

KUBEVIRT = "system:serviceaccount:kubevirt:kubevirt-controller"
(POD,) = documents(Path(__file__).with_name("virt_launcher_pod.yaml"))
(POLICY,) = documents(DEPLOY / "policy/policy.yaml")
(BY_IMAGE,) = documents(DEPLOY / "policy-by-image/ours.yaml")
OURS = 2
"""Index of our container."""
GRANTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
    "runAsGroup": 107,
    "runAsNonRoot": True,
    "runAsUser": 107,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(**changes):
    """Return the pod with our container changed; None takes a field away."""
    made = copy.deepcopy(POD)
    for name, value in changes.items():
        made["spec"]["containers"][OURS][name] = value
        if value is None:
            del made["spec"]["containers"][OURS][name]
    return made


def named(plugin):
    env = copy.deepcopy(POD["spec"]["containers"][OURS]["env"])
    env[-1]["value"] = plugin
    return env


def ours(made, policy=POLICY):
    return admitted(policy, made, KUBEVIRT)["spec"]["containers"][OURS]


def test_our_container_and_nothing_else_of_the_pod_changes():
    expected = copy.deepcopy(POD)
    expected["spec"]["containers"][OURS]["securityContext"] = GRANTED
    assert admitted(POLICY, POD, KUBEVIRT) == expected


def test_applied_twice_is_applied_once():
    for one in (pod(), pod(env=named("dsbridge-own")), pod(securityContext=None)):
        once = admitted(POLICY, one, KUBEVIRT)
        assert admitted(POLICY, once, KUBEVIRT) == once


@pytest.mark.parametrize(
    ("context", "capabilities"),
    [
        pytest.param(None, {"add": ["NET_ADMIN", "NET_RAW"]}, id="no securityContext"),
        pytest.param({}, {"add": ["NET_ADMIN", "NET_RAW"]}, id="no capabilities"),
        pytest.param(
            {"capabilities": {"drop": ["ALL"], "add": ["SYS_NICE", "NET_RAW"]}},
            {"drop": ["ALL"], "add": ["SYS_NICE", "NET_ADMIN", "NET_RAW"]},
            id="others were added before",
        ),
    ],
)
def test_capabilities_join_what_is_there(context, capabilities):
    assert ours(pod(securityContext=context))["securityContext"]["capabilities"] == capabilities


def test_a_seccomp_profile_of_the_cluster_stays():
    profile = {"type": "Localhost", "localhostProfile": "kubevirt/kubevirt.json"}
    context = {"seccompProfile": profile}
    assert ours(pod(securityContext=context))["securityContext"]["seccompProfile"] == profile


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param(None, id="no resources"),
        pytest.param({}, id="empty resources"),
        pytest.param(
            {"limits": {"cpu": "200m", "memory": "64M"}, "requests": {"cpu": "200m"}},
            id="a guaranteed VM",
        ),
    ],
)
def test_only_the_shape_that_wires_gets_the_tun_device(resources):
    made = ours(pod(env=named("dsbridge-own"), resources=resources))
    for kind in ("limits", "requests"):
        before = (resources or {}).get(kind, {})
        assert made["resources"][kind] == before | {"devices.kubevirt.io/tun": "1"}
    assert ours(pod(resources=resources)).get("resources") == resources


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: one["metadata"].update(labels={}), id="pod of somebody else"),
        pytest.param(
            lambda one: one["spec"]["containers"][OURS].update(env=named("dsbridge2")),
            id="plugin of another name",
        ),
        pytest.param(
            lambda one: one["spec"]["containers"].pop(OURS), id="VM without a NIC of ours"
        ),
    ],
)
def test_what_is_not_ours_stays_as_it_is(change):
    one = pod()
    change(one)
    assert admitted(POLICY, one, KUBEVIRT) == one


@pytest.mark.parametrize(
    "user",
    ["alice", "system:serviceaccount:default:kubevirt-controller-2", "x:kubevirt-controller"],
)
def test_a_pod_that_kubevirt_did_not_make_gets_nothing(user):
    assert admitted(POLICY, POD, user) == POD


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param({"labels": {"dsbridge.io/cloud-init": ""}}, id="label of the VM"),
        pytest.param({"secret": "cloudinit-udata"}, id="user data from a Secret"),
        pytest.param({"secret": "cloudinit-ndata"}, id="network data from a Secret"),
    ],
)
def test_cloud_init_is_switched_on_where_the_pod_shows_one(shown):
    one = pod()
    one["metadata"]["labels"] |= shown.get("labels", {})
    if "secret" in shown:
        volume = {"name": shown["secret"], "secret": {"secretName": "anything"}}
        one["spec"]["volumes"].append(volume)
    assert {"name": "DSBRIDGE_CLOUD_INIT", "value": "1"} in ours(one)["env"]
    assert not any(e["name"] == "DSBRIDGE_CLOUD_INIT" for e in ours(pod())["env"])


def test_defaults_of_the_cluster_reach_the_container_unless_it_has_its_own():
    policy = copy.deepcopy(POLICY)
    (defaults,) = [one for one in policy["spec"]["variables"] if one["name"] == "defaults"]
    defaults["expression"] = """'{"lease": 3600}'"""
    assert ours(pod(), policy)["env"][-1] == {
        "name": "DSBRIDGE_DEFAULTS",
        "value": '{"lease": 3600}',
    }
    own = [*named("dsbridge"), {"name": "DSBRIDGE_DEFAULTS", "value": "{}"}]
    assert ours(pod(env=own), policy)["env"] == own


@pytest.mark.parametrize("env", [None, [{"name": "CONTAINER_NAME", "value": "hook-sidecar-1"}]])
def test_before_kubevirt_1_9_the_image_tells_which_container_is_ours(env):
    policy = patched(POLICY, BY_IMAGE)
    expected = pod(env=env)
    expected["spec"]["containers"][OURS]["securityContext"] = GRANTED
    if env is None:
        expected["spec"]["containers"][OURS]["env"] = []
    assert admitted(policy, pod(env=env), KUBEVIRT) == expected
    foreign = pod(image="docker.io/evil/dsbridge:0.1.0")
    assert admitted(policy, foreign, KUBEVIRT) == foreign
