"""The guard in the kernel: one table, replaced as a whole or not at all.

nf_tables is spoken directly, in one transaction: pyroute2's API for it knows no ingress
hook and does not read the kernel's answer, cls_bpf cannot follow IPv6 extension headers,
and the nft program would have to be in the image and be given capabilities.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from errno import ENODEV

from binding.packet import links
from binding.packet.guard import Filter, Table
from binding.plumb.guard_rules import rules
from binding.plumb.nfnetlink import (
    APPEND,
    CREATE,
    DELTABLE,
    NEWCHAIN,
    NEWRULE,
    NEWTABLE,
    Message,
    RefusedError,
    attribute,
    commit,
    nest,
    text,
    u32,
)

_INGRESS = 0
_PRIORITY = -500  # before anybody else's
_POLICY_ACCEPT = 1


def replace(table: Table) -> None:
    """Make its filters all that the table holds; none removes it.

    What is to be heard is handed to the ears of the links, where they have one.

    Raises RefusedError, with what was before still in force, and OSError where the
    kernel has no nf_tables at all.
    """
    for one in table.filters:
        # Kernels from 6.16 on take a chain for a link that is not there, older ones do not.
        if one.drop and links.index(one.link) is None:
            raise RefusedError(f"filter at link {one.link}", ENODEV)
    filters = [one for one in table.filters if links.index(one.link) is not None]
    # Adding first makes deleting it succeed whether it was there or not.
    messages = [_table(NEWTABLE, table.name), _table(DELTABLE, table.name)]
    if filters:
        messages.append(_table(NEWTABLE, table.name))
    for one in filters:
        messages += _chain(table.name, one)
    commit(messages)


def _table(kind: int, table: str) -> Message:
    what = "remove table" if kind == DELTABLE else "create table"
    return Message(kind, 0 if kind == DELTABLE else CREATE, text(1, table), f"{what} {table}")


def _chain(table: str, one: Filter) -> Iterator[Message]:
    about = f"filter at link {one.link}"
    hook = u32(1, _INGRESS) + attribute(2, struct.pack("!i", _PRIORITY)) + text(3, one.link)
    body = text(1, table) + text(3, one.link) + nest(4, hook) + u32(5, _POLICY_ACCEPT)
    yield Message(NEWCHAIN, CREATE, body + text(7, "filter"), about)
    for comment, expressions in rules(one, links.index(links.ear(one.link))):
        elements = b"".join(nest(1, expression) for expression in expressions)
        # nft(8) shows the comment: type 0, length, text.
        note = comment.encode() + b"\0"
        remark = attribute(7, bytes((0, len(note))) + note)
        rule = text(1, table) + text(2, one.link) + nest(4, elements) + remark
        yield Message(NEWRULE, CREATE | APPEND, rule, f"{about}: {comment}")
