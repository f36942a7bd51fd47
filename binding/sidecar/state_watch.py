"""Notices that somebody removes files of the state directory, by directory notification (dnotify).

The kernel then sends SIGIO, so nothing is asked at rest and no library is needed. What the sidecar
itself replaces by renaming is no removal.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from binding.ipc.status import Said
from binding.process.loop import Loop, Timer
from binding.sidecar.status_page import now

_log = logging.getLogger(__name__)

SIGNAL = signal.SIGIO
_AFTER = 1.0
"""Seconds from a removal to the look: `rm -r` must not meet files that are made again meanwhile."""
_RETRY = 5.0
"""Seconds between two tries to make them again, while the node is short of what that takes."""
_DN_DELETE, _DN_MULTISHOT = 0x8, 0x80000000 - (1 << 32)


class StateWatch:
    """Has files made again that are missing from a directory."""

    def __init__(
        self, loop: Loop, directory: str, missing: Callable[[], str], mend: Callable[[], None]
    ) -> None:
        """`missing` names what is missing, empty for nothing; `mend` may raise OSError."""
        self._loop, self._directory = loop, directory
        self._missing, self._mend = missing, mend
        self._watched: int | None = None
        self._timer: Timer | None = None
        self._failure = ""
        """Why the last try failed: it is logged once, however often it is tried."""
        self.removed: Said | None = None
        """The files that were missing last; None while none ever was."""

    def start(self) -> None:
        """Watch the directory; the signal must have a handler. In vain on a kernel without it."""
        if self._watched is not None:
            os.close(self._watched)
            self._watched = None
        with suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._watched = os.open(self._directory, flags)
            fcntl.fcntl(self._watched, fcntl.F_NOTIFY, _DN_DELETE | _DN_MULTISHOT)

    def signalled(self) -> None:
        """Look soon: a file was removed."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(_AFTER, self._look)

    def _look(self) -> None:
        self._timer = None
        if not (missing := self._missing()):
            return
        self.removed = Said(missing, now())
        try:
            os.makedirs(self._directory, exist_ok=True)
            self._mend()
        except OSError as error:
            self._failed(missing, error.strerror or str(error))
        else:
            self._failure = ""
            text = "somebody has removed %s from %s: made again"
            _log.warning(text, missing, self._directory)
        self.start()

    def _failed(self, missing: str, why: str) -> None:
        if why != self._failure:
            text = "somebody has removed %s from %s, and it cannot be made again yet: %s"
            _log.warning(text, missing, self._directory, why)
        self._failure = why
        self._timer = self._loop.after(_RETRY, self._look)
