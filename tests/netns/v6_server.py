"""DHCPv6 and a minimal RA on one link: `python -m tests.netns.v6_server LINK`.

Each line on stdin is a GuestNetwork from then on; each exchange is a line on stdout.
"""

from __future__ import annotations

import select
import sys

from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Ether

from binding import bpf
from binding.codec import decode
from binding.frame import ICMPV6, parse
from binding.guest import OUR_LINK_LOCAL, OUR_MAC, GuestNetwork
from binding.port import Port
from dhcp import v6


def advertisement(guest: GuestNetwork) -> bytes:
    """O as ever, M where addresses come from DHCPv6."""
    return bytes(
        Ether(src=OUR_MAC, dst="33:33:00:00:00:01")
        / IPv6(src=str(OUR_LINK_LOCAL), dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(M=int(guest.ipv6_mode != "slaac"), O=1, routerlifetime=1800)
        / ICMPv6NDOptSrcLLAddr(lladdr=OUR_MAC)
    )


def main() -> None:
    port = Port.open(sys.argv[1], bpf.program(bpf.GUEST_RULES))
    guest = decode(GuestNetwork, sys.stdin.readline())
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([sys.stdin, port.socket], [], [])
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            guest = decode(GuestNetwork, line)
        for received in port.receive():
            packet = parse(received.frame, partial_checksum=received.partial_checksum)
            if packet is None:
                continue
            if packet.protocol == ICMPV6:
                port.send(advertisement(guest))
            elif exchange := v6.answer(packet, guest):
                port.send(exchange.frame)
                print(exchange.request, exchange.reply, exchange.note, flush=True)


if __name__ == "__main__":
    main()
