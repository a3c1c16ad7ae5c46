"""Inside the sound room: the real PortAudio plays, and the real PortAudio hears it."""

from __future__ import annotations

import queue
import subprocess
import time
from typing import Any

import numpy as np
import pytest
from hardware_lanes import best_match, eventually, need_lane

from agent.evidence.entries import Heard
from agent.hardware.parts import AudioBlock, PlaybackProof
from agent.hardware.playback import read_wav, resample
from agent.hardware.prompts import NOTICE_FILE, Prompt
from agent.hardware.settings import AudioSettings
from agent.recorder.audibility import AudibilityMeter


def _moment_of(sample: int, heard: list[AudioBlock]) -> int:
    """The stamp of the ``sample``-th sample heard, by its own block: the room may lose some while it is warming up."""
    for block in heard:
        if sample < len(block.samples):
            return block.captured_ns + sample * 1_000_000_000 // 48000
        sample -= len(block.samples)
    raise AssertionError("no such sample")


def test_the_microphone_hears_what_the_speaker_plays_when_the_proof_says_it_played() -> None:
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    from agent.hardware.linux.microphone import PortAudioMicrophone
    from agent.hardware.linux.speaker import PortAudioSpeaker

    microphone, speaker = PortAudioMicrophone(AudioSettings()), PortAudioSpeaker(AudioSettings())
    heard: list[AudioBlock] = []
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    microphone.start(heard.append, lambda error: None)
    eventually(lambda: len(heard) > 5)
    speaker.play(Prompt.RECORDING_STARTED.file, proofs.put)
    proof = proofs.get(timeout=15)
    eventually(lambda: heard[-1].captured_ns > proof.ended_ns)
    microphone.stop()
    speaker.close()
    microphone.close()

    assert proof.completed, proof
    sound = resample(read_wav(Prompt.RECORDING_STARTED.file), 48000).samples[:, 0].astype(np.float64)
    match, place = best_match(np.concatenate([block.samples[:, 0] for block in heard]).astype(np.float64), sound)
    assert match > 0.5, "a busy machine's room drops a moment now and then; other sounds match below 0.1"
    first_heard_ns = _moment_of(place, heard)
    print(f"match {match:.3f}, heard {(first_heard_ns - proof.started_ns) / 1e6:.0f} ms after the first sample")
    # The null sink renders ahead in chunks of up to two seconds, so stamps in this room are coarse.
    assert abs(first_heard_ns - proof.started_ns) < 1_000_000_000
    assert first_heard_ns + len(sound) * 1_000_000_000 // 48000 <= proof.ended_ns + 250_000_000
    assert proof.ended_ns <= time.monotonic_ns()


def notice_heard(speaker_does: str = "") -> tuple[PlaybackProof, Heard]:
    """Plays the notice and measures it while it plays, as the recorder does. ``speaker_does``: what pactl changes."""
    from agent.hardware.linux.microphone import PortAudioMicrophone
    from agent.hardware.linux.speaker import PortAudioSpeaker

    microphone, speaker = PortAudioMicrophone(AudioSettings()), PortAudioSpeaker(AudioSettings())
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    try:
        if speaker_does:
            subprocess.run(["pactl", *speaker_does.split()], check=True, timeout=10)
        meter = AudibilityMeter(NOTICE_FILE, 48000)
        speaker.play(NOTICE_FILE, proofs.put)
        microphone.start(meter.take, lambda error: None)
        proof = proofs.get(timeout=40)
        return proof, meter.result()
    finally:
        subprocess.run(["pactl", "set-sink-mute", "room", "0"], check=True, timeout=10)
        subprocess.run(["pactl", "set-sink-volume", "room", "100%"], check=True, timeout=10)
        microphone.close()
        speaker.close()


def test_a_notice_that_sounds_in_the_room_is_heard() -> None:
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    proof, heard = notice_heard()
    print(proof, heard)
    assert proof.completed
    assert heard.state == "heard" and heard.correlation_milli is not None and heard.correlation_milli > 400


@pytest.mark.parametrize("change", ["set-sink-mute room 1", "set-sink-volume room 10%"], ids=["muted", "covered"])
def test_a_notice_that_nobody_can_hear_is_played_whole_and_not_heard(change: str) -> None:
    """What the output took proves nothing about ears; the microphone does."""
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    proof, heard = notice_heard(change)
    print(proof, heard)
    assert proof.completed
    assert heard.state == "not_heard"


def test_an_output_that_runs_dry_is_counted_and_the_notice_is_not_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is too busy for three seconds: the device says so itself."""
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    from agent.hardware.linux import speaker as module

    feed, calls = module._Progress.feed, iter(range(1_000_000))

    def late(progress: Any, out: Any, underflow: bool) -> bool:
        if next(calls) == 10:
            time.sleep(3)
        return feed(progress, out, underflow)

    monkeypatch.setattr(module._Progress, "feed", late)
    speaker = module.PortAudioSpeaker(AudioSettings(output_device="dry"))
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    speaker.play(Prompt.NOTICE_FAILED.file, proofs.put)
    proof = proofs.get(timeout=40)
    speaker.close()
    print(proof)
    assert proof.frames_consumed == proof.frames_total and proof.underruns >= 1
    assert not proof.completed


def test_a_notice_cut_short_is_proved_as_far_as_it_went() -> None:
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    from agent.hardware.linux.speaker import PortAudioSpeaker

    speaker = PortAudioSpeaker(AudioSettings())
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    started: queue.Queue[int] = queue.Queue()
    speaker.play(NOTICE_FILE, proofs.put, started.put)
    started.get(timeout=10)
    speaker.stop()
    proof = proofs.get(timeout=20)
    speaker.close()
    assert (proof.failure, proof.completed) == ("interrupted", False)
    assert 0 <= proof.frames_consumed < proof.frames_total
