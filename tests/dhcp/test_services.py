"""Encrypted DNS, time servers by name and time zones, octet by octet, to clients that ask."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from guest.network import EncryptedDns, TimeZone
from tests.dhcp.v4_wire import CALICO, DISCOVER, ask, prl, seen
from tests.dhcp.v6_wire import CLIENT_ID, GUEST, SOLICIT, ia_na, oro, told

V4, V6 = IPv4Address("10.0.0.53"), IPv6Address("fd00::53")
DOH = EncryptedDns("dns.example", (V4, V6), ("h2", "dot"), 8443, "/q{?dns}")
NAME = b"\x03dns\x07example\x00"
# Keys 1 (alpn), 3 (port) and 7 (dohpath), each with its length.
PARAMETERS = (
    b"\0\x01\0\x07\x02h2\x03dot" + b"\0\x03\0\x02" + struct.pack("!H", 8443)
) + b"\0\x07\0\x08/q{?dns}"
BY_NAME = EncryptedDns("adn.example")
ADN = b"\x03adn\x07example\x00"
ZONE = TimeZone("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3")


def asked6(guest, *codes):
    lines = told(guest, SOLICIT, CLIENT_ID, ia_na(1), oro(*codes))
    return [line for line in lines if line.split()[0] in map(str, codes)]


def test_dhcpv6_tells_each_resolver_by_an_option_of_its_own():
    guest = replace(GUEST, encrypted_dns=(DOH, BY_NAME))
    first = b"\0\x01" + b"\0\x0d" + NAME + b"\0\x10" + V6.packed + PARAMETERS
    second = b"\0\x02" + b"\0\x0d" + ADN
    assert asked6(guest, 144) == [f"144 {first.hex()}", f"144 {second.hex()}"]
    assert asked6(guest, 23) == ["23 fd770000000000000000000000000053"]


def test_a_resolver_of_the_other_family_is_not_told_by_its_name_alone():
    only4 = replace(GUEST, encrypted_dns=(replace(DOH, addresses=(V4,)),))
    assert asked6(only4, 144) == []


def test_dhcpv6_tells_time_servers_by_name_behind_those_by_address():
    guest = replace(GUEST, ntp_names=("ntp.example",))
    name = b"\x03ntp\x07example\x00"
    assert asked6(guest, 56) == [
        "56 00010010fd770000000000000000000000000123",
        f"56 {(struct.pack('!HH', 3, len(name)) + name).hex()}",
    ]
    assert asked6(guest, 31) == ["31 fd770000000000000000000000000123"]


def test_dhcpv6_tells_the_time_zone():
    guest = replace(GUEST, time_zone=ZONE)
    assert asked6(guest, 41, 42) == [
        f"41 {ZONE.posix.encode().hex()}",
        f"42 {ZONE.tzdb.encode().hex()}",
    ]
    assert asked6(GUEST, 41, 42) == []


def options4(guest, *codes):
    found = seen(ask(DISCOVER, prl(*codes), guest=guest)).options
    return {code: value for code, value in found.items() if code in codes}


def test_dhcpv4_tells_all_resolvers_in_one_option():
    guest = replace(CALICO, encrypted_dns=(DOH, BY_NAME))
    first = b"\0\x01" + b"\x0d" + NAME + b"\x04" + V4.packed + PARAMETERS
    second = b"\0\x02" + b"\x0d" + ADN
    counted = b"".join(len(one).to_bytes(2, "big") + one for one in (first, second))
    assert options4(guest, 162) == {162: counted}
    assert options4(guest, 6).keys() <= {6}


def test_dhcpv4_tells_the_time_zone_and_no_server_by_name():
    guest = replace(CALICO, time_zone=ZONE, ntp=(), ntp_names=("ntp.example",))
    assert options4(guest, 42, 100, 101) == {100: ZONE.posix.encode(), 101: ZONE.tzdb.encode()}
    only = replace(CALICO, time_zone=TimeZone(tzdb="UTC"))
    assert options4(only, 100, 101) == {101: b"UTC"}
