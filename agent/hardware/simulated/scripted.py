"""Position, power, temperature and time that a script sets."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from agent.errors import HardwareError, UsageError
from agent.hardware.parts import ClockReading, Fix, PowerReading, TimeSource


class ScriptedPositioning:
    """Stands where it was put last; every fix is fresh. See ``Positioning`` and ``Scriptable``."""

    def __init__(
        self, latitude: float | None = None, longitude: float | None = None, error_metres: float = 5.0
    ) -> None:
        self._place: Fix | None = None
        self._trouble: str | None = None
        if latitude is not None and longitude is not None:
            self.move(latitude, longitude, error_metres)

    def move(
        self, latitude: float, longitude: float, error_metres: float = 5.0, altitude_metres: float | None = None
    ) -> None:
        """From now on the unit is there (WGS 84 degrees, metres)."""
        self._place, self._trouble = Fix(latitude, longitude, error_metres, 0, altitude_metres), None

    def lose(self) -> None:
        """From now on there is no position: no sky."""
        self._place = None

    def fail(self, trouble: str) -> None:
        """From now on there is no receiver."""
        self._place, self._trouble = None, trouble

    def script(self, words: Sequence[str]) -> None:
        """``41.85 123.8``, and then error and altitude in metres; ``none``: no sky; ``gone``: no receiver."""
        match list(words):
            case ["none"]:
                self.lose()
            case ["gone"]:
                self.fail("the simulated receiver is gone")
            case [latitude, longitude, *more] if len(more) <= 2:
                error = _number(more[0], 0, 1e6) if more else 5.0
                altitude = _number(more[1], -1e3, 1e5) if len(more) > 1 else None
                self.move(_number(latitude, -90, 90), _number(longitude, -180, 180), error, altitude)
            case _:
                raise UsageError("position: LATITUDE LONGITUDE [ERROR [ALTITUDE]], none or gone")

    def fix(self) -> Fix | None:
        """The place with this moment, or None."""
        place = self._place
        if place is None:
            return None
        now_ns = time.monotonic_ns()
        return Fix(place.latitude, place.longitude, place.error_metres, now_ns, place.altitude_metres)

    def check(self) -> None:
        """See ``Positioning.check``."""
        if self._trouble is not None:
            raise HardwareError(self._trouble)

    def close(self) -> None:
        """Nothing to give back."""


class ScriptedPower:
    """Reads what was set last. See ``Power`` and ``Scriptable``."""

    def __init__(self, reading: PowerReading) -> None:
        self._reading: PowerReading | None = reading

    def set(self, reading: PowerReading) -> None:
        """From now on ``read`` answers this."""
        self._reading = reading

    def lose(self) -> None:
        """From now on the gauge does not answer."""
        self._reading = None

    def script(self, words: Sequence[str]) -> None:
        """``20 35``: percent and minutes left on battery; ``20 mains``; ``gone``: no gauge."""
        match list(words):
            case ["gone"]:
                self.lose()
            case [percent, "mains"]:
                self.set(PowerReading(int(_number(percent, 0, 100)), None, True))
            case [percent, minutes]:
                self.set(PowerReading(int(_number(percent, 0, 100)), int(_number(minutes, 0, 10_000)), False))
            case _:
                raise UsageError("power: PERCENT MINUTES, PERCENT mains or gone")

    def read(self) -> PowerReading:
        """What was set last."""
        if self._reading is None:
            raise HardwareError("the simulated gauge does not answer")
        return self._reading


class ScriptedThermometer:
    """Reads what was set last. See ``Thermometer`` and ``Scriptable``."""

    def __init__(self, millicelsius: int | None) -> None:
        self._millicelsius, self._lost = millicelsius, False

    def set(self, millicelsius: int | None) -> None:
        """From now on ``read`` answers this."""
        self._millicelsius, self._lost = millicelsius, False

    def lose(self) -> None:
        """From now on there is no sensor."""
        self._lost = True

    def script(self, words: Sequence[str]) -> None:
        """``71.5``: degrees Celsius; ``none``: no value just now; ``gone``: no sensor."""
        match list(words):
            case ["none"]:
                self.set(None)
            case ["gone"]:
                self.lose()
            case [degrees]:
                self.set(round(1000 * _number(degrees, -55, 150)))
            case _:
                raise UsageError("temperature: DEGREES, none or gone")

    def read(self) -> int | None:
        """What was set last."""
        if self._lost:
            raise HardwareError("the simulated thermometer does not answer")
        return self._millicelsius


class ScriptedClock:
    """The real clocks, a wall clock that can be set, and whoever is said to vouch for it.

    See ``Clock`` and ``Scriptable``.
    """

    def __init__(self, source: TimeSource, error_us: int | None) -> None:
        self._ahead_us = 0
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        self.vouch(source, error_us)

    def vouch(self, source: TimeSource, error_us: int | None = None) -> None:
        """From now on the time comes from there; for RTC and NONE there is no bound."""
        trusted = source in (TimeSource.GNSS, TimeSource.NTP)
        self._vouched = (source, error_us if trusted else None)

    def set_ahead(self, microseconds: int) -> None:
        """From now on the wall clock is ahead of this computer's by so much: a step."""
        self._ahead_us = microseconds

    def script(self, words: Sequence[str]) -> None:
        """``ntp 1000``: source and bound in microseconds; ``rtc``; ``none``; ``ahead 60``: set ahead, in seconds."""
        match list(words):
            case ["gnss" | "ntp" as source, error_us]:
                self.vouch(TimeSource(source), int(_number(error_us, 0, 1e9)))
            case ["rtc" | "none" as source]:
                self.vouch(TimeSource(source))
            case ["ahead", seconds]:
                self.set_ahead(round(1e6 * _number(seconds, -1e9, 1e9)))
            case _:
                raise UsageError("clock: gnss|ntp MICROSECONDS, rtc, none or ahead SECONDS")

    def read(self) -> ClockReading:
        """See ``Clock.read``."""
        source, error_us = self._vouched
        utc_us, monotonic_us = time.time_ns() // 1000 + self._ahead_us, time.monotonic_ns() // 1000
        return ClockReading(utc_us, monotonic_us, self._boot_id, source, error_us)


def _number(word: str, least: float, most: float) -> float:
    try:
        found = float(word)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        raise UsageError(f"{word!r} is not a number from {least:g} to {most:g}")
    return found
