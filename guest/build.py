"""Builds the bytes of a packet from scapy's layers, without the copies that scapy's `/` makes.

The copies take two thirds of the time of an answer. For layers made for this one packet, each
field with one value.
"""

from __future__ import annotations

from itertools import pairwise

from scapy.packet import Packet


def built(*layers: Packet) -> bytes:
    """Return the bytes of the packet; lengths and checksums are filled in by scapy."""
    for layer in layers:
        layer.explicit = True
    for below, above in pairwise(layers):
        below.add_payload(above)
    return bytes(layers[0])
