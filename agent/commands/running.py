"""The commands that run something: the recorder, the self-check."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from agent.commands.printing import SIGNS
from agent.config import RecorderConfig, load
from agent.errors import UsageError, table
from agent.system import durable, logs


def run_command(arguments: argparse.Namespace) -> int:
    """``recorder run``: until SIGTERM."""
    from agent.unit import run_unit  # camera, codec and MQTT libraries: only a recorder needs them

    config = load(arguments.config, RecorderConfig)
    logs.configure(config.log.level)
    run_unit(config)
    return 0


def broker_command(arguments: argparse.Namespace) -> int:
    """``recorder broker``: mosquitto's configuration for a dock."""
    from agent.dock.broker import write_mosquitto

    if not 1 <= arguments.port <= 65535:
        raise UsageError(f"端口 {arguments.port} 无效； port {arguments.port} is none")
    out, credentials = arguments.out.resolve(), arguments.credentials.resolve()
    with durable.storage_errors(out, "making"):
        out.mkdir(parents=True, exist_ok=True)
    write_mosquitto(out, credentials, arguments.port, arguments.address, arguments.user)
    print(f"已写出 written: {out / 'mosquitto.conf'}, {out / 'acl'}")
    return 0


def doctor_command(arguments: argparse.Namespace) -> int:
    """``recorder doctor``: what is wrong and what to do."""
    if arguments.errors:
        print(table())
        return 0
    if not arguments.config:
        raise UsageError("doctor 需要 --config 或 --errors； doctor needs --config or --errors")
    from agent.doctor import examine

    rows = examine(arguments.config)
    view = Table(title="自检 Self-check")
    for heading in ("项目 Item", "结果 Result", "说明 What to do"):
        view.add_column(heading)
    for row in rows:
        view.add_row(row.item, SIGNS["ok"] if row.error is None else f"[bold red]{row.error.code}[/]", row.text)
    Console().print(view)
    return next((row.error.exit_code for row in rows if row.error), 0)
