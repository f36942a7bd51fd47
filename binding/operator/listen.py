"""Listens for a moment at guests' taps and pod NICs, and asks each guest who has its addresses.

The guest is asked at its tap, from dsbridge's own MAC: frames that are put on a tap reach that
guest only. A guest that has answered has its gateways asked for their MAC, by the pod NIC, as
`serve` asks them: in the guest's name. So it shows whether frames come through in both directions.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from binding.operator import questions, traffic
from binding.operator.questions import Wanted
from binding.operator.traffic import Traffic
from binding.packet import bpf
from binding.packet.port import Port
from guest.network import Address, GuestNetwork

_MOST_FRAMES = 400
"""Read of a guest's own traffic at one link."""
_MOST_MESSAGES = 2_000
"""Read at one link of what configures a guest."""
_ASKED_AGAIN = 0.7
"""Seconds after which a guest or a gateway that has not answered is asked again."""
_PROBES = 2
"""Times that other hosts are asked whether they have an address of a guest that is there."""
_PATIENCE = 5.0
"""Seconds for a guest or a gateway that has not answered, instead of those for the others."""
_ANSWER_TAKES = 1.0
"""Seconds within which a machine answers ARP or a neighbour solicitation, on a busy node, too."""
_Take = Callable[[Traffic, GuestNetwork, bytes, float], None]


@dataclass(slots=True)
class _Socket:
    """One packet socket, what takes its frames, and how many more it takes."""

    port: Port
    guest: GuestNetwork
    take: _Take
    left: int


def listen(
    guests: tuple[GuestNetwork, ...], seconds: float, wanted: Mapping[str, Wanted]
) -> dict[str, Traffic]:
    """Listen at all of them at once; needs NET_RAW. A link that is gone is left out.

    `wanted` is what to ask, by network. Who does not answer is waited for longer.
    """
    found = {guest.network: Traffic() for guest in guests}
    sockets = {one.port.socket.fileno(): one for guest in guests for one in _opened(guest)}
    taps, nics = (
        [one for one in sockets.values() if one.take is take]
        for take in (traffic.at_tap, traffic.at_nic)
    )
    taps = [one for one in taps if not wanted[one.guest.network].is_elsewhere]
    for one in nics:
        found[one.guest.network].has_nic = True
    begun = time.monotonic()
    while True:
        now = time.monotonic()
        missing = [one for one in taps if _is_missing(found[one.guest.network], one.guest, wanted)]
        silent = [(one, gateway) for one in nics for gateway in _silent(one, found, wanted)]
        until = begun + (max(seconds, _PATIENCE) if missing or silent else seconds)
        if now >= until:
            break
        for one in taps if now - begun < _ASKED_AGAIN else missing:
            for frame in questions.to_guest(one.guest, wanted[one.guest.network]):
                one.port.send(frame)
        _ask_others(nics, found)
        for one, gateway in silent:
            found[one.guest.network].asked.add(str(gateway))
            one.port.send(questions.to_gateway(one.guest, gateway))
        _until(min(now + _ASKED_AGAIN, until), sockets, found)
    for one in taps:
        found[one.guest.network].was_asked = True
    for one in sockets.values():
        one.port.socket.close()
    for of_one in found.values():
        of_one.forget_questions_since(until - _ANSWER_TAKES)
    return found


def _ask_others(nics: list[_Socket], found: Mapping[str, Traffic]) -> None:
    """Ask whether other hosts have the addresses of guests that are there."""
    for one in nics:
        seen = found[one.guest.network]
        if seen.answers and seen.probes < _PROBES:
            seen.probes += 1
            for frame in questions.to_others(one.guest):
                one.port.send(frame)


def _is_missing(found: Traffic, guest: GuestNetwork, wanted: Mapping[str, Wanted]) -> bool:
    """Tell whether a guest has not answered for an address that it should have, or not outside."""
    given = wanted[guest.network].given
    expected = {str(one) for one in guest.addresses if one in given or found.uses(str(one))}
    return not expected <= found.answers or bool(found.stays_inside)


def _silent(
    one: _Socket, found: Mapping[str, Traffic], wanted: Mapping[str, Wanted]
) -> Iterator[Address]:
    """Yield the gateways of a guest which is there whose answer has not come to its tap."""
    guest, seen = one.guest, found[one.guest.network]
    for gateway in wanted[guest.network].gateways:
        own = guest.ipv4 if gateway.version == 4 else guest.ipv6
        if any(str(each.ip) in seen.answers for each in own) and str(gateway) not in seen.answered:
            yield gateway


def _opened(guest: GuestNetwork) -> Iterator[_Socket]:
    """Open two sockets at each link: messages must not be lost among the guest's own traffic."""
    messages = bpf.program((*bpf.CAPTURE_RULES, *questions.ECHO_RULES))
    wanted: list[tuple[str, tuple[bpf.Instruction, ...], _Take, int]] = [
        (guest.tap, bpf.EVERYTHING, traffic.at_tap, _MOST_FRAMES),
        (guest.tap, messages, traffic.messages_at_tap, _MOST_MESSAGES),
    ]
    if guest.nic and guest.nic != guest.tap:
        wanted += [
            (guest.nic, bpf.EVERYTHING, traffic.at_nic, _MOST_FRAMES),
            (guest.nic, messages, traffic.messages_at_nic, _MOST_MESSAGES),
            (guest.nic, messages, traffic.messages_out_by_nic, _MOST_MESSAGES),
        ]
    for link, rules, take, most in wanted:
        try:
            port = Port.open(link, rules)
        except OSError:  # the link is gone, as other findings say
            continue
        # What the guest is told, by others or by dsbridge, goes out by its tap.
        port.hear_outgoing(wanted=take in (traffic.messages_at_tap, traffic.messages_out_by_nic))
        yield _Socket(port, guest, take, most)


def _until(until: float, sockets: dict[int, _Socket], found: dict[str, Traffic]) -> None:
    poll = select.poll()
    for number in sockets:
        poll.register(number, select.POLLIN)
    while (left := until - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            one = sockets[number]
            of_one, one.left = found[one.guest.network], one.left - 1
            try:
                frame, vid, is_outgoing = one.port.receive_one()
            except OSError:  # the link went down or away
                one.left = 0
            else:
                if one.take is traffic.messages_out_by_nic and not is_outgoing:
                    continue
                if vid == 0:
                    one.take(of_one, one.guest, frame, time.monotonic())
                elif one.take is traffic.at_tap:
                    of_one.vlans[vid] += 1
            if one.left <= 0:
                of_one.is_cut = True
                poll.unregister(number)
