"""The fixed camera's own matters: clocks, passwords, what it refuses, what it does when the camera goes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hardware_lanes import eventually
from hypothesis import given
from hypothesis import strategies as st
from rtsp_server import RtspServer

from agent.errors import HardwareError
from agent.hardware.linux.rtsp import ArrivalClock, RtspCamera
from agent.hardware.parts import AudioBlock
from agent.hardware.pi.coding import choose_encoder
from agent.hardware.settings import StreamSettings

MS = 1_000_000
PASSWORD = "p@ss:w/rd 密"


@pytest.fixture
def server() -> Iterator[RtspServer]:
    made = RtspServer("viewer", PASSWORD)
    yield made
    made.kill()


def settings(server: RtspServer, folder: Path, password: str = PASSWORD) -> StreamSettings:
    file = folder / "camera.password"
    file.write_text(password + "\n", "utf-8")
    return StreamSettings(url=server.url, user="viewer", password_file=file)


def test_the_right_password_opens_the_camera_and_the_wrong_one_is_in_no_message(
    server: RtspServer, tmp_path: Path
) -> None:
    camera = RtspCamera(settings(server, tmp_path))
    assert (camera.format.width, camera.format.height, camera.format.frames_per_second) == (320, 240, 25)
    assert camera.sound is not None and camera.sound.sample_rate == 8000
    camera.close()
    with pytest.raises(HardwareError) as refused:
        RtspCamera(settings(server, tmp_path, "wrong-secret"))
    said = f"{refused.value} {refused.value.__cause__} {refused.value!r}"
    assert "wrong-secret" not in said and server.url in said


def test_a_camera_that_is_not_there_is_an_error_within_its_limit(server: RtspServer, tmp_path: Path) -> None:
    server.kill()
    with pytest.raises(HardwareError, match="cannot be reached"):
        RtspCamera(settings(server, tmp_path))


def test_a_server_that_dies_is_one_fault(server: RtspServer, tmp_path: Path) -> None:
    camera = RtspCamera(settings(server, tmp_path))
    taken: list[object] = []
    faults: list[HardwareError] = []
    camera.start(taken.append, faults.append)
    eventually(lambda: any(isinstance(one, AudioBlock) for one in taken), 10)
    server.kill()
    eventually(lambda: faults, 10)
    camera.stop()
    assert len(faults) == 1
    assert PASSWORD not in str(faults[0])
    camera.close()


def test_an_address_with_a_login_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no user and no password"):
        StreamSettings(url="rtsp://me:secret@10.0.0.5/stream")


@given(st.lists(st.integers(0, 400), min_size=2, max_size=80), st.integers(1, 100))
def test_moments_rise_with_the_stamps_and_never_lie_ahead_of_the_arrival(delays_ms: list[int], period_ms: int) -> None:
    clock, arrived, moments = ArrivalClock(), 0, []
    for number, delay_ms in enumerate(delays_ms):
        stamp = number * period_ms * MS
        arrived = max(arrived, 10_000 * MS + stamp + delay_ms * MS)
        moments.append(clock.moment_ns(stamp, arrived))
        assert number == 0 or moments[-1] - moments[-2] >= period_ms * MS // 2
    assert all(before < after for before, after in pairwise(moments))


def test_after_a_burst_the_moments_find_back_to_the_least_delay() -> None:
    clock = ArrivalClock()
    moments = [clock.moment_ns(n * 40 * MS, 5_000 * MS + max(n * 40, 800) * MS) for n in range(100)]
    assert moments[-1] == 5_000 * MS + 99 * 40 * MS


def test_a_camera_that_sets_its_clock_back_begins_anew() -> None:
    clock = ArrivalClock()
    clock.moment_ns(3_600_000 * MS, 10_000 * MS)
    assert clock.moment_ns(5 * MS, 10_040 * MS) == 10_040 * MS


def test_a_drifting_camera_is_followed() -> None:
    clock, moment = ArrivalClock(), 0
    for number in range(100_000):
        stamp = number * 40 * MS
        moment = clock.moment_ns(stamp, stamp + stamp // 20_000 + 30 * MS)
    true = 99_999 * 40 * MS
    assert abs(moment - (true + true // 20_000 + 30 * MS)) < MS


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [("auto", True, "hardware"), ("auto", False, "software"), ("hardware", True, "hardware"),
     ("software", True, "software"), ("software", False, "software")],
)  # fmt: skip
def test_the_chips_encoder_serves_where_it_is_there_and_not_declined(wanted: str, there: bool, chosen: str) -> None:
    assert choose_encoder(wanted, there) == chosen  # type: ignore[arg-type]


def test_the_chips_encoder_is_refused_with_advice_where_it_is_missing() -> None:
    with pytest.raises(HardwareError, match=r"set video\.coding to auto"):
        choose_encoder("hardware", False)
