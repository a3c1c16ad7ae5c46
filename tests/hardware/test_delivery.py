"""Gates, workers and limits: how a part that dies, hangs or falls silent is noticed."""

from __future__ import annotations

import threading
import time

import pytest
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, Worker, bounded, watch_silence
from agent.hardware.linux.camera import V4l2Camera
from agent.hardware.settings import VideoSettings


def _refuse(error: HardwareError) -> None:
    pytest.fail(f"a fault nobody expected: {error}")


def test_nothing_passes_a_gate_that_is_shut_and_shutting_waits_for_a_delivery_under_way() -> None:
    inside, leave, passed = threading.Event(), threading.Event(), list[int]()

    def deliver(value: int) -> None:
        inside.set()
        assert leave.wait(5)
        passed.append(value)

    gate = Gate(deliver, _refuse)
    giver = threading.Thread(target=lambda: gate.pass_on(1))
    giver.start()
    assert inside.wait(5)
    shutter = threading.Thread(target=gate.shut)
    shutter.start()
    assert shutter.is_alive() and not passed
    leave.set()
    shutter.join(5)
    assert passed == [1]
    gate.pass_on(2)
    gate.fail(HardwareError("too late"))
    giver.join(5)
    assert passed == [1]


def test_a_worker_that_ends_by_itself_is_a_fault_and_one_that_is_stopped_is_not() -> None:
    faults: list[HardwareError] = []
    Worker("camera", Gate(lambda _: None, faults.append), lambda: None)
    eventually(lambda: faults)
    assert "ended by itself" in str(faults[0])
    gate: Gate[int] = Gate(lambda _: None, _refuse)
    assert Worker("camera", gate, lambda: gate.wait_shut(60) and None).stop()


def test_a_listener_may_stop_the_worker_from_inside_a_delivery() -> None:
    workers: list[Worker] = []
    ready, calls = threading.Event(), list[int]()

    def listen(value: int) -> None:
        calls.append(value)
        assert workers[0].stop()

    gate = Gate(listen, _refuse)

    def body() -> None:
        ready.wait(5)
        gate.pass_on(1)
        gate.pass_on(2)

    workers.append(Worker("camera", gate, body))
    ready.set()
    eventually(lambda: not gate.is_open)
    assert calls == [1]


def test_a_part_that_falls_silent_is_a_fault_reported_once() -> None:
    faults: list[HardwareError] = []
    gate: Gate[int] = Gate(lambda _: None, faults.append)
    watch_silence("the camera", gate, 0.2)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:  # as long as it delivers, all is well
        gate.pass_on(1)
        threading.Event().wait(0.01)
    assert not faults
    eventually(lambda: faults)
    assert "has delivered nothing" in str(faults[0])
    assert len(faults) == 1


def test_a_driver_call_that_hangs_or_fails_is_a_hardware_error_within_its_limit() -> None:
    release = threading.Event()
    with pytest.raises(HardwareError, match=r"no answer within 0\.1 s"):
        bounded("close", lambda: release.wait(30), 0.1)
    release.set()
    with pytest.raises(HardwareError, match="close: no such device"):
        bounded("close", lambda: (_ for _ in ()).throw(OSError("no such device")).__next__())


def test_a_camera_that_goes_away_is_a_fault_reported_once() -> None:
    camera = V4l2Camera(VideoSettings(device="testsrc=size=64x64:rate=25:duration=0.2"), ffmpeg_format="lavfi")
    faults: list[HardwareError] = []
    camera.start(lambda _: None, faults.append)
    eventually(lambda: faults)
    camera.stop()
    assert len(faults) == 1


def test_a_camera_that_is_not_there_cannot_be_opened() -> None:
    with pytest.raises(HardwareError, match="/dev/video99"):
        V4l2Camera(VideoSettings(device="/dev/video99"))
