"""Contacts that a script can move: the real gpiozero classes on gpiozero's mock pins."""

from __future__ import annotations

from typing import Any

from gpiozero.pins.mock import MockFactory

from agent.hardware.pi.gpio import GpioContact


def open_mock() -> Any:
    """A board of mock pins, one for each unit."""
    return MockFactory()


class SimulatedContact(GpioContact):
    """A contact at rest until it is driven. See ``Contact`` and ``Drivable``."""

    def __init__(self, pin: int, factory: Any, *, opens: bool = False) -> None:
        super().__init__(pin, factory, opens=opens)
        self._mock_pin = factory.pin(pin)
        self.drive(False)

    def drive(self, active: bool) -> None:
        """See ``Drivable.drive``; edges are delivered on the caller's thread before it returns."""
        if active == self._opens:
            self._mock_pin.drive_high()
        else:
            self._mock_pin.drive_low()
