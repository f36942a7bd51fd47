"""Runs `plumb`, which does one thing to the pod's network namespace, answers and exits."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from binding.ipc.channel import receive_with_descriptors
from binding.ipc.codec import decode
from binding.ipc.messages import Undone
from binding.process.loop import Future, Loop, within
from binding.process.progress import EVERY, Progress
from binding.process.spawn import Process

_WITHIN = 15.0
"""Seconds; virt-handler gives the whole of SyncVMI 20."""
_ROLLS_BACK_WITHIN = 5.0
_CHUNK = 65_536


class PlumbError(Exception):
    """An action that failed, and was undone."""

    def __init__(self, action: str, step: str, reason: str, privilege: str = "") -> None:
        super().__init__(f"{step}: {reason}")
        self.action = action
        """The action that failed; the actions asked for before it were done."""
        self.privilege = privilege
        """The capability or device that is missing, if that is the reason."""


@dataclass(frozen=True, slots=True)
class Done:
    """What `plumb` answered."""

    lines: tuple[bytes, ...]
    """JSON, one line for each action."""
    descriptors: tuple[int, ...]
    """The receiver closes them."""


async def plumb(loop: Loop, actions: Mapping[str, str]) -> Done:
    """Run actions, each with its line of input.

    Raises PlumbError at the first action that fails, OSError where the node is short of a process.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    with theirs, _file("".join(f"{line}\n" for line in actions.values())) as asked:
        try:
            loop.watch(ours, lambda: None)  # if this fails, no plumb is started
            process = Process(
                "binding.plumb", actions, stdin=asked.fileno(), stdout=theirs.fileno()
            )
        except OSError:
            loop.unwatch(ours)
            ours.close()
            raise
    try:
        return await _answer(loop, process, ours, list(actions))
    finally:
        loop.unwatch(ours)
        ours.close()


def _file(text: str) -> BinaryIO:
    file = open(os.memfd_create("plumb"), "w+b")  # noqa: SIM115  # its user closes it
    file.write(text.encode())
    file.seek(0)
    return file


async def _answer(loop: Loop, process: Process, answers: socket.socket, names: list[str]) -> Done:
    output, descriptors, ended = bytearray(), list[int](), Future[None]()

    def readable() -> None:
        data, beside = receive_with_descriptors(answers, _CHUNK, 4)
        descriptors.extend(beside)
        output.extend(data)
        if not data:
            loop.unwatch(answers)
            ended.set(None)

    loop.watch(answers, readable)
    late = await _watched(loop, process, ended)
    if late:
        process.kill(signal.SIGTERM)  # wiring is rolled back on SIGTERM
        process.kill(signal.SIGCONT)  # a stopped process heeds SIGTERM only then
        with suppress(TimeoutError):
            await within(loop, _ROLLS_BACK_WITHIN, ended)
        process.kill()
    status = process.poll()
    while status is None:
        await loop.sleep(0.01)
        status = process.poll()
    if status == 0:
        return Done(tuple(bytes(output).splitlines()), tuple(descriptors))
    for descriptor in descriptors:
        os.close(descriptor)
    if late:
        raise PlumbError(names[0], names[0], late)
    raise _failure(names, bytes(output).splitlines(), status)


async def _watched(loop: Loop, process: Process, ended: Future[None]) -> str:
    """Wait for the end of the answers; return why they are not waited for any longer, if so."""
    progress, until = Progress(process.pid), loop.now() + _WITHIN
    while loop.now() < until:
        try:
            await within(loop, min(EVERY, max(until - loop.now(), 0.0)), ended)
        except TimeoutError:
            stuck = progress.look()
            if stuck:
                return f"not done: {stuck}"
        else:
            return ""
    return f"not done within {_WITHIN:.0f} s"


def _failure(names: list[str], lines: list[bytes], status: int) -> PlumbError:
    try:
        undone = decode(Undone, lines[-1])
    except (ValueError, IndexError):
        action = names[min(len(lines), len(names) - 1)]
        reason = f"plumb ended with status {status}; its log is above"
        return PlumbError(action, action, reason)
    action = names[min(len(lines), len(names)) - 1]
    return PlumbError(action, undone.step, undone.error, undone.privilege)
