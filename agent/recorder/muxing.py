"""The fragmented-MP4 muxer (PyAV) and its sound track. Used on one thread."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Protocol

import av
import numpy as np
from av.audio.stream import AudioStream

from agent.evidence.fragments import Fragment, FragmentReader
from agent.hardware.parts import AudioBlock, AudioFormat, EncodedPicture, Samples, VideoFrame

Item = VideoFrame | AudioBlock | EncodedPicture
"""What the parts of a capture deliver."""
Piece = tuple[bytes, Fragment]
"""A fragment and the initialisation part that it stands under."""
VIDEO_CLOCK: Final = 90_000
DRIFT_LIMIT_SECONDS: Final = 0.03
SILENCE_AFTER_NS: Final = 1_000_000_000
"""Sound that is so late does not come any more; a microphone's own latency is well below."""
FRAGMENT_US: Final = 500_000
"""What is not yet a fragment is lost in a cut: half a second, and the little that is on its way."""
BY_KEYFRAMES: Final = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer",
    "frag_duration": str(FRAGMENT_US),
}
BY_TIME: Final = {
    "movflags": "empty_moov+default_base_moof+skip_trailer",
    "frag_duration": str(FRAGMENT_US),
}
STREAM_COPY: Final = {
    # The parameter sets are known only with the first keyframe; a film that goes on after new ones keeps its times.
    "movflags": "frag_keyframe+delay_moov+frag_discont+default_base_moof+skip_trailer",
}
_ALWAYS: Final = {
    # Without a bound, picture would wait in memory up to 10 s for sound that does not come; silence comes sooner.
    "max_interleave_delta": "1500000",
    "flush_packets": "1",
}


class Muxer:
    """A container whose bytes come back as whole fragments."""

    def __init__(self, options: dict[str, str]) -> None:
        self._reader = FragmentReader()
        self._ready: list[Fragment] = []
        self.container = av.open(self, "w", format="mp4", container_options=options | _ALWAYS)

    def write(self, data: bytes) -> int:
        """For PyAV: a file that cannot seek."""
        self._ready += self._reader.feed(bytes(data))
        return len(data)

    @property
    def init(self) -> bytes:
        """The initialisation part, once the first fragment is out."""
        return self._reader.init

    def take(self) -> list[Fragment]:
        """The fragments that have become whole since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> list[Fragment]:
        """Ends the film; returns its last fragments."""
        self.container.close()
        return self.take()


class Film(Protocol):
    """One recording's media: what is delivered in, whole fragments out."""

    first_ns: int | None
    """Capture time of media time 0 (CLOCK_MONOTONIC); None before it."""

    def add(self, item: Item) -> list[Piece]:
        """Takes what was delivered; returns the fragments that are whole now."""

    def end(self) -> list[Piece]:
        """Flushes everything; returns the last fragments. The film is then spent."""


class SoundTrack:
    """AAC, placed by the blocks' capture times: a hole is filled with silence, an overlap is cut."""

    def __init__(self, container: av.container.OutputContainer, sound: AudioFormat, bit_rate: int) -> None:
        self._container, self._rate, self._channels = container, sound.sample_rate, sound.channels
        self._stream: AudioStream = container.add_stream(
            "aac", rate=sound.sample_rate, layout="mono" if sound.channels == 1 else "stereo"
        )
        self._stream.bit_rate = bit_rate
        self._next: int | None = None
        self._first = 0

    def begin(self, media_ns: int) -> None:
        """The track begins at this media time."""
        self._next = self._first = media_ns * self._rate // 1_000_000_000

    def add(self, block: AudioBlock, origin_ns: int) -> None:
        """Encodes a block; what came before the track's beginning is dropped."""
        if self._next is None:
            return
        due = (block.captured_ns - origin_ns) * self._rate // 1_000_000_000
        self._encode(_place(block.samples, due - self._next, int(self._rate * DRIFT_LIMIT_SECONDS)))

    def fill(self, media_ns: int) -> None:
        """The picture has come to this media time: sound that should be here long since is replaced by silence."""
        due = (media_ns - SILENCE_AFTER_NS) * self._rate // 1_000_000_000
        if self._next is not None and due > self._next:
            self._encode(np.zeros((due - self._next, self._channels), np.int16))

    def _encode(self, samples: Samples) -> None:
        if len(samples) == 0:
            return
        assert self._next is not None
        layout = self._stream.layout.name
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._next, Fraction(1, self._rate)
        self._next += len(samples)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Flushes the encoder."""
        if self._next is not None and self._next > self._first:
            self._container.mux(self._stream.encode(None))


def _place(samples: Samples, late_by: int, limit: int) -> Samples:
    """Fits a block to where it is due: ``late_by`` samples are missing before it (or, negative, it comes too early)."""
    if abs(late_by) <= limit:
        return samples
    if late_by > 0:
        silence = np.zeros((late_by, samples.shape[1]), np.int16)
        return np.concatenate([silence, samples])
    return samples[-late_by:]
