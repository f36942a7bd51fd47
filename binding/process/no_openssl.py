"""Import this first: keeps OpenSSL out, which libraries load though nothing here is encrypted.

It would cost each process 0.5 to 1.3 MiB. asyncio and hashlib do without by themselves.
"""

from __future__ import annotations

import sys

for _name in ("ssl", "_hashlib"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # None forbids the import
