"""Kyverno's part: the kind of ClusterPolicy that is used here, applied to a pod."""

from __future__ import annotations

import copy
import re
from typing import Any

import jmespath

Json = Any


def admitted(policy: Json, pod: Json) -> Json:
    """Return the pod, made by virt-controller, as the policy leaves it."""
    for rule in policy["spec"]["rules"]:
        context = {one["name"]: one["variable"]["value"] for one in rule.get("context", ())}
        (match,) = rule["match"]["all"]
        if not _selected(match["resources"]["selector"], pod["metadata"]["labels"]):
            continue
        for each in rule["mutate"]["foreach"]:
            request = {"request": {"object": pod}}
            for element in jmespath.search(each["list"], request):
                scope = {"element": element, **request, **context}
                conditions = each["preconditions"]
                holds = all(_holds(one, scope) for one in conditions["all"])
                some = conditions.get("any")
                if holds and (some is None or any(_holds(one, scope) for one in some)):
                    pod = _merged(pod, _substituted(each["patchStrategicMerge"], scope))
    return pod


def _selected(selector: Json, labels: Json) -> bool:
    exist = {one["key"] for one in selector.get("matchExpressions", ())}
    assert {one["operator"] for one in selector.get("matchExpressions", ())} <= {"Exists"}
    return selector["matchLabels"].items() <= labels.items() and exist <= labels.keys()


def _holds(condition: Json, scope: Json) -> bool:
    value = _substituted(condition["key"], scope)
    wanted = _substituted(condition["value"], scope)
    return value in wanted if condition["operator"] == "AnyIn" else bool(value == wanted)


def _substituted(value: Json, scope: Json) -> Json:
    match value:
        case dict():
            return {key: _substituted(one, scope) for key, one in value.items()}
        case list():
            return [_substituted(one, scope) for one in value]
        case str() if whole := re.fullmatch(r"\{\{(.+)\}\}", value):
            return jmespath.search(whole[1].strip(), scope)
    return value


def _merged(target: Json, patch: Json) -> Json:
    """Merge objects by key, lists of objects by path of a mount or name; other values replace."""
    match patch:
        case dict():
            made = copy.deepcopy(target) if isinstance(target, dict) else {}
            for key, value in patch.items():
                name = key.removeprefix("+(").removesuffix(")")
                if name == key or name not in made:
                    made[name] = _merged(made.get(name), value)
            return made
        case [{"mountPath": _}, *_]:
            return _merged_by("mountPath", target, patch)
        case [{"name": _}, *_]:
            return _merged_by("name", target, patch)
    return patch


def _merged_by(key: str, target: Json, patch: Json) -> Json:
    merged = {one[key]: one for one in target or ()}
    for one in patch:
        merged[one[key]] = _merged(merged.get(one[key]), one)
    return list(merged.values())
