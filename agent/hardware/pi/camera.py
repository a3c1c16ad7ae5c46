"""The Raspberry Pi's camera through picamera2."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from agent.errors import HardwareError, HardwareLibraryMissingError
from agent.hardware.delivery import Gate, bounded, watch_silence
from agent.hardware.parts import CameraFormat, FaultHandler, VideoFrame
from agent.hardware.settings import VideoSettings

SILENCE_LIMIT_SECONDS = 3.0
Plane = npt.NDArray[np.uint8]

_LIMITED_RANGE = 1
_COLOUR_SPACES = {"Rec709": 1, "Smpte170m": 6}
"""libcamera's colour spaces as H.273 matrix coefficients, which is what the stream carries."""


def _load() -> tuple[Any, Any]:
    try:
        from picamera2 import MappedArray, Picamera2
    except (ImportError, OSError) as error:
        raise HardwareLibraryMissingError(
            f"this camera needs picamera2 and libcamera: sudo apt install python3-picamera2 ({error})"
        ) from error
    return Picamera2, MappedArray


class Picamera2Camera:
    """The main stream as YUV420, copied once into the frame; delivered on picamera2's thread. See ``Camera``.

    The camera is held from construction to ``close``; a listener must not stop it from inside a delivery.
    """

    def __init__(self, settings: VideoSettings) -> None:
        picamera2, self._mapped_array = _load()
        self._unusable: str | None = None
        self._gate: Gate[VideoFrame] | None = None
        self._rate = settings.frames_per_second or 30
        try:
            self._camera = picamera2()
        except (RuntimeError, IndexError) as error:
            raise HardwareError(f"no camera can be opened: {error}") from error
        try:
            self._stream = self._configure((settings.width or 1280, settings.height or 720))
        except Exception as error:  # picamera2 raises what it finds; each means that this camera cannot serve
            self._camera.close()
            raise HardwareError(f"the camera refuses its configuration: {error}") from error

    def _configure(self, size: tuple[int, int]) -> dict[str, Any]:
        period_us = round(1_000_000 / self._rate)
        wanted = self._camera.create_video_configuration(
            main={"size": size, "format": "YUV420"},
            controls={"FrameDurationLimits": (period_us, period_us)},
        )
        self._camera.configure(wanted)
        stream: dict[str, Any] = self._camera.camera_configuration()["main"]
        if stream["format"] not in ("YUV420", "NV12"):
            raise ValueError(f"pixel format {stream['format']}")
        colour_space = str(self._camera.camera_configuration().get("colour_space"))
        self._matrix = next((number for name, number in _COLOUR_SPACES.items() if name in colour_space), None)
        return stream

    @property
    def format(self) -> CameraFormat:
        """What libcamera settled on, which may differ from what was asked."""
        width, height = self._stream["size"]
        return CameraFormat(width, height, self._rate)

    @property
    def device(self) -> Any:
        """picamera2's own object, for an encoder beside the camera."""
        return self._camera

    def refuse_if_unusable(self) -> None:
        """Raises HardwareError after ``close``, or once the driver has hung."""
        if self._unusable:
            raise HardwareError(f"camera: {self._unusable}")

    def give_up_if_stuck(self, what: str, call: Callable[[], object]) -> None:
        """Runs ``call`` within the limit; when it hangs the camera is unusable from now on."""
        try:
            bounded(what, call)
        except HardwareError as error:
            self._unusable = str(error)

    def start(self, deliver: Callable[[VideoFrame], None], fault: FaultHandler) -> None:
        """See ``Camera.start``."""
        self.stop()
        self.refuse_if_unusable()
        self._gate = gate = Gate(deliver, fault)
        self._camera.post_callback = lambda request: self._take(request, gate)
        bounded("camera start", self._camera.start)
        watch_silence("the camera", gate, SILENCE_LIMIT_SECONDS)

    def _take(self, request: Any, gate: Gate[VideoFrame]) -> None:
        if not gate.is_open:
            return
        try:
            stamp = request.get_metadata().get("SensorTimestamp")
            captured_ns = monotonic_from_sensor(stamp, time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))
            with self._mapped_array(request, "main", reshape=False, write=False) as mapped:
                picture = picture_from(mapped.array, self._stream)
            self._say_colours(picture)
            gate.pass_on(VideoFrame(picture, captured_ns))
        except Exception as error:  # noqa: BLE001 - leaving picamera2's thread by an exception would end it unseen
            gate.fail(HardwareError(f"camera: {type(error).__name__}: {error}"))

    def _say_colours(self, picture: av.VideoFrame) -> None:
        if self._matrix is not None:
            picture.colorspace = self._matrix
            picture.color_range = _LIMITED_RANGE

    def stop(self) -> None:
        """See ``Camera.stop``. A driver that hangs is left behind, and the next start raises."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.shut()
            self.give_up_if_stuck("camera stop", self._camera.stop)

    def close(self) -> None:
        """See ``Camera.close``; raises HardwareError when the driver hangs."""
        self.stop()
        if self._unusable != "closed":
            self._unusable = "closed"
            bounded("camera close", self._camera.close)


def monotonic_from_sensor(stamp_ns: int | None, monotonic_ns: int, boottime_ns: int) -> int:
    """The moment of exposure on CLOCK_MONOTONIC.

    libcamera documents SensorTimestamp as CLOCK_BOOTTIME, but passes on the V4L2 buffer's stamp, which most drivers
    take from CLOCK_MONOTONIC. The two differ by the time spent asleep. A stamp that lies ahead of the monotonic clock
    can only be the former. (Asleep for less than a frame takes to arrive, a boot-time stamp passes as monotonic: off
    by just that.)
    """
    if stamp_ns is None:
        return monotonic_ns
    asleep_ns = boottime_ns - monotonic_ns
    return stamp_ns if stamp_ns <= monotonic_ns else min(stamp_ns - asleep_ns, monotonic_ns)


def picture_from(buffer: Plane, stream: dict[str, Any]) -> av.VideoFrame:
    """Copies a YUV420 or NV12 camera buffer, whose rows may be padded to ``stream["stride"]``, into a yuv420p frame."""
    (width, height), stride = stream["size"], stream["stride"]
    luma = buffer[: height * stride].reshape(height, stride)[:, :width]
    chroma = buffer[height * stride : height * stride * 3 // 2]
    if stream["format"] == "NV12":
        pairs = chroma.reshape(height // 2, stride)[:, :width]
        blue, red = pairs[:, 0::2], pairs[:, 1::2]
    else:
        halves = chroma.reshape(2, height // 2, stride // 2)[:, :, : width // 2]
        blue, red = halves[0], halves[1]
    picture = av.VideoFrame(width, height, "yuv420p")
    for plane, source in zip(picture.planes, (luma, blue, red), strict=True):
        target: Plane = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
        target[: source.shape[0], : source.shape[1]] = source
    return picture
