"""What an RA says for a guest's configuration, read back from its octets."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv6Address, IPv6Interface, IPv6Network, ip_address

import pytest

from guest.network import OUR_MAC, EncryptedDns
from ra.advert import INFINITE, advertisement, withdrawal
from ra.gateway import Router
from ra.schedule import LONGEST
from tests.ra.nd_wire import GATEWAY6, GUEST_LL, MAC, OLD_LL, OLD_MAC, guest, ra, route, vector

ROUTER = Router(IPv6Address(OLD_LL), OLD_MAC, "eui64")
TO = IPv6Address(GUEST_LL), MAC
SLLA, PIO, MTU, RIO, RDNSS, DNSSL, CAPTIVE, PREF64 = 1, 3, 5, 24, 25, 31, 37, 38
ENCRYPTED_DNS = 144
MANAGED, OTHER, PREFERENCE = 0x80, 0x40, 0x18
ON_LINK, AUTONOMOUS = 0x80, 0x40


def told(**changes):
    return ra(advertisement(guest(**changes), ROUTER, TO))


def prefixes(**changes) -> list[tuple[str, int, int, int]]:
    """Return (prefix, flags, valid, preferred) of each PIO."""
    found = []
    for content in told(**changes).all(PIO):
        length, flags, valid, preferred, _, prefix = struct.unpack("!BBIII16s", content)
        found.append((f"{IPv6Address(prefix)}/{length}", flags, valid, preferred))
    return found


def routes(advert) -> list[tuple[str, int, int]]:
    """Return (prefix, flags, lifetime) of each RIO."""
    found = []
    for content in advert.all(RIO):
        length, flags, lifetime = struct.unpack_from("!BBI", content)
        prefix = IPv6Address(content[6:].ljust(16, b"\0"))
        found.append((f"{prefix}/{length}", flags, lifetime))
    return found


def test_it_says_what_radvd_says_where_the_rfcs_leave_no_choice():
    theirs = ra(vector("ra-radvd"))
    ours = ra(
        advertisement(
            guest(
                routes=(
                    route("::/0", str(GATEWAY6)),
                    route("fd00:10:96::/112", str(GATEWAY6)),
                    route("fd00:20::/48", str(GATEWAY6)),
                ),
                dns=(ip_address("fd00:10:96::a"), ip_address("fd00:10:96::b")),
                search=("default.svc.cluster.local", "svc.cluster.local"),
            ),
            ROUTER,
            TO,
        )
    )
    assert (ours.packet.src, ours.packet.dst) == (theirs.packet.src, theirs.packet.dst)
    assert (ours.packet.src_mac, ours.packet.dst_mac) == (
        theirs.packet.src_mac,
        theirs.packet.dst_mac,
    )
    assert (ours.cur_hop_limit, ours.flags) == (theirs.cur_hop_limit, theirs.flags)
    assert (ours.reachable, ours.retrans) == (theirs.reachable, theirs.retrans)
    # Free are the order of options, and 16 or 24 octets for a route of up to 64 bits. radvd
    # 2.19 refuses a router lifetime above 9000 s.
    assert sorted(o for o in ours.options if o[0] != RIO) == sorted(
        o for o in theirs.options if o[0] != RIO
    )
    assert routes(ours) == routes(theirs)
    assert (ours.lifetime, theirs.lifetime) == (65535, 9000)


@pytest.mark.parametrize(
    "mode, flags, autonomous",
    [
        ("dhcp", MANAGED | OTHER, 0),
        ("slaac", OTHER, AUTONOMOUS),
        ("both", MANAGED | OTHER, AUTONOMOUS),
    ],
)
def test_the_mode_sets_m_o_and_a(mode: str, flags: int, autonomous: int):
    assert told(ipv6_mode=mode).flags == flags
    [(_, pio, _, _)] = prefixes(ipv6_mode=mode)
    assert pio == ON_LINK | autonomous


@pytest.mark.parametrize("mode", ["dhcp", "slaac", "both"])
def test_a_128_says_that_nothing_is_on_link(mode: str):
    assert prefixes(ipv6=(IPv6Interface("fd00::5/128"),), ipv6_mode=mode) == []


@pytest.mark.parametrize("length", [48, 63, 65, 112, 127])
def test_slaac_is_for_64_bit_prefixes_only(length: int):
    network = IPv6Interface(f"fd00::5/{length}")
    expected = [(str(network.network), ON_LINK, INFINITE, INFINITE)]
    assert prefixes(ipv6=(network,), ipv6_mode="slaac") == expected


def test_several_addresses_of_one_prefix_make_one_pio_each_prefix():
    addresses = ("fd00:1::5/64", "fd00:1::6/64", "fd00:2::5/64", "fd00:3::5/128")
    found = prefixes(ipv6=tuple(map(IPv6Interface, addresses)))
    assert [prefix for prefix, *_ in found] == ["fd00:1::/64", "fd00:2::/64"]


def test_lifetimes_of_prefixes_are_the_lease():
    assert prefixes(lease=3600)[0][2:] == (3600, 3600)
    assert prefixes(lease=2**40)[0][2:] == (INFINITE, INFINITE)


def test_on_link_routes_are_prefixes_for_no_addresses():
    found = prefixes(
        ipv6=(IPv6Interface("fd00::5/128"),),
        routes=(
            route("::/0", "fd00::1"),
            route("fd00::1/128"),
            route("fd00:7::/64"),
            route("fe80::/64"),
            route("10.9.0.0/16"),
        ),
        ipv6_mode="both",
    )
    assert found == [("fd00:7::/64", ON_LINK, INFINITE, INFINITE)]


@pytest.mark.parametrize(
    "destination, units",
    [("fd00:20::/48", 2), ("fd00:20::/64", 2), ("fd00:20::/65", 3), ("fd00:20::9/128", 3)],
)
def test_a_route_through_the_gateway_is_a_rio_of_its_length(destination: str, units: int):
    default = route("::/0", str(GATEWAY6))
    advert = told(routes=(default, route(destination, str(GATEWAY6))))
    assert routes(advert) == [(destination, 0, 65535)]
    assert len(advert.all(RIO)[0]) + 2 == units * 8


def test_a_route_through_another_gateway_is_not_sent_to_this_one():
    default = route("::/0", str(GATEWAY6))
    assert routes(told(routes=(default, route("fd00:20::/48", "fd00:10:244:1::9")))) == []


def test_without_default_route_the_router_is_none_and_its_routes_stay():
    advert = told(routes=(route("fd00:20::/48", str(GATEWAY6)),))
    assert advert.lifetime == 0
    assert routes(advert) == [("fd00:20::/48", 0, 65535)]
    assert advert.flags == MANAGED | OTHER
    assert advert.all(PIO)
    assert advert.all(MTU)


def test_the_preference_is_medium():
    assert told().flags & PREFERENCE == 0


def test_the_source_link_layer_address_is_the_routers_when_known():
    advert = told()
    assert advert.packet.src_mac == OLD_MAC
    assert [content.hex(":") for content in advert.all(SLLA)] == [OLD_MAC]
    unknown = ra(advertisement(guest(), replace(ROUTER, lladdr=None), TO))
    assert unknown.packet.src_mac == OUR_MAC
    assert unknown.all(SLLA) == []


@pytest.mark.parametrize("mtu, sent", [(1279, []), (1280, [1280]), (9000, [9000])])
def test_an_mtu_that_ipv6_forbids_is_not_told(mtu: int, sent: list[int]):
    assert [struct.unpack("!HI", content)[1] for content in told(mtu=mtu).all(MTU)] == sent


def test_resolvers_and_routes_outlive_three_intervals_between_ras():
    advert = told(
        dns=(ip_address("fd00::a"),),
        search=("a.example",),
        routes=(route("::/0", str(GATEWAY6)), route("fd00:20::/48", str(GATEWAY6))),
    )
    of_resolver = [struct.unpack_from("!I", advert.all(kind)[0], 2)[0] for kind in (RDNSS, DNSSL)]
    of_route = [lifetime for _, _, lifetime in routes(advert)]
    assert min(of_resolver + of_route) >= 3 * LONGEST


def test_only_ipv6_resolvers_are_told():
    [rdnss] = told(dns=(ip_address("10.96.0.10"), ip_address("fd00::a"))).all(RDNSS)
    assert rdnss == struct.pack("!HI", 0, 65535) + IPv6Address("fd00::a").packed
    assert told(dns=(ip_address("10.96.0.10"),)).all(RDNSS) == []


@pytest.mark.parametrize("length, code", [(96, 0), (64, 1), (56, 2), (48, 3), (40, 4), (32, 5)])
def test_pref64_is_told_by_the_code_of_its_length(length: int, code: int):
    [content] = told(pref64=IPv6Network(f"2001:db8::/{length}")).all(PREF64)
    (scaled,) = struct.unpack_from("!H", content)
    assert (scaled >> 3, scaled & 7) == (8191, code)
    assert content[2:] == IPv6Address("2001:db8::").packed[:12]


def test_a_prefix_that_nat64_cannot_have_is_not_told():
    assert told(pref64=IPv6Network("2001:db8::/80")).all(PREF64) == []


@pytest.mark.parametrize("uri", [f"https://portal.example/{'x' * n}" for n in range(9)])
def test_the_captive_portal_is_padded_with_nul(uri: str):
    [content] = told(captive_portal=uri).all(CAPTIVE)
    assert content.rstrip(b"\0").decode() == uri
    assert (len(content) + 2) % 8 == 0


def test_nothing_rare_is_told_by_default():
    advert = told()
    assert [kind for kind, _ in advert.options] == [SLLA, MTU, PIO]


def test_deprecated_prefixes_end_for_addresses_and_link():
    moved = guest(deprecated=(IPv6Network("fd00:9::/64"), IPv6Network("fd00:10:244:1::/64")))
    advert = ra(advertisement(moved, ROUTER, TO, deprecate=True))
    now, old = advert.all(PIO)
    assert struct.unpack("!BBII", now[:10])[2:] == (INFINITE, INFINITE)
    assert struct.unpack("!BBII", old[:10]) == (64, ON_LINK | AUTONOMOUS, 0, 0)
    assert IPv6Address(old[14:]) == IPv6Address("fd00:9::")
    assert len(ra(advertisement(moved, ROUTER, TO)).all(PIO)) == 1


def test_what_does_not_fit_one_packet_is_left_out_whole():
    search = tuple(f"{'a' * 60}.{n}.example" for n in range(60))
    frame = advertisement(guest(mtu=1280, search=search), ROUTER, TO)
    assert len(frame) - 14 <= 1280
    assert [kind for kind, _ in ra(frame).options] == [SLLA, MTU, PIO]


def test_a_search_list_beyond_one_option_is_cut_between_names():
    search = tuple(f"{'a' * 60}.{n}.example" for n in range(60))
    [content] = told(mtu=9000, search=search).all(DNSSL)
    assert b"\x011\x07example\0" in content
    assert len(content) + 2 <= 2040


def test_withdrawing_a_router_ends_it_and_its_routes_and_nothing_else():
    default = route("::/0", str(GATEWAY6))
    configured = guest(routes=(default, route("fd00:20::/48", str(GATEWAY6))), search=("a.b",))
    advert = ra(withdrawal(configured, ROUTER, TO))
    assert advert.lifetime == 0
    assert routes(advert) == [("fd00:20::/48", 0, 0)]
    assert [kind for kind, _ in advert.options] == [RIO]
    assert advert.flags == MANAGED | OTHER


@pytest.mark.parametrize(("preference", "bits"), [("high", 0x08), ("medium", 0), ("low", 0x18)])
def test_the_preference_is_said_of_the_router_and_of_each_route(preference: str, bits: int):
    """RFC 4191 sections 2.2 and 2.3; of a router that is no default router it is medium."""
    more = route("fd00:20::/48", str(GATEWAY6))
    found = told(routes=(route("::/0", str(GATEWAY6)), more), preference=preference)
    assert found.flags & PREFERENCE == bits
    assert routes(found) == [("fd00:20::/48", bits, 65535)]
    found = told(routes=(more,), preference=preference)
    assert (found.lifetime, found.flags & PREFERENCE) == (0, 0)
    assert routes(found) == [("fd00:20::/48", bits, 65535)]


def test_encrypted_dns_is_advertised_by_name_address_and_parameters():
    """RFC 9463 section 6.1: length in units of 8 octets, zeros behind the parameters."""
    both = EncryptedDns("dns.example", (ip_address("10.0.0.53"), ip_address("fd00::53")), ("dot",))
    found = told(encrypted_dns=(both, EncryptedDns("adn.example"))).all(ENCRYPTED_DNS)
    name, addresses = b"\x03dns\x07example\x00", ip_address("fd00::53").packed
    parameters = b"\x00\x01\x00\x04\x03dot"
    head = struct.pack("!HIH", 1, 65535, len(name)) + name
    tail = struct.pack("!H", 16) + addresses + struct.pack("!H", len(parameters)) + parameters
    assert found[0].rstrip(b"\0") == head + tail
    adn = struct.pack("!HIH", 2, 65535, 13) + b"\x03adn\x07example\x00"
    assert found[1] == adn.ljust(22, b"\0")
    assert told().all(ENCRYPTED_DNS) == []
