"""How loud it is at the microphone: two numbers a block, for whoever looks at the unit. Nothing of it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Final

import numpy as np

from agent.hardware.parts import AudioBlock

FLOOR_DBFS: Final = -96.0
"""One step of 16 bits; silence is said to be this loud."""
HOLD_NS: Final = 500_000_000
"""Younger than this, an earlier peak still counts: whoever looks twice a second misses none."""


@dataclass(frozen=True, slots=True)
class SoundLevel:
    """Peak and root mean square in dB below full scale, and the capture time of the peak."""

    peak_dbfs: float
    rms_dbfs: float
    at_ns: int


def level_of(block: AudioBlock, before: SoundLevel | None = None) -> SoundLevel:
    """The level of a block; the peak of ``before`` is held for half a second."""
    samples = block.samples.astype(np.float32)
    peak = float(np.max(np.abs(samples), initial=0.0))
    rms = float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0
    found = SoundLevel(_dbfs(peak), _dbfs(rms), block.captured_ns)
    if before and before.peak_dbfs > found.peak_dbfs and block.captured_ns - before.at_ns < HOLD_NS:
        return SoundLevel(before.peak_dbfs, found.rms_dbfs, before.at_ns)
    return found


def _dbfs(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * log10(amplitude / 32768)) if amplitude else FLOOR_DBFS
