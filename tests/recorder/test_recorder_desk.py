"""A script at the control socket sets what simulated parts read, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import TypeAdapter

from agent.errors import RefusedError, UsageError
from agent.hardware.assembly import open_parts
from agent.hardware.parts import Parts, TimeSource
from agent.hardware.settings import HardwareSettings
from agent.recorder.control import Request
from agent.recorder.desk import Desk

SIMULATED = ("camera", "microphone", "speaker", "controls", "hazard_switch", "positioning", "clock", "thermometer")


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """All simulated but the power."""
    settings = dict.fromkeys(SIMULATED, "simulated")
    made = open_parts(TypeAdapter(HardwareSettings).validate_python(settings), tmp_path)
    yield made
    made.close()


def drive(parts: Parts, **fields: Any) -> None:
    Desk(cast(Any, SimpleNamespace(parts=parts))).answer(Request("drive", fields))


def test_switches_are_moved_and_readings_are_set(parts: Parts) -> None:
    drive(parts, part="hazard", active=True)
    drive(parts, part="position", words=["41.85", "123.8"])
    drive(parts, part="temperature", words=["71.5"])
    drive(parts, part="clock", words=["rtc"])
    assert parts.hazard_switch is not None and parts.hazard_switch.active
    assert parts.positioning is not None and parts.positioning.fix() is not None
    assert parts.thermometer is not None and parts.thermometer.read() == 71_500
    assert parts.clock.read().source is TimeSource.RTC


@pytest.mark.parametrize("words", [None, "41", [1, 2], [], ["north"]])
def test_what_is_no_list_of_known_words_is_refused_and_changes_nothing(parts: Parts, words: object) -> None:
    with pytest.raises(UsageError):
        drive(parts, part="position", words=words)
    assert parts.positioning is not None and parts.positioning.fix() is None


@pytest.mark.parametrize("part", ["power", "camera", None])
def test_a_real_part_and_one_that_is_not_there_cannot_be_driven(parts: Parts, part: str | None) -> None:
    with pytest.raises(RefusedError):
        drive(parts, part=part, words=["20", "35"])
