"""`dsbridge diagnose`: findings about a sidecar and its guests, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from binding.ipc.status import Finding, GuestStatus, Severity, Status
from binding.operator import judge_exchange, judge_others, judge_path, judge_pod, judge_wiring
from binding.operator.look import Look
from binding.operator.remedies import finding

NO_SIDECAR = 3
_EXIT: dict[Severity, int] = {"ok": 0, "warning": 1, "harm": 2}
_MARK: dict[Severity, str] = {"ok": "ok     ", "warning": "WARNING", "harm": "HARM   "}
ANCHORS: dict[str, tuple[Severity, str]] = {
    "MAC": ("warning", "other-mac"),
    "ovn-port": ("harm", "kube-ovn"),
    **{f"{service} answer": ("harm", "kube-ovn") for service in ("v4", "v6", "RA")},
    **{f"{service} address": ("harm", "kube-ovn") for service in ("v4", "v6")},
    "RA address": ("warning", "kube-ovn"),
    **{f"{service} dns": ("warning", "kube-ovn") for service in ("v4", "v6")},
    **dict.fromkeys(("own-router", "refuted"), ("warning", "silence")),
    "settings": ("warning", "settings"),
}
"""By their code, the warnings of the sidecar that are not judged with what they are about."""


def findings(status: Status, look: Look) -> tuple[Finding, ...]:
    """Judge a status object, and a look at the pod. Pure."""
    found = list(judge_pod.judge(status, look))
    for guest in status.guests:
        for one in _of_guest(guest, look):
            time = one.time or ("" if one.severity == "ok" else look.time)
            found.append(replace(one, network=guest.network, time=time))
    return tuple(dict.fromkeys(found))


def _of_guest(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    if left := next((one for one in guest.warned if one.code == "other dsbridge"), None):
        yield finding("warning", left.text, "two-sidecars", time=left.time)
        return
    yield from (links := tuple(judge_wiring.judge_links(guest, look)))
    if not any(one.severity == "harm" for one in links):
        yield from judge_path.judge_path(guest, look)
    yield from judge_wiring.judge_gateways(guest, look)
    yield from (exchange := tuple(judge_exchange.judge(guest, look)))
    yield from judge_others.judge_others(guest, look)
    is_said = any(one.anchor == "other-mac" for one in exchange)
    for warned in guest.warned:
        severity, anchor = ANCHORS.get(warned.code, ("ok", ""))
        if anchor and not (is_said and anchor == "other-mac"):
            yield finding(severity, warned.text, anchor, time=warned.time)


def exit_status(found: tuple[Finding, ...]) -> int:
    """Return 0 where nothing is wrong, 1 for warnings, 2 where a guest is harmed."""
    return max((_EXIT[one.severity] for one in found), default=0)


def text(found: tuple[Finding, ...]) -> str:
    """Return the findings for a person."""
    lines: list[str] = []
    for one in found:
        about = f"{one.network}: " if one.network else ""
        lines.append(f"{_MARK[one.severity]} {about}{one.text}")
        if one.severity == "ok" and one.evidence:
            lines.append(f"        {one.evidence}")
        if one.severity == "ok":
            continue
        seen = ", ".join(filter(None, (one.evidence, f"at {one.time}" if one.time else "")))
        more = (("seen: ", seen), ("-> ", one.remedy), ("docs/troubleshooting.md#", one.anchor))
        lines += (f"        {before}{what}" for before, what in more if what)
    return "\n".join(lines)
