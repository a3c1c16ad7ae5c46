"""What a recording lives on: charge, room and cool. When to warn, and when what there is must be sealed (R22)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from agent.evidence.entries import StopReason

Alarm = Literal["battery", "storage", "temperature"]

CLEAR_MINUTES: Final = 3
CLEAR_MILLICELSIUS: Final = 3_000
"""An alarm ends only this far beyond its limit, so that a reading that trembles there is not told again and again."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """One reading; None: not known, or of no concern, as the battery is on mains."""

    free_bytes: int
    storage_minutes: int | None
    """Of recording that the free space holds."""
    battery_percent: int | None
    battery_minutes: int | None
    millicelsius: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """When to warn and when to seal; from the policy and the unit's own settings."""

    battery_alarm_minutes: int
    battery_seal_minutes: int
    storage_alarm_minutes: int
    storage_seal_bytes: int
    """What sealing and entering the end itself may need."""
    alarm_millicelsius: int | None
    seal_millicelsius: int | None


def alarms(vitals: Vitals, limits: Limits, before: frozenset[Alarm]) -> frozenset[Alarm]:
    """What the officer must know now; ``before`` is what was last told."""
    rows: tuple[tuple[Alarm, int | None, int | None, int], ...] = (
        ("battery", vitals.battery_minutes, limits.battery_alarm_minutes, CLEAR_MINUTES),
        ("storage", vitals.storage_minutes, limits.storage_alarm_minutes, CLEAR_MINUTES),
        ("temperature", _negative(vitals.millicelsius), _negative(limits.alarm_millicelsius), CLEAR_MILLICELSIUS),
    )
    return frozenset(name for name, left, limit, margin in rows if _is_low(left, limit, margin, name in before))


def must_seal(vitals: Vitals, limits: Limits) -> StopReason | None:
    """Why a recording under way must end now, with enough left to seal it; None while it may go on."""
    if vitals.free_bytes < limits.storage_seal_bytes:
        return "storage_full"
    if vitals.battery_minutes is not None and vitals.battery_minutes < limits.battery_seal_minutes:
        return "battery"
    hottest = limits.seal_millicelsius
    if hottest is not None and vitals.millicelsius is not None and vitals.millicelsius > hottest:
        return "overheated"
    return None


def _is_low(left: int | None, limit: int | None, margin: int, was_low: bool) -> bool:
    if left is None or limit is None:
        return False
    return left <= limit + (margin if was_low else 0)


def _negative(value: int | None) -> int | None:
    """Heat rises to its limit where everything else falls to it."""
    return None if value is None else -value
