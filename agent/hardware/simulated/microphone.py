"""A microphone that hears the stage: the clip's sound, in step with its picture, and the simulated speaker."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, Worker
from agent.hardware.parts import AudioBlock, AudioFormat, FaultHandler
from agent.hardware.simulated.stage import SAMPLE_RATE, Stage

BLOCK_SAMPLES = SAMPLE_RATE // 50
LATE_LIMIT_NS = 1_000_000_000
"""A block that is later than this is lost, as it is when a real driver runs out of buffers."""


class SimulatedMicrophone:
    """48 kHz, 16 bit, blocks of 20 ms, each delivered when its last sample has sounded. See ``Microphone``."""

    def __init__(self, stage: Stage, channels: int = 1) -> None:
        self._stage = stage
        self._format = AudioFormat(SAMPLE_RATE, channels)
        self._worker: Worker | None = None
        self._closed = False

    @property
    def format(self) -> AudioFormat:
        """48 kHz."""
        return self._format

    def start(self, deliver: Callable[[AudioBlock], None], fault: FaultHandler) -> None:
        """Joins the running performance at this moment."""
        if self._closed:
            raise HardwareError("the simulated microphone is closed")
        self.stop()
        gate = Gate(deliver, fault)
        self._worker = Worker("simulated microphone", gate, lambda: self._listen(gate))

    def _listen(self, gate: Gate[AudioBlock]) -> None:
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

    def stop(self) -> None:
        """See ``Microphone.stop``."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def close(self) -> None:
        """See ``Microphone.close``."""
        self._closed = True
        self.stop()
