"""The pod's resolver as /etc/resolv.conf has it (resolv.conf(5)). Pure: text in, values out."""

from __future__ import annotations

from ipaddress import ip_address

from guest.network import Address


def parse(text: str) -> tuple[tuple[Address, ...], tuple[str, ...]]:
    """Return name servers and search list. Lines that are neither are skipped.

    The last `search` line counts, without one the last `domain` line; `.` is no domain. Name
    servers on the loopback or with a zone (fe80::1%eth0) are left out: the guest cannot reach them.
    """
    servers: list[Address] = []
    search: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", server, *_] if "%" not in server:
                servers += _address(server)
            case ["search", *names] if names:
                search = tuple(name for name in names if name != ".")
            case ["domain", name, *_] if name != ".":
                domain = (name,)
    return tuple(dict.fromkeys(servers)), search or domain


def _address(text: str) -> list[Address]:
    try:
        address = ip_address(text)
    except ValueError:
        return []
    return [] if address.is_loopback else [address]
