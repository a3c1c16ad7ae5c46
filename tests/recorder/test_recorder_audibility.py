"""R12.1: heard or not heard, from the sound alone, with the shipped notice in rooms made by arithmetic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.evidence.entries import Heard
from agent.hardware.parts import AudioBlock
from agent.hardware.playback import Sound, read_wav, resample
from agent.hardware.prompts import NOTICE_FILE, Prompt
from agent.hardware.simulated.stage import read_clip
from agent.recorder import audibility
from agent.recorder.audibility import NOT_MEASURED, AudibilityMeter, Listening, read_notice

RATE = 48_000
STREET = Path(audibility.__file__).parents[1] / "hardware" / "footage" / "street.mp4"
SAID = read_notice(NOTICE_FILE)
PLAYED = resample(read_wav(NOTICE_FILE), RATE).samples[:, 0].astype(float)
SECONDS = len(PLAYED) / RATE


def blocks(signal: np.ndarray, rate: int = RATE, channels: int = 1) -> Iterator[AudioBlock]:
    samples = np.clip(signal, -32768, 32767).astype(np.int16).reshape(-1, 1).repeat(channels, axis=1)
    for at in range(0, len(samples), rate // 50):
        yield AudioBlock(samples[at : at + rate // 50], at * 1_000_000_000 // rate)


def heard(signal: np.ndarray, rate: int = RATE, channels: int = 1) -> Heard:
    listening = Listening(SAID, rate, 0)
    for block in blocks(signal, rate, channels):
        listening.take(block)
    return listening.result()


def other_speech() -> np.ndarray:
    return np.concatenate([resample(read_wav(one.file), RATE).samples[:, 0] for one in Prompt]).astype(float)


def music() -> np.ndarray:
    at = np.arange(12 * RATE) / RATE
    voices = [np.sin(2 * np.pi * tone * at) * (np.sin(2 * np.pi * beat * at) > 0)
              for tone, beat in ((220, 1), (277, 1.3), (330, 1.6), (440, 1.9), (660, 2.2), (880, 2.5))]  # fmt: skip
    return np.sum(voices, axis=0)


NOISES = {
    "hiss": lambda: np.random.default_rng(1).normal(0, 1, 12 * RATE),
    "street": lambda: read_clip(STREET).sound.astype(float),
    "other speech": other_speech,
    "music": music,
}


def loudness(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def noise(kind: str, length: int) -> np.ndarray:
    """Of this kind, rms 1."""
    made = np.resize(NOISES[kind](), length)
    return made / loudness(made)


def echoes(seconds: float = 0.5, direct_to_echo_db: float = 0.0) -> np.ndarray:
    """A room's answer: the direct sound and a decaying tail."""
    length = int(0.4 * RATE)
    tail = np.random.default_rng(2).normal(0, 1, length) * 10 ** (-3 * np.arange(length) / RATE / seconds)
    tail *= 10 ** (-direct_to_echo_db / 20) / np.linalg.norm(tail)
    tail[0] += 1
    return tail


def through(signal: np.ndarray, answer: np.ndarray) -> np.ndarray:
    size = 1 << (len(signal) + len(answer)).bit_length()
    return np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(answer, size), size)[: len(signal) + len(answer)]


def room(
    kind: str = "hiss", snr_db: float = 0.0, delay: float = 0.2, gain: float = 0.1, answer: np.ndarray | None = None,
    drift_ppm: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """The notice in a noise at a ratio, late, through a room, with a clock of its own."""
    count = int(len(PLAYED) / (1 + drift_ppm * 1e-6))
    sound = np.interp(np.arange(count) * (1 + drift_ppm * 1e-6), np.arange(len(PLAYED)), PLAYED) * gain
    if answer is not None:
        sound = through(sound, answer)
    whole = np.zeros(int(delay * RATE) + len(sound) + RATE // 2)
    whole[int(delay * RATE) :][: len(sound)] = sound
    return whole + noise(kind, len(whole)) * loudness(sound) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("answer", [None, echoes()], ids=["free", "room"])
@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize(
    ("snr_db", "state"), [(20, "heard"), (0, "heard"), (-6, "heard"), (-9, "heard"), (-20, "not_heard")]
)
def test_heard_down_to_9_db_below_any_noise_and_not_at_20_below(
    kind: str, snr_db: float, state: str, answer: np.ndarray | None
) -> None:
    assert heard(room(kind, snr_db, answer=answer)).state == state


@pytest.mark.parametrize("kind", NOISES)
def test_without_the_notice_nothing_is_taken_for_it(kind: str) -> None:
    """A muted or covered speaker in noise, music, or while somebody else speaks."""
    found = heard(noise(kind, int((SECONDS + 1) * RATE)) * 2000)
    assert found.state == "not_heard"
    assert found.correlation_milli is not None and found.correlation_milli < 125, "half of what counts as heard"


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.5, 0.9])
def test_the_way_to_the_microphone_may_take_its_time(delay: float) -> None:
    found = heard(room(delay=delay))
    assert found.state == "heard"
    assert found.correlation_milli == pytest.approx(777, abs=10), "a delay changes nothing of what was heard"


@pytest.mark.parametrize("early", [0.3, 0.9])
def test_a_microphone_whose_stamps_are_late_still_hears(early: float) -> None:
    """The sound seems to have been there before it was played."""
    found = heard(room(delay=0.0)[int(early * RATE) :])
    assert found.state == "heard"
    assert found.correlation_milli == pytest.approx(777, abs=15)


@pytest.mark.parametrize("drift_ppm", [-100, -37, 37, 100])
def test_clocks_that_drift_apart_do_not_hide_the_notice(drift_ppm: float) -> None:
    found = heard(room("street", 0.0, drift_ppm=drift_ppm, answer=echoes()))
    assert found.state == "heard"
    assert found.correlation_milli is not None and found.correlation_milli > 450


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_and_channel_count_measures_the_same(rate: int, channels: int) -> None:
    sound = Sound(np.clip(room(), -32768, 32767).astype(np.int16).reshape(-1, 1), RATE)
    found = heard(resample(sound, rate).samples[:, 0], rate, channels)
    assert found.correlation_milli == pytest.approx(777, abs=15)


def test_a_clipped_microphone_still_hears_and_an_inverted_one_too() -> None:
    assert heard(room(snr_db=20, gain=8.0)).state == "heard"
    assert heard(-room()).state == "heard"


def test_a_notice_too_quiet_to_be_heard_is_not_heard_though_it_is_recognised() -> None:
    found = heard(room(gain=0.003))
    assert found.state == "not_heard"
    assert found.correlation_milli is not None and found.correlation_milli > 700


def test_a_notice_cut_in_its_middle_is_worth_less_than_a_whole_one() -> None:
    sound = room(snr_db=20)
    cut = sound.copy()
    cut[len(cut) // 3 :] = noise("street", len(cut) - len(cut) // 3) * loudness(sound)
    whole, part = heard(sound).correlation_milli, heard(cut).correlation_milli
    assert whole is not None and part is not None and part < whole * 0.8


def test_a_dead_microphone_has_not_heard() -> None:
    assert heard(np.zeros(12 * RATE)) == Heard("not_heard", 0, -12_000)


def test_blocks_lost_on_the_way_leave_a_hole_and_no_shift() -> None:
    listening = Listening(SAID, RATE, 0)
    for number, block in enumerate(blocks(room())):
        if not 150 <= number < 200:
            listening.take(block)
    found = listening.result()
    assert found.correlation_milli == pytest.approx(777, abs=40)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_too_little_sound_is_not_measured_rather_than_judged(share: float) -> None:
    assert heard(room()[: int(share * SECONDS * RATE)]) == NOT_MEASURED


def test_a_silent_notice_is_not_measured() -> None:
    listening = Listening(np.zeros(16_000), RATE, 0)
    for block in blocks(room()):
        listening.take(block)
    assert listening.result() == NOT_MEASURED


def test_the_meter_measures_on_its_own_thread_and_holds_no_sound_of_the_room() -> None:
    before = time.monotonic_ns()
    meter = AudibilityMeter(NOTICE_FILE, RATE, 0)
    for block in blocks(room()):
        meter._blocks.put(block, timeout=10)
    assert meter.result(10).state == "heard"
    assert meter._blocks.empty()
    assert time.monotonic_ns() - before < 30_000_000_000


def test_the_meter_never_waits_and_a_notice_that_cannot_be_read_is_not_measured(tmp_path: Path) -> None:
    meter = AudibilityMeter(tmp_path / "none.wav", RATE)
    for block in blocks(np.zeros(RATE * 10)):
        meter.take(block)
    assert meter.result(1) == NOT_MEASURED


def test_memory_does_not_grow_with_the_sound() -> None:
    """What is held after a minute of sound is the sums, one window, and three numbers for each 0.4 s."""
    listening = Listening(SAID, RATE, 0)
    for block in blocks(np.resize(room(), 60 * RATE)):
        listening.take(block)
    sums = listening._correlator._sums
    assert sums.shape == (13, 20_000)
    assert listening._window.samples.shape == (3_200,)
    assert len(listening._correlator._windows) <= (SECONDS + 1.5) / 0.4 + 1
