"""Packet filters of other programs in the pod that may drop frames of a guest, or change them.

Read only. A rule counts as one that drops where its verdict is `drop` or it rejects, a chain
where its policy is; as one that changes frames where it writes into them or sends them elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from binding.packet.bridge_filters import AT_A_LINK
from binding.packet.raw_netlink import as_text, attributes, each_attribute, text
from binding.packet.table_changes import FAMILIES, OURS
from binding.plumb import legacy_tables
from binding.plumb.nfnetlink import NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, dump

_NFT_MSG_GETSETELEM = 10 << 8 | 13
_AT_LINKS = ("bridge", "netdev")
_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5
_RULE_CHAIN = 2
_RULE_EXPRESSIONS = 4
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_HOOK_NUMBER, _HOOK_DEVICE, _HOOK_DEVICES = 1, 3, 4
_INPUT_AND_OUTPUT = (b"\0\0\0\x01", b"\0\0\0\x03")
_OF_THE_POD_ITSELF = {
    **dict.fromkeys(("bridge", "ip", "ip6", "inet"), _INPUT_AND_OUTPUT),
    "arp": (b"\0\0\0\0", b"\0\0\0\x01"),
}
"""Hooks by family that frames which are forwarded do not pass: input and output."""
_ELEMENTS_SET = 2
"""The set whose elements are asked for (NFTA_SET_ELEM_LIST_SET)."""
_LOOKUP_SET, _LOOKUP_DREG, _TO_VERDICT = 1, 3, bytes(4)
"""A lookup whose outcome is the verdict is one in a verdict map."""
_PAYLOAD_WRITES = 5
"""NFTA_PAYLOAD_SREG: a payload expression that writes a register into the frame."""
_TARGET_NAME = 1
_REJECTS = ("reject", "queue", "nfqueue")
_REDIRECTS = (
    *("fwd", "tproxy", "redir", "nat", "masq"),
    *("dnat", "snat", "redirect", "masquerade", "arpreply", "ttl", "hl"),
)
"""Expressions of nf_tables, and targets of iptables and ebtables, by which a frame is another."""
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
        if number in OURS and (table == ours or table.startswith("dsbridge")):
            continue
        hook = attributes(chain.get(_CHAIN_HOOK, b""))
        if hook.get(_HOOK_NUMBER) in _OF_THE_POD_ITSELF.get(family, ()):
            continue
        if as_text(hook.get(_HOOK_DEVICE, b"")) == "lo":
            continue
        at_link = family == "inet" and (_HOOK_DEVICE in hook or _HOOK_DEVICES in hook)
        its = [
            (values, raw)
            for values, raw in rules
            if (_text(values, _TABLE), _text(values, _RULE_CHAIN)) == (table, name)
        ]
        dropping = sum(_drops(values, raw) or _maps(number, values) for values, raw in its)
        is_at_links = at_link or family in _AT_LINKS
        changing = sum(_changes(values) for values, _ in its) if is_at_links or hook else 0
        how = []
        if dropping:
            how.append(f"{dropping} rules that drop")
        if changing:
            how.append(f"{changing} rules that change frames")
        if _CHAIN_HOOK in chain and chain.get(_CHAIN_POLICY) == _NF_DROP:
            how.append("policy drop")
        if how:
            where = f"table {family} {table}, chain {name}{AT_A_LINK * at_link}"
            yield f"{where}: {' and '.join(how)}"


def _drops(values: dict[int, bytes], raw: bytes) -> bool:
    return _DROPS in raw or any(name in _REJECTS for name, _ in _expressions(values))


def _maps(family: int, values: dict[int, bytes]) -> bool:
    """Say whether a rule looks its verdict up in a map that can tell it to drop."""
    for name, data in _expressions(values):
        if name == "lookup" and data.get(_LOOKUP_DREG) == _TO_VERDICT:
            about = text(_TABLE, _text(values, _TABLE))
            about += text(_ELEMENTS_SET, _text(data, _LOOKUP_SET))
            if any(_DROPS in each for each in dump(_NFT_MSG_GETSETELEM, about, family)):
                return True
    return False


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
