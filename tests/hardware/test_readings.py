"""Clock, power, storage, position, and the moments at which cameras say they took a picture."""

from __future__ import annotations

import shutil
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agent.errors import HardwareError, StorageError
from agent.hardware.linux.camera import capture_moment_ns
from agent.hardware.linux.clock import LinuxClock
from agent.hardware.linux.power import LinuxPower
from agent.hardware.linux.storage import LinuxStorage
from agent.hardware.parts import PowerReading, TimeSource
from agent.hardware.pi.camera import monotonic_from_sensor, picture_from
from agent.hardware.simulated.scripted import ScriptedPositioning, ScriptedPower


def _supply(root: Path, name: str, **attributes: object) -> None:
    (root / name).mkdir(parents=True)
    for attribute, value in attributes.items():
        (root / name / attribute).write_text(f"{value}\n", encoding="ascii")


def test_both_clocks_are_read_at_one_moment_with_the_boot_id_of_the_kernel() -> None:
    before, reading, after = time.time_ns(), LinuxClock().read(), time.time_ns()
    assert before // 1000 <= reading.utc_us <= after // 1000
    offset_us = (time.time_ns() - time.monotonic_ns()) // 1000
    assert abs(reading.utc_us - reading.monotonic_us - offset_us) < 50_000
    assert reading.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def test_nobody_vouches_for_a_clock_that_no_source_disciplines() -> None:
    reading = LinuxClock().read()
    assert (reading.source, reading.error_us is None) in [(TimeSource.NONE, True), (TimeSource.NTP, False)]


@pytest.mark.parametrize(
    ("battery", "minutes"),
    [
        ({"energy_now": 20_000_000, "power_now": 5_000_000}, 240),
        ({"charge_now": 1_500_000, "current_now": -500_000}, 180),
        ({"time_to_empty_now": 5400}, 90),
        ({}, None),
    ],
)
def test_minutes_left_come_from_whatever_the_gauge_offers(
    tmp_path: Path, battery: dict[str, int], minutes: int | None
) -> None:
    _supply(tmp_path, "BAT0", type="Battery", capacity=57, status="Discharging", **battery)
    assert LinuxPower(tmp_path).read() == PowerReading(57, minutes, False)


def test_mains_are_seen_and_a_charging_battery_has_no_end(tmp_path: Path) -> None:
    _supply(tmp_path, "AC", type="Mains", online=1)
    _supply(tmp_path, "BAT0", type="Battery", capacity=80, status="Charging", energy_now=1, power_now=1)
    assert LinuxPower(tmp_path).read() == PowerReading(80, None, True)


def test_the_battery_of_a_mouse_does_not_count_and_no_supply_means_no_answer(tmp_path: Path) -> None:
    _supply(tmp_path, "hid-mouse", type="Battery", scope="Device", capacity=3, status="Discharging")
    assert LinuxPower(tmp_path).read() == PowerReading(None, None, None)
    assert LinuxPower(tmp_path / "nowhere").read() == PowerReading(None, None, None)


def test_a_gauge_that_answers_nonsense_is_a_hardware_error(tmp_path: Path) -> None:
    _supply(tmp_path, "BAT0", type="Battery", capacity="unknown", status="Discharging")
    with pytest.raises(HardwareError, match="gauge"):
        LinuxPower(tmp_path).read()


def test_free_bytes_are_what_this_user_may_still_write(tmp_path: Path) -> None:
    assert LinuxStorage(tmp_path).free_bytes() == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)


def test_a_volume_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        LinuxStorage(tmp_path / "gone").free_bytes()


def test_scripted_position_and_power_answer_what_was_set_last() -> None:
    positioning = ScriptedPositioning()
    assert positioning.fix() is None
    positioning.move(41.85, 123.8, 8.0)
    fix = positioning.fix()
    assert fix is not None and (fix.latitude, fix.longitude, fix.error_metres) == (41.85, 123.8, 8.0)
    assert 0 <= time.monotonic_ns() - fix.taken_ns < 1_000_000_000
    positioning.lose()
    assert positioning.fix() is None
    power = ScriptedPower(PowerReading(90, 300, False))
    power.set(PowerReading(9, 20, False))
    assert power.read().percent == 9


@pytest.mark.parametrize(
    ("stamp_ns", "expected_ns"),
    [
        (9_950_000_000, 9_950_000_000),  # CLOCK_MONOTONIC, 50 ms ago
        (10_000_000_001, 10_000_000_000),  # the future: another clock, so the arrival counts
        (1_700_000_000_000_000_000, 10_000_000_000),  # the wall clock
        (0, 10_000_000_000),  # counted from the first frame
        (None, 10_000_000_000),
    ],
)
def test_a_v4l2_stamp_counts_only_when_it_can_be_monotonic(stamp_ns: int | None, expected_ns: int) -> None:
    assert capture_moment_ns(stamp_ns, Fraction(1, 1_000_000_000), 10_000_000_000) == expected_ns


@pytest.mark.parametrize(
    ("stamp_ns", "expected_ns"),
    [
        (9_950_000_000, 9_950_000_000),  # already monotonic
        (69_950_000_000, 9_950_000_000),  # boot time: 60 s asleep
        (None, 10_000_000_000),
    ],
)
def test_a_sensor_stamp_of_either_clock_becomes_monotonic(stamp_ns: int | None, expected_ns: int) -> None:
    assert monotonic_from_sensor(stamp_ns, 10_000_000_000, 70_000_000_000) == expected_ns


@pytest.mark.parametrize("pixel_format", ["YUV420", "NV12"])
@pytest.mark.parametrize("stride", [64, 128])
def test_a_camera_buffer_becomes_the_same_picture_with_padded_rows_or_without(pixel_format: str, stride: int) -> None:
    width, height = 64, 32
    luma = np.arange(height * width, dtype=np.uint32).reshape(height, width) % 251
    blue = np.arange(height * width // 4).reshape(height // 2, width // 2) % 241
    red = 255 - blue
    buffer = np.full(height * stride * 3 // 2, 7, dtype=np.uint8)
    buffer[: height * stride].reshape(height, stride)[:, :width] = luma
    chroma = buffer[height * stride :]
    if pixel_format == "NV12":
        pairs = chroma.reshape(height // 2, stride)
        pairs[:, 0:width:2], pairs[:, 1:width:2] = blue, red
    else:
        halves = chroma.reshape(2, height // 2, stride // 2)
        halves[0, :, : width // 2], halves[1, :, : width // 2] = blue, red
    picture = picture_from(buffer, {"size": (width, height), "stride": stride, "format": pixel_format})
    got = picture.to_ndarray()
    assert np.array_equal(got[:height], luma)
    assert np.array_equal(got[height : height + height // 4].reshape(height // 2, width // 2), blue)
    assert np.array_equal(got[height + height // 4 :].reshape(height // 2, width // 2), red)
