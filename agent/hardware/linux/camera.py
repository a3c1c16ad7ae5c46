"""A webcam through V4L2, by way of FFmpeg's input device."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, Worker, watch_silence
from agent.hardware.parts import CameraFormat, FaultHandler, VideoFrame
from agent.hardware.settings import VideoSettings

SILENCE_LIMIT_SECONDS = 3.0
_OLDEST_NS = 1_000_000_000


class V4l2Camera:
    """Opens the device to learn its format, lets it go, and opens it again for each start. See ``Camera``.

    ``ffmpeg_format`` names the input device of FFmpeg; anything but "v4l2" is for rigs.
    """

    def __init__(self, settings: VideoSettings, ffmpeg_format: str = "v4l2") -> None:
        self._settings, self._ffmpeg_format = settings, ffmpeg_format
        self._worker: Worker | None = None
        self._unusable: str | None = None
        with self._open() as container:
            self._format = _format(container.streams.video[0])

    @property
    def format(self) -> CameraFormat:
        """What the driver settled on, which may differ from what was asked."""
        return self._format

    def _open(self) -> av.container.InputContainer:
        wanted = self._settings
        options = {
            "video_size": f"{wanted.width or 1280}x{wanted.height or 720}",
            "framerate": str(wanted.frames_per_second or 30),
        }
        if wanted.input_format:
            options["input_format"] = wanted.input_format
        try:
            container = av.open(wanted.device, format=self._ffmpeg_format, options=options, timeout=5.0)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            raise HardwareError(f"camera {wanted.device} cannot be opened: {error}") from error
        if not container.streams.video:
            container.close()
            raise HardwareError(f"camera {wanted.device} has no picture")
        return container

    def start(self, deliver: Callable[[VideoFrame], None], fault: FaultHandler) -> None:
        """See ``Camera.start``."""
        self.stop()
        if self._unusable:
            raise HardwareError(f"camera {self._settings.device}: {self._unusable}")
        container = self._open()
        if _format(container.streams.video[0]) != self._format:
            container.close()
            raise HardwareError(f"camera {self._settings.device} has changed its format")
        gate = Gate(deliver, fault)
        self._worker = Worker("v4l2 camera", gate, lambda: self._film(container, gate))
        watch_silence(f"camera {self._settings.device}", gate, SILENCE_LIMIT_SECONDS)

    def _film(self, container: av.container.InputContainer, gate: Gate[VideoFrame]) -> None:
        with container:
            stream = container.streams.video[0]
            # Frame threads would hold back as many pictures as there are threads.
            stream.thread_type = "SLICE"
            for picture in container.decode(stream):
                if not gate.is_open:
                    return
                captured_ns = capture_moment_ns(picture.pts, stream.time_base, time.monotonic_ns())
                gate.pass_on(VideoFrame(_as_yuv420p(picture), captured_ns))

    def stop(self) -> None:
        """See ``Camera.stop``. A driver that hangs is left behind, and the next start raises."""
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop():
            self._unusable = "its driver did not stop"

    def close(self) -> None:
        """See ``Camera.close``."""
        self.stop()
        self._unusable = self._unusable or "closed"


def capture_moment_ns(pts: int | None, time_base: Fraction | None, now_ns: int) -> int:
    """The frame's own stamp where it is CLOCK_MONOTONIC, else the moment of its arrival.

    The kernel stamps buffers with CLOCK_MONOTONIC (V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC) and FFmpeg passes that on, but
    a driver may use another clock or none. A monotonic stamp is at most a second old and never in the future; nothing
    else is.
    """
    if pts is not None and time_base is not None:
        stamp_ns = int(pts * time_base * 1_000_000_000)
        if now_ns - _OLDEST_NS <= stamp_ns <= now_ns:
            return stamp_ns
    return now_ns


def _format(stream: Any) -> CameraFormat:
    rate = stream.average_rate or stream.guessed_rate or 0
    if not rate:
        raise HardwareError("the camera does not say its frame rate")
    return CameraFormat(stream.codec_context.width, stream.codec_context.height, max(1, round(float(rate))))


def _as_yuv420p(picture: av.VideoFrame) -> av.VideoFrame:
    return picture if picture.format.name == "yuv420p" else picture.reformat(format="yuv420p")
