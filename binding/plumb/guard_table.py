"""The guard in the kernel, replaced as a whole or not at all, and looked at.

One table of nf_tables hooks into links (netdev); in the shape takeover another of the same name
hooks into what the pod itself gets by IPv4.

nf_tables is spoken directly, in one transaction: cls_bpf cannot follow IPv6 extension
headers, and the nft program would have to be in the image and be given capabilities. Why
not by pyroute2 is said in `nfnetlink`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ENODEV
from itertools import zip_longest

from binding.packet import links
from binding.packet.guard import Dropped, Filter, GuardTable, Observed
from binding.packet.raw_netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    as_text,
    attribute,
    attributes,
    each_attribute,
    nest,
    text,
    u32,
)
from binding.packet.table_changes import FAMILIES, NFPROTO_IPV4, OURS
from binding.plumb import nft_expressions as nft
from binding.plumb.guard_rules import rules, rules_of_pod
from binding.plumb.nfnetlink import (
    NFT_MSG_DELTABLE,
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETRULE,
    NFT_MSG_GETTABLE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
    NftChange,
    TransactionError,
    commit,
    dump,
)
from binding.process.shortage import passes

_NFTA_TABLE_NAME, _NFTA_TABLE_FLAGS = 1, 2
_NFTA_CHAIN_TABLE, _NFTA_CHAIN_NAME, _NFTA_CHAIN_HOOK = 1, 3, 4
_NFTA_CHAIN_POLICY, _NFTA_CHAIN_TYPE = 5, 7
_NFTA_HOOK_HOOKNUM, _NFTA_HOOK_PRIORITY, _NFTA_HOOK_DEV = 1, 2, 3
_NFTA_RULE_TABLE, _NFTA_RULE_CHAIN, _NFTA_RULE_EXPRESSIONS, _NFTA_RULE_USERDATA = 1, 2, 4, 7
_NFTA_LIST_ELEM = 1
_NFTNL_UDATA_RULE_COMMENT = 0
_NF_NETDEV_INGRESS, _NF_INET_LOCAL_IN = 0, 1
_FIRST = -500
"""Priority of the hook: before the hooks of other programs."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is sent to nf_tables of one rule."""

    comment: str
    attributes: bytes


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one rule has dropped."""

    link: str
    comment: str
    packets: int
    octets: int


def replace(table: GuardTable) -> int:
    """Make the table's filters all that the kernel holds of it; no filter removes the table.

    Messages to be heard are copied to the listening bridge of their link, where it has one.
    Returns the number by which notices of this change name its sender: the process id, as a
    rule. What the rules have counted is carried over.
    Raises TransactionError, with what was before still in force, and OSError where the
    kernel has no nf_tables at all.
    """
    for one in table.filters:
        # Kernels from 6.16 on take a chain for a link that is not there, older ones do not.
        if one.drop and not _is_in_force(one):
            raise TransactionError(f"filter at link {one.link}", ENODEV)
    return commit([each for family in OURS for each in _replaced(family, table)])


def _replaced(family: int, table: GuardTable) -> Iterator[NftChange]:
    filters = _in_force(family, table)
    # A kernel may be without the family that hooks into IPv4: where it is not needed, it is
    # left alone.
    if not filters and family == NFPROTO_IPV4 and not _found(family, table.name):
        return
    counted = _counted(family, table.name)
    # Adding the table first makes its deletion succeed, whether it was there or not.
    yield _table(NFT_MSG_NEWTABLE, table.name, family)
    yield _table(NFT_MSG_DELTABLE, table.name, family)
    if filters:
        yield _table(NFT_MSG_NEWTABLE, table.name, family)
    for one in filters:
        about = f"filter at link {one.link}"
        chain = _chain(table.name, one)
        yield NftChange(NFT_MSG_NEWCHAIN, NLM_F_CREATE, chain, about, family)
        for rule in _rules(table.name, one, counted):
            what = f"{about}: {rule.comment}"
            flags = NLM_F_CREATE | NLM_F_APPEND
            yield NftChange(NFT_MSG_NEWRULE, flags, rule.attributes, what, family)


def observed(table: GuardTable) -> Observed:
    """Compare what the kernel holds with what `replace` would set now. Raises OSError."""
    parts = [_observed(family, table) for family in OURS]
    wrong = (each for one in parts for each in one.wrong)
    return Observed(tuple(wrong), tuple(each for one in parts for each in one.dropped))


def _observed(family: int, table: GuardTable) -> Observed:
    filters = _in_force(family, table)
    wrong: list[str] = []
    found, named = _found(family, table.name), f"{FAMILIES[family]} {table.name}"
    if not found:
        return Observed((f"there is no table {named}",) if filters else ())
    if not _holds(u32(_NFTA_TABLE_FLAGS, 0), found[0]):
        wrong.append(f"table {named} is dormant")
    chains = {
        _name(of, _NFTA_CHAIN_NAME): of
        for of in dump(NFT_MSG_GETCHAIN, family=family)
        if _name(of, _NFTA_CHAIN_TABLE) == table.name
    }
    rules_of: dict[str, list[bytes]] = {name: [] for name in chains}
    for of in dump(NFT_MSG_GETRULE, text(_NFTA_RULE_TABLE, table.name), family):
        rules_of.setdefault(_name(of, _NFTA_RULE_CHAIN), []).append(of)
    for one in filters:
        if not _holds(_chain(table.name, one), chains.get(_chain_name(one), b"")):
            wrong.append(f"the chain for link {one.link} is gone or another one")
            continue
        wanted = list(_rules(table.name, one))
        for rule, there in zip_longest(wanted, rules_of[_chain_name(one)]):
            if rule is None or there is None or not _is_rule(rule.attributes, there):
                what = "a rule too many" if rule is None else f"not the rule for {rule.comment}"
                wrong.append(f"link {one.link} has {what}")
                break
    # Kernels from 6.16 on keep the chain of a link that is gone.
    strangers = chains.keys() - {_chain_name(one) for one in table.filters}
    wrong += [f"the chain {name} is not ours" for name in sorted(strangers)]
    counted = (each for of in rules_of.values() for rule in of for each in _counts(rule))
    dropped = (Dropped(each.link, each.comment, each.packets) for each in counted)
    return Observed(tuple(wrong), tuple(dropped))


def _in_force(family: int, table: GuardTable) -> list[Filter]:
    is_of_pod = family == NFPROTO_IPV4
    return [one for one in table.filters if one.is_of_pod == is_of_pod and _is_in_force(one)]


def _is_in_force(one: Filter) -> bool:
    return one.is_of_pod or links.index(one.link) is not None


def _found(family: int, table: str) -> list[bytes]:
    tables = dump(NFT_MSG_GETTABLE, family=family)
    return [of for of in tables if _name(of, _NFTA_TABLE_NAME) == table]


def _chain_name(one: Filter) -> str:
    return one.link.removesuffix("*")  # which nft(8) takes in no name


def _table(kind: int, table: str, family: int) -> NftChange:
    delete = kind == NFT_MSG_DELTABLE
    about = f"{'remove' if delete else 'create'} table {FAMILIES[family]} {table}"
    body = text(_NFTA_TABLE_NAME, table)
    return NftChange(kind, 0 if delete else NLM_F_CREATE, body, about, family)


def _chain(table: str, one: Filter) -> bytes:
    number = _NF_INET_LOCAL_IN if one.is_of_pod else _NF_NETDEV_INGRESS
    hook = (
        u32(_NFTA_HOOK_HOOKNUM, number)
        + attribute(_NFTA_HOOK_PRIORITY, struct.pack("!i", _FIRST))
        + (b"" if one.is_of_pod else text(_NFTA_HOOK_DEV, one.link))
    )
    return (
        text(_NFTA_CHAIN_TABLE, table)
        + text(_NFTA_CHAIN_NAME, _chain_name(one))
        + nest(_NFTA_CHAIN_HOOK, hook)
        + u32(_NFTA_CHAIN_POLICY, nft.NF_ACCEPT)
        + text(_NFTA_CHAIN_TYPE, "filter")
    )


def _counted(family: int, table: str) -> dict[tuple[str, str], nft.Expression]:
    """Return a counter for each link and comment, which goes on where those of a table stopped."""
    try:
        there = dump(NFT_MSG_GETRULE, text(_NFTA_RULE_TABLE, table), family)
    except OSError as error:
        if passes(error):  # a later try can still read the counters
            raise
        return {}  # no such table, or the transaction will tell what is wrong
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for each in (each for rule in there for each in _counts(rule)):
        packets, octets = sums.get((each.link, each.comment), (0, 0))
        sums[each.link, each.comment] = packets + each.packets, octets + each.octets
    return {about: nft.counter(*counts) for about, counts in sums.items()}


def _rules(
    table: str, one: Filter, counted: dict[tuple[str, str], nft.Expression] | None = None
) -> Iterator[_Rule]:
    bridge, mtu = links.index(links.listening_bridge(one.link)), links.mtu(one.link)
    made = rules_of_pod(one) if one.is_of_pod else rules(one, bridge, mtu or 0)
    for comment, expressions in made:
        # Of several rules with one comment the first goes on with the sum of their counters.
        goes_on = (counted or {}).pop((_chain_name(one), comment), nft.counter())
        continued = (goes_on if each == nft.counter() else each for each in expressions)
        elements = b"".join(nest(_NFTA_LIST_ELEM, each) for each in continued)
        # nft(8) shows the comment: type, length, text.
        note = comment.encode() + b"\0"
        userdata = bytes((_NFTNL_UDATA_RULE_COMMENT, len(note))) + note
        yield _Rule(
            comment,
            text(_NFTA_RULE_TABLE, table)
            + text(_NFTA_RULE_CHAIN, _chain_name(one))
            + nest(_NFTA_RULE_EXPRESSIONS, elements)
            + attribute(_NFTA_RULE_USERDATA, userdata),
        )


def _name(of: bytes, kind: int) -> str:
    return as_text(attributes(of).get(kind, b""))


def _is_rule(wanted: bytes, there: bytes) -> bool:
    """Compare comments and expressions, what was counted aside."""
    ours, theirs = attributes(wanted), attributes(there)
    if ours[_NFTA_RULE_USERDATA] != theirs.get(_NFTA_RULE_USERDATA):
        return False
    pairs = zip_longest(
        *(each_attribute(one.get(_NFTA_RULE_EXPRESSIONS, b"")) for one in (ours, theirs)),
        fillvalue=(0, False, b""),
    )
    return all(
        _name(ours, nft.NFTA_EXPR_NAME) == _name(theirs, nft.NFTA_EXPR_NAME) == "counter"
        or _holds(ours, theirs)
        for (*_, ours), (*_, theirs) in pairs
        if ours or theirs
    )


def _holds(wanted: bytes, there: bytes) -> bool:
    """Say whether all wanted attributes are there; the kernel adds handles and defaults."""
    values = attributes(there)
    return bool(wanted) and all(
        kind in values and (_holds(value, values[kind]) if nested else value == values[kind])
        for kind, nested, value in each_attribute(wanted)
    )


def _counts(rule: bytes) -> Iterator[_Counts]:
    """Yield the figures of each counter in a rule."""
    values = attributes(rule)
    comment = as_text(values.get(_NFTA_RULE_USERDATA, b"")[2:])
    for _, _, element in each_attribute(values.get(_NFTA_RULE_EXPRESSIONS, b"")):
        if _name(element, nft.NFTA_EXPR_NAME) == "counter":
            counts = attributes(attributes(element).get(nft.NFTA_EXPR_DATA, b""))
            packets = int.from_bytes(counts.get(nft.NFTA_COUNTER_PACKETS, b""), "big")
            octets = int.from_bytes(counts.get(nft.NFTA_COUNTER_BYTES, b""), "big")
            yield _Counts(_name(rule, _NFTA_RULE_CHAIN), comment, packets, octets)
