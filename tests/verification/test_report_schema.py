"""docs/report.schema.json is the schema of the report as the code makes it, and it is strict."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from bundle import DEVICE, good
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.evidence.verification.findings import MEANINGS, RULES, Axis
from agent.evidence.verification.report import DeviceFacts, Event, EventKind, Report, Timeline
from agent.evidence.verification.schema import _typed, schema, text
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge

FILE = Path(__file__).parents[2] / "docs" / "report.schema.json"
VALIDATOR = Draft202012Validator(schema())
ABOUT = {
    "path": "archive",
    "software": "enforcement-recorder 0.1.0",
    "agency": "sample-agency",
    "agency_name": "样本局",
    "trust_sha256": "ab" * 32,
    "with_identity": False,
    "accept_simulated": False,
    "notes": 0,
}
PROFILE = {"officer": "o", "section": "s", "serial": "n", "version": 1}


def plain(report: Report, about: dict[str, Any] | None = None) -> Any:
    """As it is printed and read again."""
    return json.loads(json.dumps(report.to_json(about)))


def full() -> Report:
    report = Report(devices=[DeviceFacts("rec-1", "extract", witnessed_at=5, witnesses=["w"], profile=dict(PROFILE))])
    report.devices.append(DeviceFacts("rec-2"))
    for code in MEANINGS:
        report.add(code, "rec-1", "entry 1", "detail")
    for about in [*Axis, *RULES]:
        report.cannot_judge("rec-1", about, "原因", "reason")
    line = report.timelines["rec-1"] = Timeline()
    for kind in get_args(EventKind):
        line.add(Event(kind, 1, 2, 3, "a" * 16, "text"))
        line.add(Event(kind, 1, 2))
    return report


def test_file_and_code_are_the_same() -> None:
    """The published schema is the one that the code makes."""
    assert FILE.read_text("utf-8") == text()


def test_the_module_writes_the_file(tmp_path: Path) -> None:
    """What the docstring says does work."""
    target = tmp_path / "schema.json"
    command = [sys.executable, "-m", "agent.evidence.verification.schema", str(target)]
    subprocess.run(command, check=True, timeout=60, cwd=FILE.parents[1])
    assert target.read_text("utf-8") == text()


def test_the_schema_is_one() -> None:
    """It holds to its own draft."""
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "about", [None, {}, ABOUT, {**ABOUT, "judged_at": "2026-12-05T03:12:44Z", "crl_as_of": None, "seconds": 1.5}]
)
def test_reports_hold_to_it(about: dict[str, Any] | None) -> None:
    """An empty report, and one with every code, axis, rule and kind of event."""
    VALIDATOR.validate(plain(Report(), about))
    VALIDATOR.validate(plain(full(), about))


def test_a_report_of_real_evidence_holds_to_it(tmp_path: Path) -> None:
    """What the verifier says of good evidence, and of evidence with a file removed."""
    bundle = good(tmp_path / DEVICE)
    question = Question(bundle.agency.trust(), ConductJudge)
    VALIDATOR.validate(plain(verify(bundle.path, question), ABOUT))
    next((bundle.path / "objects").glob("*.age")).unlink()
    report = plain(verify(bundle.path, question), ABOUT)
    VALIDATOR.validate(report)
    assert report["findings"] and report["timelines"][0]["events"]


@given(st.text(), st.integers(0, 2**53 - 1))
def test_any_text_and_any_moment_holds_to_it(anything: str, moment: int) -> None:
    """What evidence says is never against the schema."""
    report = Report(devices=[DeviceFacts(anything, recording=anything, witnesses=[anything])])
    report.add("GAP", anything, anything, anything)
    report.cannot_judge(anything, "time", anything, anything)
    report.timelines[anything] = Timeline()
    report.timelines[anything].add(Event("mark", 1, moment, None, anything, anything))
    VALIDATOR.validate(plain(report, {**ABOUT, "path": anything}))


BREACHES: dict[str, Callable[[Any], object]] = {
    "a code that there is not": lambda report: report["findings"][0].update(code="PERFECT"),
    "a rule that there is not": lambda report: report["findings"][0].update(rule="R99"),
    "a step that there is not": lambda report: report["findings"][0].update(step=11),
    "an axis that there is not": lambda report: report["axes"].update(beauty="ok"),
    "an axis left out": lambda report: report["axes"].pop("time"),
    "a verdict that there is not": lambda report: report["rules"].update(R3="passed"),
    "a count of another code": lambda report: report["counts"].update(PERFECT=1),
    "a count of nothing": lambda report: report["counts"].update(GAP=0),
    "something unknown about something else": lambda report: report["unknown"][0].update(about="beauty"),
    "another kind of device": lambda report: report["devices"][0].update(kind="toaster"),
    "a profile with more in it": lambda report: report["devices"][0]["profile"].update(home="x"),
    "another kind of event": lambda report: report["timelines"][0]["events"][0].update(kind="party"),
    "a moment before 1970": lambda report: report["timelines"][0]["events"][0].update(utc_us=-1),
    "a word where a number stands": lambda report: report["devices"][0].update(entries="many"),
    "half of what it is about": lambda report: report["about"].pop("path"),
    "a digest that is none": lambda report: report["about"].update(trust_sha256="ab"),
    "another version": lambda report: report.update(v=2),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_refused(breach: str) -> None:
    """The schema is as strict as it says."""
    report = plain(full(), dict(ABOUT))
    BREACHES[breach](report)
    assert not VALIDATOR.is_valid(report)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a report that has fixed members."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from objects(one)


def test_no_object_takes_a_member_more() -> None:
    """Nowhere in a report may something be added that the schema does not name."""
    report = plain(full(), dict(ABOUT))
    for index in range(len(list(objects(report)))):
        changed = copy.deepcopy(report)
        list(objects(changed))[index]["more"] = 1
        assert not VALIDATOR.is_valid(changed), index


def test_a_type_without_a_schema_is_an_error() -> None:
    """A field of a new type is noticed when the schema is made, not published as anything at all."""
    with pytest.raises(TypeError):
        _typed(set[str])
