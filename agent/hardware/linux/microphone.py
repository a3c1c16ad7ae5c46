"""A microphone through PortAudio."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, watch_silence
from agent.hardware.linux.portaudio import close_stream, found_again, load, opened, portaudio_call
from agent.hardware.parts import AudioBlock, AudioFormat, FaultHandler
from agent.hardware.settings import AudioSettings

SILENCE_LIMIT_SECONDS = 3.0
BUFFER_SECONDS = 0.1
"""Asked of the device, so that a busy moment of the encoder loses no sample."""


class PortAudioMicrophone:
    """Blocks of 20 ms, 16 bit, on PortAudio's thread; the device is held only while started. See ``Microphone``.

    Samples that the driver lost show as a jump of ``captured_ns`` between two blocks.
    """

    def __init__(self, settings: AudioSettings) -> None:
        self._library = load()
        self._settings = settings
        self._stream: Any = None
        self._gate: Gate[AudioBlock] | None = None
        self._closed = False
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
        if self._closed:
            raise HardwareError("the microphone is closed")
        self._gate = gate = Gate(deliver, fault)
        found_again("microphone", lambda: portaudio_call("microphone open", lambda: self._open(gate)))
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
            latency=BUFFER_SECONDS,
            callback=take,
            finished_callback=lambda: gate.fail(HardwareError("the microphone stopped by itself")),
        )
        opened(self._stream)

    def stop(self) -> None:
        """See ``Microphone.stop``. A driver that hangs is left behind; the next start tries with a new stream."""
        gate, stream = self._gate, self._stream
        self._gate = self._stream = None
        if gate is not None:
            gate.shut()
        if stream is not None:
            with suppress(HardwareError):  # the gate is shut: whatever the old stream does is nobody's concern
                close_stream("microphone", stream)

    def close(self) -> None:
        """See ``Microphone.close``."""
        self.stop()
        self._closed = True
