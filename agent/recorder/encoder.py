"""One encoder and one fragmented-MP4 muxer per recording (PyAV): frames and sound blocks in, whole fragments out.

Used on one thread. Media time 0 is the first frame; picture and sound are both placed by their capture times, so they
stay together whatever their clocks do. A keyframe a second makes a fragment a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final, Literal

import av
import numpy as np
from annotated_types import Ge, Le
from av.audio.stream import AudioStream
from av.video.frame import PictureType
from av.video.stream import VideoStream

from agent.evidence.fragments import Fragment, FragmentReader
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, Samples, VideoFrame

VIDEO_CLOCK: Final = 90_000
DRIFT_LIMIT_SECONDS: Final = 0.04
_MUXER: Final = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer",
    # Without a bound, picture would wait in memory up to 10 s for a microphone that has gone.
    "max_interleave_delta": "500000",
    "flush_packets": "1",
}


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """What is asked of the encoders; bit rates in bits per second."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "superfast"
    quality: Annotated[int, Ge(15), Le(35)] = 23
    """Constant rate factor of x264: lower is better and larger."""
    maximum_bit_rate: Annotated[int, Ge(100_000), Le(50_000_000)] = 6_000_000
    sound_bit_rate: Annotated[int, Ge(16_000), Le(320_000)] = 64_000


class _Sink:
    """What PyAV writes into: a file that cannot seek."""

    def __init__(self) -> None:
        self.reader = FragmentReader()
        self.ready: list[Fragment] = []

    def write(self, data: bytes) -> int:
        self.ready += self.reader.feed(bytes(data))
        return len(data)


class Encoder:
    """H.264 and AAC into fragments. ``first_ns`` is the capture time of the first frame, media time 0."""

    def __init__(self, video: CameraFormat, sound: AudioFormat | None, settings: EncoderSettings) -> None:
        self._sink = _Sink()
        self._container = av.open(self._sink, "w", format="mp4", container_options=_MUXER)
        self._video = self._add_video(video, settings)
        self._sound = self._add_sound(sound, settings) if sound else None
        self._rate = sound.sample_rate if sound else 1
        self.first_ns: int | None = None
        self._last_pts = -1
        self._next_key_pts = 0
        self._next_sample = 0

    def _add_video(self, camera: CameraFormat, settings: EncoderSettings) -> VideoStream:
        options = {
            "preset": settings.preset,
            "tune": "zerolatency",  # no B frames, no look-ahead: what was captured is in the next fragment
            "crf": str(settings.quality),
            "maxrate": str(settings.maximum_bit_rate),
            "bufsize": str(settings.maximum_bit_rate),
            "forced-idr": "1",
        }
        stream = self._container.add_stream("libx264", rate=camera.frames_per_second, options=options)
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, VIDEO_CLOCK)
        stream.codec_context.gop_size = 100 * camera.frames_per_second  # keyframes come by time, see below
        return stream

    def _add_sound(self, sound: AudioFormat, settings: EncoderSettings) -> AudioStream:
        layout = "mono" if sound.channels == 1 else "stereo"
        stream = self._container.add_stream("aac", rate=sound.sample_rate, layout=layout)
        stream.bit_rate = settings.sound_bit_rate
        return stream

    @property
    def init(self) -> bytes:
        """The initialisation part, once the first fragment is out."""
        return self._sink.reader.init

    def add_frame(self, frame: VideoFrame) -> list[Fragment]:
        """Encodes one picture; returns the fragments that are whole now. One not later than the last is dropped."""
        if self.first_ns is None:
            self.first_ns = frame.captured_ns
        pts = (frame.captured_ns - self.first_ns) * VIDEO_CLOCK // 1_000_000_000
        if pts <= self._last_pts:
            return []
        picture = frame.picture
        picture.pts, picture.time_base = pts, Fraction(1, VIDEO_CLOCK)
        picture.pict_type = PictureType.I if pts >= self._next_key_pts else PictureType.NONE
        if pts >= self._next_key_pts:
            self._next_key_pts = (pts // VIDEO_CLOCK + 1) * VIDEO_CLOCK
        self._last_pts = pts
        self._container.mux(self._video.encode(picture))
        return self._take()

    def add_block(self, block: AudioBlock) -> list[Fragment]:
        """Encodes one block of sound; what came before the first frame is dropped, a hole is filled with silence."""
        if self._sound is None or self.first_ns is None:
            return []
        due = (block.captured_ns - self.first_ns) * self._rate // 1_000_000_000
        samples = _place(block.samples, due - self._next_sample, int(self._rate * DRIFT_LIMIT_SECONDS))
        if len(samples) == 0:
            return []
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=self._sound.layout.name
        )
        frame.sample_rate, frame.pts = self._rate, self._next_sample
        frame.time_base = Fraction(1, self._rate)
        self._next_sample += len(samples)
        self._container.mux(self._sound.encode(frame))
        return self._take()

    def finish(self) -> list[Fragment]:
        """Flushes the encoders and the muxer; returns the last fragments. The encoder is then spent."""
        if self.first_ns is not None:
            self._container.mux(self._video.encode(None))
            if self._sound and self._next_sample:
                self._container.mux(self._sound.encode(None))
        self._container.close()
        return self._take()

    def _take(self) -> list[Fragment]:
        ready, self._sink.ready = self._sink.ready, []
        return ready


def _place(samples: Samples, late_by: int, limit: int) -> Samples:
    """Fits a block to where it is due: ``late_by`` samples are missing before it (or, negative, it comes too early)."""
    if abs(late_by) <= limit:
        return samples
    if late_by > 0:
        silence = np.zeros((late_by, samples.shape[1]), np.int16)
        return np.concatenate([silence, samples])
    return samples[-late_by:]
