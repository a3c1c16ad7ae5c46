"""What each command of ``recorder`` does. The rooms meet here, and only here."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyrage
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from agent.config import DockConfig, RecorderConfig, load
from agent.errors import TrustError, UsageError, table
from agent.evidence.documents import TrustBundle
from agent.evidence.entries import Close, Entry, Open
from agent.evidence.export import export_recording
from agent.evidence.folder import EvidenceFolder, devices_of
from agent.evidence.shapes import dump_shape
from agent.evidence.verification.report import AXIS_TEXT, RULES, Report
from agent.evidence.verification.verifier import Question, total_bytes, verify
from agent.recorder.control import ask
from agent.recorder.journal import parse_lines
from agent.rules.conduct import judge_conduct
from agent.system import logs

_SIGNS: Final = {
    "ok": "[green]✓ 通过 ok[/]",
    "finding": "[bold red]✗ 发现 finding[/]",
    "unknown": "[yellow]? 未知 unknown[/]",
}


def _run(arguments: argparse.Namespace) -> int:
    from agent.unit import run_unit  # camera, codec and MQTT libraries: only a recorder needs them

    config = load(arguments.config, RecorderConfig)
    logs.configure(config.log.level)
    run_unit(config)
    return 0


def _dock(arguments: argparse.Namespace) -> int:
    from agent.dock.service import main as run_dock
    from agent.dock.status import read_status

    config = load(arguments.config, DockConfig)
    if arguments.what == "run":
        logs.configure(config.log.level)
        return run_dock(config.dock)
    from agent.dock.console import bay_table

    status = read_status(config.dock.console_socket)
    if arguments.json:
        _print_json(dump_shape(status))
    else:
        Console().print(bay_table(status))
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
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
        view.add_row(row.item, _SIGNS["ok"] if row.error is None else f"[bold red]{row.error.code}[/]", row.text)
    Console().print(view)
    return next((row.error.exit_code for row in rows if row.error), 0)


def _trust(path: Path) -> TrustBundle:
    try:
        return TrustBundle.from_json(path.read_bytes())
    except OSError as error:
        raise TrustError(f"{path}: {error.strerror}") from error


def read_identity_file(path: Path) -> pyrage.x25519.Identity:
    """The first identity of an ``age-keygen`` file. Raises TrustError."""
    try:
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        return pyrage.x25519.Identity.from_str(lines[0])
    except (OSError, UnicodeDecodeError, IndexError, pyrage.IdentityError) as error:
        raise TrustError(f"{path} is not an age identity file: {error}") from error


def _verify(arguments: argparse.Namespace) -> int:
    question = Question(
        trust=_trust(arguments.trust),
        conduct=judge_conduct,
        identity=read_identity_file(arguments.identity) if arguments.identity else None,
        accept_simulated=arguments.accept_simulated,
    )
    progress = Progress(
        "验证 verifying", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=arguments.json,
    )  # fmt: skip
    with progress:
        try:
            bar = progress.add_task("", total=total_bytes(arguments.path) or None)
        except OSError as error:
            raise UsageError(f"{arguments.path}: {error.strerror}") from error
        report = verify(arguments.path, question, lambda count: progress.advance(bar, count))
    if arguments.json:
        _print_json(report.to_json())
    else:
        print_report(report, Console())
    return report.exit_code()


def print_report(report: Report, console: Console) -> None:
    """The verdict for a person: axes, rules, findings, what was looked at and what is not proved."""
    axes = Table(title="各项结论 Verdict by axis")
    axes.add_column("项目 Axis")
    axes.add_column("结论 Verdict")
    for axis, verdict in report.axes().items():
        chinese, english = AXIS_TEXT[axis]  # type: ignore[index]
        axes.add_row(f"{chinese} {axis}: {english}", _SIGNS[verdict])
    rules = Table(title="各条规则 Verdict by rule")
    rules.add_column("规则 Rule")
    rules.add_column("结论 Verdict")
    for rule, verdict in report.rules().items():
        rules.add_row(f"{rule} {RULES[rule][0]} {RULES[rule][1]}", _SIGNS[verdict])
    console.print(axes, rules)
    for finding in report.findings:
        rule = f" {finding.rule}" if finding.rule else ""
        console.print(f"[bold red]✗ {finding.code}[/]{rule} @ {finding.where}: {finding.what}", highlight=False, soft_wrap=True)
    for unknown, why in report.unknown.items():
        console.print(f"[yellow]? {unknown.value}[/]: {why}", highlight=False, soft_wrap=True)
    for one in report.devices:
        console.print(
            f"设备 device {one.device}: {one.entries} 条目 entries, {one.recordings} 段记录 recordings, "
            f"{one.refusals} 次拒绝 refusals, 已核对 {one.objects_checked} 个对象 objects checked, "
            f"{one.objects_with_dock} 个已交采集站 with the dock; "
            f"未见证 unwitnessed: {one.unwitnessed_entries} 条 entries, {one.unwitnessed_seconds} s"
            + ("; [yellow]模拟硬件 simulated hardware[/]" if one.simulated else ""),
            highlight=False,
            soft_wrap=True,
        )


def _entries(path: Path) -> list[Entry]:
    try:
        return list(parse_lines(EvidenceFolder(path).ledger))
    except OSError as error:
        raise UsageError(f"{path} holds no readable ledger: {error.strerror}") from error


def _export(arguments: argparse.Namespace) -> int:
    entries = _entries(arguments.path)
    recording = arguments.recording or _last_film(entries)
    identity = read_identity_file(arguments.identity)
    done = export_recording(EvidenceFolder(arguments.path), entries, recording, identity, arguments.out)
    for file in done.files:
        print(f"已导出 exported: {file}")
    for name in done.missing:
        print(f"缺失或被改动，未导出 missing or altered, left out: {name}")
    print(
        "导出件不是证据原件；请一并提交档案库与验证报告。 A copy is not the evidence: hand over the archive and its report too."
    )
    return 1 if done.missing else 0


def _last_film(entries: list[Entry]) -> str:
    films = [entry.body.recording for entry in entries if isinstance(entry.body, Open) and entry.body.kind != "photo"]
    if not films:
        raise UsageError("账本中没有记录； the ledger holds no recording")
    return films[-1]


def _inspect(arguments: argparse.Namespace) -> int:
    for device in devices_of(arguments.path) if arguments.path.is_dir() else []:
        for entry in _entries(device):
            if arguments.type and entry.type != arguments.type:
                continue
            body = dump_shape(entry.body)
            if arguments.json:
                row = {
                    "device": entry.device,
                    "seq": entry.seq,
                    "type": entry.type,
                    "utc_us": entry.time.utc_us,
                    "body": body,
                }
                print(json.dumps(row, ensure_ascii=False))
            else:
                print(f"{entry.device} {entry.seq:>6} {entry.type:<10} {_short(entry, body)}")
    return 0


def _short(entry: Entry, body: dict[str, Any]) -> str:
    if isinstance(entry.body, Close):
        return f"{entry.body.recording} {entry.body.reason}, {entry.body.duration_us / 1e6:.1f} s, {entry.body.frames} frames"
    return ", ".join(f"{key}={str(value)[:40]}" for key, value in body.items())[:150]


def _control(arguments: argparse.Namespace) -> int:
    config = load(arguments.config, RecorderConfig)
    fields: dict[str, Any] = {}
    if arguments.command == "press":
        fields["hold_ms"] = arguments.hold_ms
    elif arguments.command == "mark":
        fields["kind"] = arguments.kind
    elif arguments.command == "drive":
        fields = {"part": arguments.part, "active": arguments.state == "on"}
    status = ask(config.recorder.control, arguments.command, **fields)
    if arguments.json:
        _print_json(status)
    else:
        _print_status(status)
    return 0


def _print_status(status: dict[str, Any]) -> None:
    print(f"{status['device']}: {status['phase_zh']} {status['phase_en']}")
    if status["recording"]:
        print(f"  记录 recording {status['recording']}  {status['media_seconds']:.1f} s")
    print(
        f"  防爆标志 hazard: {status['hazard']}   在站 docked: {status['docked']}   账本 ledger: {status['ledger_size']}"
    )
    hours = status["free_bytes"] / 1e9
    battery = status["power"]["percent"]
    print(f"  剩余空间 free: {hours:.1f} GB   电量 battery: {battery if battery is not None else '?'} %")
    if custody := status["custody"]:
        pending = f"{custody['pending_objects']} 个 objects, {custody['pending_bytes'] / 1e6:.1f} MB"
        print(f"  待交接 pending: {pending}   联机 connected: {custody['connected']}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "run": _run,
    "dock": _dock,
    "doctor": _doctor,
    "verify": _verify,
    "export": _export,
    "inspect": _inspect,
    **dict.fromkeys(("press", "stop", "mark", "photo", "status", "reload", "drive"), _control),
}
