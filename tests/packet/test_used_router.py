"""The filter by which a guest that came by migration tells which router it still uses."""

from ipaddress import IPv6Network

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from binding.packet import bpf
from tests.packet.test_bpf import GUEST, OTHER, ROUTER, passes

ON_LINK = (IPv6Network("fd00:10:244:1::/64"), IPv6Network("fd00:20::5/128"))
AWAY = Ether(src=GUEST, dst=OTHER) / IPv6(dst="2001:db8::1")


@pytest.mark.parametrize(
    ("frame", "heard"),
    [
        pytest.param(AWAY / TCP(), True, id="to another link"),
        pytest.param(Ether(src=GUEST, dst=ROUTER) / IPv6(dst="2001:db8::1") / TCP(), False,
                     id="by the router that is known"),
        pytest.param(Ether(src=GUEST, dst=OTHER) / IPv6(dst="fd00:10:244:1::9") / TCP(), False,
                     id="to a neighbour"),
        pytest.param(Ether(src=OTHER, dst=ROUTER) / IPv6(dst="2001:db8::1") / TCP(), False,
                     id="of a machine behind the guest"),
    ],
)  # fmt: skip
def test_one_frame_to_a_router_that_is_not_known_is_heard(frame, heard):
    assert passes(bpf.used_router_rules(GUEST, ON_LINK, [ROUTER]), frame) is heard
    assert not passes(bpf.used_router_rules(GUEST, ON_LINK, [ROUTER, OTHER]), frame)
