"""What a VM says on its console becomes one value."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address

from tests.bed.console import parse
from tests.bed.vm import Nic, nics

CONSOLE = """\
[    0.1] a kernel's line\r
@userland 1.72
udhcpc: lease of 10.244.1.5 obtained from 10.244.1.1, lease time 3600
@mac 0a:58:0a:f4:01:05
@mtu 1450
@addr inet 10.244.1.5/24 scope global eth0
@addr inet6 fd00:10:244:1::5/128 scope global
@route4 default via 10.244.1.1 dev eth0
@route4 10.244.1.0/24 dev eth0 scope link  src 10.244.1.5
@route6 fd00:10:244:1::/64 dev eth0  metric 256
@route6 fe80::/64 dev eth0  metric 256
@route6 default via fe80::858:aff:fef4:101 dev eth0  metric 1024
@route6 multicast ff00::/8 dev eth0  metric 256
@resolv nameserver 10.96.0.10
@resolv nameserver fd00:10:96::a
@resolv search default.svc.cluster.local cluster.local
@lease4 4294967295
@at4 2.06
@reached 192.0.2.10
@end 7.96
"""


def test_report_holds_what_the_guest_said() -> None:
    report = parse(CONSOLE)
    assert report.mac == "0a:58:0a:f4:01:05"
    assert report.reached == ("192.0.2.10",)
    lease = report.lease
    assert lease.ipv4 == (IPv4Interface("10.244.1.5/24"),)
    assert lease.ipv6 == (IPv6Interface("fd00:10:244:1::5/128"),)
    assert lease.routes4 == (("default", "10.244.1.1"), ("10.244.1.0/24", None))
    assert lease.default6 == IPv6Address("fe80::858:aff:fef4:101")
    assert [destination for destination, _ in lease.routes6] == ["fd00:10:244:1::/64", "default"]
    assert lease.dns == (ip_address("10.96.0.10"), ip_address("fd00:10:96::a"))
    assert lease.search == ("default.svc.cluster.local", "cluster.local")
    assert lease.mtu == 1450
    assert lease.lease_seconds is None, "4294967295 is for ever"


def test_a_guest_that_got_nothing_reports_nothing() -> None:
    report = parse("@userland 1.7\n@mtu 1500\n@end 30.0\n")
    assert report.lease.ipv4 == report.lease.ipv6 == report.reached == ()
    assert report.lease.default4 is None


def test_nics_are_those_of_the_domain_in_its_order() -> None:
    domain = """<domain><devices>
      <interface type="ethernet"><target dev="tap0" managed="no"/><mac address="0a:58:0a:f4:01:05"/>
        <mtu size="1450"/><driver name="vhost" queues="4"/></interface>
      <interface type="ethernet"><target dev="tap16477688c0e"/><mac address="0a:58:0a:64:00:05"/>
      </interface></devices></domain>"""
    assert nics(domain) == (
        Nic("0a:58:0a:f4:01:05", "tap0", 1450, 4),
        Nic("0a:58:0a:64:00:05", "tap16477688c0e"),
    )
