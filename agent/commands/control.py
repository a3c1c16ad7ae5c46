"""The commands that speak to a running recorder: what the officer's hand does, and what the unit shows."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from agent.commands.judging import print_json
from agent.commands.status_view import panel
from agent.config import RecorderConfig, load
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
        fields = {"part": arguments.part, "active": arguments.state == "on"}
    status = ask(config.recorder.control, arguments.command, **fields)
    if arguments.json:
        print_json(status)
    else:
        Console().print(panel(status))
    return 0
