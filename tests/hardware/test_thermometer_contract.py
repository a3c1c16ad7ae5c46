"""Every Thermometer keeps the same contract: scripted, and the kernel's thermal zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.errors import HardwareError
from agent.hardware.linux.thermal import LinuxThermometer
from agent.hardware.parts import Thermometer
from agent.hardware.simulated.scripted import ScriptedThermometer


@dataclass(frozen=True, slots=True)
class Stand:
    """A part at 48.3 degrees, how it comes to another temperature or to none, and how it goes away."""

    part: Thermometer
    warm: Callable[[int | None], None]
    lose: Callable[[], None]


def zone(root: Path, number: int, kind: str, text: str) -> Path:
    made = root / f"thermal_zone{number}"
    made.mkdir()
    (made / "type").write_text(f"{kind}\n")
    (made / "temp").write_text(f"{text}\n")
    return made


def scripted(root: Path) -> Stand:
    part = ScriptedThermometer(48_300)
    return Stand(part, part.set, part.lose)


def linux(root: Path) -> Stand:
    """Zone numbers change with the order of drivers; the first here is another one."""
    zone(root, 0, "gpu-thermal", "99000")
    own = zone(root, 1, "cpu-thermal", "48300")

    def warm(millicelsius: int | None) -> None:
        # -274000 is how drivers of the kernel say "no value".
        (own / "temp").write_text(f"{-274_000 if millicelsius is None else millicelsius}\n")

    return Stand(LinuxThermometer("cpu-thermal", root), warm, lambda: own.rename(root / "cooling_device0") and None)


@pytest.fixture(params=[scripted, linux], ids=["scripted", "linux"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    made: Stand = request.param(tmp_path)
    return made


@pytest.mark.parametrize("millicelsius", [48_300, 0, -20_500, 104_999])
def test_the_temperature_is_told_in_thousandths_of_a_degree(stand: Stand, millicelsius: int) -> None:
    stand.warm(millicelsius)
    assert stand.part.read() == millicelsius


def test_a_sensor_without_a_value_just_now_is_no_error(stand: Stand) -> None:
    stand.warm(None)
    assert stand.part.read() is None
    stand.warm(50_000)
    assert stand.part.read() == 50_000


def test_a_sensor_that_is_gone_is_a_hardware_error_at_every_reading(stand: Stand) -> None:
    stand.lose()
    for _ in range(2):
        with pytest.raises(HardwareError):
            stand.part.read()


def test_a_zone_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    zone(tmp_path, 0, "x86_pkg_temp", "50000")
    zone(tmp_path, 1, "acpitz", "40000")
    with pytest.raises(HardwareError, match=r"'cpu-thermal' is not one of this machine's: acpitz, x86_pkg_temp"):
        LinuxThermometer("cpu-thermal", tmp_path).read()
    with pytest.raises(HardwareError, match="none"):
        LinuxThermometer("cpu-thermal", tmp_path / "nowhere").read()


def test_a_zone_that_says_nonsense_is_a_hardware_error(tmp_path: Path) -> None:
    zone(tmp_path, 0, "cpu-thermal", "warm")
    with pytest.raises(HardwareError, match="nonsense"):
        LinuxThermometer("cpu-thermal", tmp_path).read()
