"""Replies no larger than the client takes: option 57, overload (52), RFC 3396, dropping."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from dhcp import v4_option_codec as codec
from guest.network import Boot, Route
from tests.dhcp.v4_wire import (
    ADDRESS,
    CALICO,
    DISCOVER,
    FLAT,
    INFORM,
    REQUEST,
    ask,
    domains,
    prl,
    routes,
    seen,
)

MANY = prl(3, 6, 12, 15, 26, 28, 42, 119, 121)
WINDOWS = prl(1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252)


def size(octets):
    return (57, octets.to_bytes(2))


def with_routes(count, guest=FLAT):
    gateway = IPv4Address("10.244.1.1")
    more = (Route(IPv4Network((0x0A640000 + (i << 8), 24)), gateway) for i in range(count))
    return replace(guest, routes=(*guest.routes, *more))


def with_domains(count):
    return replace(FLAT, search=tuple(f"ns{i}.subdomain{i}.org" for i in range(count)))


@pytest.mark.parametrize(
    ("asked", "limit"),
    [(None, 576), (0, 576), (100, 576), (575, 576), (576, 576), (800, 800), (1400, 1400)],
    ids=str,
)
def test_the_size_that_a_client_takes_is_kept_and_used(asked, limit):
    guest = replace(FLAT, private=tuple((code, bytes(45)) for code in range(224, 255)))
    exchange = ask(DISCOVER, *([] if asked is None else [size(asked)]), guest=guest)
    assert limit - 50 < seen(exchange).datagram <= limit
    assert "no room for option" in exchange.note


@pytest.mark.parametrize("mtu", [1280, 600, 576], ids=str)
def test_a_client_that_takes_more_than_the_link_gets_what_the_link_takes(mtu):
    """NetworkManager says 65535 when it renews."""
    guest = replace(FLAT, mtu=mtu, private=tuple((c, bytes(90)) for c in range(224, 255)))
    assert seen(ask(DISCOVER, size(65535), guest=guest)).datagram <= mtu


def test_nothing_is_overloaded_while_the_options_field_suffices():
    exchange = ask(DISCOVER, MANY)
    reply = seen(exchange)
    assert 52 not in reply.options
    assert (reply.file, reply.sname) == (b"", b"")
    assert "no room" not in exchange.note


def test_what_does_not_fit_goes_to_file_and_sname():
    guest = replace(FLAT, private=((224, b"a" * 240), (225, b"b" * 100), (226, b"c" * 50)))
    exchange = ask(DISCOVER, prl(3, 224, 225, 226), guest=guest)
    reply = seen(exchange)
    assert reply.order[:2] == (53, 52)
    assert reply.options[52] == b"\x03"
    assert reply.bootp[108:110] == bytes([225, 100])
    assert reply.bootp[44:46] == bytes([226, 50])
    assert [reply.options[code] for code in (224, 225, 226)] == [b"a" * 240, b"b" * 100, b"c" * 50]
    assert "no room" not in exchange.note


@pytest.mark.parametrize(
    ("private", "overload"),
    [(((224, b"a" * 250), (225, b"b" * 100)), b"\x01"), (((224, b"a" * 270), (225, b"b")), None)],
    ids=["file only", "none"],
)
def test_overload_names_the_fields_that_are_used(private, overload):
    reply = seen(ask(DISCOVER, prl(224, 225), guest=replace(FLAT, private=private)))
    assert reply.options.get(52) == overload


def test_boot_fields_are_never_overloaded():
    guest = replace(
        FLAT, boot=Boot(file="boot.img"), private=((224, b"a" * 240), (225, b"b" * 100))
    )
    exchange = ask(DISCOVER, prl(67, 224, 225), guest=guest)
    reply = seen(exchange)
    assert reply.file == b"boot.img"
    assert not {52, 225} & reply.options.keys()
    assert exchange.note == "10.244.1.7, no room for option 225"


def test_forty_routes_reach_a_client_of_1500_bytes_split_in_two():
    guest = with_routes(40)
    reply = seen(ask(DISCOVER, MANY, size(1500), guest=guest))
    assert reply.order.count(121) == 2
    assert len(routes(reply.options[121])) == 41


def test_forty_routes_reach_a_client_of_576_bytes_partly_in_the_file_field():
    exchange = ask(DISCOVER, prl(3, 6, 26, 121), guest=with_routes(40))
    reply = seen(exchange)
    assert len(routes(reply.options[121])) == 41
    assert reply.options[52] == b"\x01"
    assert "no room" not in exchange.note


@pytest.mark.parametrize("limit", [576, 1500], ids=str)
def test_no_route_is_cut_in_two(limit):
    """systemd-networkd before 254 reads each part of a split option for itself, and gives up."""
    reply = seen(ask(DISCOVER, prl(3, 6, 26, 121), size(limit), guest=with_routes(40)))
    parts = [value for code, value in reply.parts if code == 121]
    assert len(parts) > 1
    assert sum(len(routes(part)) for part in parts) == 41


def test_of_routes_that_fit_nowhere_the_default_one_stays():
    exchange = ask(DISCOVER, MANY, guest=with_routes(100))
    reply = seen(exchange)
    assert routes(reply.options[121]) == [("0.0.0.0/0", "10.244.1.1")]
    assert {3, 6, 26, 12, 119} <= reply.options.keys()
    rest = "no room for option 121 but its default route (100 others, 10.100.0.0/24 first)"
    assert exchange.note == f"10.244.1.7, {rest}"


def test_a_default_route_that_stays_alone_takes_the_way_to_its_gateway_along():
    guest = with_routes(100, CALICO)
    reply = seen(ask(DISCOVER, MANY, guest=guest))
    assert routes(reply.options[121]) == [
        ("169.254.1.1/32", "0.0.0.0"),
        ("0.0.0.0/0", "169.254.1.1"),
    ]


def test_routes_that_fit_nowhere_are_dropped_whole_where_none_is_the_default_one():
    guest = with_routes(100)
    exchange = ask(DISCOVER, MANY, guest=replace(guest, routes=guest.routes[1:]))
    assert 121 not in seen(exchange).options
    assert exchange.note.endswith("no room for option 121")


def test_routes_asked_for_as_249_alone_keep_the_default_one_too():
    reply = seen(ask(DISCOVER, prl(3, 249), guest=with_routes(100)))
    assert routes(reply.options[249]) == [("0.0.0.0/0", "10.244.1.1")]


def test_the_copy_of_the_routes_is_never_shorter_than_they_are():
    """Windows reads either: two that differ would leave its routes to chance."""
    reply = seen(ask(DISCOVER, prl(3, 121, 249), guest=with_routes(60)))
    assert 249 not in reply.options or reply.options[249] == reply.options[121]


def test_a_249_of_the_users_own_is_sent_whole_or_not_at_all():
    guest = replace(with_routes(40), private=((249, bytes(600)),))
    exchange = ask(DISCOVER, prl(3, 249), guest=guest)
    assert 249 not in seen(exchange).options
    assert exchange.note.endswith("no room for option 249")


def test_windows_with_forty_routes_loses_249_before_121():
    exchange = ask(DISCOVER, WINDOWS, guest=with_routes(40))
    assert 121 in seen(exchange).options
    assert exchange.note.endswith("no room for option 249")


def test_the_copy_of_the_routes_gives_way_to_everything_else():
    """249 says what 121 does: NetworkManager, which asks for both, needs the search list more."""
    guest = replace(with_routes(20), search=with_domains(12).search)
    exchange = ask(DISCOVER, WINDOWS, guest=guest)
    assert domains(seen(exchange).options[119]) == list(guest.search)
    assert exchange.note.endswith("no room for option 249")


def test_the_only_routes_that_are_asked_for_do_not_give_way():
    guest = replace(with_routes(40), search=with_domains(30).search)
    exchange = ask(DISCOVER, prl(3, 119, 249), guest=guest)
    assert len(routes(seen(exchange).options[249])) == 41
    assert "no room for option 119" in exchange.note


@pytest.mark.parametrize("limit", [576, 1500], ids=str)
def test_twelve_search_domains(limit):
    guest = with_domains(12)
    reply = seen(ask(DISCOVER, MANY, size(limit), guest=guest))
    assert domains(reply.options[119]) == list(guest.search)


def test_a_search_list_over_255_bytes_is_split():
    guest = with_domains(30)
    reply = seen(ask(DISCOVER, prl(119), size(1450), guest=guest))
    assert len(reply.options[119]) > 255
    assert reply.order.count(119) > 1
    assert domains(reply.options[119]) == list(guest.search)


@pytest.mark.parametrize("limit", [576, 700, 900], ids=str)
def test_of_a_search_list_that_is_too_long_as_many_names_are_sent_as_fit(limit):
    guest = with_domains(60)
    exchange = ask(DISCOVER, prl(3, 119), size(limit), guest=guest)
    reply = seen(exchange)
    head = domains(reply.options[119])
    assert head == list(guest.search[: len(head)])
    assert limit - 30 < reply.datagram <= limit
    rest = f"{60 - len(head)} others, {guest.search[len(head)]} first"
    assert exchange.note == f"10.244.1.7, no room for option 119 but its head ({rest})"


def test_a_search_list_of_which_no_name_fits_is_dropped():
    guest = replace(FLAT, search=(".".join(["a" * 60] * 4),) * 2, boot=Boot(file="boot.img"))
    exchange = ask(DISCOVER, (61, bytes(200)), prl(67, 119), guest=guest)
    assert 119 not in seen(exchange).options
    assert exchange.note.endswith("no room for option 119")


def test_an_inform_learns_the_head_of_a_long_search_list_too():
    reply = seen(ask(INFORM, prl(119), ciaddr=ADDRESS, guest=with_domains(60)))
    assert domains(reply.options[119])


def test_options_are_dropped_from_the_end_of_the_order_of_worth():
    """Whatever the size, what is kept of equally large options is a prefix of the order."""
    guest = replace(FLAT, private=tuple((code, bytes(50)) for code in range(224, 249)))
    order = seen(ask(DISCOVER, prl(*range(224, 249)), size(4000), guest=replace(guest, mtu=9000)))
    for limit in range(576, 1400, 97):
        reply = seen(ask(DISCOVER, prl(*range(224, 249)), size(limit), guest=guest))
        kept = [code for code in order.order if code in reply.options]
        assert tuple(kept) == order.order[: len(kept)]


def test_a_client_id_of_many_octets_leaves_the_lease_intact():
    reply = seen(ask(DISCOVER, (61, bytes(255)), (61, bytes(255)), guest=CALICO))
    assert {51, 54, 1, 53} <= reply.options.keys()


def test_a_message_of_very_many_options_is_read():
    many = tuple((code, b"x" * 40) for code in range(128, 224))
    assert seen(ask(DISCOVER, *many, prl(3))).options[3]


def test_split_options_join_in_the_order_options_file_sname():
    """RFC 3396 section 6, as we read it: the requested address in three parts."""
    address = bytes([10, 244, 1, 7])
    fields = {"file": bytes([50, 2, *address[1:3], 255]), "sname": bytes([50, 1, address[3], 255])}
    exchange = ask(REQUEST, (52, b"\x03"), (50, address[:1]), **fields)
    assert (exchange.reply, exchange.note) == ("ACK", "10.244.1.7, INIT-REBOOT")


class TestPack:
    """codec.pack on its own, at its edges."""

    def test_fits_exactly(self):
        packed = codec.pack([(53, b"\x01"), (61, b"12345")], 3 + 7 + 1, fields_free=True)
        assert packed.options == ((53, b"\x01"), (61, b"12345"))
        assert (packed.file, packed.sname, packed.dropped) == (b"", b"", ())

    def test_one_octet_too_long_goes_to_file(self):
        packed = codec.pack([(53, b"\x01"), (61, b"123456")], 3 + 7 + 1, fields_free=True)
        assert packed.options == ((53, b"\x01"), (52, b"\x01"))
        assert packed.file == bytes([61, 6]) + b"123456\xff"

    def test_option_without_value_keeps_its_place(self):
        assert codec.pack([(53, b"\x01"), (80, b"")], 60, fields_free=True).options[1] == (80, b"")

    @pytest.mark.parametrize("free", [True, False], ids=["overload", "options only"])
    def test_option_without_value_that_fits_nowhere_is_named(self, free):
        fields = (224, bytes(125)), (225, bytes(61))
        full = [(53, b"\x01"), (61, bytes(20)), *(fields if free else ())]
        packed = codec.pack([*full, (80, b"")], 3 + 22 + 1 + (3 if free else 0), fields_free=free)
        assert packed.dropped == (80,)

    def test_what_fits_nowhere_is_named_and_leaves_no_trace(self):
        packed = codec.pack([(53, b"\x01"), (224, bytes(600))], 308, fields_free=True)
        assert packed == codec.Packed(((53, b"\x01"),), dropped=(224,))

    @pytest.mark.parametrize("length", [254, 255, 256, 510, 511, 600], ids=str)
    def test_split_values_come_back(self, length):
        value = bytes(i % 251 for i in range(length))
        packed = codec.pack([(53, b"\x01"), (224, value)], 1000, fields_free=False)
        field = b"".join(bytes([c, len(v)]) + v for c, v in packed.options) + b"\xff"
        assert codec.decode(field, b"", b"") == {53: b"\x01", 224: value}
