"""The verdict as a page that a judge can read: one HTML file, nothing loaded from anywhere, no script, a drawn timeline.

Everything that comes from evidence is hostile until escaped: text enters only through ``_text``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from itertools import groupby
from typing import Any, Final

from agent.evidence.verification.findings import AXIS_TEXT, RULES, STEPS, Axis
from agent.evidence.verification.report import DeviceFacts, Event, Report, Timeline

BEIJING: Final = timezone(timedelta(hours=8))
MAX_DAYS: Final = 60
"""Days of one device that are drawn, the newest; the rest is counted."""
_WIDTH: Final = 720
_LANES: Final = {
    "recording": ("记录", "recording", "#1f5fa8"),
    "notice": ("告知", "notice", "#2e7d32"),
    "photo": ("拍照", "photo", "#1f5fa8"),
    "mark": ("标记", "mark", "#6a6a6a"),
    "gap": ("缺口", "gap", "#b00020"),
    "refused": ("拒绝", "refused", "#b00020"),
    "hazard": ("防爆标志", "hazard", "#b36b00"),
    "boot": ("启动", "boot", "#6a6a6a"),
    "clock": ("时钟", "clock", "#b36b00"),
    "docked": ("入站", "docked", "#6a6a6a"),
    "receipt": ("收据", "receipt", "#2e7d32"),
    "witnessed": ("见证", "witnessed", "#2e7d32"),
}
_ABOUT: Final = {
    "path": "所验证的目录 judged",
    "software": "软件 software",
    "agency": "单位编号 agency",
    "agency_name": "单位 name",
    "trust_sha256": "信任文件 SHA-256 of the trust file",
    "with_identity": "使用私钥 with a key",
    "accept_simulated": "接受模拟硬件 simulated hardware accepted",
    "notes": "另附见证 other notes given",
}
_SIGNS: Final = {"ok": ("✓", "通过 ok"), "finding": ("✗", "发现 finding"), "unknown": ("?", "未知 unknown")}
_STYLE: Final = """body{font:15px/1.6 "Noto Serif CJK SC","Songti SC",SimSun,serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111}
table{border-collapse:collapse;width:100%;margin:.6em 0}td,th{border:1px solid #bbb;padding:.25em .6em;text-align:left;vertical-align:top}
th{background:#f3f3f3}.ok{color:#1b5e20}.finding{color:#b00020;font-weight:bold}.unknown{color:#8a5a00}code{font-size:90%;overflow-wrap:anywhere}
svg{width:100%;height:auto}h2{border-bottom:1px solid #999}@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,svg{break-inside:avoid}}"""
_NOT_PROVED: Final = (
    ("镜头对准何处、场景是否真实，本报告不能证明。", "Not proved: that the camera pointed the right way, or that the scene was genuine."),
    ("最后一次见证之后的条目可能被整体截去。", "What came after the last witness could have been cut off."),
    ("设备运行中若被他人控制，当时的签名不可信。", "What a device signed while somebody held its running memory."),
)  # fmt: skip


def _text(value: object, limit: int = 600) -> str:
    """Text for the page: bounded, without control characters or direction overrides, escaped."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value)[:limit])
    return escape(shown, quote=True)


def render(report: Report, about: Mapping[str, Any]) -> str:
    """The page. The same report and ``about`` give the same bytes."""
    parts = [
        "<h1>执法记录验证报告 <small>Verification report</small></h1>",
        _table(("项目 Item", "内容 Content"), ((_text(_ABOUT.get(key, key)), _text(value)) for key, value in about.items())),
        f"<p><strong>{_summary(report)}</strong></p>",
        "<h2>各项结论 Verdict by axis</h2>",
        _verdicts((f"{AXIS_TEXT[Axis(one)][0]} {one}: {AXIS_TEXT[Axis(one)][1]}", v) for one, v in report.axes().items()),
        "<h2>各条规则 Verdict by rule</h2>",
        _verdicts((f"{rule} {' '.join(RULES[rule])}", verdict) for rule, verdict in report.rules().items()),
        *_findings(report),
        *_unknown(report),
        *(part for facts in report.devices for part in _device(facts, report.timelines.get(facts.device))),
        "<h2>验证步骤 The steps</h2><ol>",
        *(f"<li>{chinese} {english}</li>" for chinese, english in STEPS),
        "</ol><h2>不能证明的 What is not proved</h2><ul>",
        *(f"<li>{chinese} {english}</li>" for chinese, english in _NOT_PROVED),
        "</ul>",
    ]
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width'>"
    head += "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    body = "\n".join(parts)
    return f"<!DOCTYPE html>\n<html lang=zh>{head}<title>验证报告</title><style>{_STYLE}</style>\n{body}\n</html>\n"


def _summary(report: Report) -> str:
    found, unknown = sum(report.counts.values()), sum(verdict == "unknown" for verdict in report.axes().values())
    return f"发现 {found} 处问题，{unknown} 项结论无法判断。 {found} findings; {unknown} axes could not be judged."


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are escaped already."""
    top = "".join(f"<th>{head}</th>" for head in heads)
    return f"<table><tr>{top}</tr>{''.join('<tr>' + ''.join(f'<td>{c}</td>' for c in row) + '</tr>' for row in rows)}</table>"


def _verdicts(rows: Iterable[tuple[str, str]]) -> str:
    marked = ((_text(name), f"<span class={v}>{_SIGNS[v][0]} {_SIGNS[v][1]}</span>") for name, v in rows)
    return _table(("项目 Item", "结论 Verdict"), marked)


def _findings(report: Report) -> Iterable[str]:
    yield "<h2>发现 Findings</h2>"
    if not report.counts:
        yield "<p>无 none</p>"
    ordered = sorted(report.findings, key=lambda one: one.meaning.step)
    for step, found in groupby(ordered, key=lambda one: one.meaning.step):
        yield f"<h3>步骤 Step {step}: {' '.join(STEPS[step - 1])}</h3>"
        yield _table(
            ("代码 Code", "设备与位置 Device, place", "含义 Meaning"),
            ((f"<code>{one.code}</code>", f"{_text(one.device)}<br><code>{_text(one.where)}</code>", _text(one.what)) for one in found),
        )
    listed = len(report.findings)
    if sum(report.counts.values()) > listed:
        yield f"<p>仅列出 {listed} 处。 Only {listed} of {sum(report.counts.values())} are listed.</p>"


def _unknown(report: Report) -> Iterable[str]:
    yield "<h2>无法判断的事项 What could not be judged</h2>"
    rows = ((_text(one.about), _text(one.device), _text(f"{one.chinese} {one.english}")) for one in report.unknown)
    yield _table(("项目 Item", "设备 Device", "原因 Why"), rows)


def _device(facts: DeviceFacts, timeline: Timeline | None) -> Iterable[str]:
    yield f"<h2>设备 Device {_text(facts.device)}</h2>"
    witnessed = _when(facts.witnessed_at * 1_000_000) if facts.witnessed_at else "—"
    yield _table(
        ("项目 Item", "数值 Value"),
        (
            ("条目 entries", _text(facts.entries)),
            ("记录、拒绝 recordings, refusals", f"{facts.recordings}, {facts.refusals}"),
            ("已核对对象、字节 objects, bytes checked", f"{facts.objects_checked}, {facts.bytes_checked}"),
            ("已交采集站 with the dock", _text(facts.objects_with_dock)),
            ("见证 witnessed", f"{facts.witnessed_entries}, {witnessed}, {_text(', '.join(facts.witnesses))}"),
            ("未见证 unwitnessed", f"{facts.unwitnessed_entries} 条 entries, {facts.unwitnessed_seconds} s"),
            ("模拟硬件 simulated", "是 yes" if facts.simulated else "否 no"),
            ("档案 profile", _text(", ".join(f"{key} {value}" for key, value in (facts.profile or {"—": ""}).items()))),
        ),
    )
    if timeline is not None:
        yield from _days(timeline)


def _when(utc_us: int) -> str:
    """A moment in Beijing time; a clock that is absurd is shown as its number."""
    try:
        return f"{datetime.fromtimestamp(utc_us / 1e6, BEIJING):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{utc_us} µs"


def _days(timeline: Timeline) -> Iterable[str]:
    by_day: dict[str, list[Event]] = {}
    for event in timeline.events:
        by_day.setdefault(_when(event.utc_us)[:10], []).append(event)
    days = sorted(by_day)
    left_out = max(0, len(days) - MAX_DAYS)
    yield f"<p>北京时间 UTC+8. 未画出 not drawn: {left_out} 天 days, {timeline.left_out} 更早的事件 older events.</p>"
    for day in days[left_out:]:
        yield _day(day, by_day[day])


def _day(day: str, events: list[Event]) -> str:
    first = min(event.utc_us for event in events)
    span = max(1, max(event.until_us or event.utc_us for event in events) - first)
    lanes = [lane for lane in _LANES if any(event.kind == lane for event in events)]
    height = 24 * len(lanes) + 30
    drawn = [f'<text x="0" y="{24 * row + 16}" font-size="11">{" ".join(_LANES[lane][:2])}</text>' for row, lane in enumerate(lanes)]
    for event in events:
        drawn.append(_mark(event, 130 + (event.utc_us - first) * (_WIDTH - 140) // span, lanes.index(event.kind), span))
    ends = f'<text x="130" y="{height - 6}" font-size="11">{_when(first)[11:]}</text>'
    ends += f'<text x="{_WIDTH}" y="{height - 6}" font-size="11" text-anchor="end">{_when(first + span)[11:]}</text>'
    return f'<h3>{_text(day)}</h3><svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(drawn)}{ends}</svg>'


def _mark(event: Event, left: int, row: int, span: int) -> str:
    width = max(3, ((event.until_us or event.utc_us) - event.utc_us) * (_WIDTH - 140) // span)
    moment = datetime.fromtimestamp(min(event.utc_us, 32_503_680_000_000_000) / 1e6, UTC)
    words = f"entry {event.seq} {_LANES[event.kind][1]} {event.text} {event.recording or ''} {moment:%Y-%m-%dT%H:%M:%SZ}"
    box = f'x="{left}" y="{24 * row + 6}" width="{width}" height="12" fill="{_LANES[event.kind][2]}"'
    return f"<rect {box}><title>{_text(words)}</title></rect>"
