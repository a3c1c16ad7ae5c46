"""Watches the wall clock: a step against the monotonic clock, or another source, is an entry."""

from __future__ import annotations

from typing import Final

from agent.evidence.entries import Clock as ClockEntry
from agent.hardware.parts import ClockReading, TimeSource

CLOCK_STEP_US: Final = 500_000
TRUSTED: Final = frozenset({TimeSource.GNSS, TimeSource.NTP})
"""Sources that vouch for the wall clock since this boot; a battery clock only remembers."""


def change(before: ClockReading, now: ClockReading) -> ClockEntry | None:
    """What is to be entered between two readings of one boot; None when the clock just ran on."""
    step_us = (now.utc_us - before.utc_us) - (now.monotonic_us - before.monotonic_us)
    if abs(step_us) <= CLOCK_STEP_US and now.source is before.source:
        return None
    return ClockEntry(step_us, before.source.value, now.source.value)


def is_trusted(reading: ClockReading) -> bool:
    """Somebody vouches for the wall clock since this boot."""
    return reading.source in TRUSTED
