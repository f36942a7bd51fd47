"""The pod's annotations in our container: a volume of the policies, and none of the VM's owner."""

from __future__ import annotations

import copy

import pytest

from tests.deploy import kyverno
from tests.deploy.policy import DEPLOY, admitted, documents
from tests.deploy.test_policy import (
    BY_IMAGE,
    GRANTED,
    KUBEVIRT,
    KYVERNO_BY_IMAGE,
    MOUNT,
    OURS,
    POD,
    POLICY,
    SOCKETS,
    VOLUME,
    granted,
    pod,
)

BY_KYVERNO = documents(DEPLOY / "kyverno/policy.yaml")[0], KYVERNO_BY_IMAGE
FOREIGN_VOLUMES = [
    {"configMap": {"name": "mine"}},
    {"persistentVolumeClaim": {"claimName": "mine"}},
]


@pytest.mark.parametrize("policy", [POLICY, BY_IMAGE], ids=["by name", "by image"])
@pytest.mark.parametrize("volumes", [None, [], [{"name": "other", "emptyDir": {}}]])
@pytest.mark.parametrize("mounts", [None, [], [SOCKETS]])
def test_our_container_alone_sees_the_pods_annotations(policy, volumes, mounts):
    one = pod(volumeMounts=mounts)
    one["spec"]["volumes"] = volumes
    if volumes is None:
        del one["spec"]["volumes"]
    assert admitted(policy, one, KUBEVIRT) == granted(one)


@pytest.mark.parametrize("policy", [POLICY, BY_IMAGE], ids=["by name", "by image"])
def test_two_containers_of_ours_share_one_volume(policy):
    one = pod()
    one["spec"]["containers"].append(copy.deepcopy(one["spec"]["containers"][OURS]))
    one["spec"]["containers"][-1]["name"] = "hook-sidecar-2"
    made = admitted(policy, one, KUBEVIRT)["spec"]
    assert made["volumes"] == [*POD["spec"]["volumes"], VOLUME]
    assert [MOUNT in each["volumeMounts"] for each in made["containers"]] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("source", FOREIGN_VOLUMES)
def test_a_volume_of_the_vms_owner_by_our_name_is_not_mounted(source):
    """KubeVirt names a pod's volumes as the VM's owner names those of the VM."""
    one = pod()
    one["spec"]["volumes"].append({"name": "dsbridge-annotations", **source})
    expected = copy.deepcopy(one)
    expected["spec"]["containers"][OURS]["securityContext"] = GRANTED
    for policy in (POLICY, BY_IMAGE):
        assert admitted(policy, one, KUBEVIRT) == expected
    for policy in BY_KYVERNO:
        assert kyverno.admitted(policy, one) == expected


@pytest.mark.parametrize("source", FOREIGN_VOLUMES)
def test_by_image_a_foreign_volume_at_our_mount_gets_nothing(source):
    """As the annotation hookSidecars allows: a ConfigMap of our volume's name, at our path."""
    one = pod(env=None, volumeMounts=[SOCKETS, MOUNT])
    one["spec"]["volumes"].append({"name": "dsbridge-annotations", **source})
    assert admitted(BY_IMAGE, one, KUBEVIRT) == one
    assert kyverno.admitted(KYVERNO_BY_IMAGE, one) == one


@pytest.mark.parametrize("policy", [POLICY, BY_IMAGE], ids=["by name", "by image"])
def test_what_a_policy_made_is_still_ours_for_either(policy):
    made = admitted(policy, POD, KUBEVIRT)
    assert made == granted(POD)
    for other in (POLICY, BY_IMAGE):
        assert admitted(other, made, KUBEVIRT) == made
    for other in BY_KYVERNO:
        assert kyverno.admitted(other, made) == made
