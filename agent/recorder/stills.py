"""R6: a still picture as JPEG."""

from __future__ import annotations

from fractions import Fraction

import av

from agent.errors import HardwareError
from agent.hardware.parts import EncodedPicture, VideoFrame


def decoded(picture: EncodedPicture) -> VideoFrame:
    """A keyframe as a raw picture. Raises HardwareError when it cannot be decoded."""
    codec = av.CodecContext.create("h264", "r")
    try:
        frames = [*codec.decode(av.Packet(picture.data)), *codec.decode(None)]
    except av.error.FFmpegError as error:
        raise HardwareError(f"the camera's keyframe cannot be decoded: {error}") from error
    if not frames:
        raise HardwareError("the camera's keyframe holds no picture")
    return VideoFrame(frames[0].reformat(format="yuv420p"), picture.captured_ns)


def jpeg(frame: VideoFrame) -> bytes:
    """Encodes one frame as JPEG, full size."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height = frame.picture.width, frame.picture.height
    codec.pix_fmt, codec.time_base = "yuvj420p", Fraction(1, 1)
    codec.options = {"qmin": "2", "qmax": "3"}
    picture = frame.picture.reformat(format="yuvj420p")
    picture.pts, picture.time_base = 0, Fraction(1, 1)
    return b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])
