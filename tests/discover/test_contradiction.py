"""Guests that contradict themselves are refused, and what contradicts is named."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from binding.discover.contradiction import Contradiction, refuse
from tests.samples import FLAT, FLAT_LINK, GATEWAY_MAC, overridden, snapshot

SHORT = snapshot(replace(FLAT_LINK, mtu=1200, addresses=FLAT_LINK.addresses[:1]))
"""A link whose kernel has turned IPv6 off."""


def test_the_gateways_mac_is_not_the_guests():
    guest = replace(overridden(FLAT), mac=GATEWAY_MAC)
    with pytest.raises(Contradiction, match=f"{GATEWAY_MAC} is the MAC of the gateway 10.244.1.1"):
        refuse((guest,), FLAT)
    permanent = replace(guest, gateway_lladdrs=(), routes=())
    refuse((permanent,), FLAT)
    known = ((ip_address("fe80::1"), GATEWAY_MAC),)
    with pytest.raises(Contradiction, match="gateway fe80::1"):
        refuse((replace(permanent, permanent_neighbors=known),), FLAT)


def test_an_ipv6_address_on_a_link_too_short_for_ipv6_is_refused():
    given = {"addresses": ["10.244.1.5/24", "fd00::5/64"]}
    with pytest.raises(Contradiction, match=r'MTU 1200 is below 1280; .*"ipv6": "off"'):
        refuse((overridden(SHORT, **given),), SHORT)
    refuse((overridden(SHORT, ipv6="off", **given), overridden(SHORT)), SHORT)
