"""The Helm chart, rendered by Helm's own engine, makes what kustomize makes."""

from __future__ import annotations

import json

import pytest
import yaml

from binding.version import VERSION
from tests.deploy import kustomize
from tests.deploy.policy import DEPLOY, admitted
from tests.deploy.test_policy import KUBEVIRT, POD

helm = pytest.importorskip("helm_python", reason="`make test-chart` installs Helm, 75 MB")
PLACEHOLDER = f"REGISTRY/dsbridge:{VERSION}"
IMAGE = {"repository": "registry.example.org/dsbridge"}
POLICY = {"kind": "MutatingAdmissionPolicy", "name": "dsbridge"}


def rendered(**values):
    """Return the chart's objects, ordered."""
    chart = helm.Chart.load(str(DEPLOY / "chart"))
    made = chart.render({"image": IMAGE, **values}, name="dsbridge", namespace="dsbridge")
    return ordered(
        one
        for path, text in made.items()
        if path.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one
    )


def ordered(objects):
    return sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"]))


def without_helms_labels(objects):
    for one in objects:
        labels = one["metadata"]["labels"]
        assert labels.pop("app.kubernetes.io/managed-by") == "Helm"
        assert labels.pop("helm.sh/chart") == f"dsbridge-{VERSION}"
    return objects


@pytest.mark.parametrize(
    ("directories", "values"),
    [
        pytest.param(["."], {}, id="as it is"),
        pytest.param([".", "policy-by-image"], {"policy": {"byImage": True}}, id="by image, too"),
        pytest.param(
            [".", "structured-plugin"], {"structuredPlugin": {"enabled": True}}, id="plugin"
        ),
        pytest.param([".", "openshift"], {"openshift": {"enabled": True}}, id="OpenShift"),
    ],
)
def test_the_chart_makes_what_kustomize_makes(directories, values):
    expected = json.dumps([one for name in directories for one in kustomize.built(name)])
    expected = json.loads(expected.replace(PLACEHOLDER, f"{IMAGE['repository']}:{VERSION}"))
    for one in expected:
        in_text = one.get("spec", {}).get("variables", ())
        for variable in in_text:  # the same values, as the chart's JSON
            if variable["name"] in ("capabilities", "seccompProfile"):
                variable["expression"] = variable["expression"].replace("'", '"').replace(" ", "")
    made = without_helms_labels(rendered(**values))
    for one in made:
        for variable in one.get("spec", {}).get("variables", ()):
            if variable["name"] in ("capabilities", "seccompProfile"):
                variable["expression"] = variable["expression"].replace(" ", "")
    assert made == ordered(expected)


def test_kyverno_takes_the_place_of_the_policy():
    made = without_helms_labels(rendered(policy={"engine": "Kyverno", "byImage": True}))
    expected = json.dumps(kustomize.built("kyverno") + kustomize.built("kyverno-by-image"))
    expected = expected.replace(PLACEHOLDER, f"{IMAGE['repository']}:{VERSION}")
    assert [one for one in made if one["kind"] != "ConfigMap"] == ordered(json.loads(expected))


def test_values_reach_the_container():
    values = {
        "defaults": {"lease": 3600, "search": ["it's.example"]},
        "policy": {
            "capabilities": ["NET_RAW"],
            "seccompProfile": {"type": "Localhost", "localhostProfile": "dsbridge.json"},
        },
    }
    policy = kustomize.of_kind(rendered(**values), "MutatingAdmissionPolicy")
    ours = admitted(policy, POD, KUBEVIRT)["spec"]["containers"][-1]
    (given,) = [one["value"] for one in ours["env"] if one["name"] == "DSBRIDGE_DEFAULTS"]
    assert json.loads(given) == values["defaults"]
    assert ours["securityContext"]["capabilities"]["add"] == ["NET_RAW"]
    assert ours["securityContext"]["seccompProfile"] == values["policy"]["seccompProfile"]


def test_the_namespace_of_kubevirt_is_the_only_one_that_is_believed():
    made = rendered(kubevirt={"namespace": "openshift-cnv"}, openshift={"enabled": True})
    policy = kustomize.of_kind(made, "MutatingAdmissionPolicy")
    assert admitted(policy, POD, KUBEVIRT) == POD
    account = "system:serviceaccount:openshift-cnv:kubevirt-controller"
    assert admitted(policy, POD, account) != POD
    assert kustomize.of_kind(made, "SecurityContextConstraints")["users"] == [account]
    assert kustomize.of_kind(made, "ConfigMap")["metadata"]["namespace"] == "openshift-cnv"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"image": {"repository": "REGISTRY/dsbridge"}}, id="no registry"),
        pytest.param({"image": IMAGE | {"digest": "sha256:1"}}, id="no digest"),
        pytest.param({"policy": {"engine": "Gatekeeper"}}, id="unknown engine"),
        pytest.param({"policy": {"capabilities": ["SYS_ADMIN"]}}, id="another capability"),
        pytest.param({"polcy": {}}, id="mistyped key"),
    ],
)
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(helm.HelmError):
        rendered(**wrong)


def test_helm_finds_nothing_to_complain_of():
    result = helm.lint(str(DEPLOY / "chart"), values={"image": IMAGE})
    assert not [one for one in str(result).splitlines() if "ERROR" in one], result
