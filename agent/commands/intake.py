"""The commands of an intake past one dock: its workers, its broker's nodes, its archive."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TextColumn

from agent.commands.printing import print_json
from agent.config import IntakeConfig, load
from agent.errors import FormatError, TrustError, UsageError
from agent.evidence.shapes import dump_shape
from agent.system import logs


def intake_command(arguments: argparse.Namespace) -> int:
    """``recorder intake``: runs a worker, shows its state, proves the bucket, or writes a node's configuration."""
    config = load(arguments.config, IntakeConfig)
    return {"run": _run, "status": _status, "check": _check, "node": _node}[arguments.what](config, arguments)


def _run(config: IntakeConfig, _arguments: argparse.Namespace) -> int:
    from agent.dock.cluster.worker import main
    from agent.dock.console import event_text

    logs.configure(config.log.level)
    console = Console()
    return main(config.intake, lambda report: console.print(event_text(report)))


def _status(config: IntakeConfig, arguments: argparse.Namespace) -> int:
    from agent.dock.console import bay_table
    from agent.dock.status import read_status

    status = read_status(config.intake.console_socket)
    if arguments.json:
        print_json(dump_shape(status))
    else:
        Console().print(bay_table(status))
    return 0


def _check(config: IntakeConfig, arguments: argparse.Namespace) -> int:
    from agent.dock.cluster.bucket import Bucket
    from agent.dock.cluster.canary import prove

    bucket = config.intake.s3
    prove(Bucket(bucket))
    claims: dict[str, Any] = {"conditional_writes": True, "write_once": bucket.write_once == "required"}
    if arguments.json:
        print_json(claims)
    elif claims["write_once"]:
        days = bucket.retention_days
        print(f"✓ 一次写入成立，锁定 {days} 天 write-once holds, locked for {days} days: {bucket.bucket}")
    else:
        print(f"⚠ 未声明一次写入：有权限者可删除 write-once is not claimed, whoever may can delete: {bucket.bucket}")
    return 0


def _node(config: IntakeConfig, arguments: argparse.Namespace) -> int:
    from agent.dock.cluster.nodes import node_config
    from agent.dock.register import REGISTER_NAME, Accepted
    from agent.evidence.encoding import load_object
    from agent.evidence.shapes import load_shape

    intake = config.intake
    node = next((one for one in intake.nodes if one.name == arguments.name), None)
    if node is None:
        names = ", ".join(one.name for one in intake.nodes) or "[[intake.nodes]] 为空 is empty"
        raise UsageError(f"没有此节点 no such node: {arguments.name}; {names}")
    try:
        accepted = load_shape(Accepted, load_object((intake.credentials / REGISTER_NAME).read_bytes()))
    except (OSError, FormatError) as error:
        raise TrustError(f"the register cannot be used: {error}") from error
    print(node_config(node, intake.nodes, intake.id, accepted.devices, accepted.agency), end="")
    return 0


def archive_command(arguments: argparse.Namespace) -> int:
    """``recorder archive``: lists who is in the bucket, or fetches evidence into a folder."""
    from agent.dock.cluster.bucket import Bucket
    from agent.dock.cluster.fetch import devices, fetch

    bucket = Bucket(load(arguments.config, IntakeConfig).intake.s3)
    if arguments.what == "list":
        print("\n".join(devices(bucket)))
        return 0
    if bool(arguments.device) == arguments.all:
        raise UsageError("请给出设备编号，或 --all； name a device, or give --all")
    wanted = devices(bucket) if arguments.all else [arguments.device]
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=Console(stderr=True)) as view:
        for device in wanted:
            print(fetch(bucket, device, arguments.to, _counting(view, device)))
    return 0


def _counting(view: Progress, device: str) -> Callable[[int], None]:
    """Shows how much has come of this device."""
    task, sizes = view.add_task(device), [0]

    def show(size: int) -> None:
        sizes[0] += size
        view.update(task, description=f"{device} {decimal(sizes[0])}")

    return show
