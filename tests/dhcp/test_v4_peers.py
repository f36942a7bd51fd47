"""Where other single-guest servers fail their guests: each defect, by name, as a requirement."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from guest.network import Boot, Route
from tests.dhcp.v4_wire import (
    ADDRESS,
    ALL,
    CALICO,
    DISCOVER,
    FLAT,
    INFORM,
    MAC,
    REQUEST,
    SERVER,
    ask,
    domains,
    mac,
    prl,
    routes,
    seen,
)

STALE = IPv4Address("10.244.1.99")
WINDOWS = prl(1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252)
MSFT = (60, b"MSFT 5.0")


def offer(*options, guest=CALICO, **fields):
    return seen(ask(DISCOVER, *options, guest=guest, **fields))


# What a virtual machine server is missing.


def test_classless_routes_are_served_with_the_default_among_them():
    assert ("0.0.0.0/0", str(SERVER)) in routes(offer(prl(121)).options[121])


def test_microsofts_249_is_served_with_the_same_bytes():
    reply = offer(WINDOWS, MSFT)
    assert reply.options[249] == reply.options[121]


def test_a_wrong_address_is_refused():
    assert ask(REQUEST, (50, STALE.packed)).reply == "NAK"


def test_the_refusal_carries_a_server_id_and_is_broadcast():
    """NetworkManager and busybox drop a NAK without server id; unicast reaches nobody."""
    reply = seen(ask(REQUEST, ciaddr=STALE, src=STALE, dst=SERVER))
    assert (reply.options[53], reply.options[54], reply.dst) == (b"\x06", SERVER.packed, ALL)


def test_the_client_id_is_echoed():
    """NetworkManager drops what does not repeat its client id exactly."""
    assert offer((61, b"\xffabcd\x00\x02xyz")).options[61] == b"\xffabcd\x00\x02xyz"


def test_the_request_list_is_honoured_so_that_packets_stay_small():
    assert offer(prl(1, 3)).options.keys() == {53, 54, 51, 1, 3}


def test_identity_is_the_mac_and_neither_client_id_nor_hostname():
    """Clones share a machine id; PXE, the installer and the system differ in client id."""
    ids = [(61, b"\x01" + mac(MAC)), (61, b"\xff" + bytes(16)), (12, b"clone"), (77, b"iPXE")]
    assert {offer(one).yiaddr for one in ids} == {ADDRESS}


def test_ntp_servers_are_served():
    guest = replace(FLAT, ntp=(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")))
    assert offer(prl(42), guest=guest).options[42] == bytes([10, 0, 0, 1, 10, 0, 0, 2])


def test_network_boot_sets_66_67_siaddr_and_file_by_architecture():
    boot = Boot(file="bios.0", server="10.0.0.69", by_arch=((7, "x64.efi"),))
    guest = replace(FLAT, boot=boot)
    for arch, file in ((b"\0\0", b"bios.0"), (b"\0\x07", b"x64.efi")):
        reply = offer(prl(66, 67), (60, b"PXEClient"), (93, arch), guest=guest)
        assert (reply.file, reply.options[67]) == (file, file)
        assert (str(reply.siaddr), reply.options[66]) == ("10.0.0.69", b"10.0.0.69")


@pytest.mark.parametrize("code", [224, 239, 254], ids=str)
def test_private_options_are_served(code):
    guest = replace(FLAT, private=((code, b"\x01\x00\xff"),))
    assert offer(prl(code), guest=guest).options[code] == b"\x01\x00\xff"


def test_tftp_server_address_150_is_served():
    guest = replace(FLAT, boot=Boot(file="f", server="10.0.0.69"))
    assert offer(prl(150), guest=guest).options[150] == bytes([10, 0, 0, 69])


def test_108_and_114_need_both_the_configuration_and_the_question():
    """A 108 that nobody configured cost systemd-networkd 255 its IPv4."""
    told = replace(FLAT, ipv6_only=1800, captive_portal="https://portal.example.org/")
    assert {108, 114} <= offer(prl(108, 114), guest=told).options.keys()
    assert not {108, 114} & offer(prl(1), guest=told).options.keys()
    assert not {108, 114} & offer(guest=told).options.keys()
    assert not {108, 114} & offer(prl(108, 114), guest=FLAT).options.keys()


# Routes, gateways, masks.


def test_a_link_local_off_subnet_gateway_is_made_reachable_before_it_is_used():
    assert routes(offer(prl(3, 121)).options[121]) == [
        (f"{SERVER}/32", "0.0.0.0"),
        ("0.0.0.0/0", str(SERVER)),
    ]


def test_a_32_bit_mask_is_given_as_it_is():
    assert offer(prl(1)).options[1] == b"\xff\xff\xff\xff"


def test_the_gateway_is_that_of_the_default_route_not_of_the_first_route():
    elsewhere = Route(IPv4Network("10.0.0.0/8"), IPv4Address("10.244.1.254"))
    reply = offer(prl(3), guest=replace(FLAT, routes=(elsewhere, *FLAT.routes)))
    assert reply.options[3] == bytes([10, 244, 1, 1])


def test_a_secondary_nic_without_routes_gets_a_lease_and_no_gateway():
    reply = offer(WINDOWS, guest=replace(FLAT, routes=()))
    assert reply.yiaddr == ADDRESS
    assert not {3, 121, 249} & reply.options.keys()


def test_of_two_nics_only_the_one_with_a_default_route_gives_one():
    first = FLAT
    second = replace(
        FLAT,
        network="blue",
        routes=(Route(IPv4Network("172.20.0.0/16"), IPv4Address("10.244.1.1")),),
    )
    given = [routes(offer(prl(3, 121), guest=nic).options[121]) for nic in (first, second)]
    assert given == [[("0.0.0.0/0", "10.244.1.1")], [("172.20.0.0/16", "10.244.1.1")]]
    assert 3 not in offer(prl(3, 121), guest=second).options


# Protocol defects.


def test_windows_renewal_is_answered_and_its_server_is_never_on_link_by_accident():
    """A server at 169.254.75.10 is on-link for Windows, so that renewals never leave."""
    renewal = ask(REQUEST, MSFT, WINDOWS, ciaddr=ADDRESS, src=ADDRESS, dst=SERVER, guest=FLAT)
    reply = seen(renewal)
    assert renewal.note == "10.244.1.7, RENEWING"
    assert reply.options[54] == bytes([10, 244, 1, 1])
    bare = offer(guest=replace(FLAT, routes=()))
    assert not IPv4Address(bare.options[54]).is_link_local


def test_windows_init_reboot_with_a_stale_lease_is_refused_and_the_next_discover_served():
    fields = (61, b"\x01" + mac(MAC)), (12, b"WIN-VM1"), MSFT, WINDOWS
    assert ask(REQUEST, (50, STALE.packed), *fields).reply == "NAK"
    assert offer(*fields).yiaddr == ADDRESS


def test_windows_inform_is_answered_without_an_address():
    exchange = ask(INFORM, MSFT, prl(6, 15, 249), ciaddr=ADDRESS, src=ADDRESS)
    assert (exchange.reply, str(seen(exchange).yiaddr)) == ("ACK", "0.0.0.0")


def test_a_client_id_of_16_and_more_octets_is_fine():
    assert offer((61, bytes(range(16)))).options[61] == bytes(range(16))


def test_short_leases_are_as_short_as_configured():
    assert offer(guest=replace(FLAT, lease=60)).options[51] == (60).to_bytes(4)


# Names.


@pytest.mark.parametrize(
    "search",
    [("a" * 64,), ("..",), ("ok.org", "-bad"), (".".join(["a" * 60] * 5),), ("",)],
    ids=["label of 64", "dots", "leading hyphen", "name of 305", "empty"],
)
def test_a_bad_search_list_costs_no_lease(search):
    reply = offer(prl(6, 119), guest=replace(FLAT, search=search))
    assert reply.yiaddr == ADDRESS
    assert domains(reply.options.get(119, b"")) == [name for name in search if name == "ok.org"]


def test_several_search_domains_keep_their_order():
    search = ("a.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example.org")
    assert domains(offer(prl(119), guest=replace(FLAT, search=search)).options[119]) == list(search)


def test_a_dotted_search_domain_is_labels_not_one_label():
    value = offer(prl(119), guest=replace(FLAT, search=("cluster.local",))).options[119]
    assert value == b"\x07cluster\x05local\x00"


def test_resolvers_and_host_name_come_from_the_pod():
    reply = offer(prl(6, 12))
    assert (reply.options[6], reply.options[12]) == (bytes([10, 96, 0, 10]), b"vm1")


def test_the_mtu_is_the_pod_links():
    assert offer(prl(26)).options[26] == (1450).to_bytes(2)


def test_an_offer_reaches_a_client_that_cannot_take_unicast_yet():
    reply = offer(flags=0x8000)
    assert (reply.dst, reply.dst_mac) == (ALL, "ff:ff:ff:ff:ff:ff")


def test_several_pod_addresses_have_their_own_masks():
    guest = replace(FLAT, ipv4=(*FLAT.ipv4, IPv4Interface("172.20.3.4/16")))
    reply = seen(ask(REQUEST, (50, IPv4Address("172.20.3.4").packed), guest=guest))
    assert reply.options[1] == IPv4Address("255.255.0.0").packed
