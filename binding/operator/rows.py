"""A line for each NIC, with tabs between columns: what `kubectl dsbridge status` shows. Pure."""

from __future__ import annotations

from binding.ipc.status import GuestStatus, Status
from binding.operator.text import age
from binding.process.logs import epoch


def rows(status: Status) -> str:
    """Return NIC, IPv4, IPv6, router, last exchange, number of warnings and age of each NIC."""
    return "\n".join("\t".join(_row(status, guest)) for guest in status.guests)


def _row(status: Status, guest: GuestStatus) -> tuple[str, ...]:
    router = guest.router
    latest = max(guest.last.items(), key=lambda one: one[1].time, default=None)
    last = "-"
    if latest is not None:
        request, what = latest
        ago = age(epoch(status.now) - epoch(what.time)).split(" ")
        asked = request.removeprefix("DHCPv6 ")
        said = what.reply or "silence"
        last = f"{asked if asked == said else f'{asked}>{said}'},{''.join(ago[:2])}"
    running = age(epoch(status.now) - epoch(status.started)).split(" ")
    return (
        guest.network,
        _addresses(guest.ipv4),
        _addresses(guest.ipv6),
        router.address if router else "-",
        last.replace(" ", "-"),
        str(len(guest.warnings) + len(status.warnings)),
        "".join(running[:2]),
    )


def _addresses(all_: tuple[str, ...]) -> str:
    return ",".join(one.partition("/")[0] for one in all_) or "-"
