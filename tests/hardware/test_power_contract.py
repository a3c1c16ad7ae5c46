"""Every Power keeps the same contract: scripted, the kernel's supplies, and a fuel gauge on the I2C bus."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from gauge_rig import FakeBus, stub_bus
from hardware_lanes import eventually, supply

from agent.errors import HardwareError
from agent.hardware.linux import gauge
from agent.hardware.linux.gauge import I2cGauge
from agent.hardware.linux.power import LinuxPower
from agent.hardware.parts import Power, PowerReading
from agent.hardware.settings import GaugeSettings
from agent.hardware.simulated.scripted import ScriptedPower

HALF = PowerReading(50, 120, False)


@dataclass(frozen=True, slots=True)
class Stand:
    """A part, how it comes to be charged, and how it goes away."""

    part: Power
    charge: Callable[[], None]
    lose: Callable[[], None]


def scripted(tmp_path: Path, cleanup: ExitStack) -> Stand:
    part = ScriptedPower(HALF)
    return Stand(part, lambda: part.set(PowerReading(50, None, True)), part.lose)


def linux(tmp_path: Path, cleanup: ExitStack) -> Stand:
    battery = supply(tmp_path, "BAT0", type="Battery", capacity=50, status="Discharging", time_to_empty_now=7200)

    def lose() -> None:
        (battery / "capacity").unlink()
        (battery / "capacity").mkdir()  # reading it fails, as a gauge that is gone does

    return Stand(LinuxPower(tmp_path), lambda: bool((battery / "status").write_text("Charging\n")) and None, lose)


def fake(tmp_path: Path, cleanup: ExitStack) -> Stand:
    bus = FakeBus(soc=0x3200, crate=(-120) & 0xFFFF)
    part = I2cGauge(GaugeSettings(), lambda: bus)
    cleanup.callback(part.close)
    return Stand(part, lambda: bus.set(crate=120), bus.unplug)


def stub(tmp_path: Path, cleanup: ExitStack) -> Stand:
    bus = stub_bus(soc=0x3200, crate=(-120) & 0xFFFF)
    part = I2cGauge(GaugeSettings(bus.number, bus.address))
    cleanup.callback(part.close)
    return Stand(part, lambda: bus.set(crate=120), bus.unplug)


@pytest.fixture(params=[scripted, linux, fake, stub], ids=["scripted", "linux", "i2c-fake", "i2c-stub"])
def stand(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.setattr(gauge, "_EVERY_SECONDS", 0.02)
    with ExitStack() as cleanup:
        yield request.param(tmp_path, cleanup)


def test_percent_and_minutes_are_told_while_the_battery_feeds_the_unit(stand: Stand) -> None:
    reading = stand.part.read()
    assert (reading.percent, reading.on_mains) == (50, False)
    assert reading.minutes_left == pytest.approx(120, abs=1)


def test_a_battery_that_is_being_charged_has_no_end(stand: Stand) -> None:
    stand.charge()
    eventually(lambda: stand.part.read() == PowerReading(50, None, True))


def test_a_gauge_that_is_gone_is_a_hardware_error_at_every_reading(stand: Stand) -> None:
    stand.part.read()
    stand.lose()
    eventually(lambda: _fails(stand.part))
    with pytest.raises(HardwareError, match="gauge") as error:
        stand.part.read()
    assert error.value.advice


def _fails(part: Power) -> bool:
    try:
        part.read()
    except HardwareError:
        return True
    return False


def test_a_computer_without_supplies_is_no_error(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    assert LinuxPower(tmp_path).read() == PowerReading(None, None, None)
