"""One encoder per recording (PyAV): raw pictures and blocks of sound in, whole fragments out. Used on one thread.

Media time 0 is the first picture, or the first block where only sound is recorded; picture and sound are both placed
by their capture times, so they stay together whatever their clocks do. A keyframe a second, a fragment each half.
"""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import PictureType
from av.video.stream import VideoStream

from agent.errors import HardwareError
from agent.evidence.fragments import Fragment
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, VideoFrame
from agent.recorder.muxing import BY_KEYFRAMES, BY_TIME, VIDEO_CLOCK, Item, Muxer, Piece, SoundTrack
from agent.recorder.settings import EncoderSettings


class Encoder:
    """H.264 and AAC into fragments; ``video`` None is sound alone. ``first_ns`` is the capture time of media time 0."""

    def __init__(self, video: CameraFormat | None, sound: AudioFormat | None, settings: EncoderSettings) -> None:
        self._muxer = Muxer(BY_KEYFRAMES if video else BY_TIME)
        self._video = self._add_video(video, settings) if video else None
        self._sound = SoundTrack(self._muxer.container, sound, settings.sound_bit_rate) if sound else None
        self.first_ns: int | None = None
        self._last_pts = -1
        self._next_key_pts = 0

    def _add_video(self, camera: CameraFormat, settings: EncoderSettings) -> VideoStream:
        options = {
            "preset": settings.preset,
            "tune": "zerolatency",  # no B frames, no look-ahead: what was captured is in the next fragment
            "crf": str(settings.quality),
            "maxrate": str(settings.maximum_bit_rate),
            "bufsize": str(settings.maximum_bit_rate),
            "forced-idr": "1",
        }
        stream = self._muxer.container.add_stream("libx264", rate=camera.frames_per_second, options=options)
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, VIDEO_CLOCK)
        stream.codec_context.gop_size = 100 * camera.frames_per_second  # keyframes come by time, see below
        return stream

    @property
    def init(self) -> bytes:
        """The initialisation part, once the first fragment is out."""
        return self._muxer.init

    def _begin(self, first_ns: int) -> int:
        if self.first_ns is None:
            self.first_ns = first_ns
            if self._sound:
                self._sound.begin(0)
        return self.first_ns

    def add(self, item: Item) -> list[Piece]:
        """Takes a picture or a block of sound; returns the fragments that are whole now."""
        match item:
            case VideoFrame():
                return self._pieces(self.add_frame(item))
            case AudioBlock():
                return self._pieces(self.add_block(item))
            case _:
                raise HardwareError("the camera delivers coded pictures where raw ones were expected")

    def end(self) -> list[Piece]:
        """As ``finish``, each fragment with its initialisation part."""
        return self._pieces(self.finish())

    def _pieces(self, fragments: list[Fragment]) -> list[Piece]:
        return [(self.init, fragment) for fragment in fragments]

    def add_frame(self, frame: VideoFrame) -> list[Fragment]:
        """Encodes one picture; returns the fragments that are whole now. One not later than the last is dropped."""
        media_ns = frame.captured_ns - self._begin(frame.captured_ns)
        pts = media_ns * VIDEO_CLOCK // 1_000_000_000
        if pts <= self._last_pts or self._video is None:
            return []
        picture = frame.picture
        picture.pts, picture.time_base = pts, Fraction(1, VIDEO_CLOCK)
        picture.pict_type = PictureType.I if pts >= self._next_key_pts else PictureType.NONE
        if pts >= self._next_key_pts:
            self._next_key_pts = (pts // VIDEO_CLOCK + 1) * VIDEO_CLOCK
        self._last_pts = pts
        self._muxer.container.mux(self._video.encode(picture))
        if self._sound:
            self._sound.fill(media_ns)
        return self._muxer.take()

    def add_block(self, block: AudioBlock) -> list[Fragment]:
        """Encodes one block of sound; what came before the first frame is dropped, a hole is filled with silence."""
        if self._video is None:
            self._begin(block.captured_ns)
        if self._sound is None or self.first_ns is None:
            return []
        self._sound.add(block, self.first_ns)
        return self._muxer.take()

    def finish(self) -> list[Fragment]:
        """Flushes the encoders and the muxer; returns the last fragments. The encoder is then spent."""
        if self.first_ns is not None:
            if self._video:
                self._muxer.container.mux(self._video.encode(None))
            if self._sound:
                self._sound.finish()
        return self._muxer.close()
