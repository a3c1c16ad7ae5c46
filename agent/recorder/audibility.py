"""R12.1: was the notice heard? The microphone's sound during the notice against the notice itself.

Only two numbers leave this module: the sound taken here is for measuring and is dropped at once.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agent.evidence.entries import Heard
from agent.hardware.parts import AudioBlock

HEARD_CORRELATION: Final = 0.25
HEARD_DBFS: Final = -60.0
_RATE: Final = 8_000
"""Speech is below 4 kHz; comparing at 8 kHz keeps this under 0.1 s of work on a small processor."""

NOT_MEASURED: Final = Heard("not_measured", None, None)
Signal = npt.NDArray[np.float64]


def measure(notice: Path, blocks: Sequence[AudioBlock], sample_rate: int) -> Heard:
    """Highest normalised correlation over all lags, and the level, of what the microphone heard."""
    if not blocks:
        return NOT_MEASURED
    heard = _resample(np.concatenate([block.samples for block in blocks]).mean(axis=1), sample_rate)
    said = _resample(*_read_wav(notice))
    if len(heard) < _RATE // 2 or not said.any():
        return NOT_MEASURED
    level = 20 * float(np.log10(max(np.sqrt(np.mean(heard**2)), 1e-9) / 32768))
    correlation = _correlation(said, heard)
    passed = correlation >= HEARD_CORRELATION and level >= HEARD_DBFS
    return Heard("heard" if passed else "not_heard", round(correlation * 1000), round(level * 100))


def _read_wav(path: Path) -> tuple[Signal, int]:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()).mean(axis=1), file.getframerate()


def _resample(signal: npt.NDArray[Any], rate: int) -> Signal:
    """Averages down to about 8 kHz: a plain decimator is enough for a correlation."""
    step = max(1, round(rate / _RATE))
    whole = len(signal) // step * step
    averaged: Signal = signal[:whole].reshape(-1, step).mean(axis=1)
    return averaged - averaged.mean() if len(averaged) else averaged


def _correlation(said: Signal, heard: Signal) -> float:
    size = 1 << (len(said) + len(heard)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    norm = float(np.linalg.norm(said) * np.linalg.norm(heard))
    return float(np.max(np.abs(product))) / norm if norm else 0.0
