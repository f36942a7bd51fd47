"""Messages between the sidecar and its programs, as one that was taken over could send them.

Octet 0 says how: as one datagram, or in a file beside it, or the status object that commands
read, or what somebody says to the control socket.
"""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress

from binding.ipc import channel, messages
from binding.ipc.codec import decode, encode
from binding.ipc.handover import Handover, Planned, Repeat
from binding.ipc.messages import Event, GuestReport, Message, Report
from binding.ipc.status import Status
from binding.sidecar.status import StatusPages
from tests.fuzz import mutations
from tests.samples import GUEST

_EVENT = Event("DISCOVER", "OFFER", "10.244.1.5", warning="", at=1.5, client={"client": "vm1"})
_HANDOVER = Handover("default", "tap0", "", "{}", (Planned(1.0, (b"x",), (), "{}"),), (Repeat(b"x", True),))  # fmt: skip  # noqa: E501, FBT003  # one value, one line
_SAID: tuple[Message, ...] = (
    messages.Ask(),
    messages.Alive(),
    messages.Ready(),
    messages.Serve(1, (GUEST,), {"default": (4,)}, (_HANDOVER,), (), (), ("tap0",)),
    messages.Serving(1, ("tap0",)),
    messages.Failed(1, "tap0", "x", "NET_RAW"),
    messages.Resting((_HANDOVER,)),
    Report((GuestReport("default", {"OFFER": 1}, (4, 6), {"MAC": ""}, "{}", None, (_EVENT,)),)),
    messages.Pod({"netns": 1}, ("tap0",)),
    messages.Define(1, (GUEST,), (), (), "{}", "<domain/>"),
    messages.Refused("x"),
    messages.Defined(1),
    messages.Discover(1, "{}", "<domain/>", {}),
    messages.Leaving(),
    messages.Ended(),
)
_DATAGRAM, _FILE, _FILES, _STATUS, _CONTROL = b"dfmsc"
SEEDS = [
    *(bytes((_DATAGRAM,)) + channel.encoded(one) for one in _SAID),
    *(bytes((_FILE,)) + channel.encoded(one) for one in _SAID[3:5]),
    bytes((_DATAGRAM,)) + b"\0",
    bytes((_CONTROL,)) + encode(messages.Reload("default", "{}")).encode(),
    bytes((_STATUS,)) + encode(Status("0", "dsbridge", "on")).encode(),
]
_OURS, _THEIRS = channel.pair()


def run(data: bytes) -> None:
    """A message, or ValueError; and no descriptor is left open in either case."""
    if not data:
        return
    if data[0] in (_STATUS, _CONTROL):
        with suppress(ValueError):
            decode(Status if data[0] == _STATUS else messages.Reload, data[1:])
        return
    there = len(os.listdir("/proc/self/fd"))
    _send(data[0], data[1:])
    try:
        received = channel.receive(_OURS)
    except (ValueError, BlockingIOError):
        received = None
    for descriptor in received[1] if received else ():
        os.close(descriptor)
    if received and isinstance(received[0], Report):
        _take(received[0])
    assert len(os.listdir("/proc/self/fd")) == there, "a descriptor was left open"


def _take(report: Report) -> None:
    """A report makes a status object, whoever wrote it, or one of the errors that end `serve`."""
    pages = StatusPages()
    pages.open((GUEST,), ())
    with suppress(ValueError, OverflowError, LookupError):
        pages.take(report)
    told = Status("0", "dsbridge", "on", guests=tuple(pages.guests()))
    assert decode(Status, encode(told))


def _send(how: int, text: bytes) -> None:
    if how in (_FILE, _FILES):
        with open(os.memfd_create("message"), "w+b") as file:
            file.write(text)
            file.flush()
            socket.send_fds(_THEIRS, [b"\0"], [file.fileno()] * (1 if how == _FILE else 3))
    else:
        with open("/dev/null", "rb") as file:
            descriptors = [file.fileno()] * (len(text) % 3 if text[:1] == b"[" else 0)
            socket.send_fds(_THEIRS, [text[:60_000]], descriptors)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change the JSON behind the letter."""
    return data[:1] + mutations.json_text(data[1:], rng)
