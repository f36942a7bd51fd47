"""What a client says of itself, whatever it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from binding.serve.client_words import read
from tests.dhcp import v4_wire

HEAD = b"\xff" * 6 + bytes(6)


def dhcp4(*options):
    ip = b"\x45" + bytes(8) + b"\x11" + bytes(10)
    return HEAD + b"\x08\x00" + ip + bytes(8) + v4_wire.bootp((53, b"\1"), *options)


def test_name_vendor_class_and_transaction():
    said = read(dhcp4((12, b"vm1"), (60, b"udhcp 1.36")))
    assert said == {"client": "vm1", "vendor": "udhcp.1.36", "transaction": f"{v4_wire.XID:08x}"}


def test_of_dhcpv6():
    fqdn = b"\0\x27\0\x06\0\x03vm1\0"
    ip = bytes(6) + b"\x11" + bytes(33)
    said = read(HEAD + b"\x86\xdd" + ip + bytes(8) + b"\x01\xab\xcd\xef" + fqdn)
    assert said == {"client": "vm1", "transaction": "abcdef"}


@given(st.binary(max_size=400), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"]))
def test_any_frame_is_read(body, ethertype):
    for word in read(HEAD + ethertype + body).values():
        assert word.isprintable()
        assert len(word) <= 64
