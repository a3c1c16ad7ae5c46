"""A camera that films the stage's clip, looped and paced in real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import av

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, Worker
from agent.hardware.parts import CameraFormat, FaultHandler, VideoFrame
from agent.hardware.simulated.stage import Stage

LATE_LIMIT_NS = 1_000_000_000
"""A frame that is later than this is lost, as it is when a real driver runs out of buffers."""


class SimulatedCamera:
    """Plays the picture of the stage's clip at the clip's own rate, scaled to ``size`` where given. See ``Camera``."""

    def __init__(self, stage: Stage, size: tuple[int, int] | None = None) -> None:
        self._stage = stage
        width, height = size or (stage.clip.width, stage.clip.height)
        self._format = CameraFormat(width, height, stage.clip.frames_per_second)
        self._worker: Worker | None = None
        self._closed = False

    @property
    def format(self) -> CameraFormat:
        """The size delivered and the clip's own rate."""
        return self._format

    def start(self, deliver: Callable[[VideoFrame], None], fault: FaultHandler) -> None:
        """Joins the running performance at the next frame."""
        if self._closed:
            raise HardwareError("the simulated camera is closed")
        self.stop()
        gate = Gate(deliver, fault)
        self._worker = Worker("simulated camera", gate, lambda: self._film(gate))

    def _film(self, gate: Gate[VideoFrame]) -> None:
        joined_ns = time.monotonic_ns()
        for picture, captured_ns in self._performance(joined_ns):
            if captured_ns < joined_ns:
                continue
            lead_s = (captured_ns - time.monotonic_ns()) / 1e9
            if gate.wait_shut(max(0.0, lead_s) if self._stage.realtime else 0.0):
                return
            if time.monotonic_ns() - captured_ns <= LATE_LIMIT_NS:
                gate.pass_on(VideoFrame(self._fit(picture), captured_ns))

    def _performance(self, from_ns: int) -> Iterator[tuple[av.VideoFrame, int]]:
        """Every frame with its moment, beginning at the last keyframe before ``from_ns``, without end."""
        clip, origin_ns = self._stage.clip, self._stage.origin_ns
        loop, position_ns = divmod(from_ns - origin_ns, clip.duration_ns)
        with av.open(str(clip.path)) as container:
            stream = container.streams.video[0]
            time_base, start = stream.time_base or 0, stream.start_time or 0
            while True:
                container.seek(start + int(position_ns / 1e9 / time_base), stream=stream)
                for picture in container.decode(stream):
                    moment_ns = int(((picture.pts or 0) - start) * time_base * 1_000_000_000)
                    if moment_ns < clip.duration_ns:
                        yield picture, origin_ns + loop * clip.duration_ns + moment_ns
                loop, position_ns = loop + 1, 0

    def _fit(self, picture: av.VideoFrame) -> av.VideoFrame:
        wanted = (self._format.width, self._format.height)
        if (picture.width, picture.height) == wanted and picture.format.name == "yuv420p":
            return picture
        return picture.reformat(*wanted, format="yuv420p")

    def stop(self) -> None:
        """See ``Camera.stop``."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def close(self) -> None:
        """See ``Camera.close``."""
        self._closed = True
        self.stop()
