"""The stage: picture and sound loop together, and the room carries the speaker to the microphone."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hardware_lanes import CLIP_RATE, FLASH_FRAMES, best_match, eventually, make_wav, read_mono

from agent.errors import HardwareError
from agent.hardware.parts import AudioBlock, PlaybackProof, VideoFrame
from agent.hardware.prompts import Prompt
from agent.hardware.simulated.camera import SimulatedCamera
from agent.hardware.simulated.microphone import SimulatedMicrophone
from agent.hardware.simulated.speaker import SimulatedSpeaker, WavLog
from agent.hardware.simulated.stage import Stage, packaged_footage, read_clip

FRAME_NS = 1_000_000_000 // CLIP_RATE


def _is_white(frame: VideoFrame) -> bool:
    return bool(frame.picture.to_ndarray()[:120].mean() > 128)


def test_flash_and_beep_coincide_in_every_loop_whoever_starts_first(stage: Stage) -> None:
    frames: list[VideoFrame] = []
    blocks: list[AudioBlock] = []
    microphone, camera = SimulatedMicrophone(stage), SimulatedCamera(stage)
    microphone.start(blocks.append, lambda error: None)
    eventually(lambda: len(blocks) > 3)
    camera.start(frames.append, lambda error: None)
    eventually(lambda: frames and frames[-1].captured_ns - frames[0].captured_ns > 2_500_000_000)
    camera.stop()
    microphone.stop()
    flashes = [frame.captured_ns for frame in frames if _is_white(frame)]
    assert len(flashes) >= 2 * FLASH_FRAMES
    for block in blocks:
        if not frames[0].captured_ns < block.captured_ns < frames[-1].captured_ns - FRAME_NS:
            continue
        middle_ns = block.captured_ns + 10_000_000
        lit = any(flash <= middle_ns < flash + FRAME_NS for flash in flashes)
        loud = bool(np.abs(block.samples[400:560].astype(int)).max() > 3000)
        assert lit == loud


def test_a_loop_has_no_seam_frames_come_at_the_clips_rate_throughout(stage: Stage) -> None:
    frames: list[int] = []
    camera = SimulatedCamera(stage)
    camera.start(lambda frame: frames.append(frame.captured_ns), lambda error: None)
    eventually(lambda: len(frames) > 2 * CLIP_RATE)
    camera.stop()
    assert set(np.round(np.diff(frames) / 1e6)) == {40.0}


def test_the_packaged_clip_has_picture_and_as_much_sound() -> None:
    clip = read_clip(packaged_footage())
    assert (clip.width, clip.height, clip.frames_per_second, clip.duration_ns) == (768, 576, 10, 30_000_000_000)
    assert len(clip.sound) == 30 * 48000
    assert np.abs(clip.sound.astype(int)).max() > 1000


def test_the_camera_scales_to_the_size_it_is_given(stage: Stage) -> None:
    camera = SimulatedCamera(stage, (320, 240))
    frames: queue.Queue[VideoFrame] = queue.Queue()
    camera.start(frames.put, lambda error: None)
    picture = frames.get(timeout=5).picture
    camera.close()
    assert (picture.width, picture.height, picture.format.name) == (320, 240, "yuv420p")
    assert (camera.format.width, camera.format.height) == (320, 240)


def test_without_real_time_frames_come_at_once_and_their_stamps_run_ahead(clip_file: Path) -> None:
    stage = Stage(read_clip(clip_file), realtime=False)
    camera, stamps, enough = SimulatedCamera(stage), list[int](), threading.Event()

    def listen(frame: VideoFrame) -> None:
        stamps.append(frame.captured_ns)
        if len(stamps) == 100:
            enough.set()
            camera.stop()

    camera.start(listen, lambda error: None)
    assert enough.wait(3.0)  # four seconds of the clip
    assert len(stamps) == 100
    assert stamps[-1] - stamps[0] == pytest.approx(99 * FRAME_NS, abs=1000)


def test_footage_that_is_not_there_or_no_clip_is_a_hardware_error(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="nowhere"):
        read_clip(tmp_path / "nowhere.mp4")
    with pytest.raises(HardwareError, match="no picture"):
        read_clip(make_wav(tmp_path / "sound.wav", 0.2))


@pytest.mark.parametrize(("speaker_heard", "audible"), [(1.0, True), (0.0, False)])
def test_the_microphone_hears_the_speaker_unless_it_is_covered(
    clip_file: Path, tmp_path: Path, speaker_heard: float, audible: bool
) -> None:
    stage = Stage(read_clip(clip_file), speaker_heard=speaker_heard)
    microphone, speaker = SimulatedMicrophone(stage), SimulatedSpeaker(WavLog(tmp_path / "log.wav"), stage)
    blocks: list[AudioBlock] = []
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    microphone.start(blocks.append, lambda error: None)
    eventually(lambda: blocks)
    speaker.play(make_wav(tmp_path / "chirp.wav", 0.5), proofs.put)
    proof = proofs.get(timeout=5)
    eventually(lambda: blocks[-1].captured_ns > proof.ended_ns)
    microphone.stop()
    heard = np.concatenate([block.samples[:, 0] for block in blocks]).astype(np.float64)
    match, place = best_match(heard, read_mono(tmp_path / "chirp.wav"))
    assert (match > 0.6) == audible
    if audible:
        assert abs(blocks[0].captured_ns + place * 1e9 / 48000 - proof.started_ns) < 1_000_000


def test_the_log_collects_sound_after_sound_and_is_a_valid_wav_file_after_each(stage: Stage, tmp_path: Path) -> None:
    log = tmp_path / "log.wav"
    speaker = SimulatedSpeaker(WavLog(log), stage)
    assert len(read_mono(log)) == 0
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    speaker.play(make_wav(tmp_path / "a.wav", 0.3), proofs.put)
    assert proofs.get(timeout=5).completed
    assert np.array_equal(read_mono(log), read_mono(tmp_path / "a.wav"))
    speaker.play(Prompt.MARKED.file, proofs.put)
    assert proofs.get(timeout=5).completed
    expected = 0.3 * 48000 + len(read_mono(Prompt.MARKED.file)) * 3
    assert len(read_mono(log)) == pytest.approx(expected, abs=100)
    WavLog(log)  # a later run goes on with the same file
    assert len(read_mono(log)) == pytest.approx(expected, abs=100)


def test_a_sound_cut_short_leaves_in_the_log_what_was_heard_of_it(stage: Stage, tmp_path: Path) -> None:
    log = tmp_path / "log.wav"
    speaker = SimulatedSpeaker(WavLog(log), stage)
    started: queue.Queue[int] = queue.Queue()
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    speaker.play(make_wav(tmp_path / "a.wav", 10), proofs.put, started.put)
    started_ns = started.get(timeout=5)
    eventually(lambda: time.monotonic_ns() - started_ns > 100_000_000)
    speaker.stop()
    consumed = proofs.get(timeout=5).frames_consumed
    assert 4800 <= consumed < 480000
    assert np.array_equal(read_mono(log), read_mono(tmp_path / "a.wav")[:consumed])


def test_the_log_never_overwrites_a_file_of_somebody_else(tmp_path: Path) -> None:
    other = make_wav(tmp_path / "evidence.wav", 0.1, rate=44100)
    content = other.read_bytes()
    with pytest.raises(HardwareError, match=r"evidence\.wav"):
        WavLog(other)
    assert other.read_bytes() == content
