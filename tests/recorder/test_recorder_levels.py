"""How loud it is at the microphone."""

from __future__ import annotations

import numpy as np
import pytest

from agent.hardware.parts import AudioBlock
from agent.recorder.levels import FLOOR_DBFS, level_of


def block(amplitude: int, at_ns: int = 0) -> AudioBlock:
    """A square wave: peak and root mean square are the same."""
    samples = np.where(np.arange(960) % 2, amplitude, -amplitude)
    return AudioBlock(samples.astype(np.int16).reshape(-1, 1), at_ns)


@pytest.mark.parametrize(("amplitude", "dbfs"), [(32767, 0.0), (16384, -6.02), (328, -40.0)])
def test_a_level_is_in_db_below_full_scale(amplitude: int, dbfs: float) -> None:
    found = level_of(block(amplitude))
    assert found.peak_dbfs == found.rms_dbfs == pytest.approx(dbfs, abs=0.02)


def test_silence_and_no_samples_are_at_the_floor() -> None:
    assert level_of(block(0)).peak_dbfs == FLOOR_DBFS
    assert level_of(AudioBlock(np.zeros((0, 2), np.int16), 0)).rms_dbfs == FLOOR_DBFS


def test_a_peak_is_held_for_half_a_second_and_the_mean_is_not() -> None:
    loud = level_of(block(16384))
    soft = level_of(block(164, 400_000_000), loud)
    assert (round(soft.peak_dbfs), round(soft.rms_dbfs)) == (-6, -46)
    assert round(level_of(block(164, 500_000_001), soft).peak_dbfs) == -46
