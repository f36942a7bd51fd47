"""Logs what a guest has not asked a minute after its start; KubeVirt does not notice that."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from binding.ipc.status import UNASKED, Asked
from binding.packet import link_table, links
from binding.process.loop import Loop, Timer
from binding.sidecar.status import StatusPages
from binding.sidecar.status_page import SILENT_GATEWAY
from guest.exchange import IPV6_PREFERRED
from guest.network import GuestNetwork

_WITHIN = 60.0
"""Seconds in which a guest boots and asks."""
_DHCP4 = {"DISCOVER", "REQUEST", "INFORM", "BOOTP", "RELEASE", "DECLINE", "malformed"}
_DHCP6 = {"SOLICIT", "DHCPv6 REQUEST", "RENEW", "REBIND", "CONFIRM", "INFORMATION-REQUEST"}


class Reminder:
    """Says once what is missing, a minute after a start or after QEMU has let go of a tap."""

    def __init__(self, loop: Loop, pages: StatusPages) -> None:
        self._loop, self._pages = loop, pages
        self._timer: Timer | None = None

    def start(self) -> None:
        """Say so in a minute: a guest starts now."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(_WITHIN, self._tell)

    def look(self, table: Mapping[str, link_table.LinkState]) -> None:
        """Say so in a minute if a guest's tap has no reader then."""
        taps = (table.get(page.guest.tap) for page in self._pages.opened())
        if self._timer is None and any(tap and tap.up and not tap.carrier for tap in taps):
            self._timer = self._loop.after(_WITHIN, self._tell)

    def _tell(self) -> None:
        self._timer = None
        table, frames = link_table.read(), links.received()
        for page in self._pages.opened():
            tap = table.get(page.guest.tap)
            if tap is None or not tap.up:
                continue  # the log has named the fault of the link
            if not tap.carrier:
                text = f"no process reads {tap.name}: QEMU has not started, or its NIC is unplugged"
            elif page.guest.migration_target:
                continue
            else:
                text = unasked(page.guest, page.asked, page.serves or (), frames.get(tap.name, 0))
                if page.asked:
                    self._pages.find(page.guest.network, SILENT_GATEWAY, page.silent_gateways())
            self._pages.remind(page, text)


def unasked(
    guest: GuestNetwork, asked: Mapping[str, Asked], ours: Collection[int], frames: int
) -> str:
    """Return what the guest has not asked, and the usual cause; empty where nothing is missing.

    `asked` are its requests so far by kind, `ours` the families that we serve, `frames` how many
    have come in by its tap.
    """
    served = [
        missing
        for family, gets, missing in ((4, guest.gets_ipv4, _dhcp4), (6, guest.gets_ipv6, _ipv6))
        if family in ours and gets
    ]
    if not served:
        return ""
    if not frames:
        return f"no frame has come in by {guest.tap}: is the NIC up in the guest?"
    if asked.keys() <= UNASKED:
        return (
            "neither DHCP nor RS, but frames: is the guest's address static, or its client on a "
            "VLAN? set the NIC itself to DHCP"
        )
    return "; ".join(filter(None, (missing(guest, asked) for missing in served)))


def _dhcp4(_: GuestNetwork, asked: Mapping[str, Asked]) -> str:
    if not asked.keys() & _DHCP4:
        return "nothing by DHCPv4: is the NIC set to DHCP for IPv4 in the guest?"
    begun = asked.get("DISCOVER", Asked()).answer
    is_offered = begun is not None and begun.reply == "OFFER" and IPV6_PREFERRED not in begun.note
    if is_offered and "REQUEST" not in asked:
        return "DISCOVER without REQUEST: does the OFFER reach the client?"
    return ""


def _ipv6(guest: GuestNetwork, asked: Mapping[str, Asked]) -> str:
    by_dhcp = asked.keys() & _DHCP6
    begun = asked.get("SOLICIT", Asked()).answer
    if "RS" not in asked and not by_dhcp:
        return "neither RS nor DHCPv6: is IPv6 off in the guest, or accept_ra, or does it forward?"
    if "RS" not in asked:
        return "DHCPv6, but no RS: does the guest accept router advertisements?"
    if begun and begun.reply == "ADVERTISE" and "DHCPv6 REQUEST" not in asked:
        return "SOLICIT without REQUEST: does the ADVERTISE reach the client?"
    if guest.ipv6_mode == "dhcp" and not by_dhcp:
        return "RS, but no SOLICIT: the guest has no DHCPv6 client; enable it, or use ipv6: slaac"
    return ""
