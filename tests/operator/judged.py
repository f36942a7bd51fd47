"""A pod in which all is well, and what `diagnose` finds once something in it is changed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

from binding.ipc.status import (
    Asked,
    GuestStatus,
    LastExchange,
    Modes,
    ProcessStatus,
    Said,
    Status,
)
from binding.operator import diagnose
from binding.operator.look import Look
from binding.operator.traffic import Traffic
from binding.packet.guard import Observed
from binding.packet.link_details import Details
from binding.packet.link_table import LinkState
from guest.network import GuestNetwork, Route

TIME = "2026-11-27T01:00:00.000000Z"
EPOCH = 1795741200.0
OK, WARNING, HARM = 0, 1, 2
MAC = "0a:58:0a:f4:01:05"
TOLD = GuestNetwork(
    network="default",
    tap="tap0",
    mac=MAC,
    mtu=1450,
    nic="eth0-nic",
    bridge="k6t-eth0",
    ipv4=(IPv4Interface("10.244.1.5/24"),),
    ipv6=(IPv6Interface("fd00::5/64"),),
    routes=(Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.244.1.1")),),
)


def answered(reply, note="", time=TIME):
    return Asked(1, answer=LastExchange(reply, note, time))


def silent(note, time=TIME):
    return Asked(1, silence=LastExchange("", note, time))


GIVEN = {"REQUEST": answered("ACK"), "SOLICIT": answered("REPLY"), "RS": answered("RA")}
GUEST = GuestStatus(
    network="default",
    shape="managed",
    provider="in-pod",
    serves={"ipv4": "in-pod", "ipv6": "in-pod"},
    modes=Modes("dhcp", "dhcp"),
    tap="tap0",
    nic="eth0-nic",
    bridge="k6t-eth0",
    mac=MAC,
    mtu=1450,
    ipv4=("10.244.1.5/24",),
    ipv6=("fd00::5/64",),
    router=None,
    counters={"ACK": 1, "REPLY": 1, "RA": 3},
    last={},
    arrived=False,
    warnings=(),
    asked=GIVEN,
    gateways={"10.244.1.1": "0a:58:0a:f4:01:01"},
    told=TOLD,
)
STATUS = Status(
    version="1",
    plugin="dsbridge",
    guard="on",
    guests=(GUEST,),
    processes=(ProcessStatus("sidecar", 1), ProcessStatus("serve", 2)),
    started=TIME,
    now=TIME,
    last_call=Said("done", TIME),
)


def link(name, index, master=3):
    return LinkState(name, index, up=True, carrier=True, mtu=1450, mac=MAC, master=master)


LOOK = Look(
    time=TIME,
    epoch=EPOCH,
    permitted=frozenset({"NET_RAW", "NET_ADMIN"}),
    links={
        "tap0": link("tap0", 1),
        "eth0-nic": link("eth0-nic", 2),
        "k6t-eth0": link("k6t-eth0", 3, 0),
    },
    details={"tap0": Details("tun", 107)},
    frames={"tap0": 9},
    guard=Observed(),
    traffic={"default": Traffic()},
    processes={"sidecar": "S", "serve": "S"},
)


def judged(look=LOOK, status=STATUS, **changes):
    """Return exit status and wrong findings by anchor, of a guest with these changes."""
    if changes:
        status = replace(status, guests=(replace(GUEST, **changes),))
    found = diagnose.findings(status, look)
    wrong = {one.anchor: one for one in found if one.severity != "ok"}
    return diagnose.exit_status(found), wrong


def said_well(look=LOOK, status=STATUS, **changes):
    if changes:
        status = replace(status, guests=(replace(GUEST, **changes),))
    found = diagnose.findings(status, look)
    return "\n".join(one.text for one in found if one.severity == "ok")
