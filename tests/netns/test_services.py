"""Encrypted DNS, time servers by name and time zones, as real clients understand them."""

from __future__ import annotations

from pathlib import Path

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.wait import until

SETTINGS = {
    "dsbridge.io/default": {
        "encryptedDns": [
            {"name": "dns.example", "addresses": ["10.0.0.53", "fd00::53"], "alpn": ["dot"]}
        ],
        "ntp": ["fd00::123", "ntp.example"],
        "timeZone": {"tzdb": "Europe/Berlin", "posix": "CET-1CEST,M3.5.0,M10.5.0/3"},
    }
}
# dhclient knows neither RFC 9463 nor RFC 5908: it prints their octets.
DHCLIENT = """
option dnr code 162 = string;
option dhcp6.dnr code 144 = string;
option dhcp6.ntp code 56 = string;
also request dnr, pcode, tcode, dhcp6.dnr, dhcp6.ntp, dhcp6.new-posix-timezone,
  dhcp6.new-tzdb-timezone;
"""
NAME = "3:64:6e:73:7:65:78:61:6d:70:6c:65:0"
DOT = "0:1:0:4:3:64:6f:74"


def test_dhclient_gets_all_of_them_when_it_asks(tmp_path: Path) -> None:
    with (
        started("flat", "managed", SETTINGS) as vm,
        client("dhclient", vm.guest, tmp_path, extra=DHCLIENT) as guest,
    ):
        guest.lease(30)
        four = guest.guest.read("/var/lib/dhcp/dhclient.leases")
        six = guest.guest.read("/var/lib/dhcp/dhclient6.leases")
        assert f"option dnr 0:1d:0:1:d:{NAME}:4:a:0:0:35:{DOT};" in four
        assert 'option pcode "CET-1CEST,M3.5.0,M10.5.0/3";' in four
        assert 'option tcode "Europe/Berlin";' in four
        address = "fd:0:0:0:0:0:0:0:0:0:0:0:0:0:0:53"
        assert f"option dhcp6.dnr 0:1:0:d:{NAME}:0:10:{address}:{DOT};" in six
        assert 'option dhcp6.new-posix-timezone "CET-1CEST,M3.5.0,M10.5.0/3";' in six
        assert 'option dhcp6.new-tzdb-timezone "Europe/Berlin";' in six
        assert "option dhcp6.ntp 0:1:0:10:fd" in six


def test_networkd_takes_time_servers_by_name_and_the_time_zone(tmp_path: Path) -> None:
    extra = "[DHCPv4]\nUseTimezone=yes\n[DHCPv6]\nUseNTP=yes"
    with (
        started("flat", "managed", SETTINGS) as vm,
        client("networkd", vm.guest, tmp_path, extra=extra) as guest,
    ):
        index = guest.guest.index()
        guest.lease(30)

        def kept(file: str, text: str) -> bool:
            return text in guest.guest.read(f"/run/systemd/netif/{file}/{index}")

        until(lambda: kept("links", "ntp.example"), "the time server's name", 20)
        until(lambda: kept("links", "fd00::123"), "the time server's address", 20)
        assert kept("leases", "TIMEZONE=Europe/Berlin")
        assert "10.0.0.53" not in guest.guest.read(f"/run/systemd/netif/links/{index}")


def test_the_advertisement_carries_the_resolver(tmp_path: Path) -> None:
    """tcpdump, which knows no option 144, shows its octets."""
    with started("flat", "managed", SETTINGS) as vm, client("kernel-ra", vm.guest, tmp_path) as one:
        seen = one.run("sh", "-c", "(sleep 1; rdisc6 -1 eth0 >/dev/null) & timeout 20 "
                       "tcpdump -c 1 -x -n -i eth0 'icmp6 and ip6[40] = 134'")  # fmt: skip
        octets = "".join("".join(line.split()[1:]) for line in seen.splitlines() if ":  " in line)
        assert b"\x03dns\x07example\x00".hex() in octets
