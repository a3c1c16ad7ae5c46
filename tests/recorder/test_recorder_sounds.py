"""What is heard around a recording, in a whole recorder: the notice again, the tone, a notice that was changed."""

from __future__ import annotations

import io
import shutil
import signal
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from recorder_process import Unit, running
from samples import Enrolled, chirp

from agent.errors import RefusedError
from agent.evidence.documents import read_policy, sign_policy
from agent.hardware.playback import read_wav, resample
from agent.hardware.prompts import TONE_FILE


def own_credentials(unit: Unit, enrolled: Enrolled, **notice: Any) -> Path:
    """Gives the unit credentials of its own, with these changes of the notice's policy."""
    own = unit.folder / "own"
    shutil.copytree(enrolled.folder / "er-1", own)
    policy = read_policy((own / "policy.jws").read_bytes(), enrolled.trust)
    changed = replace(policy, version=policy.version + 1, notice=replace(policy.notice, **notice))
    (own / "policy.jws").write_bytes(sign_policy(changed, enrolled.key("agency", "documents.key")))
    text = (unit.folder / "config.toml").read_text().replace(str(enrolled.folder / "er-1"), str(own))
    (unit.folder / "config.toml").write_text(text)
    return own


def sound_of(unit: Unit) -> np.ndarray:
    """The recording's own sound, mono, 48 kHz."""
    films = [unit.opened(one.object.file_name)[1] for one in unit.bodies("segment")]
    with av.open(io.BytesIO(b"".join(films))) as film:
        return np.concatenate([block.to_ndarray()[0] for block in film.decode(audio=0)]).astype(float)


def best(heard: np.ndarray, sound: np.ndarray) -> float:
    """Normalised correlation at the best place."""
    size = 1 << (len(heard) + len(sound)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size)), size)[: len(heard)]
    place = int(np.argmax(np.abs(product)))
    part = heard[place : place + len(sound)]
    return float(abs(product[place]) / (np.linalg.norm(part) * np.linalg.norm(sound[: len(part)])))


def record(unit: Unit) -> None:
    with running(unit):
        unit.press()
        unit.until_phase("recording")
        unit.until_entry("segment", 3, 30)
        unit.ask("stop")
        unit.until_entry("close")
        unit.end(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("repeat", [True, False])
def test_the_notice_sounds_in_the_recording_itself_where_the_policy_asks_for_it(
    unit: Unit, enrolled: Enrolled, repeat: bool
) -> None:
    own = own_credentials(unit, enrolled, repeat=repeat)
    record(unit)
    notice = resample(read_wav(own / "notice.wav"), 48_000).samples[:, 0].astype(float)
    match = best(sound_of(unit), notice)
    assert (match > 0.8) is repeat, match
    (opened,) = unit.bodies("open")
    assert unit.bodies("notice")[0].outcome == "completed", "the one before the recording is the one that counts"
    assert opened.kind == "video"


@pytest.mark.slow
def test_the_tone_sounds_in_the_recording_where_the_policy_asks_for_it(unit: Unit, enrolled: Enrolled) -> None:
    own_credentials(unit, enrolled, tone_interval_us=1_000_000)
    record(unit)
    tone = resample(read_wav(TONE_FILE), 48_000).samples[:, 0].astype(float)
    with wave.open(str(unit.folder / "simulated-speaker.wav")) as file:
        played = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    assert best(played, tone) > 0.95
    heard = sound_of(unit)
    at = np.arange(len(tone)) / 48_000
    carrier = np.exp(-2j * np.pi * 880 * at)
    steps = range(0, len(heard) - len(tone), len(tone) // 2)
    loudness = np.array([abs(np.vdot(carrier.conj(), heard[step : step + len(tone)])) for step in steps])
    assert loudness.max() > 20 * np.median(loudness), "880 Hz comes and goes"


@pytest.mark.slow
def test_a_notice_changed_on_the_unit_is_not_played_and_the_party_may_be_told_in_person(
    unit: Unit, enrolled: Enrolled
) -> None:
    own = own_credentials(unit, enrolled)
    with running(unit):
        (own / "notice.wav").write_bytes(chirp(0.7))
        unit.press()
        unit.until_phase("blocked")
        unit.press()
        unit.until_phase("recording")
        unit.ask("stop")
        unit.until_entry("close")
        unit.end(signal.SIGTERM)
    failed, oral = unit.bodies("notice")
    assert (failed.means, failed.outcome, failed.frames_consumed) == ("played", "failed", 0)
    assert "policy" in failed.failure
    assert (oral.means, oral.outcome) == ("oral", "completed")
    assert unit.types().count("open") == 1


@pytest.mark.slow
def test_a_unit_that_starts_with_a_changed_notice_says_so_and_takes_no_documents_with_it(
    unit: Unit, enrolled: Enrolled
) -> None:
    own = own_credentials(unit, enrolled)
    (own / "notice.wav").write_bytes(chirp(0.7))
    with running(unit):
        assert "the notice will not be played" in unit.log()
        with pytest.raises(RefusedError, match=r"notice\.wav"):
            unit.ask("reload")
        assert unit.ask("status")["phase"] == "ready"
