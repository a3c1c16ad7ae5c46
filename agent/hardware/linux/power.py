"""Battery and mains as the kernel shows them (Documentation/ABI/testing/sysfs-class-power)."""

from __future__ import annotations

import errno
from pathlib import Path

from agent.errors import HardwareError
from agent.hardware.parts import PowerReading


class LinuxPower:
    """Reads ``/sys/class/power_supply`` (or another ``root``), leaving out mice and the like. See ``Power``."""

    def __init__(self, root: Path = Path("/sys/class/power_supply")) -> None:
        self._root = root

    def read(self) -> PowerReading:
        """See ``Power.read``. A computer with no supply listed answers None to everything."""
        try:
            supplies = sorted(self._root.iterdir()) if self._root.is_dir() else []
            own = [supply for supply in supplies if _text(supply, "scope") != "Device"]
            battery = next((supply for supply in own if _text(supply, "type") == "Battery"), None)
            mains = [_number(supply, "online") for supply in own if _text(supply, "type") in ("Mains", "USB")]
            return PowerReading(
                _number(battery, "capacity") if battery else None,
                _minutes_left(battery) if battery else None,
                _on_mains([online for online in mains if online is not None], battery),
            )
        except (OSError, ValueError) as error:
            raise HardwareError(f"the battery gauge does not answer: {error}") from error


def _text(supply: Path, name: str) -> str | None:
    """One attribute; None where this kind of supply has none. Any other read error is the gauge's and goes up."""
    try:
        return (supply / name).read_text(encoding="ascii").strip()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODATA):
            return None
        raise


def _number(supply: Path, name: str) -> int | None:
    text = _text(supply, name)
    return int(text) if text else None


def _on_mains(online: list[int], battery: Path | None) -> bool | None:
    if online:
        return any(online)
    status = _text(battery, "status") if battery else None
    return None if status in (None, "Unknown") else status != "Discharging"


def _minutes_left(battery: Path) -> int | None:
    if _text(battery, "status") != "Discharging":
        return None
    seconds = _number(battery, "time_to_empty_now") or _number(battery, "time_to_empty_avg")
    if seconds:
        return seconds // 60
    for left, rate in (("energy_now", "power_now"), ("charge_now", "current_now")):
        amount, per_hour = _number(battery, left), _number(battery, rate)
        if amount is not None and per_hour:
            # Some gauges give the drain as a negative number.
            return amount * 60 // abs(per_hour)
    return None
