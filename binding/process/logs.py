"""Log lines as KubeVirt writes them: JSON on stderr, sorted keys, UTC microseconds."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "component": "dsbridge",
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            "pos": f"{record.filename}:{record.lineno}",
            "timestamp": datetime.fromtimestamp(record.created, UTC).strftime(
                "%Y-%m-%dT%H:%M:%S.%fZ"
            ),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            line["reason"] = self.formatException(record.exc_info)
        return json.dumps(line, sort_keys=True, separators=(",", ":"), default=str)


def to_stderr(level: str) -> None:
    """Send every logger's records to stderr in KubeVirt's form, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
