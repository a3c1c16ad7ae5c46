"""What every camera does, run over every camera that this machine can have."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware.parts import Camera, VideoFrame
from agent.hardware.settings import VideoSettings
from agent.hardware.simulated.camera import SimulatedCamera
from agent.hardware.simulated.stage import Stage

# picamera2 0.3.38 starts its thread with setDaemon().
pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")


def _picamera2() -> Camera:
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
    from agent.hardware.pi.camera import Picamera2Camera

    return Picamera2Camera(VideoSettings(width=1280, height=720, frames_per_second=30))


def _v4l2() -> Camera:
    from agent.hardware.linux.camera import V4l2Camera

    if not Path("/dev/video0").exists():
        pytest.skip("lane v4l2: there is no /dev/video0")
    return V4l2Camera(VideoSettings())


def _lavfi() -> Camera:
    """The V4L2 camera's code on an input device of FFmpeg that every machine has."""
    from agent.hardware.linux.camera import V4l2Camera

    return V4l2Camera(VideoSettings(device="testsrc=size=320x240:rate=25,realtime"), ffmpeg_format="lavfi")


@pytest.fixture(params=["simulated", "lavfi", "v4l2", "picamera2"])
def camera(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Camera]:
    makers = {"simulated": lambda: SimulatedCamera(stage), "lavfi": _lavfi, "v4l2": _v4l2, "picamera2": _picamera2}
    made = makers[request.param]()
    yield made
    made.close()


def _film(camera: Camera, frames: int) -> list[VideoFrame]:
    taken: list[VideoFrame] = []
    faults: list[HardwareError] = []
    camera.start(taken.append, faults.append)
    eventually(lambda: faults or len(taken) >= frames)
    camera.stop()
    assert not faults
    return taken


def test_frames_are_yuv420p_of_the_size_the_format_says(camera: Camera) -> None:
    wanted = camera.format
    assert wanted.frames_per_second > 0
    for frame in _film(camera, 5):
        shape = (frame.picture.width, frame.picture.height, frame.picture.format.name)
        assert shape == (wanted.width, wanted.height, "yuv420p")


def test_stamps_rise_and_tell_the_recent_past_on_the_monotonic_clock(camera: Camera) -> None:
    before = time.monotonic_ns()
    stamps = [frame.captured_ns for frame in _film(camera, 10)]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert before - 1_000_000_000 < stamps[0] and stamps[-1] <= time.monotonic_ns()


def test_no_frame_comes_after_stop_and_the_camera_starts_again(camera: Camera) -> None:
    taken = _film(camera, 2)
    count = len(taken)
    more = _film(camera, 3)
    assert len(more) >= 3
    assert len(taken) == count


def test_stop_and_close_may_be_repeated_and_a_closed_camera_refuses_to_start(camera: Camera) -> None:
    camera.stop()
    camera.stop()
    camera.close()
    camera.close()
    with pytest.raises(HardwareError):
        camera.start(lambda _: None, lambda _: None)


def test_a_listener_that_raises_is_reported_as_one_fault_and_nothing_more_comes(camera: Camera) -> None:
    faults: list[HardwareError] = []
    calls: list[int] = []

    def listen(frame: VideoFrame) -> None:
        calls.append(frame.captured_ns)
        raise ValueError("listener broke")

    camera.start(listen, faults.append)
    eventually(lambda: faults)
    camera.stop()
    assert len(faults) == len(calls) == 1
    assert "listener broke" in str(faults[0])
