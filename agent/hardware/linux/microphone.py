"""A microphone through PortAudio."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, watch_silence
from agent.hardware.linux.portaudio import load, portaudio_call
from agent.hardware.parts import AudioBlock, AudioFormat, FaultHandler
from agent.hardware.settings import AudioSettings

SILENCE_LIMIT_SECONDS = 3.0


class PortAudioMicrophone:
    """Blocks of 20 ms, 16 bit, on PortAudio's thread; the device is held only while started. See ``Microphone``.

    Samples that the driver lost show as a jump of ``captured_ns`` between two blocks.
    """

    def __init__(self, settings: AudioSettings) -> None:
        self._library = load()
        self._settings = settings
        self._stream: Any = None
        self._gate: Gate[AudioBlock] | None = None
        self._unusable: str | None = None
        portaudio_call("microphone", lambda: self._library.check_input_settings(**self._device()))

    def _device(self) -> dict[str, Any]:
        wanted = self._settings
        return {
            "device": wanted.input_device,
            "samplerate": wanted.sample_rate,
            "channels": wanted.channels,
            "dtype": "int16",
        }

    @property
    def format(self) -> AudioFormat:
        """As configured; the constructor made sure that the device accepts it."""
        return AudioFormat(self._settings.sample_rate, self._settings.channels)

    def start(self, deliver: Callable[[AudioBlock], None], fault: FaultHandler) -> None:
        """See ``Microphone.start``."""
        self.stop()
        if self._unusable:
            raise HardwareError(f"microphone: {self._unusable}")
        self._gate = gate = Gate(deliver, fault)
        portaudio_call("microphone open", lambda: self._open(gate))
        portaudio_call("microphone start", self._stream.start)
        watch_silence("microphone", gate, SILENCE_LIMIT_SECONDS)

    def _open(self, gate: Gate[AudioBlock]) -> None:
        rate = self._settings.sample_rate

        def take(samples: Any, frames: int, times: Any, status: Any) -> None:
            now_ns = time.monotonic_ns()
            # PortAudio's clock has an origin of its own (in 19.6 it follows the wall clock): only differences count.
            age_s = times.currentTime - times.inputBufferAdcTime
            if not 0 <= age_s < 1:
                age_s = frames / rate
            gate.pass_on(AudioBlock(samples.copy(), now_ns - int(age_s * 1e9)))

        self._stream = self._library.InputStream(
            **self._device(),
            blocksize=rate // 50,
            callback=take,
            finished_callback=lambda: gate.fail(HardwareError("the microphone stopped by itself")),
        )

    def stop(self) -> None:
        """See ``Microphone.stop``. A driver that hangs is left behind, and the next start raises."""
        gate, stream = self._gate, self._stream
        self._gate = self._stream = None
        if gate is not None:
            gate.shut()
        if stream is not None:
            try:
                portaudio_call("microphone close", lambda: (stream.abort(), stream.close()))
            except HardwareError as error:
                self._unusable = str(error)

    def close(self) -> None:
        """See ``Microphone.close``."""
        self.stop()
        self._unusable = self._unusable or "closed"
