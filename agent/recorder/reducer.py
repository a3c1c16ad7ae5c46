"""The recorder's state machine, a pure reducer: ``(state, event) -> (state, actions)``. All decisions are made here.

Every pair of event and phase stands in one table; a pair that means nothing stands there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

from agent.recorder import ending, starting, watching
from agent.recorder.machine import (
    CaptureEnded,
    DockChanged,
    Event,
    HazardChanged,
    MarkAsked,
    Measured,
    NoticeEnded,
    OffAsked,
    PartLost,
    Phase,
    PhotoSealed,
    Pressed,
    Reassigned,
    RestrictedDeclared,
    SegmentSealed,
    State,
    Step,
    StopAsked,
    TelemetrySealed,
)

Handler = Callable[[State, Any], Step]

READY, NOTICE, RECORDING, SEALING, BLOCKED, FAULT, DOCKED, OFF = Phase


def nothing(state: State, event: Event) -> Step:
    """The event means nothing here."""
    return state, []


def _row(handlers: dict[tuple[Phase, ...], Handler]) -> dict[Phase, Handler]:
    """One event's answers; every phase must be named, and once."""
    phases = [phase for group in handlers for phase in group]
    if sorted(phases) != sorted(Phase):
        raise AssertionError("a phase is left out, or named twice")
    return {phase: handler for group, handler in handlers.items() for phase in group}


TABLE: Final[dict[type[Any], dict[Phase, Handler]]] = {
    Pressed: _row({
        (READY, FAULT): starting.pressed,
        (BLOCKED,): starting.pressed_after_failed_notice,
        (RECORDING,): starting.pressed_while_recording,
        (NOTICE, SEALING, DOCKED, OFF): nothing,
    }),
    Reassigned: _row({
        (NOTICE,): starting.reassigned,
        (READY, RECORDING, SEALING, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    NoticeEnded: _row({
        (NOTICE,): starting.notice_ended,
        (READY, RECORDING, SEALING, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    StopAsked: _row({
        (NOTICE, RECORDING): ending.stop_asked,
        (READY, SEALING, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    OffAsked: _row({
        (READY, NOTICE, RECORDING, SEALING, BLOCKED, FAULT, DOCKED): ending.off_asked,
        (OFF,): nothing,
    }),
    CaptureEnded: _row({
        (RECORDING, SEALING): ending.capture_ended,
        (READY, NOTICE, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    PartLost: _row({
        (NOTICE,): ending.lost_in_notice,
        (RECORDING,): ending.lost_while_recording,
        (SEALING,): ending.lost_while_sealing,
        (READY, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    RestrictedDeclared: _row({
        (NOTICE, RECORDING): watching.declared_while_busy,
        (READY, BLOCKED, FAULT): watching.declared,
        (SEALING, DOCKED): watching.declared_aside,
        (OFF,): nothing,
    }),
    MarkAsked: _row({
        (RECORDING,): watching.marked,
        (READY, NOTICE, SEALING, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    SegmentSealed: _row({
        (RECORDING, SEALING): watching.segment_sealed,
        (READY, NOTICE, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    PhotoSealed: _row({
        (RECORDING, SEALING): watching.photo_sealed,
        (READY, NOTICE, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    TelemetrySealed: _row({
        (RECORDING, SEALING): watching.telemetry_sealed,
        (READY, NOTICE, BLOCKED, FAULT, DOCKED, OFF): nothing,
    }),
    HazardChanged: _row({
        (READY, NOTICE, RECORDING, SEALING, BLOCKED, FAULT, DOCKED): watching.hazard_changed,
        (OFF,): nothing,
    }),
    Measured: _row({
        (READY, NOTICE, RECORDING, SEALING, BLOCKED, FAULT): watching.measured,
        (DOCKED, OFF): nothing,
    }),
    DockChanged: _row({
        (NOTICE, RECORDING): watching.docked_while_busy,
        (SEALING,): watching.docked_while_sealing,
        (READY, BLOCKED, FAULT, DOCKED): watching.docked,
        (OFF,): nothing,
    }),
}  # fmt: skip

if set(TABLE) != set(get_args(Event)):
    raise AssertionError("an event is left out of the table")


def reduce(state: State, event: Event) -> Step:
    """The one place of decisions."""
    return TABLE[type(event)][state.phase](state, event)
