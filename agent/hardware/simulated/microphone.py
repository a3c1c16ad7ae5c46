"""A microphone that hears the stage: the clip's sound, in step with its picture, and the simulated speaker."""

from __future__ import annotations

import time

import numpy as np

from agent.hardware.delivery import Gate
from agent.hardware.parts import AudioBlock, AudioFormat
from agent.hardware.simulated.performer import LATE_LIMIT_NS, Performer
from agent.hardware.simulated.stage import SAMPLE_RATE, Stage

BLOCK_SAMPLES = SAMPLE_RATE // 50


class SimulatedMicrophone(Performer[AudioBlock]):
    """48 kHz, 16 bit, blocks of 20 ms, each delivered when its last sample has sounded. See ``Microphone``."""

    NAME = "simulated microphone"

    def __init__(self, stage: Stage, channels: int = 1) -> None:
        super().__init__(stage)
        self._format = AudioFormat(SAMPLE_RATE, channels)

    @property
    def format(self) -> AudioFormat:
        """48 kHz."""
        return self._format

    def _perform(self, gate: Gate[AudioBlock]) -> None:
        origin_ns = self._stage.origin_ns
        sample = (time.monotonic_ns() - origin_ns) * SAMPLE_RATE // 1_000_000_000
        while True:
            captured_ns = origin_ns + sample * 1_000_000_000 // SAMPLE_RATE
            lead_s = (captured_ns - time.monotonic_ns()) / 1e9 + BLOCK_SAMPLES / SAMPLE_RATE
            if gate.wait_shut(max(0.0, lead_s) if self._stage.realtime else 0.0):
                return
            if time.monotonic_ns() - captured_ns <= LATE_LIMIT_NS:
                mono = self._stage.sound_from(sample, BLOCK_SAMPLES)
                gate.pass_on(AudioBlock(np.tile(mono[:, None], (1, self._format.channels)), captured_ns))
            sample += BLOCK_SAMPLES
