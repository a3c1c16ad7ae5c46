"""Position, power, temperature and time that a script sets."""

from __future__ import annotations

import time
from pathlib import Path

from agent.errors import HardwareError
from agent.hardware.parts import ClockReading, Fix, PowerReading, TimeSource


class ScriptedPositioning:
    """Stands where it was put last; every fix is fresh. See ``Positioning``."""

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
    """Reads what was set last. See ``Power``."""

    def __init__(self, reading: PowerReading) -> None:
        self._reading: PowerReading | None = reading

    def set(self, reading: PowerReading) -> None:
        """From now on ``read`` answers this."""
        self._reading = reading

    def lose(self) -> None:
        """From now on the gauge does not answer."""
        self._reading = None

    def read(self) -> PowerReading:
        """What was set last."""
        if self._reading is None:
            raise HardwareError("the simulated gauge does not answer")
        return self._reading


class ScriptedThermometer:
    """Reads what was set last. See ``Thermometer``."""

    def __init__(self, millicelsius: int | None) -> None:
        self._millicelsius, self._lost = millicelsius, False

    def set(self, millicelsius: int | None) -> None:
        """From now on ``read`` answers this."""
        self._millicelsius, self._lost = millicelsius, False

    def lose(self) -> None:
        """From now on there is no sensor."""
        self._lost = True

    def read(self) -> int | None:
        """What was set last."""
        if self._lost:
            raise HardwareError("the simulated thermometer does not answer")
        return self._millicelsius


class ScriptedClock:
    """The real clocks, a wall clock that can be set, and whoever is said to vouch for it. See ``Clock``."""

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

    def read(self) -> ClockReading:
        """See ``Clock.read``."""
        source, error_us = self._vouched
        utc_us, monotonic_us = time.time_ns() // 1000 + self._ahead_us, time.monotonic_ns() // 1000
        return ClockReading(utc_us, monotonic_us, self._boot_id, source, error_us)
