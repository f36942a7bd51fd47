"""Runs a command under a seccomp profile: PROFILE DEFAULT COMMAND..., by libseccomp, as runc does.

DEFAULT is `errno`, as the profile says, or `kill`: then a call that it lacks ends the process, so
that none can be refused unnoticed. Standard library only: it runs before the program under test.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

_ACTIONS = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000}
_KILL_PROCESS = 0x80000000
_OPERATORS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
_PR_SET_NO_NEW_PRIVS = 38


class _Compare(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("one", ctypes.c_uint64),
        ("two", ctypes.c_uint64),
    )


def load(profile: dict[str, Any], default: str) -> None:
    """Put this process under the profile. Raises OSError."""
    libseccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    libseccomp.seccomp_init.restype = ctypes.c_void_p
    refusal = _ACTIONS["SCMP_ACT_ERRNO"] | profile["defaultErrnoRet"]
    context = ctypes.c_void_p(
        libseccomp.seccomp_init(ctypes.c_uint32(_KILL_PROCESS if default == "kill" else refusal))
    )
    for rule in profile["syscalls"]:
        action = _ACTIONS[rule["action"]] | rule.get("errnoRet", 0)
        compares = (_Compare * 1)()
        for number, one in enumerate(rule.get("args", ())):
            # Of a masked comparison the first value is the mask.
            values = one["value"], one.get("valueTwo", 0)
            compares[number] = _Compare(one["index"], _OPERATORS[one["op"]], *values)
        for name in rule["names"]:
            call = libseccomp.seccomp_syscall_resolve_name(name.encode())
            if call < 0:  # not of this architecture
                continue
            count = len(rule.get("args", ()))
            if libseccomp.seccomp_rule_add_array(
                context, ctypes.c_uint32(action), call, count, compares
            ):
                raise OSError(f"libseccomp takes no rule for {name}")
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libseccomp.seccomp_load(context):
        raise OSError("the kernel does not take the profile")


if __name__ == "__main__":
    file, how, *command = sys.argv[1:]
    load(json.loads(Path(file).read_text()), how)
    os.execvp(command[0], command)
