"""The image and KubeVirt's namespace are set in one place and reach every object."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from binding.version import VERSION
from tests.deploy import kustomize
from tests.deploy.policy import DEPLOY

IMAGE = "registry.example.org:5000/net/dsbridge@sha256:" + 64 * "a"
PLACEHOLDER = f"REGISTRY/dsbridge:{VERSION}"
ROOT = DEPLOY.parent


def of_ones_own(directory: Path, name: str) -> str:
    """Return what a kustomization of an administrator's own makes of a directory of ours."""
    shutil.copytree(DEPLOY, directory / "deploy")
    own = directory / "own"
    own.mkdir()
    new_name, _, digest = IMAGE.partition("@")
    (own / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "namespace": "virtualization",
                "resources": [f"../deploy/{name}"],
                "images": [{"name": "REGISTRY/dsbridge", "newName": new_name, "digest": digest}],
                "transformers": ["../deploy/image/everywhere"],
            }
        )
    )
    return kustomize.text(own)


def edited(directory: Path, name: str) -> str:
    """Return the same for one who edits deploy/image."""
    shutil.copytree(DEPLOY, directory / "deploy")
    place = directory / "deploy/image/kustomization.yaml"
    new_name, _, digest = IMAGE.partition("@")
    place.write_text(
        place.read_text()
        .replace("newName: REGISTRY/dsbridge", f"newName: {new_name}")
        .replace(f"newTag: {VERSION}", f"digest: {digest}")
        .replace("namespace: kubevirt", "namespace: virtualization")
    )
    return kustomize.text(directory / "deploy" / name)


@pytest.mark.parametrize("way", [of_ones_own, edited])
@pytest.mark.parametrize("name", [*kustomize.DIRECTORIES])
def test_an_image_set_once_is_the_image_everywhere(way, name, tmp_path):
    if name in ("policy", "image"):
        return  # parts of others
    if name == "examples" and way is of_ones_own:
        return  # VMs are not in KubeVirt's namespace
    made = way(tmp_path, name)
    assert "REGISTRY" not in made
    assert "serviceaccount:kubevirt:" not in made
    for one in yaml.safe_load_all(made):
        assert one["metadata"].get("namespace", "virtualization") in ("virtualization", "vms")
        assert one["metadata"]["name"] != "dsbridge-image", "known to kustomize alone"
    before = "".join(kustomize.text(DEPLOY / name))
    assert before.count(PLACEHOLDER) == made.count(IMAGE)


def test_the_registration_in_the_cluster_is_the_file(tmp_path):
    made = of_ones_own(tmp_path, ".")
    registration = kustomize.of_kind(list(yaml.safe_load_all(made)), "ConfigMap")
    for name in ("registration.yaml", "registration-own.yaml"):
        expected = (DEPLOY / "registration" / name).read_text().replace(PLACEHOLDER, IMAGE)
        assert registration["data"][name] == expected


def test_a_version_of_kubernetes_with_the_beta_gets_the_same_policy():
    def without(one):
        return {key: value for key, value in one.items() if key != "apiVersion"}

    made = kustomize.built("kubernetes-1.34")
    assert {one["apiVersion"] for one in made} == {"admissionregistration.k8s.io/v1beta1"}
    stable = [one for one in kustomize.built(".") if one["kind"] != "ConfigMap"]
    assert [without(one) for one in made] == [without(one) for one in stable]


@pytest.mark.parametrize("name", sorted({*kustomize.DIRECTORIES} - {"policy", "image", "examples"}))
def test_every_object_has_the_recommended_labels(name):
    for one in kustomize.built(name):
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == labels["app.kubernetes.io/part-of"] == "dsbridge"
        assert labels["app.kubernetes.io/version"] == VERSION
        assert labels["app.kubernetes.io/instance"].startswith("dsbridge")


def test_no_two_directories_make_an_object_of_one_name_but_for_alternatives():
    """Applied beside each other they must not take each other's objects."""
    seen = {}
    for name in (".", "policy-by-image", "structured-plugin", "kyverno", "kyverno-by-image"):
        for one in kustomize.built(name):
            key = (one["kind"], one["metadata"]["name"])
            assert key not in seen, (key, name, seen[key])
            seen[key] = name


def test_the_chart_is_filled_from_kustomizes_output(tmp_path):
    """Stale? `make chart`."""
    subprocess.run([ROOT / ".ci/chart", tmp_path], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in (DEPLOY / "chart/files").iterdir()}


def test_takeover_names_the_image_as_kubevirt_reads_it():
    (vm,) = [one for one in kustomize.built("examples") if one["metadata"]["name"] == "vm4"]
    annotations = vm["spec"]["template"]["metadata"]["annotations"]
    (sidecar,) = json.loads(annotations["hooks.kubevirt.io/hookSidecars"])
    assert re.fullmatch(r"\S+/dsbridge:[\d.]+", sidecar["image"])
