"""What the custodian sees: a table of the bays, and one line per event. Chinese first, with English."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from rich.console import Console, Group
from rich.filesize import decimal
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.dock.intake import Report, ReportKind
from agent.dock.status import Bay, DockStatus

_WORDS: Final[dict[ReportKind, tuple[str, str, str]]] = {
    "docked": ("设备已连接", "device connected", "cyan"),
    "left": ("设备已离开", "device left", "cyan"),
    "object": ("已入库", "stored", "green"),
    "receipt": ("已签收据", "receipt signed", "green"),
    "cosigned": ("检查点已见证", "checkpoint witnessed", "green"),
    "resync": ("重新核对", "asking again", "yellow"),
    "quarantined": ("校验不符，已隔离", "does not verify, quarantined", "bold red"),
    "refused": ("已拒收，请保管员查看", "refused, custodian please look", "bold red"),
    "fork": ("台账被改写！请立即封存设备", "ledger rewritten! Seize the device", "bold red"),
    "rollback": ("台账被回退！请立即封存设备", "ledger rolled back! Seize the device", "bold red"),
    "fault": ("采集站故障", "fault of the dock", "bold red"),
    "witnessed": ("外部见证已取得", "cosigned by another witness", "green"),
    "unanswered": ("外部见证暂缺，稍后再试", "another witness is missing, will be asked again", "yellow"),
    "timestamped": ("已加盖时间戳", "timestamped", "green"),
    "not-timestamped": ("时间戳暂缺，稍后再试", "no timestamp, will be asked for again", "yellow"),
    "disputed": ("外部见证不认可！请立即核查", "another witness disputes this ledger! Look now", "bold red"),
}


def event_text(report: Report) -> Text:
    """One event as a line."""
    chinese, english, style = _WORDS[report.kind]
    size = f" {decimal(report.bytes)}" if report.bytes else ""
    return Text.assemble((f"{report.device} ", "bold"), (chinese, style), f" {english}:{size} {report.detail}")


def bay_table(status: DockStatus) -> Group:
    """All bays with their progress, for ``rich`` to draw."""
    link = "已联机 online" if status.connected else "未联机 offline"
    table = Table(title=f"采集站 Dock {status.dock}  {link}")
    for heading in ("设备 Device", "状态 State", "已收 Received", "速度 Speed", "待收 Pending", "进度 Progress"):
        table.add_column(heading)
    for bay in status.bays:
        table.add_row(
            bay.device,
            _state(bay),
            decimal(bay.received_bytes),
            f"{decimal(bay.bytes_per_second)}/s",
            f"{bay.pending_objects} / {decimal(bay.pending_bytes)}",
            _progress(bay),
        )
    return Group(table, *(Text(message) for message, _ in groupby(status.messages[-20:])))


def _state(bay: Bay) -> Text:
    if bay.refused:
        return Text("需查看 LOOK", "bold red")
    if not bay.online:
        return Text("未连接 away", "dim")
    return Text("可以取走 may be taken", "bold green") if bay.may_be_taken else Text("采集中 busy", "yellow")


def _progress(bay: Bay) -> ProgressBar:
    done = bay.received_bytes
    return ProgressBar(
        total=max(1, done + bay.pending_bytes), completed=max(done, 0 if bay.pending_bytes else 1), width=24
    )


class EventPrinter:
    """Prints events as they come."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    def print(self, report: Report) -> None:
        """Prints one event."""
        self._console.print(event_text(report), soft_wrap=True)
