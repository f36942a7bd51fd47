"""What an operator is told of a sidecar, by the status that it gives and what is seen beside it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from binding.ipc.status import (
    Modes,
    ProcessStatus,
    Warned,
)
from binding.operator import diagnose, judge_wiring
from binding.operator.remedies import REMEDIES
from binding.operator.traffic import Traffic
from binding.packet.guard import Dropped, Observed
from tests.operator.judged import (
    GIVEN,
    GUEST,
    HARM,
    LOOK,
    MAC,
    OK,
    STATUS,
    TIME,
    TOLD,
    WARNING,
    answered,
    judged,
    said_well,
    silent,
)

ROOT = Path(__file__).parents[2]


def test_a_guest_that_has_everything_is_well():
    assert judged() == (OK, {})
    assert "given 10.244.1.5/24 by DHCPv4" in said_well()
    assert "given fd00::5/64 by DHCPv6" in said_well()


def test_a_guest_that_takes_no_ipv4_because_it_may_do_without_it_is_well():
    """RFC 8925: a client that takes option 108 sends no REQUEST."""
    asked = {**GIVEN, "DISCOVER": answered("OFFER", "10.244.1.5, IPv6 preferred")}
    del asked["REQUEST"]
    assert judged(asked=asked, counters={}) == (OK, {})
    assert "does without IPv4" in said_well(asked=asked, counters={})


@pytest.mark.parametrize(
    ("modes", "asked"),
    [
        (Modes("off", "dhcp"), ("SOLICIT", "RS")),
        (Modes("dhcp", "off"), ("REQUEST",)),
        (Modes("dhcp", "slaac"), ("REQUEST", "RS")),
        (Modes("dhcp", "both"), ("REQUEST", "SOLICIT", "RS")),
    ],
)
def test_only_what_is_served_can_be_missing(modes, asked):
    assert judged(modes=modes, asked={name: GIVEN[name] for name in asked})[0] == OK


@pytest.mark.parametrize(
    ("asked", "anchor", "text"),
    [
        ({}, "never-asked", "never asked by DHCPv4"),
        ({"DISCOVER": answered("OFFER")}, "no-request", "OFFER without REQUEST"),
        ({"DISCOVER": silent("from another MAC, 02:…")}, "other-mac", "from another MAC"),
        ({"DISCOVER": silent("relayed by 10.0.0.1")}, "silence", "relayed by"),
        ({"REQUEST": answered("NAK", "10.9.9.9")}, "refused-address", "NAK, 10.9.9.9"),
        ({"malformed": silent("option 57 has 4 octets")}, "malformed", "option 57 has 4 octets"),
        (
            {"REQUEST": answered("ACK"), "RELEASE": silent("x", "2026-11-27T01:00:01")},
            "released",
            "released 10.244.1.5/24",
        ),
        (
            {"REQUEST": answered("ACK"), "DECLINE": silent("x", "2026-11-27T01:00:01")},
            "declined",
            "declined 10.244.1.5/24",
        ),
    ],
)
def test_how_far_a_guest_came_is_told(asked, anchor, text):
    status, wrong = judged(asked=asked, modes=Modes("dhcp", "off"), counters={})
    assert status == HARM
    assert text in wrong[anchor].text
    assert wrong[anchor].time


def test_an_address_that_is_given_again_is_no_longer_released():
    asked = {"REQUEST": answered("ACK", "", "2026-11-27T01:00:09"), "RELEASE": silent("x")}
    assert judged(asked=asked, modes=Modes("dhcp", "off"))[0] == OK


def test_a_lease_that_ran_out():
    ran_out = Warned("lease ipv4", "the lease of 10.244.1.5 ran out and was not renewed", TIME)
    status, wrong = judged(warned=(ran_out,))
    assert (status, wrong.keys()) == (HARM, {"expired"})
    assert (wrong["expired"].text, wrong["expired"].time) == (ran_out.text, TIME)


def test_a_guest_that_came_by_migration_need_not_ask_again():
    assert judged(arrived=True, asked={}, counters={"RA": 1})[0] == OK


def test_a_guest_that_answers_for_its_address_is_not_said_to_lack_it():
    traffic = Traffic(has={"10.244.1.5": MAC, "fd00::5": MAC})
    assert judged(replace(LOOK, traffic={"default": traffic}), asked={}, counters={})[0] == OK


def test_a_gateway_that_dsbridge_answers_for_and_one_of_a_family_that_is_off_are_not_missed():
    told = replace(TOLD, permanent_neighbors=((IPv4Address("10.244.1.1"), "02:00:00:00:00:01"),))
    assert judged(told=told, gateways={})[0] == OK
    assert judged(told=replace(TOLD, ipv4_mode="off"), gateways={})[0] == OK
    assert judged(gateways={})[1].keys() == {"gateway-mac"}
    warned = (Warned("gateway", "the MAC of gateway 10.244.1.1 is not known, …", TIME),)
    assert judged(gateways={}, warned=warned)[1].keys() == {"gateway-mac"}


def test_only_the_address_that_dhcpv4_gives_is_said_to_be_given():
    status = replace(STATUS, guests=(replace(GUEST, ipv4=("10.0.0.5/24", "10.0.0.6/24")),))
    assert "10.0.0.5/24 by DHCPv4" in said_well(status=status)
    assert "10.0.0.6" not in said_well(status=status)


@pytest.mark.parametrize(
    ("look", "status", "anchor"),
    [
        (
            {"guard": Observed(wrong=("there is no table ip dsbridge",))},
            WARNING,
            "guard-changed",
        ),
        (
            {"guard": Observed(foreign=("table bridge x, chain y: 1",))},
            WARNING,
            "foreign-rules",
        ),
        ({"out_of_memory": 2}, WARNING, "process-restarted"),
        ({"processes": {"sidecar": "S", "serve": "T"}}, HARM, "process-hung"),
        ({"permitted": frozenset()}, HARM, "no-net-raw"),
        (
            {"guard": Observed(dropped=(Dropped("tap0", "ra", 3),))},
            WARNING,
            "guest-server",
        ),
        (
            {"guard": Observed(dropped=(Dropped("eth0-nic", "ra", 3),))},
            WARNING,
            "rogue",
        ),
        (
            {"traffic": {"default": Traffic(claimed={"10.244.1.5": "02::1"})}},
            HARM,
            "duplicate-address",
        ),
        (
            {"traffic": {"default": Traffic(claimed={"10.244.1.1": "02::1"})}},
            WARNING,
            "gateway-moved",
        ),
    ],
)
def test_what_is_seen_in_the_pod(look, status, anchor):
    found = judged(replace(LOOK, **look))
    assert found[0] == status
    assert found[1].keys() == {anchor}


def test_a_serve_that_has_gone_to_rest_since_it_was_asked_for_is_no_problem():
    assert judged(replace(LOOK, processes={"sidecar": "S", "serve": ""})) == (OK, {})


def test_rules_of_iptables_matter_only_where_frames_of_bridges_pass_them():
    foreign = Observed(foreign=("table ip filter, chain FORWARD: policy drop",))
    assert judged(replace(LOOK, guard=foreign))[0] == OK
    passing = replace(LOOK, guard=foreign, bridge_filters=("bridge-nf-call-iptables",))
    assert judged(passing)[1].keys() == {"foreign-rules"}


def test_a_process_that_was_killed_for_want_of_memory_is_said_so():
    killed = ProcessStatus("serve", 2, restarts=1, last_end="killed by SIGKILL", last_end_at=TIME)
    status = replace(STATUS, processes=(killed,))
    _, wrong = judged(replace(LOOK, out_of_memory=1), status)
    found = diagnose.findings(status, replace(LOOK, out_of_memory=1))
    assert any("killed by SIGKILL, out of memory" in one.text for one in found)
    assert wrong.keys() == {"process-restarted"}


@pytest.mark.parametrize(
    ("warned", "status", "anchor"),
    [
        (("v4 answer", "enableDHCP: no OFFER within 5 s", "v4 answer"), HARM, "kube-ovn"),
        (("v4 dns", "dns_server: the DHCPv4 server names no", "v4 dns"), WARNING, "kube-ovn"),
        (("v6 address", "address: fe80::1 gives fd00::9, …", "v6 address"), HARM, "kube-ovn"),
        (("RA address", "address_mode: the RA of fe80::1 …", "RA address"), WARNING, "kube-ovn"),
        (("MAC", "a request comes from another MAC, …", "MAC"), WARNING, "other-mac"),
        (("call", "no DNS", "settings"), WARNING, "settings"),
        (("event", "rogue RA from fe80::1 (02:…)", "rogue"), WARNING, "rogue"),
        (("event", "MAC: the guest sends from 02:…", "ovn-port"), HARM, "kube-ovn"),
        (("event", "02:… claims 10.244.1.1, but …", "refuted"), WARNING, "silence"),
        (("tap", "link tap0 is down: …", "link-down"), HARM, "link-down"),
        (("tap", "link tap0 is gone: …", "tap"), HARM, "tap"),
        (("nic", "link eth0-nic has MTU 1300, …", "mtu"), WARNING, "mtu"),
        (("tap setting", "tap0: isolated; …", "bridge-port"), WARNING, "bridge-port"),
        (("tap setting", "tap0: its bridge port is disabled", "port-closed"), HARM, "bridge-port"),
        (
            ("placeholder", "placeholder link eth0 is gone: …", "placeholder"),
            WARNING,
            "placeholder",
        ),
    ],
)
def test_warnings_of_the_sidecar_have_their_severity(warned, status, anchor):
    kind, text, code = warned
    found = judged(warned=(Warned(kind, text, TIME, code),))
    assert found[0] == status
    assert found[1][anchor].time == TIME


@pytest.mark.parametrize(
    ("kind", "code", "remedy"),
    [
        ("nic", "mtu", "ip link set eth0-nic mtu 1450"),
        ("nic", "not-a-port", "ip link set eth0-nic master k6t-eth0"),
        ("bridge setting", "addrgenmode", "ip link set k6t-eth0 addrgenmode none"),
        ("placeholder", "placeholder-up", "ip link set eth0 down"),
    ],
)
def test_the_remedy_of_a_link_names_it(kind, code, remedy):
    _, wrong = judged(warned=(Warned(kind, "…", TIME, code),))
    assert [one.remedy.startswith(remedy) for one in wrong.values()] == [True]


def test_each_warning_that_the_product_makes_is_judged():
    """A link's fault by `Fault(code, …)`, and what has happened by `Exchange(…, warning=code)`."""
    made = set()
    for path in (
        *(ROOT / "binding").rglob("*.py"),
        *(ROOT / "dhcp").glob("*.py"),
        *(ROOT / "ra").glob("*.py"),
    ):
        text = path.read_text()
        made |= set(re.findall(r'\bFault\(\s*"([^"]+)"', text))
        made |= set(re.findall(r'\bwarning="([^"]+)"', text))
    assert {"tap", "link-down", "declined", "rogue", "refuted"} <= made
    assert made <= {*REMEDIES, *diagnose.ANCHORS, *judge_wiring.PARAGRAPHS}


@pytest.mark.parametrize(
    ("guard", "guest", "said"),
    [
        ("on", {}, "no other server reaches the guests"),
        ("on", {"provider": "kube-ovn", "serves": {}}, "no guest is a server for others"),
        ("not needed", {"provider": "off", "serves": {}}, "no guard is needed"),
    ],
)
def test_the_guard_is_said_to_do_what_it_does(guard, guest, said):
    status = replace(STATUS, guard=guard, guests=(replace(GUEST, **guest),))
    assert said in said_well(status=status)


def test_a_guard_that_is_off_by_choice_is_no_problem_and_otherwise_is():
    off = replace(STATUS, guard="off")
    assert judged(replace(LOOK, permitted=frozenset({"NET_RAW"}), guard=None), off)[0] == OK
    status, wrong = judged(replace(LOOK, guard=None), off)
    assert (status, wrong.keys()) == (WARNING, {"guard-off"})


def test_each_anchor_exists_and_each_finding_has_a_remedy():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    there = set(re.findall(r'<a id="([^"]+)">', page))
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    there |= {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert REMEDIES.keys() <= there
    assert all(REMEDIES.values())
    used = set()
    for path in (ROOT / "binding/operator").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "finding":
                third = node.args[2]
                if isinstance(third, ast.Constant):
                    used.add(third.value)
    assert used <= REMEDIES.keys()
