"""The desired state of the pod, and how it is saved for a restarted sidecar."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from binding.ipc.about import Instance
from binding.ipc.codec import decode
from binding.ipc.wiring import Wiring
from binding.sidecar import state_file
from guest.network import GuestNetwork

VERSION = 1


@dataclass(frozen=True, slots=True)
class Desired:
    """The last call of OnDefineDomain that was not refused."""

    guests: tuple[GuestNetwork, ...] = ()
    wirings: tuple[Wiring, ...] = ()
    warnings: tuple[str, ...] = ()
    instance: Instance = field(default_factory=Instance)
    settings: dict[str, str] = field(default_factory=dict)
    """JSON of `dsbridge reload` by network."""
    spared: tuple[str, ...] | None = None
    """In the shape takeover: bridges at which KubeVirt's DHCP server is not muted."""

    @property
    def is_takeover(self) -> bool:
        """Whether the NICs are KubeVirt's own, which it plugs in and out of the running VM."""
        return self.spared is not None


@dataclass(frozen=True, slots=True)
class Saved:
    """The file `desired.json`."""

    version: int
    netns: int
    """Inode of the pod's network namespace: the state of another one is worthless."""
    desired: Desired
    vmi: str
    domain: str
    nics: dict[str, int] = field(default_factory=dict)
    """Indexes of the pod NICs that we wired, by their name as bridge ports."""
    decided: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Families that we serve by network, where `auto` has found that out."""


def netns() -> int:
    """Return the inode of this process's network namespace."""
    return os.stat("/proc/self/ns/net").st_ino


def load(path: str) -> Saved | None:
    """Return what a former sidecar of this pod has saved, if it can be used."""
    data = state_file.load(path)
    if data is None:
        return None
    try:
        saved = decode(Saved, data)
    except ValueError as error:
        state_file.unusable(path, str(error)[:200])
        return None
    if saved.version != VERSION:
        state_file.unusable(path, f"version {saved.version}, this is {VERSION}")
        return None
    return saved if saved.netns == netns() else None
