"""One run of busybox's DHCPv4 client that configures nothing: what the guest would be leased."""

from __future__ import annotations

from tests.bed.netns import Netns
from tests.bed.wait import crowd


def asked_once(guest: Netns, *, hostname: str = "a", tries: int = 5) -> str:
    """Ask once a second, `tries` times on a quiet machine, and return what udhcpc says.

    Under another host name its requests are no repetition of those before.
    """
    tries = round(tries * crowd())
    words = f"udhcpc -f -n -q -t {tries} -T 1 -x hostname:{hostname} -i eth0 -s /bin/true"
    return guest.run("sh", "-c", f"busybox {words} 2>&1", check=False, timeout=600)


def leased(guest: Netns, *, hostname: str = "a", tries: int = 5) -> bool:
    """Say whether it gets a lease."""
    return "obtained" in asked_once(guest, hostname=hostname, tries=tries)
