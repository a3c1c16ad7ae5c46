"""Battery and mains as the kernel shows them (Documentation/ABI/testing/sysfs-class-power)."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import HardwareError
from agent.hardware.parts import PowerReading

_LONGEST_MINUTES = 7 * 24 * 60
"""More than a week is no drain but a gauge at rest."""
_EDGES_KEPT = 16


@dataclass(frozen=True, slots=True)
class Amount:
    """What is left, what fits in, and the drain an hour, all in micro-``unit``: Wh with W, or Ah with A."""

    unit: str
    left: int
    full: int | None
    an_hour: int | None


@dataclass(frozen=True, slots=True)
class Battery:
    """One battery's attributes; None where its gauge does not have one."""

    percent: int | None
    status: str | None
    amount: Amount | None
    seconds_left: int | None


class LinuxPower:
    """Reads ``/sys/class/power_supply`` (or another ``root``), leaving out mice and the like. See ``Power``.

    Where no gauge tells the drain, it is learnt from how fast the percentage falls between one ``read`` and another.
    """

    def __init__(
        self, root: Path = Path("/sys/class/power_supply"), now_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._root, self._now_seconds = root, now_seconds
        self._edges: Edges = ()

    def read(self) -> PowerReading:
        """See ``Power.read``. A computer with no supply listed answers None to everything."""
        try:
            batteries, online = _supplies(self._root)
        except (OSError, ValueError) as error:
            raise HardwareError(f"the battery gauge does not answer: {error}") from error
        percent, on_mains, now = percent_of(batteries), mains(batteries, online), self._now_seconds()
        if on_mains or percent is None:
            self._edges = ()
            return PowerReading(percent, None, on_mains)
        self._edges = noted(self._edges, now, percent)
        minutes = minutes_left(batteries) if on_mains is False else None
        return PowerReading(percent, minutes if minutes is not None else minutes_by_fall(self._edges, now), on_mains)


def percent_of(batteries: Sequence[Battery]) -> int | None:
    """Of all batteries together: by their amounts where these add up, otherwise the lowest of them."""
    amounts = [one.amount for one in batteries if one.amount and one.amount.full]
    percents = [one.percent for one in batteries if one.percent is not None]
    summable = len(amounts) == len(batteries) and len({one.unit for one in amounts}) == 1
    if summable and (len(batteries) > 1 or not percents):
        return min(100, 100 * sum(one.left for one in amounts) // sum(one.full or 0 for one in amounts))
    return min(percents, default=None)


def mains(batteries: Sequence[Battery], online: Sequence[int]) -> bool | None:
    """Whether mains feed the unit: as the mains' own supply says, otherwise as the batteries let guess."""
    if online:
        return any(online)
    states = {one.status for one in batteries} - {None, "Unknown"}
    return "Discharging" not in states if states else None


def minutes_left(batteries: Sequence[Battery]) -> int | None:
    """As the gauges reckon it. Of several batteries, together by their amounts, otherwise until the first is empty."""
    draining = [one for one in batteries if one.status == "Discharging"]
    seconds = [one.seconds_left for one in draining if one.seconds_left]
    if len(batteries) > 1 and (minutes := _minutes_by_amount(batteries)) is not None:
        return minutes
    if draining and len(seconds) == len(draining):
        return min(seconds) // 60
    return _minutes_by_amount(batteries)


def _minutes_by_amount(batteries: Sequence[Battery]) -> int | None:
    amounts = [one.amount for one in batteries if one.amount]
    if len(amounts) < len(batteries) or len({one.unit for one in amounts}) != 1:
        return None
    # Some gauges give the drain as a negative number; of several batteries, often only one is drained at a time.
    drain = sum(abs(one.amount.an_hour or 0) for one in batteries if one.amount and one.status == "Discharging")
    minutes = sum(one.left for one in amounts) * 60 // drain if drain else _LONGEST_MINUTES
    return minutes if minutes < _LONGEST_MINUTES else None


Edges = tuple[tuple[float, int], ...]
"""Moments (monotonic seconds) at which the percentage was first seen at a value, falling; the oldest first."""


def noted(edges: Edges, now_seconds: float, percent: int) -> Edges:
    """The edges after one more look; a rise starts anew."""
    if edges and percent == edges[-1][1]:
        return edges
    if not edges or percent > edges[-1][1]:
        return ((now_seconds, percent),)
    return (*edges, (now_seconds, percent))[-_EDGES_KEPT:]


def minutes_by_fall(edges: Edges, now_seconds: float) -> int | None:
    """How long the last percentage lasts at the pace of the edges; None before two whole steps were seen.

    The first edge is left out: the percentage had stood there for some time already.
    """
    if len(edges) < 3:
        return None
    (begin, high), (end, low) = edges[1], edges[-1]
    # A step that is overdue slows the pace down before it comes.
    seconds_a_percent = max((end - begin) / (high - low), (now_seconds - begin) / (high - low + 1))
    minutes = int(max(0.0, low * seconds_a_percent - (now_seconds - end)) / 60)
    return minutes if minutes < _LONGEST_MINUTES else None


def _supplies(root: Path) -> tuple[list[Battery], list[int]]:
    """All batteries that feed this computer, and ``online`` of each mains supply that says it."""
    listed = sorted(root.iterdir()) if root.is_dir() else []
    own = [one for one in listed if _text(one, "scope") != "Device"]
    batteries = [_battery(one) for one in own if _text(one, "type") == "Battery" and _number(one, "present") != 0]
    online = [_number(one, "online") for one in own if _text(one, "type") in ("Mains", "USB", "Wireless")]
    return batteries, [one for one in online if one is not None]


def _battery(supply: Path) -> Battery:
    return Battery(
        _number(supply, "capacity"),
        _text(supply, "status"),
        _amount(supply, "Wh", "energy", "power_now") or _amount(supply, "Ah", "charge", "current_now"),
        _number(supply, "time_to_empty_now") or _number(supply, "time_to_empty_avg"),
    )


def _amount(supply: Path, unit: str, name: str, rate: str) -> Amount | None:
    left = _number(supply, f"{name}_now")
    return None if left is None else Amount(unit, left, _number(supply, f"{name}_full"), _number(supply, rate))


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
