"""The page for a judge: one whole file, nothing loaded, everything from evidence escaped, both languages, bounded."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from bundle import DEVICE, good
from hypothesis import example, given
from hypothesis import strategies as st

from agent.evidence.verification.findings import AXIS_TEXT, MEANINGS, RULES, STEPS, Axis
from agent.evidence.verification.page import render
from agent.evidence.verification.page_devices import MAX_DAYS
from agent.evidence.verification.page_drawing import pieces_of
from agent.evidence.verification.page_findings import fairly, sentence
from agent.evidence.verification.page_markup import clean, el, join
from agent.evidence.verification.page_moments import DAY, bytes_text, day_of, iso_text, length_text, moment_text
from agent.evidence.verification.page_signs import LANES
from agent.evidence.verification.page_texts import ABOUT, AXIS_SENTENCES, STEP_SENTENCES
from agent.evidence.verification.report import MAX_EVENTS, DeviceFacts, Event, EventKind, Finding, Report, Timeline
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge

NOON = 1_795_665_600_000_000
"""2026-11-26 in Beijing, 12:00."""
HOUR = 3_600_000_000
ABOUT_ALL: dict[str, Any] = {
    "path": "/evidence/archive",
    "software": "enforcement-recorder 0.1.0",
    "agency": "sample-agency",
    "agency_name": "样本局",
    "trust_sha256": "ab" * 32,
    "with_identity": True,
    "accept_simulated": True,
    "notes": 3,
    "judged_at": "2026-12-05T03:12:44Z",
    "crl_as_of": "2026-12-01T00:00:00Z",
    "seconds": 12.34,
}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section", "h1", "h2", "h3", "h4"),
    *("p", "span", "strong", "div", "ul", "ol", "li", "pre", "code", "table", "thead", "tbody", "tr", "th", "td"),
    *("figure", "figcaption", "svg", "path", "rect", "text", "tspan"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "scope", "viewBox", "role", "aria-label"),
    *("aria-hidden", "d", "x", "y", "width", "height"),
}


def events(*these: Event) -> Timeline:
    line = Timeline()
    for event in these:
        line.add(event)
    return line


def report_of(*these: Event, device: str = "rec-1", **facts: Any) -> Report:
    report = Report(devices=[DeviceFacts(device, **facts)])
    report.timelines[device] = events(*these)
    return report


def tree(page: str) -> ET.Element:
    """The page as XML; raises when it is not whole."""
    return ET.fromstring(page)


def words(page: str) -> str:
    return "".join(tree(page).itertext())


def drawings(page: str) -> list[ET.Element]:
    return [one for one in tree(page).iter("svg") if one.get("class") == "day"]


def everything() -> Report:
    """A report with something in every place."""
    report = report_of(
        *(Event(kind, index, NOON + index * HOUR // 2, None, "0" * 16, "a, b") for index, kind in enumerate(KINDS)),
        witnessed_at=NOON // 1_000_000,
        witnesses=["notary"],
        unwitnessed_entries=4,
        unwitnessed_seconds=4_000,
        simulated=True,
        profile={"officer": "o", "section": "s", "serial": "n", "version": 1},
        recording="f" * 16,
    )
    for code in MEANINGS:
        report.add(code, "rec-1", "entry 1", "seen")
    for about in [*Axis, *RULES]:
        report.cannot_judge("rec-1", about, f"原因 {about}", f"reason {about}")
    return report


KINDS: tuple[EventKind, ...] = get_args(EventKind)


# Whole, and alone


def test_a_page_of_real_evidence_draws_its_recordings(tmp_path: Path) -> None:
    """Good evidence, verified: both recordings are on the timeline, and nothing is said to be found."""
    bundle = good(tmp_path / DEVICE)
    page = render(verify(bundle.path, Question(bundle.agency.trust(), ConductJudge)), {"path": "sample"})
    assert sum(one.get("class") == "k bar" for svg in drawings(page) for one in svg.iter("rect")) == 2
    assert "未发现问题；" in words(page) and "没有发现。" in words(page)


def test_the_page_is_whole_and_made_of_a_few_known_elements() -> None:
    """XML and HTML parsers agree on it, and no element or attribute is there that could load or run something."""
    page = render(everything(), ABOUT_ALL)
    root = tree(page)
    assert {one.tag for one in root.iter()} <= TAGS
    assert {name for one in root.iter() for name in one.attrib} <= ATTRIBUTES
    assert Elements.of(page) == sum(1 for _ in root.iter())


class Elements(HTMLParser):
    """Counts elements as a browser would, and holds that each one is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.open = 0, list[str]()

    @classmethod
    def of(cls, page: str) -> int:
        parser = cls()
        parser.feed(page)
        parser.close()
        assert parser.open == []
        return parser.count

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_is_loaded_from_anywhere() -> None:
    """No address, no link, no import; and the page forbids it to the browser besides."""
    page = render(everything(), ABOUT_ALL)
    assert not re.search(r"src\s*=|href|url\s*\(|@import|https?:|//\w|<script|javascript:|\bon\w+\s*=", page)
    policy = next(one for one in tree(page).iter("meta") if one.get("http-equiv"))
    assert policy.get("content", "").startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert tree(page).get("lang") == "zh-CN"


def test_the_same_report_gives_the_same_page() -> None:
    """Nothing in it comes from a clock, a random number or the order of a set."""
    assert render(everything(), ABOUT_ALL) == render(everything(), dict(reversed(ABOUT_ALL.items())))


# What is hostile


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "</style></title></svg><b>",
        "]]><!--",
        "&amp;&lt;&#x3c;b&#x3e;",
        "\u202egnp.exe\u2066\u200b",
        "\x00\x1b[2J\ud800\ufffe",
        "e" + "\u0301" * 50,
    ]
)


def hostile_report(text: str, moment: int) -> Report:
    report = Report(devices=[DeviceFacts(text, recording=text, witnesses=[text], witnessed_at=moment, simulated=True)])
    report.devices[0].profile = {"officer": text, "section": text, "serial": text}
    report.devices.append(DeviceFacts(f"{text}2"))
    report.add("GAP", text, text, text)
    report.cannot_judge(text, "time", text, text)
    report.cannot_judge(text, text, text, text)
    kinds = (Event(kind, 1, moment, None, text, text) for kind in KINDS)
    report.timelines[text] = events(*kinds, Event("recording", 2, moment, moment * 2, text, text))
    return report


@given(HOSTILE, st.integers(-(2**70), 2**70))
@example("<b>", 0)
@example("plain", 2**53 - 1)
def test_what_evidence_says_never_becomes_markup(text: str, moment: int) -> None:
    """Whatever stands in any text, and whatever a clock says, the page is whole and has the elements it always has."""
    page = render(hostile_report(text, moment), dict.fromkeys(ABOUT, text))
    root = tree(page)
    assert {one.tag for one in root.iter()} <= TAGS
    assert {name for one in root.iter() for name in one.attrib} <= ATTRIBUTES
    assert Elements.of(page) == sum(1 for _ in root.iter())
    page.encode("utf-8")


@given(HOSTILE)
def test_text_comes_back_as_it_was_cleaned(text: str) -> None:
    """What a reader sees is the cleaned text, no more and no less, in an element as in an attribute."""
    root = tree(el("p", text, class_=text).text)
    assert "".join(root.itertext()) == clean(text) == root.get("class")


@given(st.text(max_size=200), st.integers(2, 50))
def test_cleaned_text_is_short_and_all_of_it_can_be_seen(text: str, limit: int) -> None:
    """No control, no direction override, no lone surrogate, nothing over the limit; cleaning again changes nothing."""
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit and all(one.isprintable() for one in cleaned)
    assert clean(cleaned, limit) == cleaned


def test_what_cannot_be_seen_is_marked_and_not_dropped() -> None:
    """Two names that differ in an override do not look the same; marks do not pile up over the lines around."""
    assert clean("rec\u202e-1") == "rec\ufffd-1" != clean("rec-1")
    assert clean("a\tb\nc\u3000d") == "a b c d"
    assert clean("e" + "\u0301" * 9) == "e" + "\u0301" * 3


def test_markup_and_text_are_not_mixed_by_accident() -> None:
    """Finished markup stays, text is escaped, nothing is left out but None."""
    assert join(el("b", "1 < 2"), " & ", None, ["x", [el("br")]]).text == "<b>1 &lt; 2</b> &amp; x<br />"


# What is said


@pytest.mark.parametrize("code", MEANINGS)
def test_every_finding_is_told_in_both_languages(code: str) -> None:
    """Code, meaning twice, axis, rule, place and detail; and its step."""
    report = report_of()
    report.add(code, "rec-1", "entry 7", "what was seen")
    told, meaning = words(render(report, {})), MEANINGS[code]
    for part in (code, meaning.chinese, sentence(meaning.english), "条目 entry 7", "what was seen", meaning.axis):
        assert part in told
    assert STEPS[meaning.step - 1][0] in told and f"第 {meaning.step} 步" in told


@pytest.mark.parametrize("axis", Axis)
def test_every_axis_is_told_by_sign_and_in_both_languages(axis: Axis) -> None:
    """Name and sentence twice; found, not judged and neither are three different signs and words."""
    code = next(code for code, meaning in MEANINGS.items() if meaning.axis == axis)
    found, open_, fine = report_of(), report_of(), report_of()
    found.add(code, "rec-1", "entry 1")
    open_.cannot_judge("rec-1", axis, "原因", "reason")
    signs = set()
    for report in (found, open_, fine):
        row = next(row for row in tree(render(report, {})).iter("tr") if AXIS_TEXT[axis][1] in "".join(row.itertext()))
        text = "".join(row.itertext())
        assert all(part in text for part in (*AXIS_TEXT[axis], *AXIS_SENTENCES[axis]))
        signs.add(text.split(" ")[0])
    assert signs == {"✗发现问题", "?无法判断", "✓未发现问题"}


def test_an_axis_with_findings_and_doubts_says_both() -> None:
    """A finding does not hide that the rest could not be judged."""
    report = report_of()
    report.add("OBJECT_MISSING", "rec-1", "object 1")
    assert "另有未能判断之处" not in words(render(report, {}))
    report.cannot_judge("rec-1", Axis.COMPLETENESS, "原因", "reason")
    assert "另有未能判断之处" in words(render(report, {}))


def test_the_summary_counts_and_never_passes_in_one_word() -> None:
    """Numbers of findings and of what could not be judged, twice; no "passed" anywhere."""
    report = everything()
    told = words(render(report, {}))
    assert f"发现 {len(MEANINGS)} 项问题" in told and f"有 {len(Axis) + len(RULES)} 项无法判断" in told
    assert f"{len(MEANINGS)} findings of {len(MEANINGS)} kinds; {len(Axis) + len(RULES)} questions could not" in told
    assert "未发现问题；各项都已判断" in words(render(report_of(), {}))
    assert not re.search(r"通过|合格。|\bpass", words(render(report_of(), {})))


def test_simulated_hardware_is_said_first_even_when_it_was_accepted() -> None:
    """A report that was asked to accept it still says that this is no real recording."""
    report = report_of(simulated=True)
    told = words(render(report, {"accept_simulated": True}))
    assert told.index("不能作为真实记录使用") < told.index("在所检验的范围内")
    assert "不能作为真实记录使用" not in words(render(report_of(), {}))


def test_what_was_judged_and_how_to_do_it_again_is_told() -> None:
    """Every value of ``about``, its moments in Beijing time and UTC, and the command with its path quoted."""
    told = words(render(report_of(), {**ABOUT_ALL, "path": "/evidence/a b"}))
    for part in ("样本局", "ab" * 32, "2026-12-05 11:12:44（UTC 2026-12-05T03:12:44Z）", "12.3 s", "已给出 given"):
        assert part in told
    assert "recorder verify '/evidence/a b' --trust trust.json --identity archive.agekey --accept-simulated" in told
    assert all(pair[1] in told for pair in ABOUT.values())
    assert "检验时间" not in words(render(report_of(), {}))


def test_what_could_not_be_judged_is_said_once_for_all_devices() -> None:
    """One row a reason, with the devices that it holds for."""
    report = Report(devices=[DeviceFacts("a"), DeviceFacts("b")])
    for device in ("a", "b"):
        report.cannot_judge(device, "R17", "不在账本中", "not in the ledger")
    report.cannot_judge("b", "time", "无时间源", "no source")
    told = words(render(report, {}))
    assert told.count("不在账本中。") == 1 and "全部 2 台" in told and "No source.b" in told


def test_steps_and_limits_stand_on_every_page() -> None:
    """Ten steps in words, and what is not proved, whatever was found."""
    told = words(render(report_of(), {}))
    assert all(pair[0] in told and pair[1] in told for pair in STEP_SENTENCES) and len(STEP_SENTENCES) == len(STEPS)
    assert "本报告不能证明什么" in told and "genuine" in told


def test_no_word_of_evidence_is_lost_where_a_device_has_no_timeline() -> None:
    """A device without events, and a second folder of the same device, say so."""
    report = Report(devices=[DeviceFacts("a"), DeviceFacts("b"), DeviceFacts("b")])
    report.timelines["b"] = events(Event("boot", 0, NOON))
    told = words(render(report, {}))
    assert "没有可画的事件。" in told and "时间轴见上。" in told and len(drawings(render(report, {}))) == 1


# The drawing


def test_every_kind_of_event_has_a_lane_a_sign_and_a_name_in_both_languages() -> None:
    """No kind is left out of the lanes, the legend or the drawing."""
    assert {lane.kind for lane in LANES} == set(KINDS) and len({lane.sign for lane in LANES}) == len(LANES)
    svg = drawings(render(everything(), {}))[0]
    assert all(f"{lane.chinese} {lane.english}" in "".join(svg.itertext()) for lane in LANES)
    assert all(lane.meaning[0] in words(render(report_of(), {})) for lane in LANES)


def test_hovering_tells_beijing_time_utc_and_the_entry() -> None:
    """The terms of the format are told in Chinese and as they stand."""
    page = render(report_of(Event("notice", 9, NOON, None, "c0" * 8, "played, failed")), {})
    title = next(drawings(page)[0].iter("title")).text or ""
    assert title.startswith("12:00:00 北京时间（UTC 2026-11-26T04:00:00Z） · 条目 entry 9 · 播放 played、未完成 failed")
    assert "北京时间 UTC+8" in words(page)


def test_a_recording_over_midnight_is_a_bar_on_both_days() -> None:
    """Midnight is Beijing's; the pieces meet there and neither is lost."""
    start = NOON + 11 * HOUR
    first, second = pieces_of(Event("recording", 1, start, start + 2 * HOUR, "a" * 16))
    assert first.end_us == second.start_us == NOON + 12 * HOUR and second.continued and not first.odd
    assert len(drawings(render(report_of(Event("recording", 1, start, start + 2 * HOUR, "a" * 16)), {}))) == 2
    assert len(pieces_of(Event("recording", 1, start, NOON + 12 * HOUR))) == 1


def test_a_clock_that_tells_nonsense_gets_its_own_day() -> None:
    """1970 and 2200 are drawn apart and marked; a recording from 1970 to today is two marks and no endless bar."""
    far = 7_258_118_400_000_000
    report = report_of(
        Event("boot", 0, 5_000_000),
        Event("recording", 1, 9_000_000, NOON, "a" * 16, "video, button"),
        Event("recording", 2, NOON, NOON - HOUR, "b" * 16, "video, button"),
        Event("boot", 3, NOON + HOUR),
        Event("boot", 4, far),
    )
    page = render(report, ABOUT_ALL)
    assert len(drawings(page)) == 3
    assert words(page).count("设备时钟显示的这个日期不可能正确") == 2
    assert all(one.odd for event in report.timelines["rec-1"].events if event.until_us for one in pieces_of(event))


def test_days_stand_in_the_order_of_the_ledger_and_the_newest_stay() -> None:
    """A clock set back does not put a later day first; over the limit the oldest entries go, and that is said."""
    days = MAX_DAYS + 7
    report = report_of(*(Event("boot", index, NOON - index * DAY) for index in range(days)))
    page = render(report, {})
    captions = ["".join(one.itertext())[:10] for one in tree(page).iter("figcaption")]
    assert len(captions) == MAX_DAYS and captions == sorted(captions, reverse=True)
    assert "另有较早的 7 个事件没有画出，其中有 7 整天" in words(page)


def test_an_unfinished_recording_and_what_happened_in_it_are_told_on_paper_too() -> None:
    """The table below the drawing names start, end, length, notice and the rest by number."""
    recording = "d" * 16
    report = report_of(
        Event("notice", 1, NOON - 5_000_000, None, recording, "oral, completed"),
        Event("photo", 3, NOON + 60_000_000, None, recording),
        Event("photo", 4, NOON + 70_000_000, None, recording),
        Event("recording", 2, NOON, NOON + HOUR, recording, "video, button"),
        Event("recording", 8, NOON + 2 * HOUR, None, "e" * 16, "unfinished"),
    )
    told = words(render(report, {}))
    assert "12:00:00 – 13:00:001 小时 1 h" in told and "告知 11:59:55 口头 oral、完成 completed，照片 photo × 2" in told
    assert "14:00:00 – ?" in told and "没有结束条目 unfinished" in told


def test_signs_that_would_lie_upon_each_other_are_one_with_their_number() -> None:
    """A hundred marks within a second are one sign; those that are not told on hovering are counted."""
    marks = (Event("mark", index, NOON + index * 1_000, None, "a" * 16) for index in range(100))
    svg = drawings(render(report_of(*marks, Event("boot", 200, NOON + HOUR)), {}))[0]
    assert sum(one.get("class") == "k mark" for one in svg.iter("path")) == 1
    assert "另有 96 个" in "".join(svg.itertext()) and "100" in "".join(svg.itertext())


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2**53 - 1), st.integers(0, 3 * DAY)), max_size=40))
def test_everything_is_drawn_inside_the_drawing(some: list[tuple[EventKind, int, int]]) -> None:
    """Whatever happened whenever, no sign, bar or label stands outside, and every day has its ten or so ticks."""
    these = [Event(kind, index, us, us + more, "a" * 16) for index, (kind, us, more) in enumerate(some)]
    for svg in drawings(render(report_of(*these), {})):
        width, height = (float(one) for one in svg.get("viewBox", "").split()[2:])
        for x, y in places(svg):
            assert 0 <= x <= width and 0 <= y <= height
        assert 2 <= sum(one.get("class") == "soft mid" for one in svg) <= 12


def places(svg: ET.Element) -> Iterator[tuple[float, float]]:
    for one in svg.iter():
        if one.tag in ("text", "rect"):
            yield float(one.get("x", "nan")), float(one.get("y", "nan"))
            yield float(one.get("x", "nan")) + float(one.get("width", 0)), float(one.get("y", "nan"))
        if one.tag == "path":
            x, y = re.match(r"M([\d.]+) ([\d.]+)", one.get("d", "")).groups()  # type: ignore[union-attr]
            yield float(x), float(y)


# Bounded


def test_the_largest_report_is_still_a_page() -> None:
    """Fifty devices, each with every code as often as it is listed and a full timeline: a few megabytes, and said."""
    whole = Report()
    for index in range(50):
        device = f"rec-{index:02d}"
        one = report_of(
            *(
                Event("recording", n, NOON + n * 900_000_000, NOON + n * 900_000_000 + 600_000_000, "a" * 16, "x" * 200)
                for n in range(MAX_EVENTS + 5)
            ),
            device=device,
        )
        for code in MEANINGS:
            one.counts[code] = 300
            one.findings += [Finding(code, device, f"entry {n}", "x" * 500) for n in range(200)]
        whole.merge([one])
    page = render(whole, ABOUT_ALL)
    assert len(page.encode()) < 5_000_000
    told = words(page)
    assert all(meaning.chinese in told for meaning in MEANINGS.values())
    assert f"另有 {50 * 300 - 2_000 // len(MEANINGS):,} 项没有在此列出" in told and "个事件没有画出" in told


def test_long_texts_and_many_devices_are_cut_and_counted() -> None:
    """A name of a megabyte, two hundred devices and a thousand unknown things do not make the page long."""
    report = Report(devices=[DeviceFacts("x" * 1_000_000, witnesses=["y" * 99_999] * 500, witnessed_at=1)] * 200)
    for index in range(1_000):
        report.cannot_judge(str(index), f"{index}", "z" * 99_999, "z" * 99_999)
    page = render(report, dict.fromkeys(ABOUT, "&" * 1_000_000))
    assert len(page) < 2_000_000 and "另有 100 台设备没有逐一列出" in words(page)


def test_places_are_listed_from_every_device_in_turn() -> None:
    """One device with very many findings does not push the others off the page."""
    many = [Finding("GAP", "a", str(n)) for n in range(100)] + [Finding("GAP", "b", str(n)) for n in range(3)]
    assert [(one.device, one.where) for one in fairly(many, 5)] == [
        ("a", "0"), ("a", "1"), ("a", "2"), ("b", "0"), ("b", "1"),
    ]  # fmt: skip
    assert fairly(many[:4], 5) == many[:4]


# Moments and amounts


def test_moments_and_amounts_are_words() -> None:
    """Beijing's days, lengths in two units, sizes exactly, and moments that no calendar has."""
    assert day_of(NOON - 12 * HOUR) == day_of(NOON) == day_of(NOON - 12 * HOUR - 1) + 1
    assert length_text(3_725) == ("1 小时 2 分", "1 h 2 min") and length_text(-5) == ("0 秒", "0 s")
    assert bytes_text(999) == "999 B" and bytes_text(18_734_112_221) == "18.7 GB (18,734,112,221 B)"
    assert moment_text(2**70).startswith("1970-01-01 +") and moment_text(0).startswith("1970-01-01 08:00:00（UTC")
    assert iso_text("yesterday") == "yesterday" and iso_text("2026-12-05T11:00:00+08:00").endswith("T03:00:00Z）")
