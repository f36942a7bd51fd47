"""What is well with a sidecar and what is not, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from binding.process import capabilities

Status = dict[str, Any]
_POLICY = capabilities.remedy()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    text: str
    remedy: str = ""
    well: bool = False


# By family and mode: what a guest has had that has all it needs.
_WANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "ipv4": {"dhcp": ("ACK",), "off": ()},
    "ipv6": {"dhcp": ("REPLY", "RA"), "both": ("REPLY", "RA"), "slaac": ("RA",), "off": ()},
}


def _well(text: str) -> Finding:
    return Finding(text, well=True)


def findings(status: Status, permitted: AbstractSet[str]) -> tuple[Finding, ...]:
    """Judge a status object; `permitted` are the capabilities granted to the container."""
    return (*_sidecar(status, permitted), *(f for guest in status["guests"] for f in _guest(guest)))


def _sidecar(status: Status, permitted: AbstractSet[str]) -> Iterator[Finding]:
    if "NET_RAW" in permitted:
        yield _well("the container is granted NET_RAW: guests can be answered")
    else:
        yield Finding("the container lacks NET_RAW: no guest can be answered", _POLICY)
    yield _guard(status, permitted)
    serve = next(process for process in status["processes"] if process["name"] == "serve")
    if serve["restarts"]:
        text = f"the serving process was replaced {serve['restarts']} times"
        yield Finding(text, "its log tells why; please report it")
    for warning in status["warnings"]:
        yield Finding(warning)
    if not status["guests"]:
        yield Finding(
            "no guest is served",
            f"is an interface of the VMI bound to {status['plugin']}? has the VM been started?",
        )


def _guard(status: Status, permitted: AbstractSet[str]) -> Finding:
    guests = status["guests"]
    if status["guard"] == "off":
        remedy = "a warning of the guest tells why" if "NET_ADMIN" in permitted else _POLICY
        return Finding(
            "the guard is off: requests leave the pod, and other servers may answer", remedy
        )
    if status["guard"] == "not needed":
        return _well("no guard is needed: nothing is served here")
    ours = any("in-pod" in (guest["provider"], *guest["serves"].values()) for guest in guests)
    if not ours:
        return _well("the guard is on: no guest is a server or router for others")
    return _well("the guard is on: no other server reaches the guests")


def _guest(guest: dict[str, Any]) -> Iterator[Finding]:
    name, counters = guest["network"], guest["counters"]
    if guest["provider"] == "off" or not guest["ipv4"] + guest["ipv6"]:
        yield _well(f"{name}: nothing is served, the path is transparent")
    else:
        yield from _served(guest, counters)
    for warning in guest["warnings"]:
        yield Finding(f"{name}: {warning}")


def _served(guest: dict[str, Any], counters: dict[str, int]) -> Iterator[Finding]:
    name = guest["network"]
    for family, protocol in (("ipv4", "DHCPv4"), ("ipv6", "IPv6")):
        replies = _WANTED[family][guest["modes"][family]]
        if not guest[family] or not replies:
            continue
        # DHCPv4 gives one address.
        addresses = ", ".join(guest[family][: 1 if family == "ipv4" else None])
        if guest["arrived"] and not all(counters.get(reply) for reply in replies):
            yield _well(f"{name}: the guest came by migration and keeps {addresses} by {protocol}")
        elif all(counters.get(reply) for reply in replies):
            yield _well(f"{name}: the guest has been given {addresses} by {protocol}")
        else:
            missing = " and ".join(reply for reply in replies if not counters.get(reply))
            remedy = "is the NIC up in the guest, and set to DHCP (cloud-init: dhcp4, dhcp6)?"
            if counters.get("other MAC"):
                remedy = f"requests came from another MAC; the guest's NIC must have {guest['mac']}"
            yield Finding(
                f"{name}: the guest has had no {missing}, so it lacks {addresses}", remedy
            )
    if guest["ipv6"] and guest["router"] and guest["router"]["lladdr"] is None:
        yield Finding(
            f"{name}: the MAC of the IPv6 gateway is not known",
            "does the gateway answer neighbour solicitations from the pod's address?",
        )
    if counters.get("NAK"):
        yield _well(f"{name}: {counters['NAK']} stale addresses were refused by NAK")
