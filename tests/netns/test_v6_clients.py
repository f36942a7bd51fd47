"""Real DHCPv6 clients through the whole life of their lease from the real sidecar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

import pytest

from tests.bed.clients import Client, client
from tests.bed.guests import Started, started, started_in
from tests.bed.in_parallel import in_parallel
from tests.bed.launcher import collect
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import end
from tests.bed.pod import NAMESERVERS, SEARCH, pod
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.wait import until
from tests.samples import vmi_json

NETWORK = "dsbridge.io/default"
OURS, NEW = IPv6Interface("fd00:10:244:1::5/128"), IPv6Interface("fd00:10:244:1::77/128")
DNS = NAMESERVERS[1:]
MOVED = {"addresses": ["fd00:10:244:1::77/64"], "gateways": ["fd00:10:244:1::1"]}
SHORT = {NETWORK: {"lease": 20}}
# dhcp6c: a second association, declared behind its interface block.
SECOND_IA = "send ia-na 7; }; id-assoc na 7 { }; interface lo {"


@dataclass(frozen=True, slots=True)
class Leased:
    """A guest with a client, in a pod with a sidecar."""

    vm: Started
    client: Client

    def sees(self, exchange: str, timeout: float = 10, side: Sidecar | None = None) -> None:
        """Wait for an exchange in the log of the sidecar."""
        until(lambda: exchange in (side or self.vm.sidecar).log, exchange, timeout)

    @contextmanager
    def another_sidecar(self) -> Iterator[Sidecar]:
        """End the sidecar and start one whose pod has another address."""
        end(self.vm.sidecar.process)
        with (
            sidecar(self.vm.pod, name="hook-sidecar-1") as successor,
            collect(successor.hooks_dir) as hook,
        ):
            hook.on_define_domain(self.vm.domain, vmi_json({NETWORK: MOVED}))
            yield successor


@contextmanager
def leased(
    name: str, workdir: Path, annotations: dict | None = None, extra: str = ""
) -> Iterator[Leased]:
    with (
        started("flat", "managed", annotations) as vm,
        client(name, vm.guest, workdir, families=(6,), extra=extra) as guest,
    ):
        guest.lease(20)
        yield Leased(vm, guest)


def test_two_associations_are_both_answered_and_released(tmp_path: Path) -> None:
    """The second has NoAddrsAvail in every answer and the first has the address."""
    with leased("dhcp6c", tmp_path, extra=SECOND_IA) as one:
        lease = one.client.lease(dns=DNS)
        assert lease.ipv6 == (OURS,)
        assert lease.search == SEARCH
        one.sees(f"REPLY to DHCPv6 REQUEST: {OURS.ip}, lease infinite")
        one.client.release()
        one.sees(f"REPLY to DHCPv6 RELEASE: {OURS.ip}")


@pytest.mark.parametrize("name", ["dhclient", "dhcpcd"])
def test_a_client_gives_its_address_back(name: str, tmp_path: Path) -> None:
    with leased(name, tmp_path) as one:
        one.client.release()
        one.sees(f"REPLY to DHCPv6 RELEASE: {OURS.ip}")


def test_a_client_renews_when_told_and_confirms_after_a_link_flap(tmp_path: Path) -> None:
    with leased("dhcpcd", tmp_path) as one:
        one.client.renew()
        one.sees(f"REPLY to RENEW: {OURS.ip}, lease infinite")
        one.client.link(up=False)
        one.client.lease(until=lambda lease: not lease.ipv6)
        one.client.link(up=True)
        one.sees(f"REPLY to CONFIRM: {OURS.ip}")
        assert one.client.lease(10).ipv6 == (OURS,)


def test_a_link_flap_into_another_pod_address_ends_with_that_one_within_10_s(
    tmp_path: Path,
) -> None:
    with leased("dhcpcd", tmp_path) as one:
        one.client.link(up=False)
        with one.another_sidecar() as successor:
            one.client.link(up=True)
            one.client.lease(10, lambda lease: lease.ipv6 == (NEW,))
            one.sees(f"REPLY to CONFIRM: NotOnLink: {OURS.ip}", side=successor)


def test_a_restarted_client_with_a_dead_address_gets_the_new_one_within_10_s(
    tmp_path: Path,
) -> None:
    with leased("dhclient", tmp_path) as one:
        one.client.stop()
        with one.another_sidecar() as successor:
            one.client.start()
            one.client.lease(10, lambda lease: NEW in lease.ipv6)
            one.sees(f"REPLY to CONFIRM: NotOnLink: {OURS.ip}", side=successor)


def test_a_finite_lease_is_renewed_at_t1_and_rebound_at_t2(tmp_path: Path) -> None:
    """T1 and T2 are 10 and 16 s. A RENEW to another server's identifier gets silence."""

    def story(named: str) -> None:
        name, deed = named.split()
        with leased(name, tmp_path / name / deed, SHORT) as one:
            if deed == "REBIND":
                other = json.loads(one.vm.vmi)
                other["metadata"]["uid"] = "00000000-0000-4000-8000-000000000002"
                one.vm.hook.on_define_domain(one.vm.domain, json.dumps(other))
            one.sees(f"REPLY to {deed}: {OURS.ip}, lease 20 s", 25)
            assert ("REPLY to RENEW" in one.vm.sidecar.log) == (deed == "RENEW")
            assert one.client.observe().ipv6 == (OURS,)

    in_parallel(story, ["dhclient RENEW", "networkd RENEW", "dhcpcd REBIND", "networkd REBIND"])


def test_a_stateless_client_gets_options_and_no_lease(tmp_path: Path) -> None:
    """`ipv6: slaac` announces O without M."""
    with leased("dhcpcd", tmp_path, {NETWORK: {"ipv6": "slaac"}}) as one:
        lease = one.client.lease(dns=DNS)
        assert OURS not in lease.ipv6
        one.sees("REPLY to INFORMATION-REQUEST: options only")
        assert "SOLICIT" not in one.vm.sidecar.log


@pytest.mark.parametrize("name", ["dhclient", "dhcpcd", "dhcp6c", "networkd", "networkmanager"])
def test_a_guest_is_told_all_ipv6_addresses_of_the_pod_and_its_first_ipv4_address(
    name: str, tmp_path: Path
) -> None:
    """DHCPv4 gives one address alone; who takes but one of IPv6 is iPXE (tests/vm)."""
    flat = LAYOUTS["flat"]
    more4, more6 = IPv4Interface("10.244.1.200/24"), IPv6Interface("fd00:10:244:1::2/64")
    both = replace(flat, ipv4=(*flat.ipv4, more4), ipv6=(*flat.ipv6, more6))
    families = (6,) if name == "dhcp6c" else (4, 6)
    with (
        pod(both) as made,
        started_in(made) as vm,
        client(name, vm.guest, tmp_path, families=families) as guest,
    ):
        wanted = {OURS, IPv6Interface(more6.ip)}
        lease = guest.lease(
            30,
            until=lambda lease: set(lease.ipv6) == wanted and len(lease.ipv4) == len(families) - 1,
        )
        assert lease.ipv4 == (flat.ipv4 if 4 in families else ())
        assert f"the guest is not told {more4}" in vm.sidecar.log
