"""R12.1: heard or not heard, from the sound alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import chirp

from agent.hardware.parts import AudioBlock
from agent.recorder.audibility import NOT_MEASURED, measure

RATE = 48_000


@pytest.fixture
def notice(tmp_path: Path) -> Path:
    path = tmp_path / "notice.wav"
    path.write_bytes(chirp(1.0, RATE))
    return path


def blocks(signal: np.ndarray, channels: int = 1) -> list[AudioBlock]:
    samples = np.repeat(signal.astype(np.int16).reshape(-1, 1), channels, axis=1)
    return [AudioBlock(samples[at : at + 960], at) for at in range(0, len(samples), 960)]


def room(notice: Path, level: float, noise: float = 20.0, delay: int = 5_000) -> np.ndarray:
    """What a microphone hears: the notice later, softer, with noise."""
    said = np.frombuffer(notice.read_bytes()[44:], "<i2").astype(float)
    heard = np.random.default_rng(1).normal(0, noise, len(said) + 20_000)
    heard[delay : delay + len(said)] += said * level
    return heard


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("level", "noise"), [(1.0, 20), (0.1, 200), (-0.5, 20)])
def test_a_notice_that_sounds_in_the_room_is_heard_late_soft_or_inverted(
    notice: Path, level: float, noise: float, channels: int
) -> None:
    found = measure(notice, blocks(room(notice, level, noise), channels), RATE)
    assert found.state == "heard"
    assert found.correlation_milli is not None
    assert 250 <= found.correlation_milli <= 1000


@pytest.mark.parametrize(("level", "noise"), [(0.0, 20), (0.0, 5_000), (0.01, 2_000)])
def test_noise_alone_or_a_covered_speaker_is_not_heard(notice: Path, level: float, noise: float) -> None:
    assert measure(notice, blocks(room(notice, level, noise)), RATE).state == "not_heard"


def test_a_dead_microphone_has_not_heard(notice: Path) -> None:
    found = measure(notice, blocks(np.zeros(RATE)), RATE)
    assert (found.state, found.correlation_milli) == ("not_heard", 0)


def test_too_little_sound_is_not_measured_rather_than_judged(notice: Path) -> None:
    assert measure(notice, [], RATE) == NOT_MEASURED
    assert measure(notice, blocks(np.ones(RATE // 4)), RATE) == NOT_MEASURED
