"""A camera that encodes by itself, simulated: the stage's picture behind an encoder of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, EncodedPicture, FaultHandler, VideoFrame
from agent.hardware.simulated.camera import SimulatedCamera
from agent.hardware.simulated.stage import Stage


class SimulatedPacketCamera:
    """Pictures of the stage, coded on the camera's thread, a keyframe a second. See ``PacketCamera``."""

    def __init__(self, stage: Stage, size: tuple[int, int] | None = None) -> None:
        self._camera = SimulatedCamera(stage, size)
        self._keyframe_wanted = threading.Event()

    @property
    def format(self) -> CameraFormat:
        """As the simulated camera's."""
        return self._camera.format

    @property
    def sound(self) -> AudioFormat | None:
        """None: it has no microphone."""
        return None

    def start(self, deliver: Callable[[EncodedPicture | AudioBlock], None], fault: FaultHandler) -> None:
        """See ``PacketCamera.start``."""
        encoder = _encoder(self.format)
        self._camera.start(lambda frame: self._encode(encoder, frame, deliver), fault)

    def _encode(self, encoder: VideoCodecContext, frame: VideoFrame, deliver: Callable[[EncodedPicture], None]) -> None:
        picture = frame.picture
        picture.pts, picture.time_base = frame.captured_ns // 1000, Fraction(1, 1_000_000)
        picture.pict_type = PictureType.I if self._keyframe_wanted.is_set() else PictureType.NONE
        self._keyframe_wanted.clear()
        for packet in encoder.encode(picture):
            deliver(EncodedPicture(bytes(packet), frame.captured_ns, bool(packet.is_keyframe)))

    def request_keyframe(self) -> None:
        """The next picture is one."""
        self._keyframe_wanted.set()

    def stop(self) -> None:
        """See ``PacketCamera.stop``."""
        self._camera.stop()

    def close(self) -> None:
        """See ``PacketCamera.close``."""
        self._camera.close()


def _encoder(camera: CameraFormat) -> VideoCodecContext:
    encoder: VideoCodecContext = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = camera.width, camera.height, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(camera.frames_per_second, 1), Fraction(1, 1_000_000)
    encoder.gop_size = camera.frames_per_second
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"}
    return encoder
