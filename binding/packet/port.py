"""AF_PACKET at one link: filtered frames in, whole frames out."""

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, Self

from binding.packet import bpf, links
from guest.ethernet import TAGS, VLAN_ID, untagged

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_SO_ATTACH_FILTER = 26
_CHECKSUM_NOT_READY = 1 << 3  # TP_STATUS_CSUMNOTREADY
_VLAN_VALID = 1 << 4  # TP_STATUS_VLAN_VALID
_AUXDATA = struct.Struct("=I12xH2x")  # struct tpacket_auxdata: its status, and a tag's 16 bits
_ANCILLARY = socket.CMSG_SPACE(_AUXDATA.size)
# A jumbo frame. A longer frame is cut and fails its length checks: nothing that a guest sends
# may outgrow the channel from serve to the sidecar, which a frame crosses as JSON.
_LONGEST = 9_216
BATCH = 64
"""Frames read at one wake-up, so that a flood at one link does not starve other links."""


class Received(NamedTuple):
    """A frame without a tag of VID 0, and what the kernel says of its checksum."""

    frame: bytes
    partial_checksum: bool
    """The guest left it to be filled in by hardware."""


class Port:
    """One link's packet socket. Frames that we send are never received again."""

    def __init__(self, link: str, sock: socket.socket) -> None:
        self.link = link
        self.socket = sock

    @classmethod
    def open(cls, link: str, rules: tuple[bpf.Instruction, ...], place: str | None = None) -> Self:
        """Open a packet socket and bind it to `place`, by default to the link itself.

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
        """Whether the socket still hears its link: not after the link was removed or made anew."""
        return self._place in (self.link, links.listening_bridge(self.link))

    @property
    def _place(self) -> str:
        return str(self.socket.getsockname()[0])

    def listen(self, place: str) -> None:
        """Bind to the link itself or to its listening bridge, where all frames are outgoing.

        Takes no privilege; for some milliseconds the socket hears nothing.
        """
        self.hear_outgoing(wanted=place != self.link)
        self.socket.bind((place, _ETH_P_ALL))

    def move_to_listening_bridge(self) -> None:
        """Bind to the listening bridge if it is up: at the link a socket costs each packet."""
        with suppress(OSError):
            place = links.place(self.link)
            if place != self._place:
                self.listen(place)

    def hear_outgoing(self, *, wanted: bool) -> None:
        """Hear frames that are sent out by the link, too."""
        self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, not wanted)

    def restrict(self, rules: tuple[bpf.Instruction, ...]) -> None:
        """Replace the filter in one step."""
        code = ctypes.create_string_buffer(bpf.packed(rules))
        program = struct.pack("HL", len(rules), ctypes.addressof(code))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def receive(self) -> Iterator[Received]:
        """Yield the queued frames that are untagged or have VID 0, at most BATCH of them."""
        for _ in range(BATCH):
            try:
                frame, ancillary, _, _ = self.socket.recvmsg(_LONGEST, _ANCILLARY)
            except BlockingIOError:
                return
            except OSError as error:
                # The link went down, which the kernel says once; or a frame finds no memory now.
                if error.errno in (errno.ENETDOWN, errno.ENOBUFS, errno.ENOMEM):
                    return
                raise
            status, vid = _status(ancillary)
            plain = frame if status & _VLAN_VALID else untagged(frame)
            # A second tag, even of VID 0, is an evasion, as in the guard.
            if vid == 0 and plain[12:14] not in TAGS:
                yield Received(plain, bool(status & _CHECKSUM_NOT_READY))

    def receive_one(self) -> tuple[bytes, int, bool]:
        """Return the next frame without a tag that the kernel took out, and its VID or 0.

        The last value tells whether the frame was on its way out by the link. Raises OSError where
        there is none, or the link went down.
        """
        frame, ancillary, _, (_, _, direction, *_) = self.socket.recvmsg(_LONGEST, _ANCILLARY)
        _, vid = _status(ancillary)
        return frame, vid, direction == socket.PACKET_OUTGOING

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
            status, tag = _AUXDATA.unpack_from(data)
            return status, tag & VLAN_ID if status & _VLAN_VALID else 0
    return 0, 0
