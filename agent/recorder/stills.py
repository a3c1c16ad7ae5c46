"""R6: a still picture as JPEG."""

from __future__ import annotations

from fractions import Fraction

import av

from agent.hardware.parts import VideoFrame


def jpeg(frame: VideoFrame) -> bytes:
    """Encodes one frame as JPEG, full size."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height = frame.picture.width, frame.picture.height
    codec.pix_fmt, codec.time_base = "yuvj420p", Fraction(1, 1)
    codec.options = {"qmin": "2", "qmax": "3"}
    picture = frame.picture.reformat(format="yuvj420p")
    picture.pts, picture.time_base = 0, Fraction(1, 1)
    return b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])
