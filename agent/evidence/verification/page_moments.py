"""Moments, lengths and amounts in words. What a device says about time is shown whatever it says."""

from __future__ import annotations

import datetime as dt
from typing import Final

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
BEIJING: Final = 8 * 3_600 * SECOND
"""Chinese standard time is ahead of UTC by this much, all year."""
_FAR: Final = 1 << 62
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_WEEKDAYS: Final = (
    ("星期一", "Monday"),
    ("星期二", "Tuesday"),
    ("星期三", "Wednesday"),
    ("星期四", "Thursday"),
    ("星期五", "Friday"),
    ("星期六", "Saturday"),
    ("星期日", "Sunday"),
)


def bounded(us: int) -> int:
    """A number that arithmetic and printing can bear."""
    return max(-_FAR, min(us, _FAR))


def day_of(us: int) -> int:
    """The day in Beijing, counted from 1970-01-01."""
    return (bounded(us) + BEIJING) // DAY


def day_start(day: int) -> int:
    """The moment (UTC, microseconds) at which that day begins in Beijing."""
    return day * DAY - BEIJING


def date_text(day: int) -> str:
    """A day as a date, whatever the calendar makes of it."""
    try:
        return dt.date.fromordinal(_EPOCH + day).isoformat()
    except (ValueError, OverflowError):
        return f"1970-01-01 {day:+d} d"


def weekday(day: int) -> tuple[str, str]:
    """Chinese and English."""
    return _WEEKDAYS[(day + 3) % 7]


def time_text(us: int) -> str:
    """Time of the day in Beijing."""
    return _clock((bounded(us) + BEIJING) % DAY)


def utc_text(us: int) -> str:
    """Date and time, UTC."""
    us = bounded(us)
    return f"{date_text(us // DAY)}T{_clock(us % DAY)}Z"


def moment_text(us: int) -> str:
    """Date and time in Beijing, and in UTC."""
    return f"{date_text(day_of(us))} {time_text(us)}（UTC {utc_text(us)}）"


def _clock(us: int) -> str:
    seconds = us // SECOND
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def iso_us(text: str) -> int | None:
    """A moment that was given as ISO text, in microseconds; one without a zone is UTC. None: it cannot be read."""
    try:
        moment = dt.datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()) * SECOND
    except (ValueError, OverflowError):
        return None


def iso_text(text: str) -> str:
    """The same in words; what cannot be read is shown as it is."""
    us = iso_us(text)
    return text if us is None else moment_text(us)


def length_text(seconds: int) -> tuple[str, str]:
    """A length, Chinese and English: its two greatest units that are not zero."""
    seconds = max(0, bounded(seconds))
    units = ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分", "min"), (1, "秒", "s"))
    chinese: list[str] = []
    other: list[str] = []
    for size, zh, en in units:
        count, seconds = divmod(seconds, size)
        if (count or (size == 1 and not chinese)) and len(chinese) < 2:
            chinese.append(f"{count:,} {zh}")
            other.append(f"{count:,} {en}")
    return " ".join(chinese), " ".join(other)


def bytes_text(count: int) -> str:
    """An amount of data in a unit that can be grasped, and exactly."""
    amount, unit = float(bounded(count)), "B"
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if amount < 1000 or unit == "PB":
            break
        amount /= 1000
    return f"{count:,} B" if unit == "B" else f"{amount:.1f} {unit} ({bounded(count):,} B)"


def number(count: int) -> str:
    """With separators."""
    return f"{bounded(count):,}"
