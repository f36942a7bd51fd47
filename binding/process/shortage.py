"""Errors of a node that is short of something: the same call may work later."""

from __future__ import annotations

import errno

PASSES = {
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC,
    errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT,
}  # fmt: skip


def passes(error: OSError) -> bool:
    """Say whether the call that failed may work later."""
    return error.errno in PASSES or isinstance(error, TimeoutError)
