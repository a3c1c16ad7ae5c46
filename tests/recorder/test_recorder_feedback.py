"""Every state, prompt and refusal has its row; what matters can be told apart by the lamp alone."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import combinations
from pathlib import Path

import pytest

from agent.evidence.entries import Gap, Heard, Notice
from agent.hardware.parts import OFF, Pattern
from agent.hardware.prompts import Prompt
from agent.recorder import daemon
from agent.recorder.announcer import Rank
from agent.recorder.facts import Noted, seconds_of_space
from agent.recorder.feedback import PHASE_SIGNAL, PHASE_TEXT, PROMPTS, SIGNALS, Signal, document, saying, signal_of
from agent.recorder.machine import Phase
from agent.recorder.refusals import REFUSALS, refusal
from agent.recorder.settings import EncoderSettings
from agent.rules import explosion, interlock


def test_every_phase_signal_and_prompt_has_its_row() -> None:
    assert set(PHASE_SIGNAL) == set(PHASE_TEXT) == set(Phase)
    assert set(SIGNALS) == set(Signal)
    assert set(PROMPTS) == set(Prompt)


def _words_returned(module: object, *functions: str) -> set[str]:
    """The literals in what these functions return or yield."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name in functions]
    assert len(found) == len(functions)
    given = [node for one in found for node in ast.walk(one) if isinstance(node, ast.Return | ast.Yield)]
    constants = [node.value for one in given for node in ast.walk(one) if isinstance(node, ast.Constant)]
    return {word for word in constants if isinstance(word, str)}


def test_every_reason_that_the_rules_refuse_for_has_its_row() -> None:
    """Read from the rules themselves, so that a new reason cannot be forgotten here."""
    words = _words_returned(explosion, "why_not_covered", "_shortcoming")
    words |= _words_returned(interlock, "_objections", "_room")
    words = {word for word in words if not re.fullmatch(r"R\d+(\.\d)?", word)} - {"other"}
    assert {"no_approval", "storage_full"} <= words, "the words were found"
    assert words and words <= set(REFUSALS)
    assert {"state_secret", "commercial_secret", "privacy", "other"} <= set(REFUSALS)
    entered = {node.args[1].value for node in ast.walk(ast.parse(inspect.getsource(daemon)))
               if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused"
               and isinstance(node.args[1], ast.Constant)}  # fmt: skip
    assert entered <= set(REFUSALS)


def test_a_reason_that_nobody_knows_is_told_as_its_rule_asks() -> None:
    assert refusal("new_reason", "R13.1").prompt is Prompt.REFUSED_HAZARD
    assert refusal("new_reason", "R13.2").prompt is Prompt.REFUSED_RESTRICTED
    assert refusal("new_reason").prompt is Prompt.REFUSED_OTHER


def _blink(pattern: Pattern) -> tuple[int, float]:
    period = pattern.on_ms + pattern.off_ms
    return period, pattern.on_ms / period


@pytest.mark.parametrize(("one", "other"), [*combinations([one for one in Signal if one is not Signal.OFF_DUTY], 2)])
def test_two_signals_differ_in_pace_or_in_share_of_light(one: Signal, other: Signal) -> None:
    """At least 1.8 times the pace or a quarter of the period; steady light is like no blinking."""
    first, second = SIGNALS[one].lamp, SIGNALS[other].lamp
    if not first.off_ms or not second.off_ms:
        assert first.off_ms != second.off_ms
        return
    (period, share), (other_period, other_share) = _blink(first), _blink(second)
    ratio = max(period, other_period) / min(period, other_period)
    assert ratio >= 1.8 or abs(share - other_share) >= 0.25


def test_only_recording_is_steady_and_only_a_unit_off_duty_is_dark() -> None:
    assert [one for one, shown in SIGNALS.items() if not shown.lamp.off_ms] == [Signal.RECORDING, Signal.OFF_DUTY]
    assert [one for one, shown in SIGNALS.items() if shown.lamp == OFF] == [Signal.OFF_DUTY]


def test_the_lamp_says_more_than_the_phase_where_the_officer_must_act() -> None:
    assert signal_of(Phase.BLOCKED) is Signal.BLOCKED
    assert signal_of(Phase.BLOCKED, hazard=True) is Signal.HAZARD
    assert signal_of(Phase.RECORDING, hazard=True, part_lost=True) is Signal.TROUBLE
    assert signal_of(Phase.DOCKED, uploading=True) is Signal.UPLOADING
    assert signal_of(Phase.FAULT, hazard=True, part_lost=True, uploading=True) is Signal.FAULT


def test_warnings_are_buzzed_too_and_refusals_are_warnings() -> None:
    for prompt, told in PROMPTS.items():
        assert told.rank in (Rank.WARNING, Rank.CONFIRMATION)
        assert told.buzzer != OFF or told.rank is Rank.CONFIRMATION, prompt
    assert all(PROMPTS[one.prompt].rank is Rank.WARNING for one in REFUSALS.values())


def test_what_is_left_of_one_thing_is_said_once_with_the_newest_number() -> None:
    assert saying(Prompt.BATTERY_10_MINUTES).name == saying(Prompt.BATTERY_5_MINUTES).name == "battery"
    assert len({saying(one).name for one in Prompt}) > 20


def test_the_document_is_what_the_table_says() -> None:
    """Write it anew with `python -m agent.recorder.feedback docs/feedback.md`."""
    text = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text("utf-8")
    assert text == document()
    assert all(prompt.chinese in text and prompt.english in text for prompt in Prompt)


def test_a_part_is_lost_from_the_gap_that_begins_to_the_gap_that_ends_it() -> None:
    noted = Noted()
    noted.entered(Gap("00" * 8, "microphone", None, 0), 7)
    assert noted.lost == {"microphone"}
    noted.entered(Gap("00" * 8, "overload", None, 3), 8)
    noted.entered(Gap("00" * 8, "microphone", 2_000_000, 0), 9)
    assert noted.lost == set()
    assert [(one["seq"], one["type"]) for one in noted.entries] == [(6, "gap"), (7, "gap"), (8, "gap")]


def test_warnings_are_kept_to_be_shown_and_confirmations_are_not() -> None:
    noted = Noted()
    noted.told(Prompt.REFUSED_HAZARD)
    noted.told(Prompt.MARKED)
    assert [one["en"] for one in noted.warnings] == [Prompt.REFUSED_HAZARD.english]


def test_a_part_lost_in_one_recording_is_not_lost_in_the_next() -> None:
    noted = Noted()
    noted.entered(Gap("00" * 8, "camera", None, 0), 1)
    heard = Heard("not_measured", None, None)
    noted.entered(Notice("00" * 8, "oral", "completed", None, 0, 0, 0, 0, 1, 1, heard, None), 2)
    assert noted.lost == set()


def test_the_time_that_space_is_left_for_is_reckoned_at_the_highest_rate() -> None:
    encoder = EncoderSettings(maximum_bit_rate=7_936_000, sound_bit_rate=64_000)
    assert seconds_of_space(3_600_000_000 + 100, 100, encoder) == 3600
    assert seconds_of_space(50, 100, encoder) == 0
