"""Packet filters of other programs in the pod that may drop frames of a guest.

Read only. A rule counts as one that drops where its verdict is `drop`, a chain where its policy is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from binding.packet.raw_netlink import as_text, attributes
from binding.plumb.nfnetlink import NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, dump

_FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5
_RULE_CHAIN = 2
_NF_DROP = bytes(4)
_DROPS = struct.pack("=HH", 8, 1) + _NF_DROP
"""NFTA_VERDICT_CODE with NF_DROP, as it stands in a rule."""


def that_drop(ours: str) -> tuple[str, ...]:
    """Return a phrase for each chain of others that can drop. Raises OSError where none is read."""
    found: list[str] = []
    for number, family in _FAMILIES.items():
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
        dropping = sum(
            (_text(values, _TABLE), _text(values, _RULE_CHAIN)) == (table, name) and _DROPS in raw
            for values, raw in rules
        )
        is_closed = _CHAIN_HOOK in chain and chain.get(_CHAIN_POLICY) == _NF_DROP
        if dropping or is_closed:
            rules_drop = f"{dropping} rules that drop" if dropping else ""
            how = filter(None, (rules_drop, "policy drop" if is_closed else ""))
            yield f"table {family} {table}, chain {name}: {' and '.join(how)}"


def _text(values: dict[int, bytes], kind: int) -> str:
    return as_text(values.get(kind, b""))
