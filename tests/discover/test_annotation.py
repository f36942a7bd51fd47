"""What a user may change of a NIC, and how a mistake is answered."""

from __future__ import annotations

import json
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.discover.annotation import (
    Override,
    OverrideError,
    check_mtu,
    of_network,
    parse,
    parse_defaults,
)
from tests import samples

SOURCE = "annotation dsbridge.io/blue"


def only(key: str, value: object) -> Override:
    return parse(json.dumps({key: value}), SOURCE)


@pytest.mark.parametrize(
    "key, near",
    [("adresses", "addresses"), ("defaultroute", "defaultRoute"), ("DNS", None), ("", None)],
)
def test_an_unknown_key_is_named_with_the_nearest_and_all_keys(key, near):
    with pytest.raises(OverrideError, match=f'^{SOURCE}: unknown key "{key}"; ') as caught:
        only(key, 1)
    assert (f"did you mean {near}?" in str(caught.value)) is (near is not None)
    assert "Keys: provider, ipv4, ipv6, addresses" in str(caught.value)


def test_a_key_given_twice_is_refused_since_one_of_both_would_be_lost():
    with pytest.raises(OverrideError, match='key "mtu" is given twice'):
        parse('{"mtu": 1400, "mtu": 1500}', SOURCE)


@pytest.mark.parametrize("text", ["", "mtu: 1400", "[]", "null", '"x"', "[" * 100_000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(OverrideError, match=f"^{SOURCE}: "):
        parse(text, SOURCE)


def test_every_depth_of_nesting_is_refused():
    for depth in range(800, 1100, 3):
        with pytest.raises(OverrideError):
            parse('{"mtu": ' + "[" * depth + "]" * depth + "}", SOURCE)


IPV4, IPV6 = ip_interface("10.0.0.5/24"), ip_interface("fd00::5/64")


def test_an_mtu_too_small_for_ipv6_is_refused_where_the_guest_has_ipv6():
    with pytest.raises(OverrideError) as caught:
        check_mtu(only("mtu", 1279), "blue", (IPV4, IPV6))
    assert str(caught.value) == (
        f"{SOURCE} or DSBRIDGE_DEFAULTS: mtu: 1279 is not allowed with IPv6; "
        'write 1280 or more, or "ipv6": "off"'
    )


@pytest.mark.parametrize(
    "text, addresses",
    [
        ('{"mtu": 1280}', (IPV4, IPV6)),
        ('{"mtu": 1279}', (IPV4,)),
        ('{"mtu": 1279, "ipv6": "off"}', (IPV4, IPV6)),
        ('{"mtu": 1279}', ()),
        ("{}", (IPV6,)),
    ],
)
def test_an_mtu_is_allowed_where_it_harms_nothing(text, addresses):
    check_mtu(parse(text, SOURCE), "blue", addresses)


def test_an_mtu_too_small_for_ipv6_stops_the_start_of_the_vm():
    vmi = samples.vmi("01-single-binding", {"dsbridge.io/default": '{"mtu": 1279}'})
    with pytest.raises(OverrideError, match="mtu: 1279 is not allowed with IPv6"):
        samples.told(vmi)


def test_empty_defaults_change_nothing():
    assert parse_defaults("") == parse_defaults(" \n") == parse_defaults("{}") == Override()


def test_bad_defaults_are_named_by_their_variable():
    with pytest.raises(OverrideError, match=r"^DSBRIDGE_DEFAULTS: mtu: "):
        parse_defaults('{"mtu": 1}')


def test_a_prefix_is_no_default_of_a_cluster_since_it_belongs_to_one_vm():
    with pytest.raises(OverrideError, match=r"DEFAULTS: delegate: .*dsbridge.io/<network>"):
        parse_defaults('{"delegate": ["fd00:64:7::/56"]}')


def test_the_annotation_of_a_network_overrides_the_defaults_key_by_key():
    defaults = parse_defaults('{"ipv6": "slaac", "lease": 3600, "dns": ["10.0.0.10"]}')
    annotations = {"dsbridge.io/blue": '{"lease": "infinite", "dns": []}', "dsbridge.io/red": "?"}
    assert of_network(annotations, "blue", defaults) == Override(
        ipv6="slaac", lease="infinite", dns=()
    )
    assert of_network(annotations, "green", defaults) == defaults


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_raises_anything_else(text):
    try:
        assert isinstance(parse(text, SOURCE), Override)
    except OverrideError as error:
        assert str(error).startswith(SOURCE)  # noqa: PT017  # either outcome is right
