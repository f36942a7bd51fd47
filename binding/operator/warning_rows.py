"""A line for each warning, with tabs between columns: what `kubectl dsbridge watch` reads. Pure."""

from __future__ import annotations

from binding.ipc.status import Status


def warning_rows(status: Status) -> str:
    """Return UID of the VMI, since when, and the text of each warning that stands."""
    found = [(status.started, text) for text in status.warnings]
    for guest in status.guests:
        found += [(one.time, f"network {guest.network}: {one.text}") for one in guest.warned]
    uid = status.vmi.uid or "-"
    return "\n".join(f"{uid}\t{since}\t{_plain(text)}" for since, text in found)


def _plain(text: str) -> str:
    return "".join(filter(str.isprintable, text))
