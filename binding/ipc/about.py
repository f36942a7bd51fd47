"""What messages and the status object both say; the commands need not import every message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """The IPv6 default router that the guest is told."""

    address: str
    lladdr: str | None
    """MAC; None as long as it is not known."""
    source: str
    """`pod`, `eui64` or `virtual`: how the address was found (ra.gateway)."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The VMI that virt-launcher runs."""

    namespace: str = ""
    name: str = ""
    uid: str = ""
