"""AF_PACKET at one link: filtered frames in, whole frames out."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from binding.packet import bpf, links
from guest.ethernet import ETH_SERVICE_VLAN, ETH_VLAN, VLAN_ID, untagged

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_SO_ATTACH_FILTER = 26
_CHECKSUM_NOT_READY = 1 << 3  # TP_STATUS_CSUMNOTREADY
_VLAN_VALID = 1 << 4  # TP_STATUS_VLAN_VALID
_AUXDATA = struct.Struct("=IIIHHHH")
_TAGS = (ETH_VLAN, ETH_SERVICE_VLAN)
# A jumbo frame. What is longer is cut and fails its checks: nothing that a guest sends
# may outgrow the channel to the parent, which a frame crosses as JSON.
_LONGEST = 9_216
BATCH = 64
"""Frames taken at one wake-up, so that a flood at one link starves nobody."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame and the kernel's word on its checksum."""

    frame: bytes
    partial_checksum: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame that came while `serve` started: to answer, or answered and to be noted."""

    link: str
    received: Received
    answered: bool


class Port:
    """One link's packet socket. Frames that we send are never received again."""

    def __init__(self, link: str, sock: socket.socket) -> None:
        self.link = link
        self.socket = sock

    @classmethod
    def open(cls, link: str, rules: tuple[bpf.Instruction, ...], place: str | None = None) -> Port:
        """Open it and listen at `place`, by default at the link itself.

        Raises PermissionError without NET_RAW, OSError without the link.
        """
        # Protocol 0 queues nothing until bind, when the filter is already in place.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            port = cls(link, sock)
            port.restrict(rules)
            sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            port.listen(place or link)
        except OSError:
            sock.close()
            raise
        return port

    @property
    def is_bound(self) -> bool:
        """Whether it still hears its link: not so when that was removed, or made anew."""
        return self._place in (self.link, links.listening_bridge(self.link))

    @property
    def _place(self) -> str:
        return str(self.socket.getsockname()[0])

    def listen(self, place: str) -> None:
        """Listen at the link itself or at its listening bridge, where all frames are outgoing.

        Takes no privilege, but milliseconds in which the socket hears nothing.
        """
        self.hear_outgoing(wanted=place != self.link)
        self.socket.bind((place, _ETH_P_ALL))

    def settle(self) -> None:
        """Listen where that costs the guest's own traffic least, as long as there is a link."""
        place = links.place(self.link)
        if place != self._place:
            with suppress(OSError):
                self.listen(place)

    def hear_outgoing(self, *, wanted: bool) -> None:
        """Hear what is sent out by the link, too."""
        self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, not wanted)

    def restrict(self, rules: tuple[bpf.Instruction, ...]) -> None:
        """Replace the filter in one step."""
        code = ctypes.create_string_buffer(bpf.packed(rules))
        program = struct.pack("HL", len(rules), ctypes.addressof(code))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def receive(self) -> Iterator[Received]:
        """Yield what is queued, at most BATCH frames."""
        for _ in range(BATCH):
            try:
                frame, ancillary, _, _ = self.socket.recvmsg(
                    _LONGEST, socket.CMSG_SPACE(_AUXDATA.size)
                )
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # link went down: said once, then again when up
                    return
                raise
            status, vid = _status(ancillary)
            plain = frame if status & _VLAN_VALID else untagged(frame)
            # Two tags, even of VID 0, are not how a guest sends on the network that is its own.
            if vid == 0 and int.from_bytes(plain[12:14], "big") not in _TAGS:
                yield Received(plain, bool(status & _CHECKSUM_NOT_READY))

    def send(self, frame: bytes) -> bool:
        """Put a frame on the link; False when the link is down, gone or full."""
        try:
            self.socket.sendto(frame, (self.link, 0))
        except OSError:
            return False
        return True


def _status(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Return the status bits and the VID of the tag that the kernel took out, 0 without one."""
    for level, kind, data in ancillary:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA) and len(data) >= _AUXDATA.size:
            status, *_, tag, _ = _AUXDATA.unpack_from(data)
            return status, tag & VLAN_ID if status & _VLAN_VALID else 0
    return 0, 0
