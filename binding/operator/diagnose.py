"""`dsbridge diagnose`: findings about a sidecar and its guests, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, GuestStatus, Severity, Status
from binding.operator import judge_exchange, judge_others, judge_pod, judge_wiring
from binding.operator.look import Look
from binding.operator.remedies import finding

NO_SIDECAR = 3
_EXIT: dict[Severity, int] = {"ok": 0, "warning": 1, "harm": 2}
_MARK: dict[Severity, str] = {"ok": "ok     ", "warning": "WARNING", "harm": "HARM   "}
_JUDGED_ELSEWHERE = ("gateway", "guard", "lease ipv4", "lease ipv6", "shield")
_KUBE_OVN = ("enableDHCP", "enableIPv6RA", "dns_server", "address_mode", "IAID 0", "address:")


def findings(status: Status, look: Look) -> tuple[Finding, ...]:
    """Judge a status object, and a look at the pod. Pure."""
    found = list(judge_pod.judge(status, look))
    for guest in status.guests:
        if left := next((one for one in guest.warned if one.kind == "other dsbridge"), None):
            about = {"network": guest.network, "time": left.time}
            found.append(finding("warning", left.text, "two-sidecars", **about))
            continue
        found += judge_wiring.judge_links(guest, look)
        found += judge_wiring.judge_gateways(guest, look)
        found += (exchange := tuple(judge_exchange.judge(guest, look)))
        found += judge_others.judge_others(guest, look)
        is_said = any(one.anchor == "other-mac" for one in exchange)
        found += (one for one in _warnings(guest) if not (is_said and one.anchor == "other-mac"))
    return tuple(dict.fromkeys(found))


def _warnings(guest: GuestStatus) -> Iterator[Finding]:
    """Yield the warnings of the sidecar that were not judged with what they are about."""
    for one in guest.warned:
        about_others = one.kind == "event" and one.text.startswith(("rogue ", "another host has"))
        if one.kind in _JUDGED_ELSEWHERE or judge_wiring.is_of_links(one) or about_others:
            continue
        network, name = guest.network, f"network {guest.network}: "
        text = one.text.removeprefix(name)
        if one.kind == "MAC":
            yield finding("warning", text, "other-mac", network=network, time=one.time)
        elif text.startswith(_KUBE_OVN) or one.text.startswith("MAC:"):
            is_harm = "answer" in one.kind or text.startswith(("MAC:", "address:"))
            severity: Severity = "harm" if is_harm else "warning"
            yield finding(severity, text, "kube-ovn", network=network, time=one.time)
        elif one.kind == "event":
            if " in use elsewhere" not in text:
                yield finding("warning", text, "silence", network=network, time=one.time)
        else:
            yield finding("warning", text, "settings", network=network, time=one.time)


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
