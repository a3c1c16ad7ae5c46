"""What every camera that encodes by itself does, run over every one that this machine can have."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import av
import pytest
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware.h264 import parameter_sets
from agent.hardware.parts import AudioBlock, EncodedPicture, PacketCamera
from agent.hardware.settings import StreamSettings, VideoSettings
from agent.hardware.simulated.packets import SimulatedPacketCamera
from agent.hardware.simulated.stage import Stage

# picamera2 0.3.38 starts its thread with setDaemon().
pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")


def _picamera2() -> PacketCamera:
    try:
        import libcamera  # noqa: F401
        import picamera2  # noqa: F401
    except ImportError as error:
        pytest.skip(f"lane picamera2: {error}; see tests/rigs/README.md")
    try:
        import plain_memory  # the rig's: buffers without a dma-heap

        plain_memory.install()
    except ImportError:
        pass  # a real Raspberry Pi
    from agent.hardware.pi.coding import CodingPicamera2

    return CodingPicamera2(VideoSettings(width=1280, height=720, frames_per_second=30, coding="auto"))


@pytest.fixture(params=["simulated", "rtsp", "picamera2"])
def camera(request: pytest.FixtureRequest, stage: Stage) -> Iterator[PacketCamera]:
    if request.param == "rtsp":
        from rtsp_server import RtspServer

        from agent.hardware.linux.rtsp import RtspCamera

        server = RtspServer()
        made: PacketCamera = RtspCamera(StreamSettings(url=server.url))
        yield made
        made.close()
        server.kill()
        return
    made = SimulatedPacketCamera(stage) if request.param == "simulated" else _picamera2()
    yield made
    made.close()


def _film(camera: PacketCamera, pictures: int) -> list[EncodedPicture]:
    taken: list[EncodedPicture | AudioBlock] = []
    faults: list[HardwareError] = []
    camera.start(taken.append, faults.append)
    eventually(lambda: faults or sum(isinstance(one, EncodedPicture) for one in taken) >= pictures, 20)
    camera.stop()
    assert not faults
    return [one for one in taken if isinstance(one, EncodedPicture)]


def test_a_keyframe_comes_with_its_parameter_sets_and_everything_from_it_on_decodes(camera: PacketCamera) -> None:
    taken = _film(camera, 60)
    begun = [*itertools.dropwhile(lambda one: not one.keyframe, taken)]
    assert parameter_sets(begun[0].data)
    codec = av.CodecContext.create("h264", "r")
    frames = [frame for one in begun for frame in codec.decode(av.Packet(one.data))] + codec.decode(None)
    assert len(frames) == len(begun)
    assert (frames[0].width, frames[0].height) == (camera.format.width, camera.format.height)


def test_stamps_rise_and_tell_the_recent_past_on_the_monotonic_clock(camera: PacketCamera) -> None:
    before = time.monotonic_ns()
    stamps = [one.captured_ns for one in _film(camera, 20)]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert before - 1_000_000_000 < stamps[0] and stamps[-1] <= time.monotonic_ns()


def test_nothing_comes_after_stop_and_the_camera_starts_again(camera: PacketCamera) -> None:
    taken = _film(camera, 2)
    count = len(taken)
    assert len(_film(camera, 3)) >= 3
    assert len(taken) == count


def test_a_keyframe_may_be_asked_for_at_any_time(camera: PacketCamera) -> None:
    camera.request_keyframe()
    taken: list[EncodedPicture | AudioBlock] = []
    camera.start(taken.append, lambda error: None)
    eventually(lambda: taken, 20)
    camera.request_keyframe()
    eventually(lambda: sum(isinstance(one, EncodedPicture) and one.keyframe for one in taken) >= 2, 20)
    camera.stop()


def test_stop_and_close_may_be_repeated_and_a_closed_camera_refuses_to_start(camera: PacketCamera) -> None:
    camera.stop()
    camera.stop()
    camera.close()
    camera.close()
    with pytest.raises(HardwareError):
        camera.start(lambda _: None, lambda _: None)
