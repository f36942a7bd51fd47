"""Import this before anything of scapy: what keeps it small, by its own switches."""

from __future__ import annotations

import os
import sys
from types import ModuleType

# scapy keeps a cache where it finds a place; a read-only root has none to offer, and
# KubeVirt points XDG_CACHE_HOME at a directory that the sidecar does not have.
os.environ["XDG_CACHE_HOME"] = os.environ["XDG_CONFIG_HOME"] = os.devnull

# Its table of hardware vendors, 11,000 lines and 23 MiB, which no answer of ours needs.
_vendors = ModuleType("scapy.libs.manuf")
_vendors.__dict__["DATA"] = ""
sys.modules[_vendors.__name__] = _vendors

from scapy.config import conf  # noqa: E402  # with the above in place

# No dump of the node's routing table at import (scapy#3577).
conf.route_autoload = conf.route6_autoload = False
