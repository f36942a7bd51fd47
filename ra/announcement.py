"""What a guest is told of its routers, each with its note for the log. Pure."""

from __future__ import annotations

from guest.ethernet import group_mac
from guest.exchange import Exchange
from guest.network import OUR_MAC, GuestNetwork
from ra import advert, neighbor
from ra.gateway import Router
from ra.message import ALL_NODES


def unsolicited_na(router: Router) -> Exchange:
    """Tell all nodes, which at the tap is the guest, where the router is now."""
    lladdr = router.lladdr or OUR_MAC
    note = f"router {router.address} is at {lladdr}"
    return Exchange("", "NA", neighbor.advertise(router.address, lladdr), note)


def withdrawal(guest: GuestNetwork, router: Router, ended: tuple[bytes, ...]) -> Exchange:
    """End a router, and with it what the options `ended` end, by an RA in its name."""
    to = ALL_NODES, group_mac(ALL_NODES)
    frame = advert.withdrawal(guest, router, to, ended)
    return Exchange("", "RA", frame, f"router {router.address} withdrawn")


def told(router: Router | None, *, has_default: bool) -> str:
    """Say which router an RA has told."""
    if router is None or not has_default:
        return "no default router"
    return f"router {router.address} at {router.lladdr or 'an unknown MAC'} ({router.source})"
