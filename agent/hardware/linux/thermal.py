"""Temperature as the kernel shows it (Documentation/ABI/testing/sysfs-class-thermal)."""

from __future__ import annotations

import errno
from pathlib import Path

from agent.errors import HardwareError

_NOT_NOW = {errno.EAGAIN, errno.EBUSY, errno.EINVAL, errno.ENODATA}
"""What drivers answer while their sensor has no value yet."""
_COLDEST_MILLICELSIUS = -100_000
"""Below this it is a driver's sign for "no value"."""


class LinuxThermometer:
    """One thermal zone, found by its type: its number changes with the order of drivers. See ``Thermometer``."""

    def __init__(self, zone: str, root: Path = Path("/sys/class/thermal")) -> None:
        self._zone, self._root = zone, root

    def read(self) -> int | None:
        """See ``Thermometer.read``."""
        try:
            zones = {_text(path / "type"): path for path in sorted(self._root.glob("thermal_zone*"), reverse=True)}
            if self._zone not in zones:
                there = ", ".join(sorted(zones)) or "none"
                raise HardwareError(f"hardware.thermal.zone = {self._zone!r} is not one of this machine's: {there}")
            found = int(_text(zones[self._zone] / "temp"))
        except OSError as error:
            if error.errno in _NOT_NOW:
                return None
            raise HardwareError(f"the thermal zone {self._zone} cannot be read: {error}") from error
        except ValueError as error:
            raise HardwareError(f"the thermal zone {self._zone} says nonsense: {error}") from error
        return found if found > _COLDEST_MILLICELSIUS else None


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
