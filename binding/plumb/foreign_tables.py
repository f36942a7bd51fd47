"""Packet filters of other programs in the pod that may drop frames of a guest, or change them.

Read only. A rule counts as one that drops where its verdict is `drop` or it rejects, a chain
where its policy is; as one that changes frames where it writes into them or sends them elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from binding.packet.raw_netlink import as_text, attributes, each_attribute
from binding.packet.table_changes import FAMILIES
from binding.plumb import legacy_tables
from binding.plumb.nfnetlink import NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, dump

_AT_LINKS = ("bridge", "netdev")
_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5
_RULE_CHAIN = 2
_RULE_EXPRESSIONS = 4
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_PAYLOAD_WRITES = 5
"""NFTA_PAYLOAD_SREG: a payload expression that writes a register into the frame."""
_TARGET_NAME = 1
_REJECTS = ("reject", "queue")
_REDIRECTS = ("fwd", "tproxy", "redir", "nat", "masq")
_NF_DROP = bytes(4)
_DROPS = struct.pack("=HH", 8, 1) + _NF_DROP
"""NFTA_VERDICT_CODE with NF_DROP, as it stands in a rule."""


def that_drop(ours: str) -> tuple[str, ...]:
    """Return a phrase for each chain of other programs that can; leave out what cannot be read."""
    found: list[str] = list(legacy_tables.that_drop())
    for number, family in FAMILIES.items():
        with suppress(OSError):  # a kernel without this family
            found += _of_family(number, family, ours)
    return tuple(found)


def _of_family(number: int, family: str, ours: str) -> Iterator[str]:
    chains = [attributes(of) for of in dump(NFT_MSG_GETCHAIN, family=number)]
    if not chains:
        return
    rules = [(attributes(of), of) for of in dump(NFT_MSG_GETRULE, family=number)]
    for chain in chains:
        table, name = _text(chain, _TABLE), _text(chain, _CHAIN_NAME)
        if (family == "netdev" and table == ours) or table.startswith("dsbridge"):
            continue
        its = [
            (values, raw)
            for values, raw in rules
            if (_text(values, _TABLE), _text(values, _RULE_CHAIN)) == (table, name)
        ]
        dropping = sum(_drops(values, raw) for values, raw in its)
        changing = sum(_changes(values) for values, _ in its) if family in _AT_LINKS else 0
        how = []
        if dropping:
            how.append(f"{dropping} rules that drop")
        if changing:
            how.append(f"{changing} rules that change frames")
        if _CHAIN_HOOK in chain and chain.get(_CHAIN_POLICY) == _NF_DROP:
            how.append("policy drop")
        if how:
            yield f"table {family} {table}, chain {name}: {' and '.join(how)}"


def _drops(values: dict[int, bytes], raw: bytes) -> bool:
    return _DROPS in raw or any(name in _REJECTS for name, _ in _expressions(values))


def _changes(values: dict[int, bytes]) -> bool:
    return any(
        name in _REDIRECTS or (name == "payload" and _PAYLOAD_WRITES in data)
        for name, data in _expressions(values)
    )


def _expressions(values: dict[int, bytes]) -> Iterator[tuple[str, dict[int, bytes]]]:
    """Yield name and data of what a rule does; a target of iptables by its own name."""
    for _, _, element in each_attribute(values.get(_RULE_EXPRESSIONS, b"")):
        expression = attributes(element)
        name, data = _text(expression, _EXPRESSION_NAME), expression.get(_EXPRESSION_DATA, b"")
        found = attributes(data)
        yield (_text(found, _TARGET_NAME).lower() if name == "target" else name), found


def _text(values: dict[int, bytes], kind: int) -> str:
    return as_text(values.get(kind, b""))
