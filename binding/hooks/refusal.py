"""Why a hook call is refused; the text is shown in the VMI's events."""

from __future__ import annotations

from binding.hooks.http2 import FAILED_PRECONDITION, INVALID_ARGUMENT


class Refusal(Exception):  # noqa: N818  # named as design and log have it
    """A call that ends with a status of gRPC other than OK."""

    status: int


class InvalidInput(Refusal):
    """The VMI, the domain or an annotation cannot be understood; the text says which."""

    status = INVALID_ARGUMENT


class FailedPrecondition(Refusal):
    """A link or a privilege is missing; the text says which and what to do."""

    status = FAILED_PRECONDITION
