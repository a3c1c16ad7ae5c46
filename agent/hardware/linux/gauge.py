"""A fuel gauge on the I2C bus: MAX17048, as on most battery boards for the Raspberry Pi (its data sheet, table 2)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from agent.errors import HardwareError
from agent.hardware.parts import PowerReading
from agent.hardware.polling import Polled
from agent.hardware.settings import GaugeSettings

VCELL, SOC, VERSION, CRATE = 0x02, 0x04, 0x08, 0x16
_THIS_CHIP = 0x001
"""VERSION without its last digit; a MAX17043, say, has no CRATE."""
_IDLE_PERCENT_PER_HOUR = 1.0
"""A smaller rate may be either direction's noise."""
_EVERY_SECONDS, _STALE_SECONDS = 5.0, 30.0


@dataclass(frozen=True, slots=True)
class Registers:
    """What the chip answered: 16 bit each, as they stand in the data sheet."""

    vcell: int
    soc: int
    crate: int
    version: int


class WordBus(Protocol):
    """The one call of ``smbus2.SMBus`` that is needed."""

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        """SMBus Read Word: low byte first. Raises OSError when nobody answers."""


def volts(registers: Registers) -> float:
    """Of the cell: 78.125 microvolts a step."""
    return registers.vcell * 78.125e-6


def percent_per_hour(registers: Registers) -> float:
    """Charging is positive: 0.208 % an hour a step, two's complement."""
    return (registers.crate - ((registers.crate & 0x8000) << 1)) * 0.208


def reading_of(registers: Registers) -> PowerReading:
    """Percent, minutes and whether it is being charged, which is all that the gauge knows of mains.

    Raises HardwareError when it is another chip or there is no cell.
    """
    if registers.version >> 4 != _THIS_CHIP:
        raise HardwareError(f"the fuel gauge is not a MAX17048 (version {registers.version:#06x})")
    if registers.vcell == 0:
        raise HardwareError("the fuel gauge measures no cell")
    percent, rate = min(registers.soc / 256, 100.0), percent_per_hour(registers)
    if abs(rate) < _IDLE_PERCENT_PER_HOUR:
        return PowerReading(round(percent), None, None)
    return PowerReading(round(percent), None if rate > 0 else int(percent / -rate * 60), rate > 0)


def read_registers(bus: WordBus, address: int) -> Registers:
    """Raises OSError when the chip does not answer."""

    def word(register: int) -> int:
        # SMBus sends the low byte first, this chip the high one.
        return int.from_bytes(bus.read_word_data(address, register).to_bytes(2, "little"), "big")

    return Registers(vcell=word(VCELL), soc=word(SOC), crate=word(CRATE), version=word(VERSION))


class I2cGauge:
    """Asks the gauge every 5 s on a thread of its own, for a bus that hangs waits seconds. See ``Power``."""

    def __init__(
        self, settings: GaugeSettings, open_bus: Callable[[], AbstractContextManager[WordBus]] | None = None
    ) -> None:
        self._settings, self._open_bus = settings, open_bus or _smbus(settings.bus)
        self._polled = Polled("the fuel gauge", self.ask, _EVERY_SECONDS, _STALE_SECONDS)

    def read(self) -> PowerReading:
        """See ``Power.read``."""
        return self._polled.newest()

    def ask(self) -> PowerReading:
        """Asks the chip now, on the caller's thread. Raises HardwareError saying what to look at."""
        try:
            with self._open_bus() as bus:
                registers = read_registers(bus, self._settings.address)
        except OSError as error:
            raise HardwareError(
                f"no fuel gauge answers at {self._settings.address:#04x} on /dev/i2c-{self._settings.bus} ({error}): "
                "check the battery board and its plug, dtparam=i2c_arm=on and the module i2c-dev"
            ) from error
        return reading_of(registers)

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""
        self._polled.close()


def _smbus(number: int) -> Callable[[], AbstractContextManager[WordBus]]:
    from smbus2 import SMBus

    return lambda: cast(AbstractContextManager[WordBus], SMBus(number))
