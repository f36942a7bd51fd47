"""Seccomp profiles for runc: the runtime's default one, and deploy/seccomp's."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection
from pathlib import Path
from typing import Any

_PROFILE = Path("/usr/share/containers/seccomp.json")
_OURS = Path(__file__).parents[2] / "deploy/seccomp/dsbridge.json"
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def runtime_default(capabilities: Collection[str]) -> dict[str, Any]:
    """Return what `seccompProfile: RuntimeDefault` means, for these capabilities.

    Debian's containers-common has it.
    """
    profile = json.loads(_PROFILE.read_text())
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": [
            name
            for one in profile["archMap"]
            if one["architecture"] == f"SCMP_ARCH_{platform.machine().upper()}"
            for name in (one["architecture"], *one["subArchitectures"])
        ],
        "syscalls": [
            {key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)}
            for rule in profile["syscalls"]
            if _applies(rule, capabilities)
        ],
    }


def localhost() -> dict[str, Any]:
    """Return what `type: Localhost` gives runc: the file of deploy/seccomp as it is."""
    return json.loads(_OURS.read_text())


def _applies(rule: dict[str, Any], capabilities: Collection[str]) -> bool:
    machine = _GO_NAMES.get(platform.machine(), platform.machine())
    includes, excludes = rule["includes"], rule["excludes"]
    return (
        ("arches" not in includes or machine in includes["arches"])
        and machine not in excludes.get("arches", ())
        and all(one in capabilities for one in includes.get("caps", ()))
        and not any(one in capabilities for one in excludes.get("caps", ()))
    )
