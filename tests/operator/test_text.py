"""The status object as text and as metrics."""

from __future__ import annotations

import re
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from binding.operator import metrics, text
from binding.packet.guard import Dropped
from tests.bed.promtool import promtool
from tests.operator.test_diagnose import GUEST, STATUS, TOLD

COUNTERS = {"DISCOVER": 2, "OFFER": 2, "DHCPv6 REQUEST": 1, "silence": 1, "rogue RA": 4}
SILENCES = {'DISCOVER: from another "MAC"': 3}
LONG = tuple(f"a-long-search-domain-{number}.example.org" for number in range(6))


def test_text_fits_80_columns_and_wide_is_not_folded():
    guest = replace(GUEST, told=replace(TOLD, search=LONG), warnings=("x",))
    status = replace(STATUS, guests=(guest,))
    folded = text.text(status)
    assert max(map(len, folded.splitlines())) <= 80
    assert all(domain in folded for domain in LONG)
    assert " ".join(LONG) in text.text(status, wide=True)


def test_text_tells_times_with_zone_and_age():
    asked = {"DISCOVER": GUEST.asked["REQUEST"].answer._replace(time="2026-11-27T00:58:30.0")}
    told = text.text(replace(STATUS, guests=(replace(GUEST, last=asked),)))
    assert "2026-11-27 00:58:30 UTC, 1 min 30 s ago" in told


def test_slaac_is_not_told_as_the_pods_address():
    guest = replace(GUEST, modes=GUEST.modes._replace(ipv6="slaac"))
    assert "by SLAAC in fd00::5/64" in text.text(replace(STATUS, guests=(guest,)))


def test_a_word_longer_than_a_line_is_cut():
    guest = replace(GUEST, told=replace(TOLD, search=("x" * 200,)))
    assert max(map(len, text.text(replace(STATUS, guests=(guest,))).splitlines())) <= 80


def exposed(**changes):
    dropped = [Dropped("tap0", "dhcp4-to-server", 7), Dropped("tap0", "IPv4 in SNAP", 1)]
    status = replace(STATUS, guests=(replace(GUEST, **changes),))
    return metrics.prometheus(status, dropped) + "\n"


def families(**changes):
    told = exposed(**changes)
    return {one.name: one for one in text_string_to_metric_families(told)}


def test_metrics_are_read_by_prometheus_own_parser():
    found = families(counters=COUNTERS, silences=SILENCES)
    requests = {(s.labels["protocol"], s.labels["message"]): s.value
                for s in found["dsbridge_requests"].samples}  # fmt: skip
    assert requests == {("dhcp4", "DISCOVER"): 2, ("dhcp6", "REQUEST"): 1}
    (silence,) = found["dsbridge_silences"].samples
    assert (silence.labels["reason"], silence.value) == ('from another "MAC"', 3)
    (rogue,) = found["dsbridge_rogue_messages"].samples
    assert (rogue.labels["message"], rogue.value) == ("RA", 4)
    dropped = {
        s.labels["message"]: s.value for s in found["dsbridge_guard_dropped_packets"].samples
    }
    assert dropped == {"to-server": 7, "IPv4 in SNAP": 1}
    for family in found.values():
        assert family.documentation.endswith(".")
        assert all({"namespace", "vmi"} <= sample.labels.keys() for sample in family.samples)
        assert re.fullmatch(r"dsbridge_[a-z_]+", family.name)


def test_promtool_accepts_the_metrics():
    promtool("check", "metrics", stdin=exposed(counters=COUNTERS, silences=SILENCES))


def test_a_guard_that_is_off_is_a_zero():
    (sample,) = families()["dsbridge_guard"].samples
    assert sample.value == 1
    told = metrics.prometheus(replace(STATUS, guard="off"))
    assert 'dsbridge_guard{namespace="",vmi=""} 0' in told


def test_a_guest_that_came_by_migration_has_its_address():
    given = families(arrived=True, counters={"RS": 1})["dsbridge_address_given"].samples
    assert [sample.value for sample in given] == [1, 1]
