"""What an operator runs inside the sidecar: `status`."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any


def status(hooks_dir: Path, *, as_json: bool) -> int:
    """Print the state of the sidecar that serves `hooks_dir`; return the exit status."""
    try:
        answer = _ask(hooks_dir / "state")
    except OSError as error:
        sys.stderr.write(f"no sidecar answers in {hooks_dir}: {error.strerror or error}\n")
        return 1
    print(json.dumps(answer) if as_json else _text(answer))  # noqa: T201  # its purpose
    return 0


def _ask(state: Path) -> dict[str, Any]:
    directory = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(f"/proc/self/fd/{directory}/status.sock")
            chunks = []
            while chunk := client.recv(65536):
                chunks.append(chunk)
    finally:
        os.close(directory)
    answer: dict[str, Any] = json.loads(b"".join(chunks))
    return answer


def _text(answer: dict[str, Any]) -> str:
    lines = [f"dsbridge {answer['version']}, plugin {answer['plugin']}, guard {answer['guard']}"]
    for guest in answer["guests"]:
        lines += [
            "",
            f"{guest['network']}: {guest['provider']}, {guest['shape']}, tap {guest['tap']}",
            f"  guest     {guest['mac']}, MTU {guest['mtu']}",
            f"  addresses {', '.join(guest['ipv4'] + guest['ipv6']) or 'none'}",
            f"  router    {_router(guest['router'])}",
        ]
        for request, event in guest["last"].items():
            lines.append(f"  {request:<20} {event['reply'] or '-':<10} {event['note']}")
        lines += [f"  warning: {text}" for text in guest["warnings"]]
    return "\n".join(lines)


def _router(router: dict[str, str | None] | None) -> str:
    if router is None:
        return "not decided yet"
    return f"{router['address']} ({router['source']}), MAC {router['lladdr'] or 'unknown'}"
