"""KubeVirt's names for the links of a pod, so that every tool still finds its way.

The same names as kubevirt's pkg/network/namescheme and pkg/network/link make.
"""

from __future__ import annotations

from dataclasses import dataclass

PRIMARY = "eth0"
ALIAS = "ua-"
KUBEVIRT_BRIDGE = "k6t-"
"""The names of all bridges that KubeVirt makes begin so."""
LISTENING_BRIDGE = "dsb-listen"
"""Names of listening bridges: this, and the number of the link that they belong to."""
_DIGITS = 11


@dataclass(frozen=True, slots=True)
class LinkNames:
    """The four links of one NIC: the pod link, and those that wiring makes."""

    pod: str
    tap: str
    bridge: str
    nic: str


def is_of_wiring(name: str) -> bool:
    """Say whether a link has a name that wiring and guard give to what they make."""
    return name.startswith((KUBEVIRT_BRIDGE, "tap", LISTENING_BRIDGE)) or name.endswith("-nic")


def is_secondary(name: str) -> bool:
    """Say whether a link has a name that KubeVirt has multus give to a secondary network's."""
    digits = name[3:]
    if name.startswith("pod"):
        return len(digits) == _DIGITS and set(digits) <= set("0123456789abcdef")
    return name.startswith("net") and digits.isdigit()


def pod_of(port: str) -> str:
    """Return the pod link of a secondary network by its name as a port, or that without `-nic`."""
    short = port.removesuffix("-nic")
    return short if short.startswith("net") else f"pod{short}"


def hashed(network: str) -> str:
    """Return the pod link of a secondary network: `pod` and 11 hex digits."""
    from hashlib import sha256  # noqa: PLC0415  # the sidecar only reads names

    return "pod" + sha256(network.encode()).hexdigest()[:_DIGITS]


def names_of(pod_link: str, *, primary: bool) -> LinkNames:
    """Return the names that belong to a pod link such as eth0 or pod16477688c0e."""
    short = pod_link.removeprefix("pod")
    tap = "tap0" if primary else f"tap{pod_link[3:]}"
    return LinkNames(pod_link, tap, f"{KUBEVIRT_BRIDGE}{short}", f"{short}-nic")
