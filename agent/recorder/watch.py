"""When a part counts as silent, when it is started again, and when it is given up: pure, all times in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the watch is with one part."""

    silent_ns: int = 800_000_000
    """Without a delivery for so long it counts as silent."""
    start_ns: int = 5 * SECOND_NS
    """The same, until the first delivery after its first start."""
    restart_ns: int = 1_500_000_000
    """Silent for so long without a fault, it is started again; after a fault that is done at once."""
    pause_ns: int = 2 * SECOND_NS
    """The longest pause between two tries; the first is half a second, and each is twice the one before."""
    lost_ns: int | None = 10 * SECOND_NS
    """Silent for so long, it is given up; None: never."""


def limits_at(frames_per_second: int, lost_ns: int) -> Limits:
    """Limits of a camera of this rate: a slow one is silent only after three of its periods."""
    silent_ns = max(800_000_000, 3 * SECOND_NS // frames_per_second)
    return Limits(silent_ns=silent_ns, restart_ns=silent_ns + 700_000_000, lost_ns=lost_ns)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the part now."""

    last_ns: int
    """When it delivered last, useful or not; before the first time, when it was first started."""
    delivered: bool = True
    """It has delivered since its first start."""
    failed: bool = False
    """It has said itself that it delivers no more."""
    resumed: bool = False
    """It has delivered something useful since it was called silent."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the watch remembers of one part."""

    silent_since_ns: int | None = None
    tries: int = 0
    next_try_ns: int = 0
    lost: bool = False


class Change(Enum):
    """What one look at a part brings."""

    SILENT = "silent"
    RESTART = "restart"
    RESUMED = "resumed"
    LOST = "lost"


Look = tuple[Watch, Change | None]


def watch(state: Watch, now_ns: int, seen: Seen, limits: Limits) -> Look:
    """One look at a part: what to remember, and the one thing that follows from it, if any."""
    if state.lost:
        return state, None
    if state.silent_since_ns is None:
        return _while_it_delivers(state, now_ns, seen, limits)
    return _while_silent(state, now_ns - state.silent_since_ns, now_ns, seen, limits)


def _while_it_delivers(state: Watch, now_ns: int, seen: Seen, limits: Limits) -> Look:
    patience_ns = limits.silent_ns if seen.delivered else limits.start_ns
    if not seen.failed and now_ns - seen.last_ns <= patience_ns:
        return state, None
    next_try_ns = now_ns if seen.failed else max(now_ns, seen.last_ns + limits.restart_ns)
    return Watch(silent_since_ns=seen.last_ns, next_try_ns=next_try_ns), Change.SILENT


def _while_silent(state: Watch, silent_ns: int, now_ns: int, seen: Seen, limits: Limits) -> Look:
    if seen.resumed:
        return Watch(), Change.RESUMED
    if limits.lost_ns is not None and silent_ns > limits.lost_ns:
        return replace(state, lost=True), Change.LOST
    # One that is about to be useful again, such as a camera between two keyframes, is left to it.
    busy = now_ns - seen.last_ns <= limits.silent_ns and not seen.failed
    if now_ns >= state.next_try_ns and not busy:
        pause_ns = min(SECOND_NS // 2 << min(state.tries, 8), limits.pause_ns)
        return replace(state, tries=state.tries + 1, next_try_ns=now_ns + pause_ns), Change.RESTART
    return state, None
