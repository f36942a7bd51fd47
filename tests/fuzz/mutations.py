"""Inputs changed where it counts: an option, a JSON value, an element. All of them by a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from lxml import etree

Octets = list[tuple[int, bytes]]
ODD_LENGTHS = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 63, 64, 127, 128, 254, 255)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**32, 2**63, 10**400, 1.5, float("inf"), float("nan")),
    *("", " ", "0", "off", "infinite", "\0", "\ud800", "é", "a" * 300, "..", "-", "eth0", "tap0"),
    *("10.0.0.1", "10.0.0.1/0", "0.0.0.0/0", "255.255.255.255/32", "10.0.0.1/24", "224.0.0.1"),
    *("::", "::/0", "fe80::1%eth0", "fd00::1/64", "ff02::1", "64:ff9b::/96", "169.254.1.1"),
    *("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:00:0d:5b:1d:9e", "0000:00:1f.7", "http://x/"),
    *([], {}, [[]], [{}], {"": ""}, [None], ["10.0.0.1", "fd00::1"], [{"to": "::/0"}]),
)  # fmt: skip


def octets(data: bytes, rng: random.Random) -> bytes:
    """Change a few octets, cut, double or insert some."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, some = rng.randrange(len(made) + 1), rng.randbytes(rng.choice((1, 1, 2, 4, 16)))
        match rng.randrange(5):
            case 0:
                made[at : at + len(some)] = some
            case 1:
                made[at:at] = some
            case 2:
                del made[at : at + rng.choice((1, 1, 2, 4, 64))]
            case 3:
                made[at:at] = made[at : at + rng.choice((2, 8, 64))]
            case _:
                made[at : at + 1] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"\1"))
    return bytes(made)


def options(area: bytes, rng: random.Random, width: int, codes: Sequence[int]) -> bytes:
    """Change a list of options whose code and length have `width` octets each."""
    found, tail = _split(area, width)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(8):
            case 0 if found:
                del found[at % len(found)]
            case 1 if found:
                found.insert(at, rng.choice(found))
            case 2:
                value = rng.randbytes(rng.choice(ODD_LENGTHS))
                found.insert(at, (rng.choice(codes), value))
            case 3 if found:
                code, value = found[at % len(found)]
                found[at % len(found)] = code, octets(value, rng)
            case 4 if found:
                rng.shuffle(found)
            case 5 if found:
                code, value = found[at % len(found)]
                found[at % len(found)] = rng.choice(codes), value
            case 6 if found and width == 2:  # the options inside an IA
                code, value = found[at % len(found)]
                found[at % len(found)] = code, value[:12] + options(value[12:], rng, 2, codes)
            case _:
                tail = rng.choice(
                    (b"", b"\xff", tail, bytes(8), rng.randbytes(3), octets(tail, rng))
                )
    most = 256**width - 1
    made = b"".join(
        code.to_bytes(width, "big") + min(len(value), most).to_bytes(width, "big") + value[:most]
        for code, value in found
    )
    if not rng.randrange(6) and made:  # one length lies
        made = octets(made, rng)
    return made + tail


def _split(area: bytes, width: int) -> tuple[Octets, bytes]:
    found: Octets = []
    at = 0
    while at + 2 * width <= len(area):
        code = int.from_bytes(area[at : at + width], "big")
        end = at + 2 * width + int.from_bytes(area[at + width : at + 2 * width], "big")
        if end > len(area) or (width == 1 and code in (0, 255)):
            break
        found.append((code, area[at + 2 * width : end]))
        at = end
    return found, area[at:]


def json_text(data: bytes, rng: random.Random) -> bytes:
    """Change values, names or the nesting of a JSON text; octets of what is none."""
    try:
        value = json.loads(data)
        for _ in range(rng.randint(1, 3)):
            value = _changed(value, rng)
        made = json.dumps(value).encode()
    except (ValueError, RecursionError):
        return octets(data, rng)
    return octets(made, rng) if not rng.randrange(12) else made


def _changed(value: Any, rng: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []
    _walk(value, places)
    if not places or not rng.randrange(40):
        return rng.choice(ODD_VALUES)
    inside, key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, dict):
            inside[rng.choice((str(key) + "x", str(key).upper(), "", "default"))] = inside[key]
        case 1:
            inside.append(json.loads(json.dumps(inside[key])))
        case 2:
            other, name = rng.choice(places)
            inside[key] = json.loads(json.dumps(other[name]))
        case 3 if isinstance(inside[key], str):
            text = inside[key]
            inside[key] = octets(text.encode(errors="replace"), rng).decode(errors="replace")
        case _:
            inside[key] = rng.choice(ODD_VALUES)
    return value


def _walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    members: Any = ()
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    for key, one in members:
        places.append((value, key))
        _walk(one, places)


def xml(data: bytes, rng: random.Random) -> bytes:
    """Change elements and attributes; octets of what is not well-formed."""
    try:
        root = etree.fromstring(data)
    except (etree.XMLSyntaxError, ValueError):
        return octets(data, rng)
    for _ in range(rng.randint(1, 4)):
        _edit(root, rng)
    made = etree.tostring(root, encoding=rng.choice(("utf-8", "utf-8", "iso-8859-1", "utf-16")))
    return octets(made, rng) if not rng.randrange(12) else made


def _edit(root: etree._Element, rng: random.Random) -> None:
    found = [one for one in root.iter() if isinstance(one.tag, str)]
    one, other = rng.choice(found), rng.choice(found)
    match rng.randrange(6):
        case 0 if one.getparent() is not None:
            one.getparent().remove(one)
        case 1 if one.attrib:
            odd = str(rng.choice(ODD_VALUES)).encode(errors="replace").decode().replace("\0", "")
            one.set(rng.choice(list(one.attrib)), odd)
        case 2 if one.attrib:
            del one.attrib[rng.choice(list(one.attrib))]
        case 3:
            one.append(etree.fromstring(etree.tostring(other, with_tail=False)))
        case 4:
            one.append(rng.choice((etree.Comment("x"), etree.ProcessingInstruction("x"))))
        case _:
            one.tag = rng.choice(("interface", "target", "mtu", "{urn:x}mac", "devices", other.tag))


Mutation = Callable[[bytes, random.Random], bytes]
