"""The Raspberry Pi's camera with an encoder beside it, through picamera2: coded pictures instead of raw ones.

Up to the Pi 4 the encoder is the chip's own (``/dev/video11``); the Pi 5 has none, and picamera2 brings a software one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import av
from av.video.frame import PictureType

from agent.errors import HardwareError, HardwareLibraryMissingError
from agent.hardware.delivery import Gate, bounded, watch_silence
from agent.hardware.h264 import parameter_sets, with_parameter_sets
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, EncodedPicture, FaultHandler
from agent.hardware.pi.camera import SILENCE_LIMIT_SECONDS, Picamera2Camera, monotonic_from_sensor
from agent.hardware.settings import Coding, VideoSettings

CODEC: Final = Path("/dev/video11")
"""The encoder of the VideoCore chip, as picamera2 itself opens it."""
Encoder = Literal["hardware", "software"]


def choose_encoder(wanted: Coding, codec_exists: bool) -> Encoder:
    """Which of picamera2's encoders serves. Raises HardwareError when the chip's own is demanded and not there."""
    if wanted == "hardware" and not codec_exists:
        raise HardwareError(f"this machine has no H.264 encoder ({CODEC} is missing): set video.coding to auto")
    return "hardware" if codec_exists and wanted != "software" else "software"


def _make(kind: Encoder, bit_rate: int, rate: int) -> Any:
    settings = {"bitrate": bit_rate, "repeat": True, "iperiod": rate, "framerate": rate}
    try:
        return _hardware(settings) if kind == "hardware" else _software(settings)
    except (ImportError, OSError) as error:
        raise HardwareLibraryMissingError(f"picamera2's {kind} encoder cannot be loaded: {error}") from error


def _hardware(settings: dict[str, Any]) -> Any:
    from picamera2.encoders.h264_encoder import H264Encoder

    return H264Encoder(**settings)


def _software(settings: dict[str, Any]) -> Any:
    """picamera2's encoder on libx264. Its own ``force_key_frame`` (0.3.38) writes a picture type that PyAV 18 refuses,
    so the picture is marked on its way into the library instead."""
    from picamera2.encoders.libav_h264_encoder import LibavH264Encoder

    class KeyframeEncoder(LibavH264Encoder):  # type: ignore[misc]
        def _start(self) -> None:
            super()._start()
            self.keyed = _Keyed(self._stream)
            self._stream: Any = self.keyed

        def force_key_frame(self) -> None:
            self.keyed.wanted.set()

    made = KeyframeEncoder(**settings)
    made.keyed = _Keyed(None)
    made.threads = 1  # frame threads would hold back as many pictures as there are threads
    return made


class _Keyed:
    """A stream of PyAV whose next picture can be made a keyframe; everything else is the stream's."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.wanted = threading.Event()

    def encode(self, picture: av.VideoFrame | None = None) -> Any:
        if picture is not None and self.wanted.is_set():
            self.wanted.clear()
            picture.pict_type = PictureType.I
        return self._stream.encode(picture)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Output:
    """What picamera2 hands coded pictures to; made into an ``Output`` of its own kind when it is there."""

    def __init__(self, encoder: Any, gate: Gate[EncodedPicture | AudioBlock]) -> None:
        super().__init__()
        self._encoder, self._passing = encoder, gate
        self._sets = b""

    def outputframe(
        self, frame: bytes, keyframe: bool = True, timestamp: int | None = None, packet: Any = None, audio: bool = False
    ) -> None:
        """On the encoder's thread; ``timestamp`` (us) counts from the encoder's first picture."""
        if not self._passing.is_open or audio:
            return
        try:
            stamp_ns = (int(self._encoder.firsttimestamp) + int(timestamp or 0)) * 1000
            now_ns, boot_ns = time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            self._pass_on(bytes(frame), monotonic_from_sensor(stamp_ns, now_ns, boot_ns), keyframe)
        except Exception as error:  # noqa: BLE001 - leaving picamera2's thread by an exception would end it unseen
            self._passing.fail(HardwareError(f"camera: {type(error).__name__}: {error}"))

    def _pass_on(self, data: bytes, captured_ns: int, keyframe: bool) -> None:
        if keyframe:
            self._sets = parameter_sets(data) or self._sets
            data = with_parameter_sets(data, self._sets)
        self._passing.pass_on(EncodedPicture(data, captured_ns, keyframe))


def _output(encoder: Any, gate: Gate[EncodedPicture | AudioBlock]) -> Any:
    from picamera2.outputs import Output

    return type("GateOutput", (_Output, Output), {})(encoder, gate)


class CodingPicamera2:
    """Camera and encoder of the Pi; a keyframe a second. See ``PacketCamera``."""

    def __init__(self, settings: VideoSettings) -> None:
        self._kind = choose_encoder(settings.coding, CODEC.exists())
        self._bit_rate = settings.bit_rate
        self._camera = Picamera2Camera(settings)
        self._encoder: Any = None
        self._gate: Gate[EncodedPicture | AudioBlock] | None = None

    @property
    def format(self) -> CameraFormat:
        """What libcamera settled on, which may differ from what was asked."""
        return self._camera.format

    @property
    def sound(self) -> AudioFormat | None:
        """None: the Pi's camera has no microphone."""
        return None

    def start(self, deliver: Callable[[EncodedPicture | AudioBlock], None], fault: FaultHandler) -> None:
        """See ``PacketCamera.start``."""
        self.stop()
        self._camera.refuse_if_unusable()
        encoder = _make(self._kind, self._bit_rate, self.format.frames_per_second)
        gate = Gate(deliver, fault)
        self._encoder, self._gate = encoder, gate
        bounded("camera start", lambda: self._begin(encoder, gate))
        watch_silence("the camera", gate, SILENCE_LIMIT_SECONDS)

    def _begin(self, encoder: Any, gate: Gate[EncodedPicture | AudioBlock]) -> None:
        self._camera.device.start_encoder(encoder, _output(encoder, gate), name="main")
        self._camera.device.start()

    def request_keyframe(self) -> None:
        """The encoder makes the next picture one."""
        encoder = self._encoder
        if encoder is not None:
            encoder.force_key_frame()

    def stop(self) -> None:
        """See ``PacketCamera.stop``. A driver that hangs is left behind, and the next start raises."""
        gate, self._gate = self._gate, None
        encoder, self._encoder = self._encoder, None
        if gate is not None:
            gate.shut()
            self._camera.give_up_if_stuck("camera stop", lambda: self._end(encoder))

    def _end(self, encoder: Any) -> None:
        self._camera.device.stop()
        if encoder in self._camera.device.encoders:
            self._camera.device.stop_encoder(encoder)

    def close(self) -> None:
        """See ``PacketCamera.close``; raises HardwareError when the driver hangs."""
        self.stop()
        self._camera.close()
