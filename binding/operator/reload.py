"""`dsbridge reload`: has the sidecar take settings of a NIC anew, and says when the guest learns.

The settings come on stdin, or from the pod's annotations where a downward API volume shows them.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from binding.discover import annotation, pod_annotations
from binding.ipc.codec import decode, encode, plain
from binding.ipc.messages import Reload, Reloaded
from binding.operator import ask
from binding.operator.changes import Changes, changes
from binding.process import annotations_file

_DONE, _REFUSED, _NO_SIDECAR = 0, 1, 3
_WITHIN = 60.0
_LONGEST = 32_768


def reload(given: Namespace) -> int:
    """Reload one NIC, or all from the pod's annotations; return the exit status."""
    try:
        questions = list(_questions(given))
    except ValueError as error:
        sys.stderr.write(f"reload: {error}\n")
        return _REFUSED
    answers = [_ask(given.directory, one) for one in questions]
    if None in answers:
        return _NO_SIDECAR
    known = [one for one in answers if one is not None]
    if given.json:
        sys.stdout.write(json.dumps([_plain(one) for one in known]) + "\n")
    else:
        sys.stdout.write("\n".join(map(text, known)) + "\n")
    return _REFUSED if any(one.refusal for one in known) else _DONE


def _questions(given: Namespace) -> Iterator[Reload]:
    """Yield what to ask the sidecar. Raises ValueError with what to do instead."""
    if given.reset:
        yield Reload(given.network, None)
        return
    said = "" if sys.stdin.isatty() else sys.stdin.read(_LONGEST + 1).strip()
    if len(said) > _LONGEST:
        raise ValueError(f"more than {_LONGEST} characters on stdin; one JSON object is wanted")
    if said:
        yield Reload(given.network, said)
        return
    text = annotations_file.read()
    if not text:
        raise ValueError(
            "give the settings on stdin, e.g. echo '{\"mtu\": 1400}' | dsbridge reload default; "
            f"nothing is in {annotations_file.path()}, where the policy mounts the pod's "
            "annotations"
        )
    annotated = pod_annotations.parse(text, annotation.PREFIX)
    status = ask.status(given.directory)
    for guest in status.guests if status is not None else ():
        if given.network in ("", guest.network):
            yield Reload(guest.network, annotated.get(annotation.PREFIX + guest.network))


def _ask(directory: Path, question: Reload) -> Reloaded | None:
    answer = ask.control(directory, f"{encode(question)}\n", _WITHIN)
    return None if answer is None else decode(Reloaded, answer)


def _changes(answer: Reloaded) -> Changes | None:
    if not (answer.before and answer.after):
        return None
    return changes(answer.before[0], answer.after[0], answer.warnings)


def _plain(answer: Reloaded) -> dict[str, object]:
    found = _changes(answer)
    what = {} if found is None else plain(found)
    return {"network": answer.network, "refusal": answer.refusal, **what}


def text(answer: Reloaded) -> str:
    """Return what came of it, for a person."""
    name = f"network {answer.network}" if answer.network else "no network"
    if answer.refusal:
        return f"{name}: refused, all is as before: {answer.refusal}"
    found = _changes(answer)
    if found is None or not (found.now or found.renewal or found.boot or found.never):
        return f"{name}: nothing changes for the guest"
    lines = [f"{name}: reloaded"]
    for heading, texts in (
        ("at once", found.now),
        (f"when the guest asks DHCP next ({found.renews})", found.renewal),
        ("when the guest boots next", found.boot),
        ("not while the VM runs", found.never),
    ):
        if texts:
            lines += [f"  {heading}:", *(f"    {one}" for one in texts)]
    return os.linesep.join(lines)
