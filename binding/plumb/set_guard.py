"""Sets the guard, with listening bridges where the kernel's nf_tables can copy frames (dup).

Without a listening bridge the packet sockets listen at its link itself.
"""

from __future__ import annotations

import os

from binding.ipc.messages import Guarded
from binding.packet import links
from binding.packet.guard import Filter, GuardTable
from binding.plumb import guard_table, listening_bridge
from binding.plumb.nfnetlink import TransactionError
from binding.process.shortage import PASSES, passes


def set_guard(table: GuardTable) -> Guarded:
    """Make the table the whole guard. Raises TransactionError, OSError: the former stands."""
    heard = [one.link for one in table.filters if one.hear and links.index(one.link)]
    made, short = tuple[str, ...](), ""
    try:
        made = listening_bridge.make(heard)
    except OSError as error:
        short = _shortage(error)
    # Looked up before the rules are set, the places differ from what the sidecar finds later if
    # somebody removes a bridge meanwhile.
    places = _places(table)
    try:
        own = guard_table.replace(table)
    except (TransactionError, OSError) as error:
        listening_bridge.remove(made)
        if not made or error.errno in PASSES:
            raise
        return Guarded(guard_table.replace(table), _places(table))  # rules that copy nothing
    try:
        listening_bridge.bring_up(heard)
    except OSError as error:
        short = short or _shortage(error)
    return Guarded(own, places, short)


def _places(table: GuardTable) -> tuple[tuple[int | None, int | None], ...]:
    return tuple((links.index(one.link), _place(one)) for one in table.filters)


def _place(one: Filter) -> int | None:
    """Return the index of the link where a filter's frames are heard once all bridges are up."""
    bridge = links.index(links.listening_bridge(one.link)) if one.hear else None
    return bridge or links.index(links.place(one.link))


def _shortage(error: OSError) -> str:
    """Return why listening bridges are missing for now; empty where the kernel cannot make any."""
    return f"listening bridges: {os.strerror(error.errno or 0)}" if passes(error) else ""
