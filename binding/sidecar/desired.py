"""The desired state of the pod, and how it is saved for a restarted sidecar."""

import logging
import os
from dataclasses import dataclass, field, replace

from binding.ipc.about import Instance, Remark
from binding.ipc.codec import decode, encode
from binding.ipc.wiring import Wiring
from binding.sidecar import state_file
from guest.network import GuestNetwork

_log = logging.getLogger(__name__)
VERSION = 1


@dataclass(frozen=True, slots=True)
class Desired:
    """The last call of OnDefineDomain that was not refused."""

    guests: tuple[GuestNetwork, ...] = ()
    wirings: tuple[Wiring, ...] = ()
    warnings: tuple[Remark, ...] = ()
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


class DesiredFile:
    """Saves the desired state with the call that asked for it, which is too large to keep."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._saved = 0
        self._last: Saved | None = None
        """What stands in the file, without the call."""

    def load(self) -> Saved | None:
        """Return what a former sidecar of this pod has saved. Raises OSError."""
        saved = load(self._path)
        self._last = None if saved is None else replace(saved, vmi="", domain="")
        return saved

    @property
    def is_missing(self) -> bool:
        """Whether somebody has removed what was saved."""
        return self._last is not None and not os.path.exists(self._path)

    def save_again(self) -> None:
        """Save what somebody has removed, without the call: a new sidecar serves by it as well."""
        if self._last is not None and self.is_missing:
            state_file.save(self._path, encode(self._last))

    def save(self, saved: Saved) -> None:
        """Save, unless the same has been saved already."""
        text = encode(saved)
        if hash(text) != self._saved:
            state_file.save(self._path, text)
        self._saved = hash(text)
        self._last = replace(saved, vmi="", domain="")

    def last_call(self) -> tuple[str, str] | None:
        """Return VMI and domain of the last call; None also where somebody has removed them."""
        try:
            saved = load(self._path)
        except OSError as error:
            _log.warning("cannot read the last call of KubeVirt: %s", error)
            return None
        return (saved.vmi, saved.domain) if saved is not None and saved.vmi else None
