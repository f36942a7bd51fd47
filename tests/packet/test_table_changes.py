"""Notices of nf_tables as the kernel and a broken sender write them."""

import random
import struct

import pytest

from binding.packet.table_changes import concerns, foreign

NEWTABLE, DELTABLE, NEWCHAIN, DELCHAIN, NEWRULE, DELRULE, NEWGEN = (
    10 << 8 | number for number in (0, 2, 3, 5, 6, 8, 15)
)
NETDEV, INET, BRIDGE = 5, 1, 7
PLUMB, OTHER = 123, 3_215_126_114


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def notice(kind, table=b"dsbridge", sender=OTHER, family=NETDEV):
    body = struct.pack("!BBH", family, 0, 7) + attribute(1, table + b"\0") + attribute(3, b"x\0")
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, sender) + body


@pytest.mark.parametrize("kind", [NEWTABLE, DELTABLE, NEWCHAIN, DELCHAIN, NEWRULE, DELRULE])
def test_any_change_of_our_table_by_another_concerns_us(kind):
    assert concerns(notice(kind), "dsbridge")
    assert concerns(notice(kind), "dsbridge", PLUMB)
    assert not concerns(notice(kind, sender=PLUMB), "dsbridge", PLUMB)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        notice(DELRULE, b"dsbridge-own"),
        notice(DELRULE, b"dsbridg"),
        notice(DELTABLE, family=INET),
        notice(NEWGEN, b"dsbridge"),
        struct.pack("=IHHII", 16, 1, 0, 0, 0),
    ],
    ids=["nothing", "another table", "a shorter name", "another family", "a generation", "NOOP"],
)
def test_what_is_of_others_does_not(datagram):
    assert not concerns(datagram, "dsbridge", PLUMB)


def test_each_notice_of_a_datagram_counts():
    ours, theirs = notice(NEWRULE, sender=PLUMB), notice(NEWRULE, b"theirs")
    assert not concerns(ours + theirs + ours, "dsbridge", PLUMB)
    assert concerns(ours + theirs + notice(DELRULE), "dsbridge", PLUMB)


def test_an_overrun_and_an_error_may_concern_us():
    for kind in (2, 4):
        assert concerns(struct.pack("=IHHII", 16, kind, 0, 0, 0), "dsbridge", PLUMB)


def test_what_cannot_be_read_may_concern_us_and_never_raises():
    whole = notice(NEWRULE, b"theirs")
    for length in range(1, len(whole)):
        assert concerns(whole[:length], "dsbridge", PLUMB)
    assert concerns(notice(NEWRULE, b"\xff\xfe"), "dsbridge", PLUMB)
    dice = random.Random(7)
    for _ in range(5000):
        concerns(dice.randbytes(dice.randrange(120)), "dsbridge", PLUMB)
        changed = bytearray(whole)
        changed[dice.randrange(len(whole))] = dice.randrange(256)
        concerns(bytes(changed), "dsbridge", PLUMB)


@pytest.mark.parametrize(
    ("datagram", "named"),
    [
        (notice(NEWRULE, b"others", family=BRIDGE), {"bridge others"}),
        (notice(NEWCHAIN, b"others"), {"netdev others"}),
        (notice(NEWTABLE, b"others"), set()),  # an empty table drops nothing
        (notice(DELRULE, b"others"), set()),
        (notice(NEWRULE, b"filter", family=INET), {"inet filter"}),  # by br_netfilter
        (notice(NEWRULE, b"dsbridge-own"), set()),
        (notice(NEWRULE, b"dsbridge-own", family=INET), {"inet dsbridge-own"}),  # no dsbridge's
        (notice(NEWRULE, b"others")[:30], set()),
        (b"", set()),
    ],
)
def test_tables_of_other_programs_that_got_chains_or_rules(datagram, named):
    assert foreign(datagram) == named
