"""NICs that KubeVirt plugs into a running VM, and out of it, in the `takeover` shape.

Hot-plug knows `bridge: {}` NICs only, and no hook is called for it: the links tell. Phase 1 makes a
bridge, from which KubeVirt's own DHCP server would answer the guest a moment later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from binding.packet import guard, link_names, link_table
from binding.packet.link_table import LinkState
from binding.sidecar.desired import Desired
from guest.network import GuestNetwork

_BRIDGE = "k6t-"


class Plugs:
    """What was last seen plugged in. `is_named`: KubeVirt has named the plugin: no takeover."""

    def __init__(self, *, is_named: bool) -> None:
        self._is_named = is_named
        self._seen: frozenset[tuple[str, int]] | None = None

    def is_takeover(self, desired: Desired) -> bool:
        """Say whether the NICs of the VM are KubeVirt's own, once a VM has been defined."""
        others = (guest for guest in desired.guests if guest.shape != "takeover")
        return not self._is_named and bool(desired.instance.name) and not any(others)

    def links(self, desired: Desired) -> tuple[str, ...]:
        """Return the names of the links there are now where KubeVirt plugs NICs, else none."""
        return tuple(link_table.read()) if self.is_takeover(desired) else ()

    def changed(self, desired: Desired) -> bool:
        """Say whether a NIC was plugged in or out since the last time. Raises OSError."""
        if not self.is_takeover(desired):
            return False
        before, self._seen = self._seen, frozenset(_plugged(link_table.read()))
        if before is None:
            taps = {guest.tap for guest in desired.guests}
            before = frozenset(one for one in self._seen if one[0] in taps)
        return self._seen != before

    def mute(
        self, desired: Desired, guests: Collection[GuestNetwork], names: Collection[str]
    ) -> tuple[guard.Filter, ...]:
        """Return what mutes KubeVirt's server at bridges whose guests are not known yet.

        `guests` are filtered already, `names` are those of all links.
        """
        if not self.is_takeover(desired):
            return ()
        known = {guest.bridge for guest in guests}
        return tuple(
            guard.Filter(name, ("dhcp4-to-server",))
            for name in sorted(names)
            if name.startswith(_BRIDGE) and name not in known
        )


def _plugged(links: Mapping[str, LinkState]) -> Iterator[tuple[str, int]]:
    """Yield tap and its index of each secondary network that KubeVirt has wired."""
    for bridge in links:
        pod = link_names.pod_of(bridge.removeprefix(_BRIDGE))
        names = link_names.names_of(pod, primary=False)
        is_ours = link_names.is_secondary(pod) and names.bridge == bridge
        if is_ours and names.tap in links and names.nic in links:
            yield names.tap, links[names.tap].index
