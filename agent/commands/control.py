"""The commands that speak to a running recorder: what the officer's hand does, and what the unit shows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from agent.commands.judging import print_json
from agent.commands.status_view import panel
from agent.config import RecorderConfig, load
from agent.errors import UsageError
from agent.recorder.control import ask


def control_command(arguments: argparse.Namespace) -> int:
    """``press``, ``audio``, ``stop``, ``restrict``, ``status`` and so on: one request to the recorder."""
    config = load(arguments.config, RecorderConfig)
    fields: dict[str, Any] = {}
    if arguments.command == "press":
        fields["hold_ms"] = arguments.hold_ms
    elif arguments.command == "mark":
        fields["kind"] = arguments.kind
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


def _driven(part: str, words: Sequence[str]) -> dict[str, Any]:
    """A switch is on or off; what other parts read is set in words of their own."""
    if part not in ("hazard", "dock"):
        return {"part": part, "words": list(words)}
    if list(words) not in (["on"], ["off"]):
        raise UsageError(f"{part}: on or off")
    return {"part": part, "active": list(words) == ["on"]}
