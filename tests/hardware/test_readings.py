"""Storage, and the moments at which cameras say they took a picture."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agent.errors import StorageError
from agent.hardware.linux.camera import capture_moment_ns
from agent.hardware.linux.storage import LinuxStorage
from agent.hardware.pi.camera import monotonic_from_sensor, picture_from


def test_free_bytes_are_what_this_user_may_still_write(tmp_path: Path) -> None:
    assert LinuxStorage(tmp_path).free_bytes() == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)


def test_a_volume_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        LinuxStorage(tmp_path / "gone").free_bytes()


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
