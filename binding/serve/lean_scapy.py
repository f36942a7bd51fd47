"""scapy at a third of its memory, by its own switches: import this before anything of scapy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from binding.process import lean  # noqa: F401  # imported for what it keeps out
from binding.process.lazy import when_used

# Imports of scapy for its shell, its files and its tools: 1.6 MiB.
when_used("argparse", "bz2", "code", "difflib", "html", "locale", "lzma", "shutil", "stringprep")
when_used("subprocess", "tempfile")


@contextmanager
def _without_vendors_and_cache() -> Iterator[None]:
    """Keep scapy from loading its tables of vendors and from looking for a cache directory."""
    # A read-only root has no place for the cache, and KubeVirt points XDG_CACHE_HOME at a
    # directory that the sidecar does not have.
    os.environ["XDG_CACHE_HOME"] = os.environ["XDG_CONFIG_HOME"] = os.devnull
    # Ethernet's table takes 23 MiB and Bluetooth's 1.4; no answer needs them. They stay empty,
    # since scapy imports them at any time.
    for name, empty in (("manuf", ""), ("bluetoothids", {})):
        table = ModuleType(f"scapy.libs.{name}")
        table.__dict__["DATA"] = empty
        sys.modules[table.__name__] = table
    # Where Wireshark is installed, scapy reads Wireshark's table of vendors, 16 MiB.
    exists = os.path.exists
    os.path.exists = lambda path: not str(path).endswith("wireshark/manuf") and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists


with _without_vendors_and_cache():
    from scapy.config import conf
    from scapy.interfaces import NetworkInterfaceDict

# scapy would read the node's routing table at import (scapy#3577) ...
conf.route_autoload = conf.route6_autoload = False

# ... and its links and addresses, which takes memory for each.
NetworkInterfaceDict.register_provider = lambda *_: None  # type: ignore[method-assign]  # scapy has no switch for that
