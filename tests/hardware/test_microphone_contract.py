"""What every microphone does, run over every microphone that this machine can have."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hardware_lanes import eventually, need_lane

from agent.errors import HardwareError
from agent.hardware.parts import AudioBlock, Microphone
from agent.hardware.settings import AudioSettings
from agent.hardware.simulated.microphone import SimulatedMicrophone
from agent.hardware.simulated.stage import Stage


def _portaudio() -> Microphone:
    need_lane("sound-room", "ER_LANE_SOUND_ROOM")
    from agent.hardware.linux.microphone import PortAudioMicrophone

    return PortAudioMicrophone(AudioSettings())


@pytest.fixture(params=["simulated", "portaudio"])
def microphone(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Microphone]:
    made = SimulatedMicrophone(stage) if request.param == "simulated" else _portaudio()
    yield made
    made.close()


def _listen(microphone: Microphone, blocks: int) -> list[AudioBlock]:
    heard: list[AudioBlock] = []
    faults: list[HardwareError] = []
    microphone.start(heard.append, faults.append)
    eventually(lambda: faults or len(heard) >= blocks, 15)
    microphone.stop()
    assert not faults
    return heard


def test_blocks_are_about_20_ms_of_16_bit_samples_with_the_channels_the_format_says(microphone: Microphone) -> None:
    wanted = microphone.format
    for block in _listen(microphone, 10):
        assert block.samples.dtype == np.int16
        assert block.samples.shape[1] == wanted.channels
        assert 0.01 <= len(block.samples) / wanted.sample_rate <= 0.04


def test_the_stamps_of_the_first_samples_keep_step_with_the_samples(microphone: Microphone) -> None:
    # A sound server's first stamps are of the time before its stream had settled.
    blocks = _listen(microphone, 110)[60:]
    assert blocks[-1].captured_ns <= time.monotonic_ns()
    spanned_ns = blocks[-1].captured_ns - blocks[0].captured_ns
    sampled_ns = sum(len(block.samples) for block in blocks[:-1]) * 1_000_000_000 / microphone.format.sample_rate
    assert abs(spanned_ns - sampled_ns) < 150_000_000


def test_no_block_comes_after_stop_and_the_microphone_starts_again(microphone: Microphone) -> None:
    heard = _listen(microphone, 3)
    count = len(heard)
    assert len(_listen(microphone, 5)) >= 5
    assert len(heard) == count


def test_stop_and_close_may_be_repeated_and_a_closed_microphone_refuses_to_start(microphone: Microphone) -> None:
    microphone.stop()
    microphone.close()
    microphone.close()
    with pytest.raises(HardwareError):
        microphone.start(lambda _: None, lambda _: None)
