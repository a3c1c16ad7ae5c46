"""Every device: what was looked at, and its drawn timeline."""

from __future__ import annotations

from collections import Counter
from typing import Final

from agent.evidence.verification.page_drawing import Budget, draw
from agent.evidence.verification.page_markup import Child, Safe, both, el, english, join, said, table
from agent.evidence.verification.page_moments import SECOND, bounded, bytes_text, length_text, moment_text, number
from agent.evidence.verification.page_signs import legend
from agent.evidence.verification.page_texts import FACTS, KINDS
from agent.evidence.verification.report import MAX_EVENTS, MAX_PLACES, DeviceFacts, Report

MAX_DEVICES: Final = 100
"""Devices told of one by one; the report for machines has them all."""
MAX_DAYS: Final = 60
"""Days drawn of one device."""
_DAYS, _EVENTS, _ROWS = 240, 8_000, 2_000
"""Days, events and rows of recordings on one page, shared among its devices."""
_NAMES: Final = 20


def budget_of(devices: int) -> Budget:
    """What may be drawn of each of so many devices."""
    devices = max(1, devices)
    return Budget(
        days=max(2, min(MAX_DAYS, _DAYS // devices)),
        events=max(100, min(MAX_EVENTS, _EVENTS // devices)),
        rows=max(20, min(400, _ROWS // devices)),
    )


def devices_of(report: Report, latest_us: int | None) -> Safe:
    """All devices, an overview before them when there are several."""
    shown = report.devices[:MAX_DEVICES]
    budget = budget_of(len(shown))
    drawn: set[str] = set()
    parts: list[Safe | None] = [_overview(report) if len(shown) > 1 else None, _how_to_read()]
    for facts in shown:
        parts.append(_device(facts, report, budget, latest_us, facts.device not in drawn))
        drawn.add(facts.device)
    left = len(report.devices) - len(shown)
    if left:
        words = both(f"另有 {number(left)} 台设备没有逐一列出。", f"{number(left)} more devices are not told of here.")
        parts.append(el("p", words, class_="note"))
    return join(parts)


def _overview(report: Report) -> Safe:
    """One row a device."""
    found: Counter[str] = Counter()
    full: set[str] = set()
    for (device, _), count in Counter((one.device, one.code) for one in report.findings).items():
        found[device] += count
        if count >= MAX_PLACES:
            full.add(device)
    head = (
        both("设备", "device"),
        both("条目", "entries"),
        both("记录", "recordings"),
        both("发现", "findings"),
        both("未经见证的条目", "not witnessed"),
    )
    rows = [
        (
            said(one.device, 64),
            number(one.entries),
            number(one.recordings),
            f"{'≥ ' if one.device in full else ''}{number(found[one.device])}",
            number(one.unwitnessed_entries),
        )
        for one in report.devices[:MAX_DEVICES]
    ]
    return table(head, rows)


def _how_to_read() -> Safe:
    zh = (
        "时间轴按设备自己的时钟绘制，时刻均为北京时间（UTC+8）；把指针停在图形上可见 UTC 时间和账本条目号。"
        "每天一幅，只画有事件的日子，按账本先后排列；各幅的时间跨度不同。靠得太近的图形合为一个，旁注数目。"
        "图内如有紫色虚竖线，那是最后一次见证的时刻。"
    )
    en = (
        "Drawn by the device's own clock, in Beijing time (UTC+8); hovering over a sign shows UTC and the ledger "
        "entry. One drawing a day, only days with events, in the order of the ledger; each has its own span. Signs too "
        "near to each other are one, their number beside it. A violet dashed line is the last witness's moment."
    )
    title = el("h3", both("怎样读时间轴", "How to read the timelines"))
    return el("section", title, el("p", zh), el("p", english(en)), legend())


def _device(facts: DeviceFacts, report: Report, budget: Budget, latest_us: int | None, first: bool) -> Safe:
    name = el("h3", both("设备", "device"), " ", said(facts.device, 64), class_="name")
    witnessed_us = None if facts.witnessed_at is None else bounded(facts.witnessed_at * SECOND)
    line = report.timelines.get(facts.device)
    if line is None or not line.events:
        drawn = el("p", both("没有可画的事件。", "There is nothing to draw."), class_="note")
    elif not first:
        drawn = el("p", both("时间轴见上。", "Its timeline stands above."), class_="note")
    else:
        drawn = draw(line, budget, witnessed_us, latest_us)
    return el("section", name, _simulated(facts), _facts(facts), drawn, class_="device")


def _simulated(facts: DeviceFacts) -> Safe | None:
    if not facts.simulated:
        return None
    words = both("此设备使用了模拟硬件，所录不是真实场景。", "Simulated hardware: not a real recording.")
    return el("p", words, class_="warn")


def _facts(facts: DeviceFacts) -> Safe:
    profile = facts.profile or {}
    unknown = f"（其中 {number(facts.unknown_entries)} 个为本版本不识的可选类型 of optional types not known here）"
    values: dict[str, Child] = {
        "kind": both(*KINDS[facts.kind]),
        "recording": said(facts.recording, 64) if facts.recording else None,
        **{key: said(str(profile[key]), 100) for key in ("officer", "section", "serial") if key in profile},
        "entries": f"{number(facts.entries)}{unknown if facts.unknown_entries else ''}",
        "recordings": number(facts.recordings),
        "refusals": number(facts.refusals),
        "witnessed": _witnessed(facts),
        "unwitnessed": _unwitnessed(facts),
        "timestamps": _timestamps(facts),
        "checked": f"{number(facts.objects_checked)}，{bytes_text(facts.bytes_checked)}",
        "dock": number(facts.objects_with_dock),
        "deleted": number(facts.objects_deleted) if facts.objects_deleted else None,
    }
    rows = [(both(*FACTS[key]), value) for key, value in values.items() if value is not None]
    return table((), rows, "pairs")


def _witnessed(facts: DeviceFacts) -> Child:
    if facts.witnessed_at is None:
        return both("没有见证", "no witness")
    names = facts.witnesses[:_NAMES]
    more = f" … +{number(len(facts.witnesses) - len(names))}" if len(facts.witnesses) > len(names) else None
    count = number(facts.witnessed_entries)
    return join(
        el("div", both(f"账本前 {count} 个条目", f"the first {count} entries of the ledger")),
        el("div", both("时间", "at"), " ", moment_text(facts.witnessed_at * SECOND)),
        el("div", both("见证人", "by"), [[" ", said(name, 100)] for name in names], more),
    )


def _timestamps(facts: DeviceFacts) -> Child:
    if not facts.timestamps:
        return None
    if facts.timestamped_at is None:
        return both(f"{number(facts.timestamps)} 个，未采信", "none of them was relied on")
    count = number(facts.timestamped_entries)
    valid = f"{number(facts.timestamps_valid)} / {number(facts.timestamps)}"
    said_en = f"hold; the first {count} entries are no later than"
    return join(
        el("div", both(f"{valid} 个成立；账本前 {count} 个条目不晚于", said_en)),
        el("div", moment_text(bounded(facts.timestamped_at * SECOND))),
    )


def _unwitnessed(facts: DeviceFacts) -> Child:
    if not facts.unwitnessed_entries:
        return both("没有", "none")
    zh, en = length_text(facts.unwitnessed_seconds)
    count, exact = number(facts.unwitnessed_entries), f"{number(facts.unwitnessed_seconds)} s"
    words = both(
        f"{count} 个条目，跨 {zh}（{exact}）；这一段的末尾若被删去，看不出来",
        f"{count} entries, over {en}; were their end cut off, it would not show",
    )
    return el("div", words, class_="under")
