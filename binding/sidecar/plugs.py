"""NICs that KubeVirt plugs into a running VM, and out of it, in the `takeover` shape.

Hot-plug knows `bridge: {}` NICs only, and no hook is called for it: the links tell. KubeVirt's own
DHCP server is mute at their bridges before there are any (`packet.guard`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from binding.packet import link_names, link_table
from binding.packet.link_table import LinkState
from binding.sidecar.desired import Desired


class Plugs:
    """What was last seen plugged in."""

    def __init__(self) -> None:
        self._seen: frozenset[tuple[str, int]] | None = None

    def links(self, desired: Desired) -> tuple[str, ...]:
        """Return the names of the links there are now where KubeVirt plugs NICs, else none."""
        return tuple(link_table.read()) if desired.is_takeover else ()

    def changed(self, desired: Desired) -> bool:
        """Say whether a NIC was plugged in or out since the last time. Raises OSError."""
        if not desired.is_takeover:
            return False
        before, self._seen = self._seen, frozenset(_plugged(link_table.read()))
        if before is None:
            taps = {guest.tap for guest in desired.guests}
            before = frozenset(one for one in self._seen if one[0] in taps)
        return self._seen != before


def _plugged(links: Mapping[str, LinkState]) -> Iterator[tuple[str, int]]:
    """Yield tap and its index of each secondary network that KubeVirt has wired."""
    for bridge in links:
        pod = link_names.pod_of(bridge.removeprefix(link_names.KUBEVIRT_BRIDGE))
        names = link_names.names_of(pod, primary=False)
        is_ours = link_names.is_secondary(pod) and names.bridge == bridge
        if is_ours and names.tap in links and names.nic in links:
            yield names.tap, links[names.tap].index
