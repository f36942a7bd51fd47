"""What a client sent, as whole frames, and a responder that is asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from binding.serve.responder import Responder
from guest.ethernet import checksum
from guest.frame import parse
from tests.samples import GUEST

VECTORS = Path(__file__).parents[1] / "vectors"


def stored(name):
    lines = (VECTORS / name).read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if line[0] != "#"))


def whole(frame):
    """Return the frame with its checksums filled in."""
    made = bytearray(frame)
    if made[12:14] == b"\x08\x00":
        made[24:26] = bytes(2)
        made[24:26] = checksum(bytes(made[14:34])).to_bytes(2, "big")
        addresses, at, udp = bytes(made[26:34]), 34, 40
    else:
        addresses, at, udp = bytes(made[22:54]), 54, 60
    made[udp : udp + 2] = bytes(2)
    segment = bytes(made[at:])
    pseudo = addresses + len(segment).to_bytes(4, "big") + (17).to_bytes(4, "big")
    made[udp : udp + 2] = checksum(pseudo + segment).to_bytes(2, "big")
    return bytes(made)


DISCOVER = whole(stored("v4/dhclient-discover.hex"))
SOLICIT = whole(stored("v6/dhclient-solicit.hex"))
REQUESTS = pytest.mark.parametrize("first", [DISCOVER, SOLICIT], ids=["DHCPv4", "DHCPv6"])
XID = {DISCOVER: slice(46, 50), SOLICIT: slice(63, 66)}
UDP_CHECKSUM = {DISCOVER: 40, SOLICIT: 60}


def responder(frame):
    packet = parse(frame)
    return Responder(replace(GUEST, mac=packet.src_mac, provider="in-pod"), 0.0)


def responder_of(frame):
    """Return a responder that has answered a frame and now rests, its first RAs out."""
    one = responder(frame)
    one.from_guest(frame, 0.0)
    return one


def said(one, frame, **how):
    """Return what comes of a request, but for what its first sight brings besides."""
    output = one.from_guest(frame, 0.0, **how)
    return [x for x in output.exchanges if x.request not in ("", "malformed")]


def edited(frame, at, value):
    return frame[:at] + value + frame[at + len(value) :]
