"""Annotations of the virt-launcher pod, as a downward API volume shows them. Pure.

The kubelet writes a line for each, `name="value"`, with the value as Go's strconv.Quote has it.
"""

from __future__ import annotations

import re

from binding.discover.json_node import scalar

_LINE = re.compile(r'^([^=\s]+)="((?:[^"\\\n]|\\.)*)"$', re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_MOST_UNICODE = 0x10FFFF


def parse(text: str, prefix: str) -> dict[str, str]:
    """Return the annotations of names that begin with the prefix; other lines are skipped."""
    return {
        name: scalar(_ESCAPE.sub(_unescaped, value))
        for name, value in _LINE.findall(text)
        if name.startswith(prefix)
    }


def _unescaped(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if digits is None:
        return _LETTERS.get(found[4], found[4])
    number = int(digits, 16)
    return chr(number) if number <= _MOST_UNICODE else "\ufffd"
