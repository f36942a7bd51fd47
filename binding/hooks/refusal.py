"""Why a hook call is refused; the text is shown in the VMI's events."""

from __future__ import annotations


class InvalidInput(Exception):  # noqa: N818  # named as its gRPC status
    """The VMI, the domain or an annotation cannot be understood; the text says which."""


class FailedPrecondition(Exception):  # noqa: N818  # named as its gRPC status
    """A link or a privilege is missing; the text says which and what to do."""
