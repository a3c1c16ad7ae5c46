"""Inside the sound room: the real PortAudio plays, and the real PortAudio hears it."""

from __future__ import annotations

import queue
import time

import numpy as np
from hardware_lanes import best_match, eventually, need_lane

from agent.hardware.parts import AudioBlock, PlaybackProof
from agent.hardware.playback import read_wav, resample
from agent.hardware.prompts import Prompt
from agent.hardware.settings import AudioSettings


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
    assert match > 0.9
    first_heard_ns = _moment_of(place, heard)
    print(f"match {match:.3f}, heard {(first_heard_ns - proof.started_ns) / 1e6:.0f} ms after the first sample")
    # The null sink renders ahead in chunks of up to two seconds, so stamps in this room are coarse.
    assert abs(first_heard_ns - proof.started_ns) < 1_000_000_000
    assert first_heard_ns + len(sound) * 1_000_000_000 // 48000 <= proof.ended_ns + 250_000_000
    assert proof.ended_ns <= time.monotonic_ns()
