"""`dsbridge diagnose`: findings about a sidecar and its guests, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator

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
        if left := next((one for one in guest.warned if one.code == "other dsbridge"), None):
            about = {"network": guest.network, "time": left.time}
            found.append(finding("warning", left.text, "two-sidecars", **about))
            continue
        found += (links := tuple(judge_wiring.judge_links(guest, look)))
        if not any(one.severity == "harm" for one in links):
            found += judge_path.judge_path(guest, look)
        found += judge_wiring.judge_gateways(guest, look)
        found += (exchange := tuple(judge_exchange.judge(guest, look)))
        found += judge_others.judge_others(guest, look)
        is_said = any(one.anchor == "other-mac" for one in exchange)
        found += (one for one in _warnings(guest) if not (is_said and one.anchor == "other-mac"))
    return tuple(dict.fromkeys(found))


def _warnings(guest: GuestStatus) -> Iterator[Finding]:
    """Yield the warnings of the sidecar that were not judged with what they are about."""
    for one in guest.warned:
        if one.code in ANCHORS:
            severity, anchor = ANCHORS[one.code]
            yield finding(severity, one.text, anchor, network=guest.network, time=one.time)


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
