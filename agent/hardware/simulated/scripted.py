"""Position and power that a script sets."""

from __future__ import annotations

import time

from agent.hardware.parts import Fix, PowerReading


class ScriptedPositioning:
    """Stands where it was put last; every fix is fresh. See ``Positioning``."""

    def __init__(
        self, latitude: float | None = None, longitude: float | None = None, error_metres: float = 5.0
    ) -> None:
        self._place: tuple[float, float, float] | None = None
        if latitude is not None and longitude is not None:
            self.move(latitude, longitude, error_metres)

    def move(self, latitude: float, longitude: float, error_metres: float = 5.0) -> None:
        """From now on the unit is there (WGS 84 degrees, metres)."""
        self._place = (latitude, longitude, error_metres)

    def lose(self) -> None:
        """From now on there is no position."""
        self._place = None

    def fix(self) -> Fix | None:
        """The place with this moment, or None."""
        return Fix(*self._place, taken_ns=time.monotonic_ns()) if self._place else None

    def close(self) -> None:
        """Nothing to give back."""


class ScriptedPower:
    """Reads what was set last. See ``Power``."""

    def __init__(self, reading: PowerReading) -> None:
        self._reading = reading

    def set(self, reading: PowerReading) -> None:
        """From now on ``read`` answers this."""
        self._reading = reading

    def read(self) -> PowerReading:
        """What was set last."""
        return self._reading
