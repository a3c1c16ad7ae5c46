"""What the custodian sees: a table of the bays, and one line per event. Chinese first, with English."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Final, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.dock.reports import Report, ReportKind
from agent.dock.status import Bay, DockStatus

_WORDS: Final[dict[ReportKind, tuple[str, str, str]]] = {
    "docked": ("设备已连接", "device connected", "cyan"),
    "left": ("设备已离开", "device left", "cyan"),
    "object": ("已入库", "stored", "green"),
    "receipt": ("已签收据", "receipt signed", "green"),
    "cosigned": ("检查点已见证", "checkpoint witnessed", "green"),
    "resync": ("重新核对", "asking again", "yellow"),
    "quarantined": ("校验不符，已隔离", "does not verify, quarantined", "bold red"),
    "quarantine_full": ("隔离区已满，请保管员处理", "quarantine full, custodian please look", "bold red"),
    "refused": ("已拒收，请保管员查看", "refused, custodian please look", "bold red"),
    "fork": ("台账被改写！请立即封存设备", "ledger rewritten! Seize the device", "bold red"),
    "rollback": ("台账被回退！请立即封存设备", "ledger rolled back! Seize the device", "bold red"),
    "fault": ("采集站故障", "fault of the dock", "bold red"),
    "witnessed": ("外部见证已取得", "cosigned by another witness", "green"),
    "unanswered": ("外部见证暂缺，稍后再试", "another witness is missing, will be asked again", "yellow"),
    "timestamped": ("已加盖时间戳", "timestamped", "green"),
    "not-timestamped": ("时间戳暂缺，稍后再试", "no timestamp, will be asked for again", "yellow"),
    "copy_lost": ("第二副本无法写入！请检查磁盘", "second copy cannot be written! Check the disk", "bold red"),
    "copy_back": ("第二副本恢复，正在补齐", "second copy is back, catching up", "green"),
    "copy_differs": ("第二副本与档案不一致！请核查", "second copy differs from the archive! Look now", "bold red"),
    "cloned": ("同一编号两处连接！请立即核查", "same device id from two places! Look now", "bold red"),
    "disputed": ("外部见证不认可！请立即核查", "another witness disputes this ledger! Look now", "bold red"),
}


def event_text(report: Report) -> Text:
    """One event as a line."""
    chinese, english, style = _WORDS[report.kind]
    size = f" {decimal(report.bytes)}" if report.bytes else ""
    return Text.assemble((f"{report.device} ", "bold"), (chinese, style), f" {english}:{size} {report.detail}")


_LINE_SECONDS: Final = 10.0
"""Without a terminal, a busy bay says this often how far it is."""
_HEADINGS: Final = (
    "设备\nDevice",
    "状态\nState",
    "已收 / 共\nReceived / of",
    "速度\nSpeed",
    "剩余\nLeft",
    "进度\nProgress",
)
_NEVER_CUT: Final = 2
"""Device and state are what a custodian acts upon: in a narrow window the other columns give way."""


def summary(status: DockStatus) -> str:
    """The state in a few words, for the supervisor."""
    online = sum(bay.online for bay in status.bays)
    ready = sum(bay.online and bay.may_be_taken for bay in status.bays)
    lost = [one.root for one in status.copies if one.state == "unreachable"]
    trouble = f"; 副本不可用 copy unreachable: {', '.join(lost)}" if lost else ""
    return f"在站 docked {online}, 可取走 may be taken {ready}, 隔离 quarantined {status.quarantined}{trouble}"


def bay_table(status: DockStatus) -> Group:
    """All bays with their progress, for ``rich`` to draw; below them the copies, and what happened last."""
    link = "已联机 online" if status.connected else "未联机 offline"
    table = Table(title=f"采集站 Dock {status.dock}  {link}", box=SIMPLE_HEAD)
    for number, heading in enumerate(_HEADINGS):
        table.add_column(heading, no_wrap=number < _NEVER_CUT, overflow="fold")
    for bay in status.bays:
        table.add_row(
            bay.device,
            _state(bay),
            f"{decimal(bay.received_bytes)} / {decimal(bay.received_bytes + bay.pending_bytes)}",
            f"{decimal(bay.bytes_per_second)}/s",
            time_left(bay),
            _progress(bay),
        )
    recent = (Text(message) for message, _ in groupby(status.messages[-20:]))
    return Group(table, *_copy_lines(status), *_quarantine_line(status), *recent)


def time_left(bay: Bay) -> str:
    """Minutes left, rounded up; less than one is said so."""
    if bay.seconds_left is None:
        return "" if not bay.pending_bytes else "—"
    return f"{-(-bay.seconds_left // 60)} 分 min" if bay.seconds_left >= 60 else "<1 分 min"


_COPY_STATES: Final = {
    "current": ("已同步 current", "green"),
    "catching_up": ("补齐中 catching up", "yellow"),
    "unreachable": ("不可用 UNREACHABLE", "bold red"),
}


def _copy_lines(status: DockStatus) -> list[Text]:
    lines = []
    for one in status.copies:
        word, style = _COPY_STATES[one.state]
        waiting = f" {one.waiting} 件待写 waiting" if one.waiting else ""
        reason = f" {one.reason}" if one.reason else ""
        lines.append(Text.assemble(f"副本 Copy {one.root}: ", (word, style), waiting, reason))
    return lines


def _quarantine_line(status: DockStatus) -> list[Text]:
    if not status.quarantined:
        return []
    text = f"隔离区 {status.quarantined} 件，请查看 items in quarantine: recorder dock --config FILE quarantine list"
    return [Text(text, "bold red")]


def _state(bay: Bay) -> Text:
    if bay.refused:
        return Text("需查看\nLOOK", "bold red")
    if not bay.online:
        return Text("未连接\naway", "dim")
    return Text("可以取走\nmay be taken", "bold green") if bay.may_be_taken else Text("采集中\nbusy", "yellow")


def _progress(bay: Bay) -> ProgressBar:
    done = bay.received_bytes
    return ProgressBar(
        total=max(1, done + bay.pending_bytes), completed=max(done, 0 if bay.pending_bytes else 1), width=16
    )


def progress_line(bay: Bay) -> str:
    """One bay in a line, for a log."""
    total = bay.received_bytes + bay.pending_bytes
    left = f" 剩余 left {time_left(bay)}" if bay.pending_bytes else ""
    amounts = f"{decimal(bay.received_bytes)} / {decimal(total)} {decimal(bay.bytes_per_second)}/s"
    return f"{bay.device} {' '.join(_state(bay).plain.split())}: {amounts}{left}"


class DockConsole:
    """What the custodian sees of a running dock: on a terminal the bays, moving, below the events; else lines.

    ``print`` and ``show`` are called by the dock's thread and never wait for more than the terminal.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console or Console(), clock
        self._live = Live(console=self._console, refresh_per_second=2, transient=True)
        self._lines: dict[str, tuple[float, str]] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def print(self, report: Report) -> None:
        """One event. On a terminal single objects are left to the bars."""
        if not (self._console.is_terminal and report.kind == "object"):
            self._console.print(event_text(report), soft_wrap=True)

    def show(self, status: DockStatus) -> None:
        """The present state."""
        if self._console.is_terminal:
            self._live.update(bay_table(replace(status, messages=[])))
            return
        for bay in status.bays:
            self._tell(bay)

    def _tell(self, bay: Bay) -> None:
        """A line when a bay's state changes, and now and then while it is busy."""
        state, now = _state(bay).plain, self._clock()
        at, before = self._lines.get(bay.device, (-_LINE_SECONDS, ""))
        if state != before or (bay.online and bay.pending_bytes and now - at >= _LINE_SECONDS):
            self._lines[bay.device] = (now, state)
            self._console.print(Text(progress_line(bay)), soft_wrap=True)
