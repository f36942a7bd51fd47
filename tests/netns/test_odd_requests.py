"""Real clients whose requests are not perfect, as users configure them."""

from __future__ import annotations

from ipaddress import IPv6Interface
from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.in_parallel import in_parallel
from tests.bed.wait import until

OURS, OURS6 = "10.244.1.5", "fd00:10:244:1::5"
# Client: what its user adds, so that an option comes twice or with a length of its own.
TWICE = {
    "networkd": f"[DHCPv4]\nSendOption=50:ipv4address:{OURS}\nSendOption=57:uint16:1400",
    "udhcpc": "-x 0x32:0af40105 -x 0x39:0578",
    "dhclient": "send dhcp-max-message-size 1400; send dhcp-client-identifier = 1:2:3:4:5:6:7;",
}


def test_a_client_that_sends_an_option_twice_gets_its_lease(tmp_path: Path) -> None:
    """networkd got an OFFER and silence to every REQUEST, for ever."""
    off = {"dsbridge.io/default": {"ipv6": "off"}}

    def story(name: str) -> None:
        with (
            started("flat", "managed", off) as vm,
            client(name, vm.guest, tmp_path / name, families=(4,), extra=TWICE[name]) as guest,
        ):
            assert guest.lease(20).ipv4 == vm.pod.layout.ipv4
            until(lambda: f"ACK to REQUEST: {OURS}" in vm.sidecar.log, "the ACK")
            assert "malformed" not in vm.sidecar.status()["guests"][0]["counters"]

    in_parallel(story, TWICE)


@pytest.mark.parametrize(
    ("more", "offer"),
    [
        pytest.param({}, OURS, id="dual-stack pod"),
        pytest.param(
            {"addresses": [f"{OURS6}/64"], "gateways": ["fd00:10:244:1::1"]},
            "no address, IPv6 only",
            id="IPv6-only pod",
        ),
    ],
)
def test_a_guest_that_may_do_without_ipv4_does_without(
    more: dict[str, object], offer: str, tmp_path: Path
) -> None:
    """dhcpcd sends rapid commit, and asks for 108 where its user says so (RFC 8925)."""
    asks = "noarp\ndefine 108 uint32 v6only\noption v6only"
    with (
        started("flat", "managed", {"dsbridge.io/default": {"ipv6Only": 1800, **more}}) as vm,
        client("dhcpcd", vm.guest, tmp_path, extra=asks) as guest,
    ):
        lease = guest.lease(30, until=lambda lease: IPv6Interface(f"{OURS6}/128") in lease.ipv6)
        until(lambda: f"OFFER to DISCOVER: {offer}" in vm.sidecar.log, "the OFFER")
        assert lease.ipv4 == ()
        counters = vm.sidecar.status()["guests"][0]["counters"]
        assert "IPv6-Only Preferred received (1800 seconds)" in guest.log
        assert not {"ACK", "REQUEST"} & counters.keys()


def test_dhcpcd_that_sends_no_name_is_given_none(tmp_path: Path) -> None:
    """It asks for a FQDN without one of its own (RFC 4704 section 6)."""
    with (
        started("flat", "managed", {"dsbridge.io/default": {"ipv4": "off"}}) as vm,
        client("dhcpcd", vm.guest, tmp_path, families=(6,)) as guest,
    ):
        guest.lease(30)
        until(lambda: vm.sidecar.status()["guests"][0]["counters"].get("REPLY"), "its REPLY")
        assert guest.observe().hostname is None
