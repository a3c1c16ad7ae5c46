"""The page for a judge: one file, nothing loaded, everything from evidence escaped, both languages."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from bundle import DEVICE, good
from hypothesis import given
from hypothesis import strategies as st

from agent.evidence.verification.findings import MEANINGS
from agent.evidence.verification.page import render
from agent.evidence.verification.report import MAX_EVENTS, DeviceFacts, Event, Report, Timeline
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def tags(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    return found


def test_a_page_of_good_evidence_draws_its_recordings_and_loads_nothing(tmp_path: Path) -> None:
    """Both recordings are on the timeline; no script, link, image or address is in the page."""
    bundle = good(tmp_path / DEVICE)
    page = render(verify(bundle.path, Question(bundle.agency.trust(), ConductJudge)), {"path": "sample"})
    assert page.count("recording video, button") == 2 and "发现 0 处问题" in page
    assert not tags(page).names & {"script", "link", "img", "iframe", "object", "a"}
    assert not tags(page).attributes & {"src", "href", "onload"} and "url(" not in page


@given(st.text(max_size=80), st.integers(0, 2**53 - 1))
def test_what_evidence_says_never_becomes_markup(hostile: str, moment: int) -> None:
    """Whatever a name, a place, a reason or a clock says, the page has the same elements."""
    def page(text: str, at: int) -> str:
        report = Report()
        report.add("GAP", text, text, text)
        report.cannot_judge(text, "time", text, text)
        report.devices.append(DeviceFacts(text, witnesses=[text], profile={"officer": text}))
        report.timelines[text] = Timeline()
        report.timelines[text].add(Event("refused", 1, at, None, text, text))
        return render(report, {"path": text})

    assert tags(page(f"<b onload=x>{hostile}", moment)).names == tags(page("plain", 0)).names


def test_the_largest_report_is_still_a_page() -> None:
    """Every code as often as it is listed, and a full timeline: below ten megabytes."""
    report = Report()
    for code in MEANINGS:
        for number in range(300):
            report.add(code, "rec-sample", f"entry {number}", "x" * 100)
    report.devices.append(DeviceFacts("rec-sample"))
    line = report.timelines["rec-sample"] = Timeline()
    for number in range(MAX_EVENTS + 10):
        line.add(Event("mark", number, 1_800_000_000_000_000 + number * 1_000_000_000))
    page = render(report, {})
    assert len(page) < 10_000_000 and line.left_out == 10 and all(one.chinese in page for one in MEANINGS.values())
