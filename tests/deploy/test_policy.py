"""What the admission policy makes of a virt-launcher pod, by a real CEL implementation."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.deploy import kustomize, kyverno
from tests.deploy.policy import DEPLOY, admitted, documents

KUBEVIRT = "system:serviceaccount:kubevirt:kubevirt-controller"
(POD,) = documents(Path(__file__).with_name("virt_launcher_pod.yaml"))
(POLICY,) = documents(DEPLOY / "policy/policy.yaml")
BY_IMAGE = kustomize.of_kind(kustomize.built("policy-by-image"), "MutatingAdmissionPolicy")
(KYVERNO_BY_IMAGE,) = kustomize.built("kyverno-by-image")
SOCKETS = {
    "name": "hook-sidecar-sockets",
    "mountPath": "/var/run/kubevirt-hooks",
    "subPath": "hook-sidecar-1",
}
NETWORK_INFO = {"name": "network-info-annotation", "mountPath": "/etc/podinfo"}
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
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


ITEM = {"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}
VOLUME = {"name": "dsbridge-annotations", "downwardAPI": {"items": [ITEM]}}
MOUNT = {"name": "dsbridge-annotations", "mountPath": "/etc/dsbridge", "readOnly": True}


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


def granted(made):
    """Return the pod with all that our container gets in every shape."""
    made = copy.deepcopy(made)
    container = made["spec"]["containers"][OURS]
    container["securityContext"] = GRANTED
    container["volumeMounts"] = [*container.get("volumeMounts", ()), MOUNT]
    made["spec"]["volumes"] = [*made["spec"].get("volumes", ()), VOLUME]
    return made


def ours(made, policy=POLICY):
    return admitted(policy, made, KUBEVIRT)["spec"]["containers"][OURS]


def test_our_container_and_nothing_else_of_the_pod_changes():
    assert admitted(POLICY, POD, KUBEVIRT) == granted(POD)


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
    [
        "alice",
        "system:serviceaccount:default:kubevirt-controller-2",
        "x:kubevirt-controller",
        # Anybody who may make service accounts in a namespace of their own.
        "system:serviceaccount:vms:kubevirt-controller",
    ],
)
@pytest.mark.parametrize("policy", [POLICY, BY_IMAGE], ids=["by name", "by image"])
def test_a_pod_that_kubevirt_did_not_make_gets_nothing(user, policy):
    assert admitted(policy, POD, user) == POD


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param({"labels": {"dsbridge.io/cloud-init": ""}}, id="label of the VM"),
        pytest.param(
            {"secret": "cloudinit-udata", "subPaths": ["userdata", "userData"]},
            id="user data from a Secret",
        ),
        pytest.param(
            {"secret": "cloudinit-ndata", "subPaths": ["networkdata", "networkData"]},
            id="network data from a Secret",
        ),
    ],
)
def test_cloud_init_is_switched_on_where_the_pod_shows_one(shown):
    one = pod()
    one["metadata"]["labels"] |= shown.get("labels", {})
    if "secret" in shown:
        mount_secret(one, shown["secret"], shown["subPaths"])
    assert {"name": "DSBRIDGE_CLOUD_INIT", "value": "1"} in ours(one)["env"]


def mount_secret(one, name, sub_paths):
    """Mount a Secret as virt-controller 1.9 does: whole, or its keys one by one."""
    one["spec"]["volumes"].append({"name": name, "secret": {"secretName": "anything"}})
    secrets = "/var/run/kubevirt-private/secret"
    one["spec"]["containers"][0]["volumeMounts"] += [
        {"name": name, "mountPath": f"{secrets}/{name[:-6]}/{sub}", "subPath": sub}
        if sub
        else {"name": name, "mountPath": f"{secrets}/{name}"}
        for sub in sub_paths
    ]


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param((), id="no cloud-init"),
        pytest.param(("app-udata", [None]), id="disk of a Secret with such a name"),
        pytest.param(("app-udata", []), id="Secret that is not mounted"),
    ],
)
def test_cloud_init_stays_off_where_virt_launcher_would_panic(secret):
    one = pod()
    if secret:
        mount_secret(one, *secret)
    assert not any(e["name"] == "DSBRIDGE_CLOUD_INIT" for e in ours(one)["env"])


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
    expected = granted(pod(env=env))
    if env is None:
        expected["spec"]["containers"][OURS]["env"] = []
    assert admitted(BY_IMAGE, pod(env=env), KUBEVIRT) == expected


@pytest.mark.parametrize(
    "mounts",
    [
        pytest.param(None, id="none"),
        pytest.param([SOCKETS, NETWORK_INFO], id="downwardAPI of a registration"),
        pytest.param(
            [SOCKETS, {"name": "kube-api-access-x7k2p", "mountPath": SERVICE_ACCOUNT}],
            id="VM with a service account",
        ),
    ],
)
def test_by_image_allows_what_kubevirt_and_kubernetes_mount(mounts):
    one = pod(env=None, command=[], args=[], volumeMounts=mounts)
    assert ours(one, BY_IMAGE)["securityContext"] == GRANTED


FOREIGN = [
    pytest.param({"image": "docker.io/evil/dsbridge:0.2.0"}, id="image"),
    pytest.param({"command": ["/app/.venv/bin/python"]}, id="command"),
    pytest.param({"args": ["--hooks-dir", "/tmp"]}, id="args"),
    *(
        pytest.param({"volumeMounts": [SOCKETS, mount]}, id=name)
        for name, mount in {
            "ConfigMap over our code": {
                "name": "mine",
                "mountPath": "/app/binding/plumb/__main__.py",
                "subPath": "my.py",
            },
            "PVC": {"name": "mine", "mountPath": "/app"},
            "KubeVirt's name elsewhere": SOCKETS | {"mountPath": "/app"},
            "KubeVirt's path, another volume": SOCKETS | {"name": "mine"},
            "our mount, of a volume that is not there": MOUNT,
            "our volume's name elsewhere": MOUNT | {"mountPath": "/app"},
            "one file of it": MOUNT | {"subPath": "annotations"},
        }.items()
    ),
]


@pytest.mark.parametrize("change", FOREIGN)
def test_code_of_the_vms_owner_in_our_image_gets_nothing(change):
    """The annotation hookSidecars lets the owner choose all of this."""
    alone = pod(env=None, **change)
    assert admitted(BY_IMAGE, alone, KUBEVIRT) == alone
    beside = copy.deepcopy(alone)
    beside["spec"]["containers"].append(copy.deepcopy(POD["spec"]["containers"][OURS]))
    beside["spec"]["containers"][-1]["name"] = "hook-sidecar-2"
    made = admitted(BY_IMAGE, beside, KUBEVIRT)["spec"]["containers"]
    assert made[OURS] == alone["spec"]["containers"][OURS]
    assert made[-1]["securityContext"] == GRANTED


@pytest.mark.parametrize("change", FOREIGN)
def test_kyverno_by_image_is_as_careful(change):
    alone = pod(env=None, **change)
    assert kyverno.admitted(KYVERNO_BY_IMAGE, alone) == alone


@pytest.mark.parametrize("mounts", [None, [SOCKETS, NETWORK_INFO]])
def test_kyverno_by_image_grants_what_the_policy_grants(mounts):
    one = pod(env=[], command=[], args=[], volumeMounts=mounts)
    assert kyverno.admitted(KYVERNO_BY_IMAGE, one) == admitted(BY_IMAGE, one, KUBEVIRT)


def test_both_policies_side_by_side_are_each_of_them():
    """A VM of a registration beside one of takeover; neither takes anything from the other."""
    own = pod(env=named("dsbridge-own"))
    takeover = pod(env=None)
    for one in (own, takeover, pod()):
        both = admitted(BY_IMAGE, admitted(POLICY, one, KUBEVIRT), KUBEVIRT)
        assert both == admitted(POLICY, admitted(BY_IMAGE, one, KUBEVIRT), KUBEVIRT)
    made = admitted(BY_IMAGE, admitted(POLICY, own, KUBEVIRT), KUBEVIRT)["spec"]["containers"][OURS]
    assert made["resources"]["limits"]["devices.kubevirt.io/tun"] == "1"
    assert ours(takeover, BY_IMAGE)["securityContext"] == GRANTED
