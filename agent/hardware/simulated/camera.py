"""A camera that films the stage's clip, looped and paced in real time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import av

from agent.hardware.delivery import Gate
from agent.hardware.parts import CameraFormat, VideoFrame
from agent.hardware.simulated.performer import LATE_LIMIT_NS, Performer
from agent.hardware.simulated.stage import Stage


class SimulatedCamera(Performer[VideoFrame]):
    """Plays the picture of the stage's clip at the clip's own rate, scaled to ``size`` where given. See ``Camera``."""

    NAME = "simulated camera"

    def __init__(self, stage: Stage, size: tuple[int, int] | None = None) -> None:
        super().__init__(stage)
        width, height = size or (stage.clip.width, stage.clip.height)
        self._format = CameraFormat(width, height, stage.clip.frames_per_second)

    @property
    def format(self) -> CameraFormat:
        """The size delivered and the clip's own rate."""
        return self._format

    def _perform(self, gate: Gate[VideoFrame]) -> None:
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
