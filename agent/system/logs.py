"""Structured logs: one line per event on standard error, JSON, with journald's priority prefix under systemd.

No secret may reach a log: values under secret-looking keys and values that look like keys are replaced.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

_SECRET_KEY: Final = re.compile(r"(secret|passphrase|password|private|token|file_key|epoch_key$|identity_key)", re.I)
_SECRET_VALUE: Final = re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.I | re.S)
_PRIORITY: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
Event = MutableMapping[str, Any]


def redact(_logger: object, _method: str, event: Event) -> Event:
    """Replaces secrets, at any depth."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key):
        return "[redacted]"
    if isinstance(value, dict):
        return {inner: _clean(str(inner), found) for inner, found in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(key, found) for found in value]
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    return _SECRET_VALUE.sub("[redacted]", value) if isinstance(value, str) else value


def _render(_logger: object, method: str, event: Event) -> str:
    line = json.dumps(event, ensure_ascii=False, default=str)
    return f"<{_PRIORITY.get(method, 6)}>{line}" if "JOURNAL_STREAM" in os.environ else line


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Sets up logging for this process; ``level`` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(room: str) -> Any:
    """A logger whose lines name their room."""
    return structlog.get_logger(room=room)
