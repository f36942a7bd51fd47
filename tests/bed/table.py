"""Pod and guest side by side, and what of the pod's network the guest has not got."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.bed.clients.lease import Kernel
from tests.bed.console import Report
from tests.bed.pod import NAMESERVERS, REMOTE4, REMOTE6, SEARCH, Pod

REMOTES = (str(REMOTE4), str(REMOTE6))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; a cell may hold several lines."""

    name: str
    pod: tuple[str, ...]
    guest: tuple[str, ...]
    good: bool


def compare(pod: Pod, before: Kernel, pinged: Iterable[str], guest: Report) -> tuple[Row, ...]:
    """Set what the pod had, `before` anything was wired, against what the guest reports."""
    layout, lease = pod.layout, guest.lease
    router6 = str(lease.default6 or "")
    gateways6 = _default(before.routes6)
    # The way to an IPv6 gateway is the gateway's affair: guests are told a link-local one.
    implied = {*gateways6, *(str(a.ip) for a in before.ipv6)}
    wanted = _beside(before.routes4 + before.routes6, implied)
    routes = _beside(lease.routes4 + lease.routes6, implied)
    leased = bool(lease.ipv4 and lease.ipv6)
    return (
        _same("MAC", [layout.mac], [guest.mac]),
        # A host address where the pod reaches its subnet through the gateway.
        Row("IPv4", _texts(before.ipv4), _texts(lease.ipv4), lease.ipv4 == layout.told4),
        Row(
            "IPv6",
            _texts(before.ipv6),
            _texts(lease.ipv6),
            {a.ip for a in before.ipv6} == {a.ip for a in lease.ipv6},
        ),
        _same("IPv4 router", _default(before.routes4), _default(lease.routes4)),
        Row(
            # Guests take link-local routers only; which one is right is the layout's affair.
            "IPv6 router",
            _texts(_default(before.routes6)),
            _texts(_default(lease.routes6)),
            router6 == layout.router if layout.router else router6.startswith("fe80:"),
        ),
        Row(
            "routes",
            _routes(wanted),
            _routes(routes),
            set(routes) >= {(to, router6 if via in gateways6 else via) for to, via in wanted},
        ),
        _same("DNS", NAMESERVERS, lease.dns),
        _same("search", SEARCH, lease.search),
        _same("MTU", [before.mtu], [lease.mtu]),
        Row("lease", ("",), (_duration(lease.lease_seconds) if leased else "",), leased),
        *(_ping(address, pinged, guest.reached) for address in REMOTES),
    )


def render(title: tuple[str, str, str], rows: Iterable[Row]) -> str:
    """Return aligned columns; every row says whether the guest has what the pod had."""
    cells = [title]
    for row in rows:
        height = max(len(row.pod), len(row.guest), 1)
        name = (row.name, *[""] * (height - 1))
        mark = ("" if row.good else "MISSING", *[""] * (height - 1))
        pod, guest = (cell + ("",) * (height - len(cell)) for cell in (row.pod, row.guest))
        cells += zip(name, pod, (f"{g:<27} {m}" for g, m in zip(guest, mark, strict=True)),
                     strict=True)  # fmt: skip
    widths = [max(len(line[column]) for line in cells) for column in (0, 1)]
    lines = [f"  {a:<{widths[0]}}   {b:<{widths[1]}}   {c}".rstrip() for a, b, c in cells]
    rule = "  " + "-" * (max(len(line) for line in lines) - 2)
    return "\n".join((lines[0], rule, *lines[1:]))


def missing(rows: Iterable[Row]) -> list[str]:
    """Name what the guest has not got, with what it should be."""
    return [
        f"{row.name}: guest has {', '.join(filter(None, row.guest)) or 'nothing'}"
        f", pod has {', '.join(row.pod)}"
        for row in rows
        if not row.good
    ]


def _same(name: str, pod: Iterable[object], guest: Iterable[object]) -> Row:
    have, got = _texts(pod), _texts(guest)
    return Row(name, have, got, have == got)


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _default(routes: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    return tuple(via or "on-link" for destination, via in routes if destination == "default")


def _beside(
    routes: Iterable[tuple[str, str | None]], implied: set[str]
) -> list[tuple[str, str | None]]:
    return [route for route in routes if route[0] not in {"default", *implied}]


def _routes(routes: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    return tuple(f"{to} via {via}" if via else to for to, via in routes)


def _duration(seconds: int | None) -> str:
    return "for ever" if seconds is None else f"{seconds} s"


def _ping(address: str, pinged: Iterable[str], reached: Iterable[str]) -> Row:
    pod, guest = ("answered" if address in found else "no answer" for found in (pinged, reached))
    return Row(f"ping {address}", (pod,), (guest,), address in reached)
