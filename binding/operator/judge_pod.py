"""Judges what concerns the whole pod: privileges, processes, hook calls, packet filters. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, ProcessStatus, Status
from binding.operator.look import Look
from binding.operator.remedies import POLICY, finding, ok
from binding.packet.bridge_filters import is_at_links, passed_by

_STOPPED = ("T", "t")


def judge(status: Status, look: Look) -> Iterator[Finding]:
    """Yield the findings about the sidecar itself."""
    yield from _privileges(status, look)
    yield from _processes(status, look)
    yield from _calls(status, look)
    yield from _guard(status, look)


def _privileges(status: Status, look: Look) -> Iterator[Finding]:
    needs = any(one.provider != "off" and one.ipv4 + one.ipv6 for one in status.guests)
    if "NET_RAW" in look.permitted:
        yield ok("the container is granted NET_RAW: guests can be answered")
    elif needs or not status.guests:
        text = "the container lacks NET_RAW: no guest can be answered"
        yield finding("harm", text, "no-net-raw", time=look.time)


def _processes(status: Status, look: Look) -> Iterator[Finding]:
    for one in status.processes:
        # A program that has left of its own will since it was asked for has no state.
        state = look.processes.get(one.name, "")
        if one.phase == "hung" or state in _STOPPED:
            text = f"{one.name} does not answer (pid {one.pid}, {_words(state)})"
            yield finding("harm", text, "process-hung", time=look.time)
        if one.restarts:
            yield _restarted(one, look)
    if look.out_of_memory:
        what = "a process" if look.out_of_memory == 1 else f"{look.out_of_memory} processes"
        text = f"the kernel has killed {what} here for want of memory"
        yield finding("warning", text, "process-restarted", time=look.time)
    if look.unsaved:
        text = f"what is decided for the guests is not saved: {look.unsaved}; a restarted sidecar"
        yield finding("warning", f"{text} serves none", "not-saved", time=look.time)
    if removed := status.removed:
        text = f"somebody has removed {removed.text} from the sidecar's directory; made again"
        yield finding("warning", text, "state-removed", time=removed.time)
    yield ok(f"the sidecar {status.version} runs since {status.started}")
    if error := status.last_plumb_error:
        text = f"the pod could not be made as it should be: {error.text}"
        yield finding("warning", text, "pod-not-mended", time=error.time)


def _restarted(one: ProcessStatus, look: Look) -> Finding:
    why = one.last_end
    if "SIGKILL" in why and ":" not in why and look.out_of_memory:
        why += ", out of memory"
    times = "once" if one.restarts == 1 else f"{one.restarts} times"
    text = f"{one.name} was started again {times}; it ended last by: {why}"
    return finding("warning", text, "process-restarted", time=one.last_end_at)


def _words(state: str) -> str:
    return "stopped" if state in _STOPPED else "hung"


def _calls(status: Status, look: Look) -> Iterator[Finding]:
    call = status.last_call
    if call is not None and call.text != "done":
        text = f"KubeVirt's last call was refused: {call.text}"
        yield finding("harm", text, "refused-start", time=call.time)
    elif not status.guests:
        yield finding("warning", "no guest is served", "no-guest", time=look.time)
    if not look.hook_socket and call is not None:
        text = "the socket by which KubeVirt calls is gone: somebody has removed it"
        yield finding("warning", text, "hook-socket", time=look.time)
    for warning in status.warnings:
        yield finding("warning", warning, "settings", time=call.time if call else look.time)


def _guard(status: Status, look: Look) -> Iterator[Finding]:
    takeover = any(one.shape == "takeover" for one in status.guests)
    if status.guard == "off" and "NET_ADMIN" not in look.permitted:
        text = "the guard is off, as NET_ADMIN is left out: other servers may answer the guests"
        if takeover:
            yield finding("warning", text, "guard-off", remedy=POLICY)
        else:
            yield ok(text)
    elif status.guard == "off" and status.guests:
        why = next(
            (one.text for guest in status.guests for one in guest.warned if one.kind == "guard"),
            look.guard_error or "its reason is in the log",
        )
        yield finding("warning", f"the guard is off: {why}", "guard-off", time=look.time)
    elif status.guard == "not needed":
        yield ok("no guard is needed: nothing is served here")
    elif look.guard is not None and look.guard.wrong:
        text = f"the guard is not as it should be: {'; '.join(look.guard.wrong)}"
        yield finding("warning", text, "guard-changed", time=look.time)
    elif status.guard == "on":
        yield _guarded(status, look)
    yield from _foreign(look)


def _guarded(status: Status, look: Look) -> Finding:
    dropped = look.guard.dropped if look.guard else ()
    counts = ", ".join(
        f"{one.packets} {one.message} at {one.link}" for one in dropped if one.packets
    )
    ours = any("in-pod" in (one.provider, *one.serves.values()) for one in status.guests)
    what = "no other server reaches the guests" if ours else "no guest is a server for others"
    evidence = f"dropped: {counts}" if counts else ""
    return ok(f"the guard is on: {what}", evidence=evidence, time=look.time)


def _foreign(look: Look) -> Iterator[Finding]:
    for text in look.guard.foreign if look.guard else ():
        is_passed = is_at_links(text)
        if is_passed or (setting := passed_by(text, look.bridge_filters)):
            what = f"a packet filter of others can drop what guests send or get: {text}"
            evidence = "" if is_passed else f"on: {setting}"
            yield finding("warning", what, "foreign-rules", evidence=evidence, time=look.time)
