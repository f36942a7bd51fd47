"""The status object as metrics in Prometheus' text exposition format. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from binding.ipc.status import GuestStatus, Status
from binding.operator.protocols import bare, is_answer, is_message, protocol
from binding.packet.guard import Dropped
from binding.process.logs import epoch

Sample = tuple[dict[str, str], float]
_GIVEN = {"ipv4": ("ACK",), "ipv6": ("REPLY",)}


def prometheus(status: Status, dropped: Iterable[Dropped] = ()) -> str:
    """Return all metrics; `dropped` is what the guard has dropped, where that could be seen."""
    vmi = {"namespace": status.vmi.namespace, "vmi": status.vmi.name}
    families: tuple[tuple[str, str, str, Iterable[Sample]], ...] = (
        ("info", "gauge", "Version and plugin name of the sidecar.",
         [({**vmi, "version": status.version, "plugin": status.plugin}, 1)]),
        ("guard", "gauge", "Whether the guard is on, where one is needed.",
         [(vmi, int(status.guard != "off"))]),
        ("start_time_seconds", "gauge", "When the sidecar started.",
         [(vmi, epoch(status.started))]),
        ("process_restarts_total", "counter", "Ends of a program not of its own will.",
         [({**vmi, "process": one.name}, one.restarts) for one in status.processes]),
        ("process_anonymous_bytes", "gauge", "Anonymous memory of a program.",
         [({**vmi, "process": one.name}, one.memory) for one in status.processes]),
        ("requests_total", "counter", "Messages of the guest, by protocol and name.",
         _of(status, vmi, lambda guest: _messages(guest, answers=False))),
        ("answers_total", "counter", "Messages to the guest, by protocol and name.",
         _of(status, vmi, lambda guest: _messages(guest, answers=True))),
        ("silences_total", "counter", "Requests without an answer, by the reason for it.",
         _of(status, vmi, _silences)),
        ("malformed_total", "counter", "Frames to our ports that hold no readable request.",
         _of(status, vmi, lambda guest: [({}, guest.counters.get("malformed", 0))])),
        ("rogue_messages_total", "counter", "Messages of other servers and routers that were seen.",
         _of(status, vmi, _rogues)),
        ("address_given", "gauge", "Whether the guest has been given its address by DHCP.",
         _of(status, vmi, _given)),
        ("last_request_timestamp_seconds", "gauge", "When the guest last asked anything; 0: never.",
         _of(status, vmi, lambda guest: [({}, epoch(guest.last_heard))])),
        ("warnings", "gauge", "Warnings that stand against a guest's network.",
         _of(status, vmi, lambda guest: [({}, len(guest.warnings))])),
        ("guard_dropped_packets_total", "counter", "Packets that the guard has dropped.",
         [({**vmi, "link": one.link, **_dropped(one.message)}, one.packets) for one in dropped]),
    )  # fmt: skip
    return "\n".join(line for family in families for line in _family(*family))


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> Iterator[str]:
    lines = [_sample(name, labels, value) for labels, value in samples]
    if lines:
        yield f"# HELP dsbridge_{name} {about}"
        yield f"# TYPE dsbridge_{name} {kind}"
        yield from lines


def _of(
    status: Status,
    vmi: dict[str, str],
    samples: Callable[[GuestStatus], Iterable[Sample]],
) -> Iterator[Sample]:
    for guest in status.guests:
        for labels, value in samples(guest):
            yield {**vmi, "network": guest.network, **labels}, value


def _messages(guest: GuestStatus, *, answers: bool) -> Iterator[Sample]:
    for message, count in guest.counters.items():
        if is_message(message) and is_answer(message) == answers:
            yield {"protocol": protocol(message), "message": bare(message)}, count


def _silences(guest: GuestStatus) -> Iterator[Sample]:
    for key, count in guest.silences.items():
        message, _, reason = key.partition(": ")
        labels = {"protocol": protocol(message), "message": bare(message), "reason": reason}
        yield labels, count


def _rogues(guest: GuestStatus) -> Iterator[Sample]:
    for name, count in guest.counters.items():
        if name.startswith("rogue "):
            message = name.removeprefix("rogue ")
            yield {"protocol": protocol(message), "message": message}, count


def _given(guest: GuestStatus) -> Iterator[Sample]:
    for family, replies in _GIVEN.items():
        if getattr(guest, family) and getattr(guest.modes, family) in ("dhcp", "both"):
            # A guest that came by migration was given it on the node that it came from.
            given = guest.arrived or any(guest.counters.get(one) for one in replies)
            yield {"family": family}, int(given)


def _dropped(message: str) -> dict[str, str]:
    """Return protocol and message of one of the guard's rules, such as `dhcp4-to-client`."""
    first, _, rest = message.partition("-")
    if first in ("dhcp4", "dhcp6", "arp"):
        return {"protocol": first, "message": rest or message}
    is_nd = first in ("rs", "ra", "ns", "na", "redirect")
    return {"protocol": "nd" if is_nd else "", "message": message}


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
    return f"dsbridge_{name}{{{inner}}} {value}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
