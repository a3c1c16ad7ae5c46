"""R13.1: what the agency's hazard flag says at a moment. Pure; the flag has been verified."""

from __future__ import annotations

from dataclasses import dataclass

from agent.evidence.entries import HazardInput
from agent.evidence.hazard_flag import HazardFlag


@dataclass(frozen=True, slots=True)
class Moment:
    """The wall clock (UTC, us). ``error_us`` bounds its error; None when nobody vouches for it."""

    utc_us: int
    error_us: int | None


def command_input(flag: HazardFlag | None, now: Moment, demanded: bool) -> HazardInput | None:
    """The source ``command``; None when it takes no part.

    A flag is in force or is not, like the matter; it is no reading that ages, so that its age is zero while it holds.
    ``clear`` needs a clock that somebody vouches for, its error counted against us. ``set`` needs none to hold, only to
    end: with a wrong clock a danger stays.
    """
    if flag is None or flag.state == "withdrawn":
        return HazardInput("command", "stale", 0) if demanded else None
    if flag.state == "set":
        over = now.error_us is not None and now.utc_us - now.error_us >= flag.expires_us
        return _stale(flag, now) if over else HazardInput("command", "set", 0)
    holds = now.error_us is not None and (
        flag.issued_us <= now.utc_us + now.error_us and now.utc_us + now.error_us < flag.expires_us
    )
    return HazardInput("command", "clear", 0) if holds else _stale(flag, now)


def _stale(flag: HazardFlag, now: Moment) -> HazardInput:
    return HazardInput("command", "stale", max(0, now.utc_us - flag.issued_us))


def supersedes(flag: HazardFlag, held: HazardFlag | None) -> bool:
    """Whether a flag is newer than the one held: an older one, sent again, changes nothing."""
    return held is None or flag.version > held.version
