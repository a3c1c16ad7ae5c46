"""The lanes of the timeline: for every kind of event its sign, its name, and what the sign says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.evidence.verification.page_markup import Child, Safe, clean, el, english
from agent.evidence.verification.page_moments import time_text, utc_text
from agent.evidence.verification.page_texts import EVENT_WORDS
from agent.evidence.verification.report import Event, EventKind

MAX_EVENT_TEXT: Final = 80


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of event; ``sign`` is a path around (0, 0), of about twelve units."""

    kind: EventKind
    chinese: str
    english: str
    sign: str
    meaning: tuple[str, str]


LANES: Final = (
    Lane("boot", "开机", "boot", "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0m5 -7v6", ("设备启动", "the device started")),
    Lane("notice", "告知", "notice", "m-4 -6l10 6l-10 6z", ("向当事人告知；空心红边为未完成", "told that it records; hollow with a red edge: not completed")),
    Lane("recording", "录制", "recording", "m-9 -5h18v10h-18z", ("录制的起止，编号见图下表；虚线框为没有结束或时钟不可信", "from beginning to end, numbered as in the table below; dashed: no end, or a clock that cannot be right")),
    Lane("gap", "缺口", "gap", "m-5 -5l10 10m0 -10l-10 10", ("记录中的缺口", "something is missing in a recording")),
    Lane("mark", "标记", "mark", "m-2 6v-12h9l-3 3l3 3h-8v6z", ("执法人员所作标记，如标明地点", "the officer's mark, such as the site")),
    Lane("photo", "照片", "photo", "m-7 -5h14v10h-14zm4 5a3 3 0 1 0 6 0a3 3 0 1 0 -6 0", ("拍了一张照片", "a picture was taken")),
    Lane("refused", "拒绝", "refused", "m-2.5 -6h5l3.5 3.5v5l-3.5 3.5h-5l-3.5 -3.5v-5zm-1 5h7v2h-7z", ("按键被拒绝，没有录制", "a press was refused; nothing was recorded")),
    Lane("hazard", "危险", "hazard", "m0 -6l7 12h-14z", ("爆炸危险标志变化；实心为存在或不明，空心为解除", "the explosion flag changed; solid: set or not known, hollow: clear")),
    Lane("docked", "采集站", "dock", "m-2.5 -6h5v6h4l-6.5 6l-6.5 -6h4z", ("放入采集站；空心为取出", "put into the dock; hollow: taken out")),
    Lane("receipt", "收据", "receipt", "m-5 -6h10v12h-10zm2 3h6v1.5h-6zm0 3.5h6v1.5h-6z", ("采集站签收", "the dock signed for what it holds")),
    Lane("witnessed", "见证", "witness", "m0 -7l6 7l-6 7l-6 -7z", ("见证人对检查点签名", "a witness signed a checkpoint")),
    Lane("clock", "时钟", "clock", "m-5 -6h10l-10 12h10z", ("时钟跳变或时间来源改变", "the clock stepped, or its source changed")),
)  # fmt: skip
"""From top to bottom."""

_ODD: Final = {"notice": ("failed",), "hazard": ("set", "stale"), "docked": ("out",)}


def is_odd(event: Event) -> bool:
    """Whether the sign is drawn in its other form."""
    return any(word in event.text.split(", ") for word in _ODD.get(event.kind, ()))


def words_of(text: str) -> str:
    """An event's text with the format's own terms in Chinese before them."""
    text = clean(text, MAX_EVENT_TEXT)
    return "、".join(
        f"{EVENT_WORDS[word]} {word}" if word in EVENT_WORDS else word for word in text.split(", ") if word
    )


def hover(event: Event, until_us: int | None = None) -> str:
    """What is told on hovering: Beijing and UTC time, entry, text, recording."""
    until = f"–{time_text(until_us)}" if until_us is not None else ""
    utc = f"（UTC {utc_text(event.utc_us)}{f'–{utc_text(until_us)}' if until_us is not None else ''}）"
    text = f" · {words_of(event.text)}" if event.text else ""
    recording = f" · 记录 recording {clean(event.recording, 32)}" if event.recording else ""
    return f"{time_text(event.utc_us)}{until} 北京时间{utc} · 条目 entry {event.seq}{text}{recording}"


def sign(kind: str, path: str, at: tuple[float, float], odd: bool, title: Child) -> Safe:
    """A sign at a place, with what is told on hovering."""
    form = f"k {'bar' if kind == 'recording' else kind}{' odd' if odd else ''}"
    return el("path", el("title", title) if title else None, class_=form, d=f"M{at[0]:.1f} {at[1]:.1f}{path}")


def legend() -> Safe:
    """All signs with their names and meanings, in both languages."""
    rows = [
        el(
            "li",
            el("svg", sign(lane.kind, lane.sign, (13, 9), False, None), viewBox="0 0 26 18", aria_hidden="true"),
            el("span", f"{lane.chinese}：{lane.meaning[0]} ", english(f"{lane.english}: {lane.meaning[1]}")),
        )
        for lane in LANES
    ]
    return el("ul", rows, class_="legend")
