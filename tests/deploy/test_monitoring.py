"""deploy/monitoring asks for metrics and labels that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import yaml

from tests.bed.promtool import promtool

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "deploy/monitoring"
REFERENCE = (ROOT / "docs/reference.md").read_text()
KNOWN = {*re.findall(r"`(dsbridge_\w+)`", REFERENCE), "dsbridge_pods"}


def documents(name):
    return list(yaml.safe_load_all((PLACE / name).read_text()))


def metrics_in(expression):
    return set(re.findall(r"\bdsbridge_\w+", expression))


def groups():
    (rule,) = [one for one in documents("prometheus.yaml") if one["kind"] == "PrometheusRule"]
    return rule["spec"]["groups"]


def written(folder, **files):
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))


def test_prometheus_accepts_the_alerts_and_each_speaks_and_is_silent_as_it_should(tmp_path):
    tests = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text())
    rules, cases = {"groups": groups()}, {**tests, "rule_files": ["rules"]}
    written(tmp_path, rules=rules, cases=cases)
    lint = ["--lint=all"] if "--lint" in promtool("check", "rules", "--help") else []  # since 2.34
    assert "4 rules found" in promtool("check", "rules", *lint, "rules", folder=tmp_path)
    promtool("test", "rules", "cases", folder=tmp_path)
    tried = {one["alertname"] for test in tests["tests"] for one in test["alert_rule_test"]}
    assert tried == {alert["alert"] for alert in groups()[0]["rules"]}


def board():
    return json.loads((PLACE / "dashboard.json").read_text())


def test_prometheus_accepts_the_queries_of_the_dashboard(tmp_path):
    queries = [target["expr"] for panel in board()["panels"] for target in panel["targets"]]
    records = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    written(tmp_path, rules={"groups": [{"name": "dashboard", "rules": records}]})
    assert f"{len(queries)} rules found" in promtool("check", "rules", "rules", folder=tmp_path)


def test_the_panels_of_the_dashboard_do_not_overlap():
    places = [panel["gridPos"] for panel in board()["panels"]]
    assert all(one["x"] + one["w"] <= 24 for one in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_the_dashboard_shows_metrics_that_there_are():
    shown = {one for p in board()["panels"] for t in p["targets"] for one in metrics_in(t["expr"])}
    assert shown
    assert shown <= KNOWN
    ids = [panel["id"] for panel in board()["panels"]]
    assert len(ids) == len(set(ids))


def test_there_are_four_alerts_each_with_a_remedy():
    (group,) = groups()
    assert len(group["rules"]) == 4
    for alert in group["rules"]:
        assert metrics_in(alert["expr"]) <= KNOWN
        assert "kubectl dsbridge" in alert["annotations"]["remedy"]


def test_the_watch_may_also_create_events_and_runs_the_plugins_command():
    by_kind = {one["kind"]: one for one in documents("watch.yaml")}
    rights = {
        (resource, verb)
        for rule in by_kind["ClusterRole"]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    pods = {("pods", "get"), ("pods", "list"), ("pods/exec", "get"), ("pods/exec", "create")}
    assert rights == pods | {("events", "create")}
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == by_kind["ServiceAccount"]["metadata"]["name"]
    (container,) = pod["containers"]
    assert container["command"][1:3] == ["/plugin/kubectl-dsbridge", "watch"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {one["name"] for one in container["volumeMounts"]} <= {o["name"] for o in pod["volumes"]}


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
