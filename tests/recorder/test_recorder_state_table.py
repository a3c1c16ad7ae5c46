"""docs/state-machine.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from state_table import EVENTS, PHASES, rewrite

from agent.recorder import machine
from agent.recorder.machine import Phase

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "state-machine.md"


def test_the_table_in_the_document_is_what_the_machine_does() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert rewrite(text) == text, "run: python tests/recorder/state_table.py docs/state-machine.md"


def test_the_table_has_every_kind_of_event_and_every_phase_that_can_be_reached() -> None:
    assert {type(event) for event in EVENTS.values()} == set(machine.Event.__args__)  # type: ignore[attr-defined]
    assert {state.phase for state in PHASES.values()} == set(Phase)


def test_every_phase_is_explained() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [phase for phase in Phase if f"| `{phase.value}` |" not in text] == []
