"""`dsbridge reload` beside a sidecar of the bed, as `kubectl exec -i` would run it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.bed.sidecar import PROGRAM, ROOT, Sidecar


def reload(
    side: Sidecar, settings: dict[str, Any] | str = "", *words: str
) -> subprocess.CompletedProcess[str]:
    """Give the settings on stdin, and return exit status, stdout and stderr."""
    text = settings if isinstance(settings, str) else json.dumps(settings)
    return subprocess.run(
        side.pod.netns.command(*PROGRAM, "reload", *words, "--hooks-dir", str(side.hooks_dir)),
        cwd=ROOT,
        timeout=120,
        check=False,
        text=True,
        input=text,
        capture_output=True,
    )
