"""The API server's part: a MutatingAdmissionPolicy applied to an object, its CEL evaluated."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import yaml
from celpy import celtypes

Json = Any
DEPLOY = Path(__file__).parents[2] / "deploy"


def documents(path: Path) -> list[Json]:
    """Return the YAML documents of a file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def admitted(policy: Json, pod: Json, user: str) -> Json:
    """Return the pod as the policy leaves it; the argument stays as it is."""
    pod = copy.deepcopy(pod)
    request = {"userInfo": {"username": user}}
    labels = policy["spec"]["matchConstraints"]["objectSelector"]["matchLabels"]
    if not labels.items() <= pod["metadata"].get("labels", {}).items():
        return pod
    scope = {"object": celpy.json_to_cel(pod), "request": celpy.json_to_cel(request)}
    if not all(_evaluate(one["expression"], scope) for one in policy["spec"]["matchConditions"]):
        return pod
    for mutation in policy["spec"]["mutations"]:
        scope["object"] = celpy.json_to_cel(pod)
        scope["variables"] = celtypes.MapType()
        for variable in policy["spec"]["variables"]:
            value = _evaluate(variable["expression"], scope)
            scope["variables"][celtypes.StringType(variable["name"])] = value
        operations = _evaluate(mutation["jsonPatch"]["expression"], scope)
        pod = patched(pod, _plain(operations))
    return pod


def patched(value: Json, operations: Iterable[Json]) -> Json:
    """Apply the part of RFC 6902 that is used here: add, replace and test."""
    value = copy.deepcopy(value)
    for operation in operations:
        *path, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"][1:].split("/")
        ]
        parent = value
        for part in path:
            parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        _one(parent, last, operation)
    return value


def _one(parent: Json, last: str, operation: Json) -> None:
    if isinstance(parent, list) and last == "-":
        assert operation["op"] == "add"
        parent.append(operation["value"])
        return
    key: Any = int(last) if isinstance(parent, list) else last
    match operation["op"]:
        case "test":
            assert parent[key] == operation["value"], operation["path"]
        case "replace":
            assert parent[key] is not None, operation["path"]
            parent[key] = operation["value"]
        case "add":
            assert isinstance(parent, dict), "only '-' of a list"
            parent[key] = operation["value"]
        case other:
            raise ValueError(other)


def _evaluate(expression: str, scope: dict[str, Json]) -> Json:
    return _program(expression).evaluate(scope)


@cache
def _program(expression: str) -> celpy.Runner:
    messages = {"JSONPatch": celtypes.MessageType, "Object": celtypes.MessageType}
    environment = celpy.Environment(annotations=messages)
    # Kubernetes names each object of a patch by its place; here any such name will do.
    expression = re.sub(r"\bObject(\.\w+)+\{", "Object{", expression)
    # Of Kubernetes' own list library, which every API server has beside CEL's functions.
    functions = {"indexOf": _index_of}
    return environment.program(environment.compile(expression), functions=functions)


def _plain(value: Json) -> Json:
    match value:
        case celtypes.BoolType():  # before the number that it is, too
            return bool(value)
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case int():
            return int(value)
        case str():
            return str(value)
    raise TypeError(type(value))


def _index_of(values: Sequence[Json], wanted: Json) -> celtypes.IntType:
    return celtypes.IntType(values.index(wanted) if wanted in values else -1)
