"""What ``recorder status`` and ``recorder watch`` show: the recorder's answer as rows, a table, or one line. No I/O.

Nothing is said by colour alone: what needs a hand begins with ``！``. Everything fits into 80 columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

Status = dict[str, Any]
TROUBLE: Final = "！"
_SHOWN_WARNINGS, _SHOWN_ENTRIES = 3, 5
_BAR_CELLS, _BAR_FLOOR_DBFS = 24, -60.0
_LOW_SECONDS: Final = 1800
_TRUSTED_CLOCKS: Final = ("gnss", "ntp")
_HAZARD: Final = {
    "clear": "无 clear",
    "set": "有！不得录制，请关机或离开 set: no recording, switch off or leave",
    "stale": "未知，按有处理 unknown, counts as set",
}
_COVERED: Final = {
    "set": "有，本机防爆合格证适用 set: this unit is approved for it",
    "stale": "未知，可以录制 unknown: may record",
}
"""Where the flag forbids this unit nothing."""
_SOURCES: Final = {"gnss": "卫星 GNSS", "ntp": "网络 NTP", "rtc": "时钟芯片 RTC", "none": "无来源 no source"}
_WAYS: Final = {"file": "本机文件 file", "qr": "二维码 code", "dispatch": "下发 dispatch"}
_PARTS: Final = {"camera": "摄像头 camera", "microphone": "麦克风 microphone"}


@dataclass(frozen=True, slots=True)
class Row:
    """One fact."""

    label: str
    value: str
    trouble: bool = False


def rows(status: Status) -> list[Row]:
    """All facts, the most important first. A fact that the recorder does not report is left out."""
    found = [
        _state(status),
        _recorded(status),
        _matter(status),
        _left(status),
        _hazard(status),
        _clock(status),
        _position(status),
    ]
    return [one for one in (*found, _lost(status), _sound(status), _pending(status)) if one is not None]


def _state(status: Status) -> Row:
    chinese = str(status.get("signal_zh") or status["phase_zh"])
    english = status.get("signal_en") or status["phase_en"]
    signal = status.get("signal") or status["phase"]
    return Row("状态 state", f"{chinese} {english}", signal in ("blocked", "hazard", "fault", "trouble"))


def _recorded(status: Status) -> Row | None:
    if not status["recording"]:
        return None
    return Row("记录 recording", f"{clock_face(status['media_seconds'])}  {status['recording']}")


def _matter(status: Status) -> Row | None:
    """The number alone (R12.2); whose matter it is, and where, stays sealed."""
    matter = status.get("matter")
    if matter is None:
        return None
    if matter["unusable"]:
        return Row("任务 matter", "无法读取 cannot be read", True)
    if matter["number"] is None:
        return Row("任务 matter", "无 none")
    return Row("任务 matter", f"{matter['number']}  {_WAYS.get(matter['source'], matter['source'])}")


def _left(status: Status) -> Row:
    space, power = status.get("space_seconds"), status["power"]
    minutes, percent = power.get("minutes_left"), power.get("percent")
    parts = [f"空间 space {_duration(space) if space is not None else decimal(status['free_bytes'])}"]
    if power.get("on_mains"):
        parts.append("外接电源 on mains")
    parts.append(f"电池 battery {_battery(minutes, percent)}")
    low = (space is not None and space < _LOW_SECONDS) or (minutes is not None and minutes * 60 < _LOW_SECONDS)
    return Row("可用 left", "  ".join(parts), low and not (power.get("on_mains") and space and space >= _LOW_SECONDS))


def _battery(minutes: int | None, percent: int | None) -> str:
    known = [f"{minutes} min" if minutes is not None else "", f"{percent} %" if percent is not None else ""]
    return ", ".join(one for one in known if one) or "?"


def _hazard(status: Status) -> Row:
    state = str(status["hazard"])
    if not status.get("hazard_refuses", True):
        return Row("危险 hazard", _COVERED.get(state, _HAZARD["clear"]))
    return Row("危险 hazard", _HAZARD.get(state, state), state != "clear")


def _clock(status: Status) -> Row | None:
    clock = status.get("clock")
    if clock is None:
        return None
    error_us = clock["error_us"]
    bound = f" ±{error_us / 1000:.0f} ms" if error_us is not None else ""
    trusted = clock["source"] in _TRUSTED_CLOCKS and error_us is not None
    words = "" if trusted else " 未校准 not trusted"
    return Row("时间 clock", f"{_SOURCES.get(clock['source'], clock['source'])}{bound}{words}", not trusted)


def _position(status: Status) -> Row | None:
    if "position" not in status:
        return None
    position = status["position"]
    if position is None:
        return Row("位置 position", "未知 unknown", True)
    return Row("位置 position", f"±{position['error_metres']:.0f} m, {position['age_seconds']:.0f} s 前 ago")


def _lost(status: Status) -> Row | None:
    lost = [_PARTS.get(one, one) for one in status.get("lost_parts", ())]
    return Row("中断 lost", ", ".join(lost), True) if lost else None


def _sound(status: Status) -> Row | None:
    level = status.get("sound_dbfs")
    return Row("声音 sound", level_bar(level["rms"], level["peak"])) if level else None


def level_bar(rms_dbfs: float, peak_dbfs: float) -> str:
    """Filled to the mean level, a stroke at the peak; -60 to 0 dBFS."""
    filled, peak = _cells(rms_dbfs), _cells(peak_dbfs)
    cells = ["█" if at < filled else "·" for at in range(_BAR_CELLS)]
    if peak > filled:
        cells[peak - 1] = "│"
    return f"{''.join(cells)} {rms_dbfs:.0f} dBFS, 峰值 peak {peak_dbfs:.0f}"


def _cells(dbfs: float) -> int:
    return round(_BAR_CELLS * min(1.0, max(0.0, 1 - dbfs / _BAR_FLOOR_DBFS)))


def _pending(status: Status) -> Row | None:
    custody = status.get("custody")
    if not custody:
        return None
    link = "已联机 online" if custody["connected"] else "未联机 offline"
    held = f"{custody['pending_objects']} 个 objects, {decimal(custody['pending_bytes'])}"
    stuck = "  数据块无法送达，稍后重试 parts do not get through, tried again" if custody.get("parts_withheld") else ""
    return Row("待交接 pending", f"{held}  {link}{stuck}")


def clock_face(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds // 60:.0f} min"


def panel(status: Status) -> Table:
    """Everything, for a terminal."""
    docked = "  在站 docked" if status["docked"] else ""
    table = Table(
        title=f"记录仪 Recorder {status['device']}{docked}", show_header=False, title_justify="left", width=78
    )
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows(status):
        table.add_row(
            row.label, Text(f"{TROUBLE if row.trouble else ''}{row.value}", "bold red" if row.trouble else "")
        )
    for warning in status.get("warnings", [])[-_SHOWN_WARNINGS:]:
        table.add_row("提醒 warning", Text(f"{_time(warning)} {warning['zh']} {warning['en']}", "yellow"))
    table.add_section()
    table.add_row("账本 ledger", f"{status['ledger_size']} 条 entries")
    for entry in status.get("entries", [])[-_SHOWN_ENTRIES:]:
        table.add_row("", Text(f"{_time(entry)} #{entry['seq']} {entry['type']}", "dim"))
    return table


def _time(one: dict[str, Any]) -> str:
    """Hours to seconds, UTC, of an ISO 8601 time."""
    return f"{str(one['at'])[11:19]}Z"


def line(status: Status) -> str:
    """The state in one line, for a log."""
    trouble = [f"{row.label}: {row.value}" for row in rows(status) if row.trouble]
    state = f"{status['device']}: {_state(status).value}"
    recording = f"  记录 {status['recording']}" if status["recording"] else ""
    return state + recording + "".join(f"  {TROUBLE}{one}" for one in trouble)


def essence(status: Status) -> tuple[object, ...]:
    """What makes a new line worth printing: no clock, no level, no counter that merely runs."""
    custody = status.get("custody") or {}
    trouble = tuple(row.label for row in rows(status) if row.trouble)
    warnings = status.get("warnings", [])
    said = tuple(sorted(warnings[-1].items())) if warnings else ()
    return (status.get("signal"), status["phase"], status["recording"], status["docked"], status["hazard"],
            _matter(status), trouble, said, custody.get("connected"))  # fmt: skip
