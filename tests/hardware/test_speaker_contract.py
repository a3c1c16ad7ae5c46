"""What every speaker does, run over every speaker that this machine can have."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware_lanes import make_wav, need_lane

from agent.errors import HardwareError
from agent.hardware.parts import PlaybackProof, Speaker
from agent.hardware.prompts import Prompt
from agent.hardware.settings import AudioSettings
from agent.hardware.simulated.speaker import SimulatedSpeaker, WavLog
from agent.hardware.simulated.stage import Stage


def _portaudio() -> Speaker:
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    from agent.hardware.linux.speaker import PortAudioSpeaker

    return PortAudioSpeaker(AudioSettings())


@pytest.fixture(params=["simulated", "portaudio"])
def speaker(request: pytest.FixtureRequest, stage: Stage, tmp_path: Path) -> Iterator[Speaker]:
    made = SimulatedSpeaker(WavLog(tmp_path / "played.wav"), stage) if request.param == "simulated" else _portaudio()
    yield made
    made.close()


def _play(speaker: Speaker, sound: Path) -> PlaybackProof:
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    speaker.play(sound, proofs.put)
    return proofs.get(timeout=20)


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (16000, 1), (48000, 2)])
def test_a_sound_played_to_its_end_is_proved_frame_by_frame(
    speaker: Speaker, tmp_path: Path, rate: int, channels: int
) -> None:
    proof = _play(speaker, make_wav(tmp_path / "a.wav", 0.5, rate, channels))
    assert proof.completed, proof
    assert proof.frames_total / proof.sample_rate == pytest.approx(0.5, abs=0.02)


def test_playing_takes_as_long_as_the_sound_and_the_proof_says_so(speaker: Speaker, tmp_path: Path) -> None:
    before = time.monotonic_ns()
    proof = _play(speaker, make_wav(tmp_path / "a.wav", 0.8))
    after = time.monotonic_ns()
    assert before <= proof.started_ns < proof.ended_ns <= after
    assert proof.ended_ns - proof.started_ns >= 600_000_000


def test_started_is_called_before_ended_with_the_moment_of_the_proof(speaker: Speaker) -> None:
    calls: queue.Queue[int | PlaybackProof] = queue.Queue()
    speaker.play(Prompt.MARKED.file, calls.put, calls.put)
    started, proof = calls.get(timeout=10), calls.get(timeout=10)
    assert isinstance(proof, PlaybackProof)
    assert started == proof.started_ns


def test_a_new_sound_cuts_the_running_one_short_and_each_ends_exactly_once(speaker: Speaker, tmp_path: Path) -> None:
    started: queue.Queue[int] = queue.Queue()
    ends: queue.Queue[tuple[str, PlaybackProof]] = queue.Queue()
    speaker.play(make_wav(tmp_path / "long.wav", 20), lambda proof: ends.put(("long", proof)), started.put)
    started.get(timeout=10)
    speaker.play(make_wav(tmp_path / "short.wav", 0.2), lambda proof: ends.put(("short", proof)))
    first, second = ends.get(timeout=10), ends.get(timeout=10)
    assert (first[0], first[1].failure, first[1].completed) == ("long", "interrupted", False)
    assert first[1].frames_consumed < first[1].frames_total
    assert second[0] == "short" and second[1].completed, second
    assert ends.empty()


def test_stop_cuts_the_sound_short_and_is_harmless_when_silent(speaker: Speaker, tmp_path: Path) -> None:
    speaker.stop()
    started: queue.Queue[int] = queue.Queue()
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    speaker.play(make_wav(tmp_path / "long.wav", 20), proofs.put, started.put)
    started.get(timeout=10)
    speaker.stop()
    assert proofs.get(timeout=10).failure == "interrupted"


@pytest.mark.parametrize("content", [None, b"", b"RIFF no sound at all"])
def test_a_sound_that_cannot_be_read_ends_once_with_its_failure(
    speaker: Speaker, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    proof = _play(speaker, tmp_path / "bad.wav")
    assert proof.failure is not None and "bad.wav" in proof.failure
    assert not proof.completed


def test_a_closed_speaker_refuses_to_play(speaker: Speaker) -> None:
    speaker.close()
    speaker.close()
    with pytest.raises(HardwareError):
        speaker.play(Prompt.MARKED.file, lambda _: None)
