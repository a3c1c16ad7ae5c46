"""The commands of a custodian: the station itself, its quarantine, its copies, its catalogue, what is due to go."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from agent.commands.printing import print_json
from agent.config import DockConfig, load
from agent.dock.settings import DockSettings
from agent.errors import UsageError
from agent.evidence.shapes import dump_shape
from agent.system import durable, logs


def dock_command(arguments: argparse.Namespace) -> int:
    """``recorder dock``."""
    if arguments.config is None:
        raise UsageError("请给出 --config dock.toml。 Give --config dock.toml")
    config = load(arguments.config, DockConfig)
    if arguments.what in (None, "run"):
        from agent.dock.service import main as run_dock

        logs.configure(config.log.level)
        return run_dock(config.dock)
    return _WORDS[arguments.what](arguments, config.dock)


def _status(arguments: argparse.Namespace, settings: DockSettings) -> int:
    from agent.dock.console import bay_table
    from agent.dock.status import read_status

    status = read_status(settings.console_socket)
    if arguments.json:
        print_json(dump_shape(status))
    else:
        Console().print(bay_table(status))
    return 0


def _quarantine(arguments: argparse.Namespace, settings: DockSettings) -> int:
    from agent.dock.quarantine import Item, find_item, list_quarantine

    def plain(item: Item) -> dict[str, object]:
        return {"item": item.id, "size": item.size, "reason": asdict(item.reason) if item.reason else None}

    if arguments.do == "show":
        if arguments.item is None:
            raise UsageError("请给出编号 DEVICE/FILE。 Name the item, as list prints it")
        item = find_item(settings.quarantine, arguments.item)
        print_json({**plain(item), "path": str(item.path)})
        return 0
    items = list_quarantine(settings.quarantine)
    if arguments.json:
        print_json([plain(item) for item in items])
        return 0
    table = Table(title=f"隔离区 Quarantine: {len(items)} 件 items, {decimal(sum(item.size for item in items))}")
    for heading in ("编号 Item", "大小 Size", "时间 UTC", "原因 Reason"):
        table.add_column(heading, overflow="fold")
    for item in items:
        why = item.reason
        said = f"{why.reason} {why.reason_english}" if why else "原因文件缺失或损坏 its reason is missing or damaged"
        table.add_row(item.id, decimal(item.size), _moment(why.kept_us) if why else "", said)
    Console().print(table)
    return 0


def _copies(arguments: argparse.Namespace, settings: DockSettings) -> int:
    from agent.dock.copies import CopyFolder, prepare_copy
    from agent.errors import StorageError

    if arguments.prepare is not None:
        prepare_copy(arguments.prepare, settings.id)
        same = arguments.prepare.stat().st_dev == settings.folder.stat().st_dev
        print(f"已标记为 {settings.id} 的副本 marked as a copy of {settings.id}: {arguments.prepare}")
        if same:
            print("警告：与档案在同一块磁盘上。 Warning: it is on the same disk as the archive.")
        return 0
    if not settings.copies:
        print("未配置副本：在 [dock] 中设置 copies。 No copies are configured: set copies in [dock]")
        return 0
    worst = 0
    for root in settings.copies:
        try:
            copy = CopyFolder(root, settings.id, settings.archive)
            copy.check()
            missing = sum(1 for _, name in copy.missing() if name)
            print(f"{root}: 可用 there; 待写 to be copied: {missing}")
        except StorageError as error:
            print(f"{root}: {error.code} {error}\n  {error.advice}")
            worst = error.exit_code
    return worst


def _rebuild(arguments: argparse.Namespace, settings: DockSettings) -> int:
    from agent.dock.rebuilding import catalogue_is_true, rebuild

    with durable.lock_folder(settings.folder):
        true = catalogue_is_true(settings)
        done = None if arguments.check else rebuild(settings)
    words = "与档案一致 the catalogue is the archive's" if true else "与档案不一致或缺失 it differed, or was not there"
    if done is None:
        print(words)
        return 0 if true else 1
    print(f"{words}; 已重建 rebuilt: {done.recordings} 段记录 recordings, {done.shelved} 入查找树 laid out")
    for line in done.failed:
        print(f"  ✗ {line}")
    return 0 if not done.failed else 5


def _retention(arguments: argparse.Namespace, settings: DockSettings) -> int:
    from agent.dock.retention import Retention, Row, read_cases
    from agent.rules.retention import WORDS

    run = Retention(settings)
    if arguments.records:
        print_json([dump_shape(record) for record in run.records()])
        return 0
    cases = read_cases(arguments.closed)
    rows = run.plan(cases)
    signed = run.apply(rows, cases) if arguments.apply else []
    if signed:
        _lay_out_again(settings, {(record.device, record.recording) for record in signed})

    def plain(row: Row) -> dict[str, object]:
        return {
            "device": row.device, "recording": row.recording, "matter": row.subject.matter, "bytes": row.bytes,
            "verdict": row.ruling.verdict, "keep_days": row.ruling.keep_days, "until_us": row.ruling.until_us,
        }  # fmt: skip

    if arguments.json:
        print_json({"rows": [plain(row) for row in rows], "deleted": [dump_shape(record) for record in signed]})
        return 0
    table = Table(title="已删除 Deleted" if arguments.apply else "试运行，未删除 Dry run: nothing was deleted")
    for heading in ("设备 Device", "记录 Recording", "案件 Matter", "期限 Until (UTC)", "大小 Size", "结论 Verdict"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        until = _moment(row.ruling.until_us) if row.ruling.until_us is not None else "—"
        words = " ".join(WORDS[row.ruling.verdict])
        table.add_row(row.device, row.recording, row.subject.matter or "—", until, decimal(row.bytes), words)
    Console().print(table)
    counts = Counter(row.ruling.verdict for row in rows)
    print("，".join(f"{WORDS[verdict][0]} {count}" for verdict, count in counts.items()) or "没有记录 no recordings")
    if signed:
        print(f"已签署 {len(signed)} 条删除记录 deletion records signed: archive/DEVICE/deletions.jws")
    return 0


def _lay_out_again(settings: DockSettings, deleted: set[tuple[str, str]]) -> None:
    from agent.dock.rebuilding import lay_out

    lay_out(settings, lambda row: (row.device, row.recording) in deleted)


def _moment(utc_us: int) -> str:
    try:
        return datetime.fromtimestamp(utc_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "—"


def _timestamp(arguments: argparse.Namespace, settings: DockSettings) -> int:
    from agent.dock.timestamps import read_agency, stamp_archive

    done = stamp_archive(settings, read_agency(settings), lambda _folder: True)
    if arguments.json:
        print_json(None if done is None else {**asdict(done), "at": done.at.isoformat()})
    elif done is None:
        print("没有新的已见证检查点； nothing new has been witnessed")
    else:
        print(f"已加盖时间戳 timestamped: {done.name}，{done.devices} 台设备 devices，{done.at.isoformat()}")
    return 0


_WORDS: Final[dict[str, Callable[[argparse.Namespace, DockSettings], int]]] = {
    "status": _status,
    "quarantine": _quarantine,
    "copies": _copies,
    "rebuild": _rebuild,
    "retention": _retention,
    "timestamp": _timestamp,
}
