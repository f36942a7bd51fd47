"""scapy at a third of its memory, by its own switches: import this before anything of scapy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

from binding.process import lean  # noqa: F401  # imported for what it keeps out
from binding.process.lazy import unused, when_used

# Imports of scapy for its shell, its files and its tools: 1.6 MiB.
when_used("argparse", "bz2", "code", "difflib", "html", "locale", "lzma", "shutil", "stringprep")
when_used("subprocess", "tempfile")


class _Inspect(ModuleType):
    """What scapy uses of inspect.

    Where scapy finds no inspect.Signature it writes no signature of each of its packet classes,
    which only its shell shows: 1.3 MiB with inspect, ast and dis, and 10 ms of CPU.
    """

    @staticmethod
    def currentframe() -> FrameType:
        return sys._getframe(1)  # noqa: SLF001  # as inspect does


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


# A dataclass of scapy's has no docstring, for which dataclasses would have it write a signature.
with _without_vendors_and_cache(), unused("inspect", "signature"):
    from scapy.config import conf
    from scapy.interfaces import NetworkInterfaceDict

# From here on, because layers are imported at any time, too.
sys.modules["inspect"] = _Inspect("inspect")

# scapy would read the node's routing table at import (scapy#3577) ...
conf.route_autoload = conf.route6_autoload = False

# ... and its links and addresses, which takes memory for each.
NetworkInterfaceDict.register_provider = lambda *_: None  # type: ignore[method-assign]  # scapy has no switch for that
