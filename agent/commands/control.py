"""The commands that speak to a running recorder: what the officer's hand does, and what the unit shows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from agent.commands.printing import print_json
from agent.commands.status_view import panel
from agent.config import RecorderConfig, load
from agent.errors import FormatError, StorageError, UsageError
from agent.recorder.assignments import MAX_ASSIGNMENT_BYTES
from agent.recorder.control import ask


def control_command(arguments: argparse.Namespace) -> int:
    """``press``, ``audio``, ``stop``, ``restrict``, ``status`` and so on: one request to the recorder."""
    config = load(arguments.config, RecorderConfig)
    fields: dict[str, Any] = {}
    if arguments.command == "press":
        fields["hold_ms"] = arguments.hold_ms
    elif arguments.command == "mark":
        fields["kind"] = arguments.kind
    elif arguments.command == "assign" and not arguments.clear:
        fields["assignment"] = _assignment(arguments.file)
    elif arguments.command == "restrict":
        fields = {"content": arguments.content} | ({"text": arguments.text} if arguments.text else {})
    elif arguments.command == "drive":
        fields = _driven(arguments.part, arguments.words)
    status = ask(config.recorder.control, arguments.command, **fields)
    if arguments.json:
        print_json(status)
    else:
        Console().print(panel(status))
    return 0


def _assignment(name: str) -> str:
    """The text in a file, or in standard input; what it says, the recorder judges."""
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            data = file.read(MAX_ASSIGNMENT_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise StorageError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{name} is not UTF-8 text: {error}") from error
    if not text.strip() or len(data) > MAX_ASSIGNMENT_BYTES:
        raise UsageError(f"{name}: an assignment has 1 to {MAX_ASSIGNMENT_BYTES} bytes; to take it away: --clear")
    return text


def _driven(part: str, words: Sequence[str]) -> dict[str, Any]:
    """A switch is on or off; what other parts read is set in words of their own."""
    if part not in ("hazard", "dock"):
        return {"part": part, "words": list(words)}
    if list(words) not in (["on"], ["off"]):
        raise UsageError(f"{part}: on or off")
    return {"part": part, "active": list(words) == ["on"]}
