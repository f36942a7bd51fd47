"""The snapshot on disk, for a process that starts anew in the same pod."""

from __future__ import annotations

import logging
from pathlib import Path

from binding.ipc.codec import decode, encode
from binding.ipc.snapshot import Snapshot

_log = logging.getLogger(__name__)


def save(path: Path, snapshot: Snapshot) -> None:
    """Write in one step; a reader sees the old file or the new one."""
    beside = path.with_suffix(".new")
    beside.write_text(encode(snapshot))
    beside.replace(path)


def load(path: Path) -> Snapshot | None:
    """Return what was saved, None when there is nothing or it cannot be read."""
    try:
        return decode(Snapshot, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("%s is of no use and will be replaced: %s", path, error)
        return None
