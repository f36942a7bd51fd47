"""Requests of DHCP sent again: found by their octets, before anything is read. Pure.

A client that tries again sends the same frame but for its transaction id, seconds, and what IP and
UDP count. Those octets are set aside and the others compared with a frame that has been read; the
checksums, which cover what was set aside, are verified.
"""

from __future__ import annotations

from binding.serve.answers import Answer
from guest.ethernet import UDP

_MOST = 16
# EtherType with the first octet of IP: IPv4 without options, IPv6.
_IPV4, _IPV6 = b"\x08\x00\x45", b"\x86\xdd\x60"
_KIND = slice(12, 15)


class SentAgain:
    """The latest requests of one guest."""

    def __init__(self) -> None:
        self._sent: dict[tuple[bytes, ...], tuple[Answer, int]] = {}
        """By the octets compared: the answer, and where the UDP datagram ends in the frame."""

    def find(self, frame: bytes, *, partial_checksum: bool) -> tuple[Answer, bytes] | None:
        """Return the answer to a frame and its transaction id, if it is one sent again."""
        kind = frame[_KIND]
        if kind == _IPV4:
            sent = self._sent.get(_ipv4(frame))
            number, addresses = frame[46:50], 26
            if sent is None or int.from_bytes(frame[14:34], "big") % 0xFFFF:
                return None
        elif kind == _IPV6:
            sent = self._sent.get(_ipv6(frame))
            number, addresses = frame[63:66], 22
            if sent is None or frame[60:62] == b"\0\0":  # RFC 8200 section 8.1
                return None
        else:
            return None
        if not partial_checksum:
            end = sent[1]
            datagram = int.from_bytes(frame[addresses:end], "big") << (end % 2 * 8)
            length = end - (34 if kind == _IPV4 else 54)
            if (datagram + length + UDP) % 0xFFFF:
                return None
        return sent[0], number

    def keep(self, frame: bytes, answer: Answer) -> None:
        """Take note of a frame that was read and answered."""
        kind = frame[_KIND]
        if kind == _IPV4:
            octets, end = _ipv4(frame), 34 + int.from_bytes(frame[38:40], "big")
        elif kind == _IPV6 and frame[20] == UDP:
            octets, end = _ipv6(frame), 54 + int.from_bytes(frame[58:60], "big")
        else:
            return
        if len(self._sent) >= _MOST and octets not in self._sent:
            del self._sent[next(iter(self._sent))]
        self._sent[octets] = answer, end


def _ipv4(frame: bytes) -> tuple[bytes, ...]:
    """Set aside identification, both checksums, transaction id and seconds."""
    return frame[:18], frame[20:24], frame[26:40], frame[42:46], frame[52:]


def _ipv6(frame: bytes) -> tuple[bytes, ...]:
    """Set aside the flow label, the checksum and the transaction id."""
    return frame[:15], frame[18:60], frame[62:63], frame[66:]
