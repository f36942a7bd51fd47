"""Import this before anything of scapy: what keeps it small, by its own switches."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from binding.process import no_openssl  # noqa: F401  # imported for what it keeps out

# scapy keeps a cache where it finds a place; a read-only root has none to offer, and
# KubeVirt points XDG_CACHE_HOME at a directory that the sidecar does not have.
os.environ["XDG_CACHE_HOME"] = os.environ["XDG_CONFIG_HOME"] = os.devnull

# Its tables of vendors, Ethernet's of 23 MiB and Bluetooth's of 1.4, which no answer needs.
for _name, _nothing in (("manuf", ""), ("bluetoothids", {})):
    _vendors = ModuleType(f"scapy.libs.{_name}")
    _vendors.__dict__["DATA"] = _nothing
    sys.modules[_vendors.__name__] = _vendors

from scapy.config import conf  # noqa: E402  # with the above in place
from scapy.interfaces import NetworkInterfaceDict  # noqa: E402  # with the above in place

# No dump of the node's routing table at import (scapy#3577).
conf.route_autoload = conf.route6_autoload = False

# Nor of its links and addresses, which takes memory for each.
NetworkInterfaceDict.register_provider = lambda *_: None  # type: ignore[method-assign]  # it has no switch for that
