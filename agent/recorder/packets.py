"""Stream copy: coded pictures of a camera that encodes by itself, with sound, into whole fragments. One thread.

A fragment is what lies between two keyframes of the camera. Nothing of the picture is encoded again.
"""

from __future__ import annotations

from fractions import Fraction

import av

from agent.errors import HardwareError
from agent.evidence.fragments import Fragment
from agent.hardware.h264 import parameter_sets
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, EncodedPicture
from agent.recorder.muxing import STREAM_COPY, VIDEO_CLOCK, Item, Muxer, Piece, SoundTrack
from agent.recorder.stills import decoded


class _Film:
    """What is muxed under one set of parameters."""

    def __init__(self, video: CameraFormat, sound: AudioFormat | None, sound_bit_rate: int, begin_ns: int) -> None:
        self.muxer = Muxer(STREAM_COPY)
        self.picture = self.muxer.container.add_mux_stream(
            "h264", rate=video.frames_per_second, width=video.width, height=video.height
        )
        self.picture.time_base = Fraction(1, VIDEO_CLOCK)
        self.sound = SoundTrack(self.muxer.container, sound, sound_bit_rate) if sound else None
        if self.sound:
            self.sound.begin(begin_ns)

    def close(self) -> list[Fragment]:
        if self.sound:
            self.sound.finish()
        return self.muxer.close()


class StreamCopy:
    """``first_ns`` is the capture time of the first picture, media time 0; it must be a keyframe.

    When the camera changes its parameter sets the film goes on under another initialisation part, at the same times.
    """

    def __init__(self, video: CameraFormat, sound: AudioFormat | None, sound_bit_rate: int) -> None:
        self._video, self._audio, self._sound_bit_rate = video, sound, sound_bit_rate
        self._film: _Film | None = None
        self._sets = b""
        self._last_pts = -1
        self.first_ns: int | None = None

    @property
    def init(self) -> bytes:
        """The initialisation part of the fragments that come out now."""
        return self._film.muxer.init if self._film else b""

    def add(self, item: Item) -> list[Piece]:
        """Takes a picture or a block of sound; returns the fragments that are whole now."""
        match item:
            case EncodedPicture():
                return self.add_picture(item)
            case AudioBlock():
                return self.add_block(item)
            case _:
                raise HardwareError("the camera delivers raw pictures where coded ones were expected")

    def add_picture(self, picture: EncodedPicture) -> list[Piece]:
        """Takes one picture; returns the fragments that are whole now, each with its initialisation part."""
        if self.first_ns is None:
            self.first_ns = picture.captured_ns
        media_ns = picture.captured_ns - self.first_ns
        done = self._follow_sets(picture, media_ns)
        assert self._film is not None
        self._mux(self._film, picture, media_ns)
        if self._film.sound:
            self._film.sound.fill(media_ns)
        return done + self._taken(self._film.muxer.take())

    def _follow_sets(self, picture: EncodedPicture, media_ns: int) -> list[Piece]:
        sets = parameter_sets(picture.data) if picture.keyframe else self._sets
        if self._film and sets in (self._sets, b""):
            return []
        done = self.end()
        self._sets = sets
        size = decoded(picture).picture  # the camera may have been set to another one
        video = CameraFormat(size.width, size.height, self._video.frames_per_second)
        self._film = _Film(video, self._audio, self._sound_bit_rate, media_ns)
        return done

    def _mux(self, film: _Film, picture: EncodedPicture, media_ns: int) -> None:
        packet = av.Packet(picture.data)
        packet.stream, packet.time_base = film.picture, Fraction(1, VIDEO_CLOCK)
        # Nothing that was delivered is dropped, not even a picture with the stamp of the one before.
        self._last_pts = max(media_ns * VIDEO_CLOCK // 1_000_000_000, self._last_pts + 1)
        packet.pts = packet.dts = self._last_pts
        packet.duration = VIDEO_CLOCK // self._video.frames_per_second
        packet.is_keyframe = picture.keyframe
        film.muxer.container.mux(packet)

    def add_block(self, block: AudioBlock) -> list[Piece]:
        """Encodes one block of sound; what came before the first picture is dropped."""
        if self._film is None or self._film.sound is None or self.first_ns is None:
            return []
        self._film.sound.add(block, self.first_ns)
        return self._taken(self._film.muxer.take())

    def end(self) -> list[Piece]:
        """Flushes everything; returns the last fragments."""
        return self._taken(self._film.close()) if self._film else []

    def _taken(self, fragments: list[Fragment]) -> list[Piece]:
        return [(self.init, fragment) for fragment in fragments]
