"""A remembered answer is the very one that would have been built."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.serve.answers import Memo
from dhcp import v4, v6
from guest.ethernet import mac_text
from guest.frame import parse
from tests.binding.test_codec import GUEST

VECTORS = Path(__file__).parents[1] / "vectors"


def vector(name):
    lines = (VECTORS / name).read_text().splitlines()
    return parse(
        bytes.fromhex("".join(line for line in lines if line[0] != "#")), partial_checksum=True
    )


DISCOVER = vector("v4/dhclient-discover.hex")
SOLICIT = vector("v6/dhclient-solicit.hex")
REQUESTS = [pytest.param(v4, DISCOVER, id="DHCPv4"), pytest.param(v6, SOLICIT, id="DHCPv6")]


def guest_of(packet):
    return replace(GUEST, mac=packet.src_mac)


def changed(packet, at, value):
    payload = packet.payload[:at] + value + packet.payload[at + len(value) :]
    return replace(packet, payload=payload)


def test_the_vectors_are_what_they_are_called():
    assert mac_text(DISCOVER.payload[28:34]) == DISCOVER.src_mac
    assert SOLICIT.payload[0] == 1


@given(st.binary(min_size=4, max_size=4))
@pytest.mark.parametrize(("protocol", "first"), REQUESTS)
def test_the_same_request_with_another_id_has_the_answer_that_would_be_built(protocol, first, xid):
    guest, memo = guest_of(first), Memo()
    memo.keep(first, protocol.answer(first, guest))
    again = changed(first, 4, xid) if protocol is v4 else changed(first, 1, xid[:3])
    recalled = memo.recall(again)
    assert recalled == protocol.answer(again, guest)
    assert parse(recalled.frame) is not None


def test_seconds_since_the_start_make_no_other_request():
    memo = Memo()
    memo.keep(DISCOVER, v4.answer(DISCOVER, guest_of(DISCOVER)))
    assert memo.recall(changed(DISCOVER, 8, b"\0\x07")) is not None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(changed(DISCOVER, 33, b"\xfe"), id="chaddr"),
        pytest.param(changed(DISCOVER, 10, b"\x80\0"), id="broadcast flag"),
        pytest.param(replace(DISCOVER, src_mac="02:00:00:00:00:09"), id="source MAC"),
        pytest.param(changed(DISCOVER, 242, b"\x03"), id="message type"),
        pytest.param(SOLICIT, id="the other protocol"),
        pytest.param(replace(DISCOVER, dport=68), id="destination port"),
    ],
)
def test_another_request_is_not_recalled(other):
    memo = Memo()
    memo.keep(DISCOVER, v4.answer(DISCOVER, guest_of(DISCOVER)))
    assert memo.recall(other) is None


def test_silence_is_decided_anew_each_time():
    memo = Memo()
    memo.keep(DISCOVER, v4.answer(DISCOVER, GUEST))
    assert memo.recall(DISCOVER) is None


def test_a_flood_of_different_requests_fills_no_memory():
    guest, memo = guest_of(DISCOVER), Memo()
    for number in range(1000):
        other = changed(DISCOVER, 243, number.to_bytes(2, "big"))
        memo.keep(other, v4.answer(DISCOVER, guest))
    assert len(memo._kept) <= 64


@pytest.mark.parametrize("length", [1, 2, 3])
def test_less_than_a_transaction_id_is_not_recalled(length):
    """A bare INFORMATION-REQUEST has nothing else, so its beginning looked like it."""
    bare = replace(SOLICIT, payload=b"\x0b\xab\xcd\xef")
    memo = Memo()
    memo.keep(bare, v6.answer(bare, guest_of(bare)))
    assert memo.recall(bare) is not None
    assert memo.recall(replace(bare, payload=bare.payload[:length])) is None
