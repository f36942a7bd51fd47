"""gRPC and protobuf without what hooks never uses, 1.3 MiB: import this before either."""

from __future__ import annotations

from binding.process import no_openssl  # noqa: F401  # imported for what it keeps out
from binding.process.lazy import when_used

when_used(
    "asyncio.sslproto",
    "calendar",
    "google.protobuf.internal.python_message",  # upb, in C, is used
    "google.protobuf.text_format",
    "locale",
    "pickle",
)
