"""Nothing is on-link for a guest with a /128: its neighbours on the node are behind the gateway."""

from __future__ import annotations

import pytest

from tests.bed.guests import started
from tests.bed.kernel_guest import addressed, lladdrs
from tests.bed.neighbour import neighbour
from tests.bed.wait import until


@pytest.mark.parametrize("layout", ["calico", "cilium"])
def test_a_guest_reaches_another_pod_of_its_node_through_the_gateway(layout: str) -> None:
    with started(layout, "managed") as vm, neighbour(vm.pod) as other:
        guest = addressed(vm)
        for address in (other.ipv4.ip, other.ipv6.ip):
            until(lambda address=address: guest.reaches(address), f"{address} from the guest")
        for address in (vm.pod.layout.ipv4[0].ip, vm.pod.layout.ipv6[0].ip):
            until(lambda address=address: other.netns.reaches(address), f"{address} from the other")
        assert not {str(other.ipv4.ip), str(other.ipv6.ip)} & set(lladdrs(guest))
