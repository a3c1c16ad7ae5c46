"""Buttons, switches, lamp and buzzer on gpiozero, over the pin factory given: lgpio's, or gpiozero's own mock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gpiozero

from agent.errors import HardwareError, HardwareLibraryMissingError
from agent.hardware.parts import Edge, Pattern


def open_lgpio() -> Any:
    """The pin factory of a real unit; raises HardwareError when there are no pins to be had."""
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise HardwareLibraryMissingError(
            "GPIO needs lgpio: sudo apt install python3-lgpio, or pip install enforcement-recorder[pi]"
        ) from error
    try:
        return LGPIOFactory()
    except Exception as error:  # lgpio's own error class derives from Exception; all of them mean: no pins
        raise HardwareError(f"GPIO cannot be opened: {error}") from error


class GpioContact:
    """A contact between ``pin`` and ground, with the internal pull-up; edges are raw. See ``Contact``.

    ``opens``: the contact is closed at rest and opens when it becomes active, so that a cut wire reads as active.
    Edges come on the pin factory's thread.
    """

    def __init__(self, pin: int, factory: Any, *, opens: bool = False) -> None:
        self._opens = opens
        self._pin = pin
        try:
            self._button = gpiozero.Button(pin, pull_up=True, bounce_time=None, pin_factory=factory)
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise HardwareError(f"GPIO {pin}: {error}") from error

    @property
    def active(self) -> bool:
        """Read from the pin now; raises HardwareError once closed or when the pin does not answer."""
        try:
            return bool(self._button.is_active) != self._opens
        except (gpiozero.GPIOZeroError, OSError, AttributeError) as error:
            raise HardwareError(f"GPIO {self._pin}: {error}") from error

    def listen(self, deliver: Callable[[Edge], None]) -> None:
        """See ``Contact.listen``; replaces the listener before."""
        opens = self._opens

        def closed() -> None:
            deliver(Edge(not opens, time.monotonic_ns()))

        def opened() -> None:
            deliver(Edge(opens, time.monotonic_ns()))

        self._button.when_pressed = closed
        self._button.when_released = opened

    def close(self) -> None:
        """See ``Contact.close``."""
        self._button.close()


class GpioIndicator:
    """A lamp (gpiozero.LED) or a buzzer (gpiozero.Buzzer); patterns run on gpiozero's thread. See ``Indicator``."""

    def __init__(self, kind: type[Any], pin: int, factory: Any) -> None:
        try:
            self._device = kind(pin, pin_factory=factory)
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise HardwareError(f"GPIO {pin}: {error}") from error

    def show(self, pattern: Pattern) -> None:
        """See ``Indicator.show``; raises HardwareError once closed or when the pin does not answer."""
        try:
            self._show(pattern)
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise HardwareError(f"indicator: {error}") from error

    def _show(self, pattern: Pattern) -> None:
        if pattern.on_ms <= 0:
            self._device.off()
        elif pattern.off_ms <= 0 and pattern.times == 0:
            self._device.on()
        else:
            self._device.blink(pattern.on_ms / 1000, pattern.off_ms / 1000, n=pattern.times or None, background=True)

    def close(self) -> None:
        """See ``Indicator.close``."""
        if not self._device.closed:
            self._device.off()
        self._device.close()


def lamp(pin: int, factory: Any) -> GpioIndicator:
    """The lamp on ``pin``."""
    return GpioIndicator(gpiozero.LED, pin, factory)


def buzzer(pin: int, factory: Any) -> GpioIndicator:
    """The buzzer on ``pin`` (an active one: it sounds while the pin is high)."""
    return GpioIndicator(gpiozero.Buzzer, pin, factory)
