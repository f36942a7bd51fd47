"""Every manifest parses, fits its schema, and means what the documents say."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import jmespath
import jsonschema
import kubernetes_validate
import pytest
import yaml

from binding.discover import annotation, vmi
from binding.version import VERSION
from tests.deploy import kustomize, kyverno
from tests.deploy.policy import DEPLOY, admitted, documents
from tests.deploy.test_policy import KUBEVIRT, MOUNT, POD, POLICY, VOLUME

KUBERNETES = "1.37"
START = 3.5
"""Seconds from the container's start to its socket on a busy node, seen in a cluster."""
SCHEMAS = yaml.safe_load(Path(__file__).with_name("schemas.yaml").read_text())
FILES = sorted(
    path
    for path in DEPLOY.rglob("*.yaml")
    if not {"chart", "everywhere"} & set(path.relative_to(DEPLOY).parts)
    and path.name not in ("kustomization.yaml", "krew.yaml")  # neither is an object of a cluster
)
OBJECTS = [
    pytest.param(one, id=f"{path.relative_to(DEPLOY)}: {one['kind']}")
    for path in FILES
    for one in documents(path)
    if isinstance(one, dict)
    and "kind" in one
    # The Prometheus operator's own kinds; tests/deploy/test_monitoring.py reads them.
    and not one["apiVersion"].startswith("monitoring.coreos.com/")
]
VMS = [param for param in OBJECTS if param.values[0]["kind"] == "VirtualMachine"]
(SIDECAR, _) = documents(DEPLOY / "structured-plugin/sidecar.yaml")


def check(one):
    """Raise unless the object fits the schema of its API, unknown fields included."""
    group, kind = one["apiVersion"].partition("/")[0], one["kind"]
    if group in ("v1", "apps", "admissionregistration.k8s.io", "rbac.authorization.k8s.io"):
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    else:
        jsonschema.validate(one, SCHEMAS[kind], cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("one", OBJECTS)
def test_an_object_fits_its_schema(one):
    check(one)


def test_a_schema_refuses_what_it_does_not_know():
    for one in (POLICY, VMS[0].values[0]):
        wrong = copy.deepcopy(one)
        wrong["spec"]["unheardOf"] = 1
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            check(wrong)


@pytest.mark.parametrize("name", kustomize.DIRECTORIES)
def test_what_kustomize_makes_fits_its_schemas(name):
    for one in kustomize.built(name):
        if one["apiVersion"].endswith("v1beta1"):  # gone from the newest schemas
            one = one | {"apiVersion": "admissionregistration.k8s.io/v1"}  # noqa: PLW2901  # the loop goes on with what is judged
        check(one)


@pytest.mark.parametrize(
    "name",
    [
        "registration/registration.yaml",
        "registration/registration-own.yaml",
        "structured-plugin/registration.yaml",
    ],
)
def test_a_registration_leaves_other_bindings_alone(name):
    (patch,) = documents(DEPLOY / name)
    before = {"passt": {"sidecarImage": "quay.io/kubevirt/network-passt-binding:v1.9.0"}}
    cr = {"spec": {"configuration": {"network": {"binding": before}}}}
    after = merged(cr, patch)["spec"]["configuration"]["network"]["binding"]
    assert before.items() <= after.items()
    for plugin in set(after) - set(before):
        jsonschema.validate(after[plugin], SCHEMAS["InterfaceBindingPlugin"])
        assert plugin in ("dsbridge", "dsbridge-own"), "the policy knows no other"


@pytest.mark.parametrize(
    "earlier", ["registration/registration.yaml", "structured-plugin/registration.yaml"]
)
@pytest.mark.parametrize(
    ("name", "plugin", "expected"),
    [
        (
            "registration/registration.yaml",
            "dsbridge",
            {"sidecarImage", "domainAttachmentType", "migration"},
        ),
        ("registration/registration-own.yaml", "dsbridge-own", {"sidecarImage", "migration"}),
        ("structured-plugin/registration.yaml", "dsbridge", {"domainAttachmentType", "migration"}),
    ],
)
def test_a_registration_leaves_nothing_of_an_earlier_one(earlier, name, plugin, expected):
    """Two sidecars of ours on one tap, as after sidecarImage and a Plugin, would both answer."""
    (before,) = documents(DEPLOY / earlier)
    binding = before["spec"]["configuration"]["network"]["binding"]
    binding[plugin] = dict(binding["dsbridge"])
    (patch,) = documents(DEPLOY / name)
    after = merged(merged({}, before), patch)["spec"]["configuration"]["network"]["binding"]
    assert set(after[plugin]) == expected


@pytest.mark.parametrize("vm", VMS)
def test_an_example_is_understood_by_the_sidecar(vm):
    template = vm["spec"]["template"]
    metadata = {"name": vm["metadata"]["name"], **template.get("metadata", {})}
    instance = vmi.decode(json.dumps({"metadata": metadata, "spec": template["spec"]}).encode())
    assert {one.name for one in instance.interfaces} == {one.name for one in instance.networks}
    names = {annotation.PREFIX + one.name for one in instance.interfaces}
    ours = {key for key in instance.annotations if key.startswith(annotation.PREFIX)}
    assert ours <= names
    for interface in instance.interfaces:
        assert interface.core_bridge or interface.binding == "dsbridge"
        annotation.of_network(instance.annotations, interface.name, annotation.Override())
    if "dsbridge.io/cloud-init" in metadata.get("labels", {}):
        sources = {source for volume in template["spec"]["volumes"] for source in volume}
        assert sources & {"cloudInitNoCloud", "cloudInitConfigDrive"}, "virt-launcher would panic"


@pytest.mark.parametrize("vm", VMS)
def test_an_examples_network_data_names_nics_that_the_guest_has(vm):
    """Fedora's cloud-init takes an entry's name for the NIC's, unless it matches a MAC."""
    spec = vm["spec"]["template"]["spec"]
    names = [f"enp{one}s0" for one, _ in enumerate(spec["domain"]["devices"]["interfaces"], 1)]
    for volume in spec["volumes"]:
        data = yaml.safe_load(volume.get("cloudInitNoCloud", {}).get("networkData", "{}"))
        for name, entry in data.get("ethernets", {}).items():
            assert "macaddress" in entry.get("match", {}) or name in names
            assert entry.get("match", {}).keys() <= {"macaddress"}


def test_what_the_policy_makes_is_still_a_pod():
    made = admitted(POLICY, POD, KUBEVIRT)
    kubernetes_validate.validate(made, KUBERNETES, strict=True)


def test_the_structured_plugins_sidecar_joins_the_pod_once():
    pod = copy.deepcopy(POD)
    pod["metadata"]["labels"]["dsbridge.io/plugin"] = ""
    pod["spec"]["volumes"].append({"name": "kubevirt-plugin-sockets", "emptyDir": {}})
    made = admitted(SIDECAR, pod, KUBEVIRT)
    *before, added = made["spec"]["initContainers"]
    assert before == pod["spec"]["initContainers"]
    assert added["restartPolicy"] == "Always"
    assert added["image"] == f"REGISTRY/dsbridge:{VERSION}"
    assert added["startupProbe"]["initialDelaySeconds"] > START, "each failure is a warning event"
    (plugin,) = documents(DEPLOY / "structured-plugin/plugin.yaml")
    mount, annotations = added["volumeMounts"]
    assert annotations == MOUNT
    assert made["spec"]["volumes"] == [*pod["spec"]["volumes"], VOLUME]
    (hook,) = plugin["spec"]["domainHooks"]
    assert hook["sidecar"]["socketPath"] == f"{mount['mountPath']}/dsbridge.sock"
    assert mount["subPath"], "KubeVirt's own policy refuses the volume's root"
    kubernetes_validate.validate(made, KUBERNETES, strict=True)
    assert admitted(SIDECAR, made, KUBEVIRT) == made
    without = copy.deepcopy(pod)
    del without["spec"]["initContainers"]
    assert admitted(SIDECAR, without, KUBEVIRT)["spec"]["initContainers"] == [added]


@pytest.mark.parametrize("source", ["configMap", "downwardAPI"])
def test_the_structured_plugins_sidecar_mounts_no_volume_of_the_vms_owner(source):
    pod = copy.deepcopy(POD)
    pod["metadata"]["labels"]["dsbridge.io/plugin"] = ""
    pod["spec"]["volumes"] += [
        {"name": "kubevirt-plugin-sockets", "emptyDir": {}},
        {"name": "dsbridge-annotations", source: {}},
    ]
    made = admitted(SIDECAR, pod, KUBEVIRT)["spec"]
    assert made["volumes"] == pod["spec"]["volumes"]
    assert (MOUNT in made["initContainers"][-1]["volumeMounts"]) == (source == "downwardAPI")


def test_the_structured_plugins_sidecar_leaves_a_pod_guaranteed():
    """Init containers count, too: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/."""
    pod = copy.deepcopy(POD)
    pod["metadata"]["labels"]["dsbridge.io/plugin"] = ""
    pod["spec"]["volumes"].append({"name": "kubevirt-plugin-sockets", "emptyDir": {}})
    resources = admitted(SIDECAR, pod, KUBEVIRT)["spec"]["initContainers"][-1]["resources"]
    assert resources["limits"].keys() == {"cpu", "memory"}
    assert resources["requests"] == resources["limits"]


@pytest.mark.parametrize("plugin", ["dsbridge", "dsbridge-own", "dsbridge2"])
@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="without cloud-init"),
        pytest.param({"dsbridge.io/cloud-init": ""}, id="label of the VM"),
    ],
)
def test_kyverno_makes_of_a_pod_what_the_policy_makes_of_it(plugin, labels):
    pod = copy.deepcopy(POD)
    pod["metadata"]["labels"] |= labels
    pod["spec"]["containers"][-1]["env"][-1]["value"] = plugin
    (policy,) = documents(DEPLOY / "kyverno/policy.yaml")
    made = kyverno.admitted(policy, pod)
    assert made == admitted(POLICY, pod, KUBEVIRT)
    assert kyverno.admitted(policy, made) == made


def test_kyvernos_example_of_defaults_sets_them():
    text = (DEPLOY / "kyverno/policy.yaml").read_text()
    policy = yaml.safe_load(re.sub(r"# (env:|  - \{name: DSBRIDGE_DEFAULTS)", r"\1", text))
    made = kyverno.admitted(policy, POD)["spec"]["containers"][-1]["env"]
    assert made[:-1] == POD["spec"]["containers"][-1]["env"]
    assert made[-1]["name"] == "DSBRIDGE_DEFAULTS"
    assert annotation.parse(made[-1]["value"], "DSBRIDGE_DEFAULTS")


def test_kyverno_chooses_the_same_containers():
    (policy,) = documents(DEPLOY / "kyverno/policy.yaml")
    rules = policy["spec"]["rules"][0]["mutate"]["foreach"]
    both = ["dsbridge", "dsbridge-own"]
    for rule, accepted in zip(rules, (both, ["dsbridge-own"], both), strict=True):
        (condition,) = rule["preconditions"]["all"]
        expression = condition["key"].removeprefix("{{").removesuffix("}}").strip()
        for container in [*POD["spec"]["containers"], {"name": "without-env"}]:
            value = jmespath.search(expression, {"element": container})
            wanted = condition["value"]
            chosen = value in (wanted if isinstance(wanted, list) else [wanted])
            plugin = {e["name"]: e.get("value") for e in container.get("env", ())}
            assert chosen == (plugin.get("NETWORK_BINDING_PLUGIN_NAME") in accepted)


def test_the_sccs_and_the_policies_capabilities_are_the_same():
    (scc,) = documents(DEPLOY / "openshift/scc.yaml")
    made = admitted(POLICY, POD, KUBEVIRT)["spec"]["containers"]
    added = {
        capability
        for container in made
        for capability in container["securityContext"]["capabilities"].get("add", ())
    }
    assert added <= set(scc["allowedCapabilities"])


def merged(target, patch):
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        made[key] = merged(made.get(key), value)
    return {key: value for key, value in made.items() if value is not None}
