"""The commands that speak to a running recorder: what the officer's hand does, and what the unit shows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from agent.commands.judging import print_json
from agent.config import RecorderConfig, load
from agent.errors import UsageError
from agent.recorder.control import ask


def control_command(arguments: argparse.Namespace) -> int:
    """``press``, ``stop``, ``mark``, ``photo``, ``status``, ``reload``, ``drive``: one request to the recorder."""
    config = load(arguments.config, RecorderConfig)
    fields: dict[str, Any] = {}
    if arguments.command == "press":
        fields["hold_ms"] = arguments.hold_ms
    elif arguments.command == "mark":
        fields["kind"] = arguments.kind
    elif arguments.command == "drive":
        fields = _driven(arguments.part, arguments.words)
    status = ask(config.recorder.control, arguments.command, **fields)
    if arguments.json:
        print_json(status)
    else:
        _print_status(status)
    return 0


def _driven(part: str, words: Sequence[str]) -> dict[str, Any]:
    """A switch is on or off; what other parts read is set in words of their own."""
    if part not in ("hazard", "dock"):
        return {"part": part, "words": list(words)}
    if list(words) not in (["on"], ["off"]):
        raise UsageError(f"{part}: on or off")
    return {"part": part, "active": list(words) == ["on"]}


def _print_status(status: dict[str, Any]) -> None:
    print(f"{status['device']}: {status['phase_zh']} {status['phase_en']}")
    if status["recording"]:
        print(f"  记录 recording {status['recording']}  {status['media_seconds']:.1f} s")
    print(f"  防爆标志 hazard: {status['hazard']}   在站 docked: {status['docked']}", end="")
    print(f"   账本 ledger: {status['ledger_size']}")
    hours = status["free_bytes"] / 1e9
    battery = status["power"]["percent"]
    print(f"  剩余空间 free: {hours:.1f} GB   电量 battery: {battery if battery is not None else '?'} %")
    if custody := status["custody"]:
        pending = f"{custody['pending_objects']} 个 objects, {custody['pending_bytes'] / 1e6:.1f} MB"
        print(f"  待交接 pending: {pending}   联机 connected: {custody['connected']}")
