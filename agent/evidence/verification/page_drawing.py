"""The drawn timeline of a device: one drawing a day, a lane for every kind of event, bounded whatever is drawn.

Days and times are those of the device's clock, shown in Beijing time. A clock that tells nonsense gets a drawing of
its own day and does not stretch the others. Days stand in the order of the ledger, because that is what is proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agent.evidence.verification.page_markup import Child, Safe, both, el, english, join, said, table
from agent.evidence.verification.page_moments import (
    DAY,
    SECOND,
    bounded,
    date_text,
    day_of,
    day_start,
    length_text,
    number,
    time_text,
    weekday,
)
from agent.evidence.verification.page_signs import LANES, Lane, hover, is_odd, sign, words_of
from agent.evidence.verification.report import Event, Timeline

FIRST_CREDIBLE_US: Final = 1_420_070_400 * SECOND
"""2015: no device of this kind is older."""
_LEFT, _WIDTH = 150, 820
_TOP, _LANE, _BAR_LANE = 6, 24, 38
_NEAR: Final = 9.0
"""Signs that are nearer than this are drawn as one, with their number."""
_MINUTE, _HOUR = 60 * SECOND, 3_600 * SECOND
_STEPS: Final = (
    *(count * SECOND for count in (5, 10, 30)),
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3)),
)
_TOLD: Final = 4
"""Events that one sign tells of on hovering; the others are counted."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is drawn of one device."""

    days: int
    events: int
    rows: int


@dataclass(frozen=True, slots=True)
class Piece:
    """An event as it stands on one day; a recording over midnight is several."""

    event: Event
    start_us: int
    end_us: int | None = None
    odd: bool = False
    continued: bool = False


@dataclass(slots=True)
class Day:
    """What happened on one day."""

    day: int
    pieces: list[Piece]

    def span(self) -> tuple[int, int]:
        """The first and the last entry of the day; what began on another day counts only if there is nothing else."""
        own = [one.event.seq for one in self.pieces if not one.continued]
        seqs = own or [one.event.seq for one in self.pieces]
        return min(seqs), max(seqs)


def pieces_of(event: Event) -> list[Piece]:
    """By day. A recording without an end, or with one that cannot be, becomes marks instead of a bar."""
    start = bounded(event.utc_us)
    if event.kind != "recording":
        return [Piece(event, start, odd=is_odd(event))]
    if event.until_us is None:
        return [Piece(event, start, start, odd=True)]
    end = bounded(event.until_us)
    if not 0 <= end - start <= 2 * DAY:
        return [Piece(event, start, start, odd=True), Piece(event, end, end, odd=True, continued=True)]
    days = range(day_of(start), day_of(max(start, end - 1)) + 1)
    return [
        Piece(event, max(start, day_start(day)), min(end, day_start(day + 1)), continued=day > days.start)
        for day in days
    ]


def days_of(events: Iterable[Event]) -> list[Day]:
    """The days on which something happened, in the order of the ledger."""
    days: dict[int, Day] = {}
    for event in events:
        for piece in pieces_of(event):
            which = day_of(piece.start_us)
            days.setdefault(which, Day(which, [])).pieces.append(piece)
    return sorted(days.values(), key=lambda day: (day.span(), day.day))


def draw(timeline: Timeline, budget: Budget, witnessed_us: int | None, latest_us: int | None) -> Safe:
    """The newest days of a device, and how much is not drawn."""
    events = list(islice(timeline.events, max(0, len(timeline.events) - budget.events), None))
    days = days_of(events)
    oldest_first = sorted(days, key=lambda day: (day.span()[1], day.day))
    hidden = {day.day: len(day.pieces) for day in oldest_first[: max(0, len(days) - budget.days)]}
    left = timeline.left_out + len(timeline.events) - len(events) + sum(hidden.values())
    about = _around(events)
    rows = budget.rows
    parts: list[Safe] = [_left_out(left, len(hidden))]
    for day in (one for one in days if one.day not in hidden):
        bars = sorted((one for one in day.pieces if one.event.kind == "recording"), key=_order)
        parts += [_figure(day, bars, witnessed_us, latest_us), _recordings(bars[:rows], len(bars), about)]
        rows -= min(rows, len(bars))
    return join(parts)


def _order(piece: Piece) -> tuple[int, int]:
    return piece.start_us, piece.event.seq


def _left_out(events: int, days: int) -> Safe:
    if not events:
        return join()
    zh = f"为控制篇幅，另有较早的 {number(events)} 个事件没有画出{f'，其中有 {number(days)} 整天' if days else ''}。"
    whole = f", {number(days)} whole days among them" if days else ""
    return el(
        "p", both(zh, f"To keep this bounded, {number(events)} older events are not drawn{whole}."), class_="note"
    )


# One day


@dataclass(frozen=True, slots=True)
class _Scale:
    """From time to place."""

    low: int
    high: int
    step: int

    def x(self, us: int) -> float:
        """Where a moment stands, from left to right."""
        return _LEFT + _WIDTH * (us - self.low) / (self.high - self.low)

    def ticks(self) -> range:
        """Moments that are named on the axis."""
        return range(self.low, self.high + 1, self.step)

    def label(self, us: int) -> str:
        """Hours and minutes, with seconds where the axis is as fine as that; the day's end is 24:00."""
        text = "24:00:00" if us == day_start(day_of(self.low) + 1) else time_text(us)
        return text if self.step < _MINUTE else text[:5]


def _scale(day: Day, witnessed_us: int | None) -> _Scale:
    """Around what happened, and the witness's moment soon after it; steps that people count in."""
    times = [us for piece in day.pieces for us in (piece.start_us, piece.end_us) if us is not None]
    start = day_start(day.day)
    low, high = min(times) - start, max(times) - start
    if witnessed_us is not None and 0 <= witnessed_us - start - high <= (high - low) // 2:
        high = min(witnessed_us - start, DAY)
    step = next((one for one in _STEPS if (high - low) / one <= 10), _STEPS[-1])
    low, high = low // step * step, -(-high // step) * step
    return _Scale(start + low, start + max(high, low + step), step)


def _figure(day: Day, bars: Sequence[Piece], witnessed_us: int | None, latest_us: int | None) -> Safe:
    scale = _scale(day, witnessed_us)
    parts: list[Safe] = []
    y = _TOP
    for lane in LANES:
        mine = bars if lane.kind == "recording" else [one for one in day.pieces if one.event.kind == lane.kind]
        if mine:
            height = _BAR_LANE if lane.kind == "recording" else _LANE
            parts.append(_lane(lane, mine, scale, y, height))
            y += height
    zh, en = weekday(day.day)
    name = f"{date_text(day.day)} {zh}"
    body = join(_axis(scale, y), parts, _until(scale, y, witnessed_us))
    heading = el("figcaption", both(f"{name} · 北京时间 UTC+8", f"{en}, China Standard Time"), _odd_day(day, latest_us))
    label = f"时间轴 timeline {name}"
    svg = el("svg", body, viewBox=f"0 0 1000 {y + 26}", class_="day", role="img", aria_label=label)
    return el("figure", heading, el("div", svg, class_="chart"))


def _odd_day(day: Day, latest_us: int | None) -> Safe | None:
    """Said of a day on which nothing of this can have happened."""
    early = day_start(day.day + 1) <= FIRST_CREDIBLE_US
    late = latest_us is not None and day_start(day.day) > latest_us + DAY
    if not early and not late:
        return None
    words = both(" 设备时钟显示的这个日期不可能正确", "the device's clock cannot have been right")
    return el("span", words, class_="odd")


def _axis(scale: _Scale, y: int) -> Safe:
    ticks = [(scale.x(us), scale.label(us)) for us in scale.ticks()]
    grid = "".join(f"M{x:.1f} {_TOP}V{y}" for x, _ in ticks)
    return join(
        el("path", class_="grid", d=grid),
        el("path", class_="base", d=f"M{_LEFT} {y}H{_LEFT + _WIDTH}"),
        [el("text", label, x=f"{x:.1f}", y=y + 17, class_="soft mid") for x, label in ticks],
    )


def _until(scale: _Scale, y: int, witnessed_us: int | None) -> Safe | None:
    """The line after which nothing is witnessed, where it falls into this drawing."""
    if witnessed_us is None or not scale.low <= witnessed_us <= scale.high:
        return None
    words = f"见证至 witnessed until {time_text(witnessed_us)}"
    return el("path", el("title", words), class_="until", d=f"M{scale.x(witnessed_us):.1f} {_TOP}V{y}")


def _lane(lane: Lane, pieces: Sequence[Piece], scale: _Scale, y: int, height: int) -> Safe:
    middle = y + height / 2 + (4 if lane.kind == "recording" else 0)
    other = el("tspan", lane.english, class_="soft")
    name = el("text", lane.chinese, " ", other, x=0, y=f"{middle + 5:.0f}", class_="lane")
    rule = el("path", class_="rule", d=f"M0 {y + height}H{_LEFT + _WIDTH}")
    drawn = _bars(pieces, scale, middle) if lane.kind == "recording" else _signs(lane, pieces, scale, middle)
    return join(rule, name, drawn)


def _bars(pieces: Sequence[Piece], scale: _Scale, middle: float) -> list[Safe]:
    """Numbered where there is room for the number."""
    parts: list[Safe] = []
    free = 0.0
    for count, piece in enumerate(pieces, 1):
        left, right = scale.x(piece.start_us), scale.x(piece.end_us if piece.end_us is not None else piece.start_us)
        width = max(right - left, 7.0 if piece.odd else 2.5)
        title = el("title", f"{count} · ", hover(piece.event, piece.event.until_us))
        form = f"k bar{' odd' if piece.odd else ''}"
        box = {"x": f"{left:.1f}", "y": f"{middle - 6:.1f}", "width": f"{width:.1f}"}
        parts.append(el("rect", title, class_=form, height=12, **box))
        centre, half = left + width / 2, 4 * len(str(count))
        if centre - half >= free:
            parts.append(el("text", str(count), class_="few", x=f"{centre:.1f}", y=f"{middle - 10:.1f}"))
            free = centre + half
    return parts


def _signs(lane: Lane, pieces: Sequence[Piece], scale: _Scale, middle: float) -> list[Safe]:
    parts: list[Safe] = []
    for group in _near(sorted(pieces, key=_order), scale):
        x = (scale.x(group[0].start_us) + scale.x(group[-1].start_us)) / 2
        odd = any(one.odd for one in group)
        parts.append(sign(lane.kind, lane.sign, (x, middle), odd, _told(group)))
        if len(group) > 1:
            count = number(len(group))
            parts.append(el("text", count, class_="few", x=f"{x + 9 + 3.2 * len(count):.1f}", y=f"{middle + 4:.1f}"))
    return parts


def _near(pieces: Iterable[Piece], scale: _Scale) -> list[list[Piece]]:
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and scale.x(piece.start_us) - scale.x(groups[-1][0].start_us) < _NEAR:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _told(group: Sequence[Piece]) -> str:
    told = [hover(one.event) for one in group[:_TOLD]]
    rest = len(group) - len(told)
    return " ¦ ".join(told) + (f" ¦ 另有 {number(rest)} 个 and {number(rest)} more" if rest else "")


# The recordings of a day, for whoever reads on paper


def _around(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each recording, besides its own bar."""
    about: dict[str, list[Event]] = {}
    for event in events:
        if event.recording is not None and event.kind != "recording":
            about.setdefault(event.recording, []).append(event)
    return about


def _recordings(bars: Sequence[Piece], count: int, about: dict[str, list[Event]]) -> Safe:
    head = ("", both("起止", "from, to"), both("时长", "length"), both("记录及经过", "recording, and what happened"))
    rows = [_recording(index, piece, about) for index, piece in enumerate(bars, 1)]
    more = count - len(bars)
    note = both(f"另有 {number(more)} 段没有列出。", f"{number(more)} more are not listed.") if more else None
    return join(table(head, rows, "shifts") if rows else None, el("p", note, class_="note") if note else None)


def _recording(index: int, piece: Piece, about: dict[str, list[Event]]) -> tuple[Child, ...]:
    event = piece.event
    until, length = "?", both("不明", "not known")
    if event.until_us is not None:
        until = time_text(event.until_us)
        if day_of(event.until_us) != day_of(event.utc_us):
            until = f"{date_text(day_of(event.until_us))} {until}"
        if not piece.odd:
            length = both(*length_text((event.until_us - event.utc_us) // SECOND))
    before = f"{date_text(day_of(event.utc_us))} " if piece.continued else ""
    related = _related(about.get(event.recording or "", ()))
    what = join(said(event.recording or "", 32), " ", words_of(event.text), "；" if related else None, related)
    return str(index), f"{before}{time_text(event.utc_us)} – {until}", length, what


def _related(events: Iterable[Event]) -> list[Child]:
    """The notice in words, everything else by number."""
    parts: list[Child] = []
    counts = dict.fromkeys((lane.kind for lane in LANES), 0)
    for event in events:
        counts[event.kind] += 1
        if event.kind == "notice" and counts["notice"] <= _TOLD:
            parts += ["，" if parts else None, f"告知 {time_text(event.utc_us)} {words_of(event.text)}"]
    for lane in LANES:
        if counts[lane.kind] and lane.kind != "notice":
            count = f" × {number(counts[lane.kind])}"
            parts += ["，" if parts else None, f"{lane.chinese} ", english(lane.english), count]
    return parts
