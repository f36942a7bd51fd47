"""`python -m tests.differential [--count N] [--seed N]`: the same requests to dsbridge and peers.

Prints each class of difference with how often it came, and what has no reason in `reasons`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass

from tests.differential import replies, request4, request6
from tests.differential.peers import PEERS, Guest
from tests.differential.reasons import reason

_BATCH = 12
_MARK = 0xA0000000
_MARK6 = 0xA00000
SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Case:
    """One request."""

    family: int
    kind: str
    twists: tuple[str, ...]


def cases(count: int, seed: int) -> list[Case]:
    """Return each kind with each single twist, then drawn ones, then what ends leases."""
    found = [Case(4, k, (t,)) for k in request4.KINDS for t in request4.TWISTS]
    found += [Case(6, k, (t,)) for k in request6.KINDS for t in request6.TWISTS]
    rng = random.Random(seed)
    while len(found) < count:
        family = rng.choice((4, 6))
        drawn = (request4 if family == 4 else request6).drawn(rng)
        found.append(Case(family, *drawn))
    found += [Case(4, k, (t,)) for k in request4.LAST for t in request4.TWISTS]
    found += [Case(6, k, (t,)) for k in request6.LAST for t in request6.TWISTS]
    return found


def asked(guest: Guest, all_: list[Case]) -> list[str]:
    """Return what each request was answered."""
    server = _server_id(guest)
    said = [SILENCE] * len(all_)
    begun = time.monotonic()
    for start in range(0, len(all_), _BATCH):
        batch = all_[start : start + _BATCH]
        for number, case in enumerate(batch, start):
            if case.family == 4:
                guest.send(request4.made(case.kind, case.twists, number + 1))
            else:
                guest.send(request6.made(case.kind, case.twists, number + 1, server))
        for number, words in _until_marks(guest, start, server):
            if 0 < number <= len(all_) and said[number - 1] == SILENCE:
                said[number - 1] = words
    print(f"  {len(all_) / (time.monotonic() - begun):.0f} requests/s", flush=True)
    return said


def _server_id(guest: Guest) -> bytes:
    """Return the DUID by which a server wants to be named."""
    for _ in range(50):
        guest.send(request6.made("SOLICIT", ("none",), _MARK6, b""))
        while (frame := guest.receive(0.3)) is not None:
            if replies.number6(frame) == _MARK6:
                return dict(replies.options6(frame[66:]))[2]
    raise TimeoutError("no server answers SOLICIT")


def _until_marks(guest: Guest, start: int, server: bytes) -> list[tuple[int, str]]:
    """Read until an honest request of each family behind the batch is answered."""
    found: list[tuple[int, str]] = []
    mark4, mark6 = _MARK + start, _MARK6 + start % 0x50000
    wanted = {mark4, mark6 << 40}
    for _ in range(100):
        if mark4 in wanted:
            guest.send(request4.made("DISCOVER", ("none",), mark4))
        if mark6 << 40 in wanted:
            guest.send(request6.made("INFORMATION-REQUEST", ("none",), mark6, server))
        until = time.monotonic() + 0.3
        while wanted and time.monotonic() < until:
            frame = guest.receive(0.1)
            if frame is None:
                continue
            if (number := replies.number4(frame)) is not None:
                wanted.discard(number)
                found.append((number, replies.words4(frame)))
            elif (number := replies.number6(frame)) is not None:
                wanted.discard(number << 40)
                found.append((number, replies.words6(frame)))
        if not wanted:
            return found
    raise TimeoutError("no server answers an honest request any more")


def solicited(guest: Guest) -> list[str]:
    """Return whether each router solicitation was answered: routers limit how many they answer."""
    said = []
    for solicitation in request6.SOLICITATIONS.values():
        while guest.receive(1.2) is not None:  # what was sent unasked, and the limit
            continue
        guest.send(solicitation.frame())
        until, words = time.monotonic() + 1.0, SILENCE
        while time.monotonic() < until and words == SILENCE:
            frame = guest.receive(0.2)
            if frame is not None and replies.is_ra(frame, solicitation.src):
                words = "RA"
        said.append(words)
    return said


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=18)
    given = parser.parse_args()
    all_ = cases(given.count, given.seed)
    said: dict[str, list[str]] = {}
    for name, peer in PEERS.items():
        print(f"{name}: {len(all_)} requests", flush=True)
        with peer() as guest:
            said[name] = [*solicited(guest), *asked(guest, all_)]
    named = [Case(6, "RS", (one,)) for one in request6.SOLICITATIONS] + all_
    return report(named, said)


def report(all_: list[Case], said: dict[str, list[str]]) -> int:
    """Print the classes of difference; return 1 if one has no reason."""
    classes: Counter[tuple[Case, tuple[str, ...]]] = Counter()
    for number, case in enumerate(all_):
        answers = tuple(said[name][number] for name in PEERS)
        if len(set(answers)) > 1:
            classes[case, answers] += 1
    print(f"{len(all_)} requests, {classes.total()} answered differently, {len(classes)} classes")
    by_reason: Counter[str] = Counter()
    unexplained = []
    for (case, answers), count in classes.items():
        why = reason(case.kind, case.twists, answers)
        by_reason[why] += count
        if not why:
            unexplained.append((case.kind, " + ".join(case.twists), *answers, str(count)))
    for words in sorted(unexplained):
        print("- " + " | ".join(words))
    for why, count in by_reason.most_common():
        print(f"{count:7} {why or 'NO REASON'}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
