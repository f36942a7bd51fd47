"""Real DHCP and RA clients in a guest's network namespace, and what the guest ended up with.

    with client("dhclient", netns, tmp_path) as guest:
        lease = guest.lease()

`netns` holds the guest's link. Each client runs in its own mount, PID and UTS namespaces, so any
number may run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.clients.dhclient import Dhclient
from tests.bed.clients.dhcp6c import Dhcp6c
from tests.bed.clients.dhcpcd import Dhcpcd
from tests.bed.clients.ipconfig import Ipconfig
from tests.bed.clients.kernel_ra import KernelRa
from tests.bed.clients.lease import Lease
from tests.bed.clients.networkd import Networkd
from tests.bed.clients.networkmanager import NetworkManager
from tests.bed.clients.running import Client, Program
from tests.bed.clients.udhcpc import Udhcpc
from tests.bed.clients.userland import Userland, userland
from tests.bed.netns import Netns

__all__ = ["CLIENTS", "Client", "Lease", "client"]


_BOTH: dict[str, Callable[[Userland, tuple[int, ...], str], Program]] = {
    "dhclient": Dhclient,
    "dhcpcd": Dhcpcd,
    "networkd": Networkd,
    "networkmanager": NetworkManager,
}
_ONE: dict[str, Callable[..., Program]] = {
    "udhcpc": Udhcpc,
    "kernel-ra": KernelRa,
    "dhcp6c": Dhcp6c,
    "ipconfig": Ipconfig,
}
CLIENTS = (*_BOTH, *_ONE)


@contextmanager
def client(  # noqa: PLR0913  # what differs from guest to guest
    name: str,
    netns: Netns,
    workdir: Path,
    *,
    interface: str = "eth0",
    families: tuple[int, ...] = (4, 6),
    extra: str = "",
) -> Iterator[Client]:
    """Run one of CLIENTS on a link and end it, with all its children, on leaving.

    `families` are the pod's: what lease() waits for, and all that clients of both families
    ask for. `extra` adds to the configuration, in each client's own language. The link loses its
    addresses first; what the client set stays after it.
    """
    with userland(netns, interface, workdir) as guest:
        program: Program
        if name in _BOTH:
            program = _BOTH[name](guest, families, extra)
        else:
            program = _ONE[name](guest, extra=extra)  # always asks for its one family
        running = Client(name, guest, program, families)
        running.start()
        yield running
