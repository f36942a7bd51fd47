"""/etc/resolv.conf of the pod, and the names and servers that a guest is told of it."""

from __future__ import annotations

import random
from dataclasses import replace

from binding.discover import resolv_conf
from binding.discover.dns_name import valid_names
from binding.ipc.codec import decode, encode
from binding.ipc.snapshot import Snapshot
from dhcp.v4_option_codec import domain_names
from tests.fuzz import mutations
from tests.samples import FLAT

SEEDS = [
    b"nameserver 10.96.0.10\nsearch ns1.svc.cluster.local svc.cluster.local\noptions ndots:5\n",
    b"# x\nnameserver fd00:10:96::a\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\ndomain a.b\n",
    b"search .\n\n;x\nsearch a..b -x.org _tcp.x xn--bcher-kva.example\xff\n",
]
_LINES = (
    b"nameserver ",
    b"search ",
    b"domain ",
    b"options ",
    b"\0",
    b"\x0b",
    b"\xc2\x85",
    b"%",
    b".",
)


def run(data: bytes) -> None:
    """Whatever stands there, what is kept of it goes to the guest and over the way there."""
    servers, search = resolv_conf.parse(data.decode(errors="replace"))
    assert not any(server.is_loopback for server in servers)
    good, _ = valid_names(search)
    assert domain_names(good) or not good
    if len(data) % 16:
        return  # the rest is slow
    pod = replace(FLAT, nameservers=servers, search=search)
    assert decode(Snapshot, encode(pod)) == pod


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change octets, or put one more word in."""
    if rng.randrange(2):
        return mutations.octets(data, rng)
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_LINES) + data[at:]
