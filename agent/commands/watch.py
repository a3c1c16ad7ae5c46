"""``recorder watch``: a live view of a running recorder, asked over its control socket at a bounded pace."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent.commands.status_view import Status, essence, line, panel
from agent.config import RecorderConfig, load
from agent.errors import NotRunningError, RefusedError
from agent.recorder.control import ask

_GONE = "记录仪没有应答，正在重试… The recorder does not answer; trying again"
SLOWEST_SECONDS = 5.0
"""Between questions to a recorder that does not answer."""


def watch_command(arguments: argparse.Namespace) -> int:
    """``recorder watch``: until interrupted, or for so many looks."""
    config = load(arguments.config, RecorderConfig)
    looks = _looks(config.recorder.control, arguments.interval, arguments.count)
    console = Console()
    try:
        if console.is_terminal:
            _draw(console, looks)
        else:
            _print(console, looks)
    except KeyboardInterrupt:
        pass  # how one stops watching
    return 0


def _looks(control: Path, interval_seconds: float, count: int | None) -> Iterator[Status | None]:
    """One answer an interval; None while nobody answers, then asked less and less often."""
    made, pause = 0, interval_seconds
    while count is None or made < count:
        try:
            status = ask(control, "status")
            pause = interval_seconds
        except (NotRunningError, RefusedError):
            status, pause = None, min(SLOWEST_SECONDS, pause * 1.5)
        yield status
        made += 1
        if count is None or made < count:
            time.sleep(pause)


def _draw(console: Console, looks: Iterator[Status | None]) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for status in looks:
            live.update(panel(status) if status else Text(_GONE, "bold red"), refresh=True)


def _print(console: Console, looks: Iterator[Status | None]) -> None:
    """Not a terminal: a line whenever something has changed."""
    before: object = ()
    for status in looks:
        now = essence(status) if status else _GONE
        if now != before:
            before = now
            console.print(Text(_stamped(status)), soft_wrap=True)


def _stamped(status: Status | None) -> str:
    warnings = status.get("warnings", []) if status else []
    said = f"  提醒 {warnings[-1]['zh']} {warnings[-1]['en']}" if warnings else ""
    return f"{time.strftime('%H:%M:%S')} {line(status) + said if status else _GONE}"
