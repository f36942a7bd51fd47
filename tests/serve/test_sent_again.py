"""What is sent again gets the answer that would be built, also where it is not read again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.asked import (
    DISCOVER,
    REQUESTS,
    SOLICIT,
    UDP_CHECKSUM,
    XID,
    edited,
    responder,
    responder_of,
    said,
    whole,
)


@REQUESTS
@settings(deadline=None)
@given(number=st.binary(min_size=4, max_size=4))
def test_another_transaction_gets_the_answer_that_would_be_built(first, number):
    place = XID[first]
    again = whole(edited(first, place.start, number[: place.stop - place.start]))
    assert said(responder_of(first), again) == said(responder(first), again)


@REQUESTS
def test_any_octet_that_differs_gets_the_answer_that_would_be_built(first):
    one = responder_of(first)
    for at in range(len(first)):
        other = whole(edited(first, at, bytes([first[at] ^ 0x55])))
        assert said(one, other) == said(responder(first), other), at


@REQUESTS
def test_a_wrong_checksum_is_no_request_unless_the_hardware_fills_it_in(first):
    one, udp = responder_of(first), UDP_CHECKSUM[first]
    broken = edited(first, udp, bytes([first[udp] ^ 1]))
    assert not said(one, broken)
    assert one.counters["malformed"] == 1
    assert said(one, broken, partial_checksum=True) == said(one, first)
    assert not said(one, broken), "whatever was said in between"


def test_a_wrong_checksum_of_the_ipv4_header_is_no_request():
    one = responder_of(DISCOVER)
    assert not said(one, edited(DISCOVER, 18, b"\x12\x34"))


def test_udp_over_ipv6_without_a_checksum_is_no_request():
    assert not said(responder_of(SOLICIT), edited(SOLICIT, 60, bytes(2)))


def test_a_request_with_an_option_in_two_parts_gets_its_own_transaction_id_each_time():
    parts = bytes((53, 1, 1)) + (bytes((61, 200)) + b"x" * 200) * 2 + b"\xff"
    frame = edited(DISCOVER, 42 + 240, parts)
    length = len(frame) - 14
    frame = edited(frame, 16, length.to_bytes(2, "big"))
    first = whole(edited(frame, 38, (length - 20).to_bytes(2, "big")))
    second = whole(edited(first, 46, b"abcd"))
    one = responder_of(first)
    assert said(one, second) == said(responder(first), second)
    assert said(one, second)[0].frame[46:50] == b"abcd"


@REQUESTS
@settings(deadline=None)
@given(data=st.data())
def test_no_octets_at_all_make_it_fail(first, data):
    cut = data.draw(st.integers(0, len(first)))
    noise = data.draw(st.binary(max_size=60))
    frame = first[:cut] + noise
    assert said(responder_of(first), frame) == said(responder(first), frame)
