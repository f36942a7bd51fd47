"""deploy/monitoring asks for metrics and labels that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "deploy/monitoring"
REFERENCE = (ROOT / "docs/reference.md").read_text()
KNOWN = {*re.findall(r"`(dsbridge_\w+)`", REFERENCE), "dsbridge_pods"}


def documents(name):
    return list(yaml.safe_load_all((PLACE / name).read_text()))


def metrics_in(expression):
    return set(re.findall(r"\bdsbridge_\w+", expression))


def test_the_dashboard_shows_metrics_that_there_are():
    board = json.loads((PLACE / "dashboard.json").read_text())
    shown = {one for p in board["panels"] for t in p["targets"] for one in metrics_in(t["expr"])}
    assert shown
    assert shown <= KNOWN
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_there_are_four_alerts_each_with_a_remedy():
    (rule,) = [one for one in documents("prometheus.yaml") if one["kind"] == "PrometheusRule"]
    (group,) = rule["spec"]["groups"]
    assert len(group["rules"]) == 4
    for alert in group["rules"]:
        assert metrics_in(alert["expr"]) <= KNOWN
        assert "kubectl dsbridge" in alert["annotations"]["remedy"]


def test_the_exporter_may_list_pods_and_exec_and_nothing_else():
    by_kind = {one["kind"]: one for one in documents("exporter.yaml")}
    rules = by_kind["ClusterRole"]["rules"]
    assert {one for rule in rules for one in rule["resources"]} == {"pods", "pods/exec"}
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == by_kind["ServiceAccount"]["metadata"]["name"]
    mounted = {one["name"] for one in pod["volumes"]}
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {one["name"] for one in container["volumeMounts"]} <= mounted
    service = by_kind["Service"]
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
