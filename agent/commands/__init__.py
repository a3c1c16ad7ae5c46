"""What each command of ``recorder`` does. The rooms meet here, and only here.

A command's module is loaded when the command is called: who verifies evidence needs no camera, codec or broker library,
and a verifier on a small machine should not pay for them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Final

Command = Callable[[argparse.Namespace], int]

_PLACES: Final = {
    "run": "running.run_command",
    "dock": "docking.dock_command",
    "intake": "intake.intake_command",
    "archive": "intake.archive_command",
    "broker": "running.broker_command",
    "witness": "witnessing.witness_command",
    "doctor": "running.doctor_command",
    "verify": "judging.verify_command",
    "extract": "judging.extract_command",
    "export": "judging.export_command",
    "inspect": "judging.inspect_command",
    "watch": "watch.watch_command",
    **dict.fromkeys(
        ("press", "audio", "stop", "mark", "photo", "assign", "restrict", "status", "reload", "drive"),
        "control.control_command",
    ),
}


def command(name: str) -> Command:
    """The function behind a command of the parser; returns the exit code, raises RecorderError."""
    module, function = _PLACES[name].split(".")
    found: Command = getattr(import_module(f"{__name__}.{module}"), function)
    return found
