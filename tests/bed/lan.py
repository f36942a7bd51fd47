"""Other machines on a pod network that is one flat layer 2, as the layout `flat` has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bed.netns import Netns, netns
from tests.bed.pod import Pod


@contextmanager
def machine(made: Pod, number: int, *, addressed: bool = True) -> Iterator[Netns]:
    """Plug one more machine into the node's bridge; its eth0 is up if it has addresses."""
    with netns("lan") as space:
        made.gateway.ip(f"""
            link add lan{number} mtu {made.layout.mtu} type veth peer name eth0 \
                mtu {made.layout.mtu} netns {space.name}
            link set lan{number} master cni0 up""")
        if addressed:
            space.ip(f"""
                link set eth0 up
                addr add 10.244.1.{number}/24 dev eth0
                addr add fd00:10:244:1::{number}/64 dev eth0 nodad""")
        yield space
