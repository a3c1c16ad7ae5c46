"""What a MAX17048's registers mean, by its data sheet, and what is asked of the bus."""

from __future__ import annotations

import pytest
from gauge_rig import ADDRESS, FakeBus
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import HardwareError
from agent.hardware.linux.gauge import I2cGauge, Registers, percent_per_hour, read_registers, reading_of, volts
from agent.hardware.parts import PowerReading
from agent.hardware.settings import GaugeSettings

WORDS = st.integers(0, 0xFFFF)


def registers(soc: int = 0x3200, crate: int = 0, vcell: int = 0xBB80, version: int = 0x0012) -> Registers:
    return Registers(vcell, soc, crate, version)


def test_the_units_are_those_of_the_data_sheet() -> None:
    assert volts(registers(vcell=0xBB80)) == pytest.approx(3.75)
    assert percent_per_hour(registers(crate=0x0001)) == pytest.approx(0.208)
    assert percent_per_hour(registers(crate=0xFFFF)) == pytest.approx(-0.208)
    assert percent_per_hour(registers(crate=0x8000)) == pytest.approx(-6815.744)


@pytest.mark.parametrize(
    ("soc", "crate", "reading"),
    [
        (0x3200, -120, PowerReading(50, 120, False)),  # 50 % at 24.96 % an hour
        (0x3280, -60, PowerReading(50, 242, False)),
        (0x0080, -120, PowerReading(0, 1, False)),
        (0x0000, -120, PowerReading(0, 0, False)),
        (0x3200, 120, PowerReading(50, None, True)),
        (0x3200, 0, PowerReading(50, None, None)),
        (0x3200, -4, PowerReading(50, None, None)),  # less than a percent an hour is noise
        (0x6580, 0, PowerReading(100, None, None)),  # a full cell may read 101.5 %
    ],
)
def test_percent_minutes_and_charging_come_from_charge_and_rate(soc: int, crate: int, reading: PowerReading) -> None:
    assert reading_of(registers(soc, crate & 0xFFFF)) == reading


@given(st.builds(Registers, WORDS.filter(bool), WORDS, WORDS, st.integers(0x0010, 0x001F)))
def test_whatever_the_registers_say_the_reading_is_possible(found: Registers) -> None:
    reading = reading_of(found)
    assert reading.percent is not None and 0 <= reading.percent <= 100
    assert reading.minutes_left is None or (0 <= reading.minutes_left <= 100 * 60 and reading.on_mains is False)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (registers(version=0x0003), "not a MAX17048"),  # a MAX17043
        (registers(version=0xFFFF), "not a MAX17048"),
        (registers(vcell=0), "no cell"),
    ],
)
def test_another_chip_or_no_cell_is_an_error_and_not_a_reading(found: Registers, said: str) -> None:
    with pytest.raises(HardwareError, match=said):
        reading_of(found)


def test_the_chips_high_byte_comes_first_though_the_bus_takes_the_low_one_first() -> None:
    assert read_registers(FakeBus(soc=0x1234, crate=0x5678), ADDRESS) == Registers(0xBB80, 0x1234, 0x5678, 0x0012)


def test_a_bus_that_is_not_there_is_told_with_what_to_look_at() -> None:
    part = I2cGauge(GaugeSettings(bus=250))  # the real smbus2 on a device file that does not exist
    with pytest.raises(HardwareError, match=r"0x36 on /dev/i2c-250 .*check the battery board"):
        part.read()
    part.close()
