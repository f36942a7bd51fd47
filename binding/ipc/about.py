"""What messages and the status object both say; the commands need not import every message.

Named tuples, as in binding.ipc.messages.
"""

from typing import NamedTuple


class Remark(NamedTuple):
    """A warning that a hook call causes."""

    network: str
    """Empty for what is not about one NIC."""
    text: str


class RouterStatus(NamedTuple):
    """The IPv6 default router that the guest is told."""

    address: str
    lladdr: str | None
    """MAC; None as long as it is not known."""
    source: str
    """`pod`, `eui64` or `virtual`: how the address was found (ra.gateway)."""


class Instance(NamedTuple):
    """The VMI that virt-launcher runs."""

    namespace: str = ""
    name: str = ""
    uid: str = ""
