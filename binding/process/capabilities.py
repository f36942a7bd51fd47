"""Linux capabilities of this process: take what a job needs, give the rest away for good.

The interpreter carries its capabilities as permitted only (file capabilities `=p`),
so that it starts in a container that grants none; each process raises its own here.
Names are those of capabilities(7) without CAP_. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Set as AbstractSet

_BY_BIT = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
    "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
    "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
    "CHECKPOINT_RESTORE"
)
_NAMES = tuple(_BY_BIT.split())
_VERSION_3 = 0x20080522  # two 32-bit words per set
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Word(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def remedy() -> str:
    """Return the remedy for a missing capability: which admission policy to apply."""
    if os.environ.get("NETWORK_BINDING_PLUGIN_NAME"):
        return "apply deploy/policy (docs/install.md, 'Privileges') and restart the VM"
    # Takeover, and KubeVirt before 1.9.
    return "apply deploy/policy-by-image (docs/install.md, 'Privileges') and restart the VM"


def permitted() -> frozenset[str]:
    """Return what this process could raise. OSError if the kernel will not say."""
    low, high = _get()
    bits = low.permitted | high.permitted << 32
    return frozenset(name for bit, name in enumerate(_NAMES) if bits >> bit & 1)


def hold(names: AbstractSet[str]) -> None:
    """Make effective those of `names` that are permitted and give up all others for good.

    Less than asked for is no error here: only the caller knows what cannot be done now.
    ValueError for a name that no kernel has.
    """
    unknown = names - set(_NAMES)
    if unknown:
        raise ValueError(f"no such capability: {', '.join(sorted(unknown))}")
    held = permitted() & names
    _set(held, held)


def drop_effective() -> None:
    """Lower all effective capabilities; keep them permitted, for the programs started here."""
    _set(frozenset(), permitted())


def drop() -> None:
    """Give up every capability for good."""
    hold(frozenset())


def no_new_privs() -> None:
    """No program that this process or its children execute gains privileges by it."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def _get() -> tuple[_Word, _Word]:
    words = (_Word * 2)()
    _check(_libc.capget(ctypes.byref(_Header(_VERSION_3, 0)), words), "capget")
    return words[0], words[1]


def _set(effective: AbstractSet[str], permitted: AbstractSet[str]) -> None:
    raised, kept = (
        sum(1 << _NAMES.index(name) for name in names) for names in (effective, permitted)
    )
    words = (_Word * 2)(
        *(_Word(raised >> shift & 0xFFFFFFFF, kept >> shift & 0xFFFFFFFF, 0) for shift in (0, 32)),
    )
    _check(_libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), words), "capset")


def _check(result: int, call: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")
