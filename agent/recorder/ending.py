"""How a recording ends, whatever ends it: sealed, entered with its reason, and where the unit stands then."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.evidence.entries import Close, StopReason
from agent.hardware.prompts import Prompt
from agent.recorder.machine import (
    BUSY,
    Action,
    CaptureEnded,
    CoolDown,
    CutNotice,
    Enter,
    Finish,
    GoOff,
    NoticeEnded,
    OffAsked,
    PartLost,
    Phase,
    Recording,
    RotateKey,
    State,
    Step,
    StopAsked,
    Tell,
)

_FAULTS: Final[frozenset[StopReason]] = frozenset({"camera", "microphone", "fault"})
"""Ends after which the unit needs attention; the next press tries again."""
_LOST: Final = {"camera": Prompt.CAMERA_LOST, "microphone": Prompt.MICROPHONE_LOST}
_BACK: Final = {"camera": Prompt.CAMERA_BACK, "microphone": Prompt.MICROPHONE_BACK}


def stop(state: State, reason: StopReason) -> Step:
    """Ends the recording under way: a notice is cut and comes to nothing, a recording is sealed."""
    if state.recording is None or state.recording.cancelled:
        return state, []
    if state.phase is Phase.NOTICE:
        cancelled = replace(state.recording, cancelled=True, reason=reason)
        return replace(state, recording=cancelled), [CutNotice()]
    if state.phase is Phase.RECORDING:
        return replace(state, phase=Phase.SEALING, recording=replace(state.recording, reason=reason)), [Finish()]
    return state, []


def stop_asked(state: State, event: StopAsked) -> Step:
    """Hold, or a command."""
    return stop(state, event.reason)


def off_asked(state: State, event: OffAsked) -> Step:
    """Nothing new begins; what is under way is sealed first."""
    going = replace(state, going_off=True)
    if state.phase in BUSY:
        return stop(going, "shutdown")
    return _rest(going)


def cancelled(state: State, recording: Recording, event: NoticeEnded) -> Step:
    """A notice that was cut has come to its end: nothing was stored, and the notice itself is entered."""
    rested, actions = _rest(state, recording.reason)
    return rested, [CoolDown(), Enter(event.proof), *actions]


def capture_ended(state: State, event: CaptureEnded) -> Step:
    """Everything is sealed: the end is entered, the recording's last key is dropped."""
    recording = state.recording
    if recording is None or recording.id != event.recording:
        return state, []
    reason: StopReason = recording.reason if state.phase is Phase.SEALING else "fault"
    close = Close(recording.id, reason, event.segments, event.frames, event.dropped, event.duration_us)
    rested, more = _rest(state, reason)
    return rested, [Enter(close), RotateKey(), Tell(Prompt.RECORDING_STOPPED), *more]


def _rest(state: State, reason: StopReason | None = None) -> Step:
    """Where the unit stands when nothing is under way any more."""
    state = replace(state, recording=None)
    if state.going_off:
        return replace(state, phase=Phase.OFF_DUTY), [GoOff(state.power_off)]
    return replace(state, phase=_resting_phase(state, reason)), []


def _resting_phase(state: State, reason: StopReason | None) -> Phase:
    if state.docked:
        return Phase.DOCKED
    if reason in _FAULTS:
        return Phase.FAULT
    return Phase.BLOCKED if reason == "hazard" else Phase.READY


# Parts


def lost_in_notice(state: State, event: PartLost) -> Step:
    """Without the part nothing can be recorded: the notice is cut. Otherwise the loss is entered after ``open``."""
    assert state.recording is not None
    if event.ends_recording:
        stopped, actions = stop(state, _ended_by(event))
        return stopped, [*actions, Tell(Prompt.FAULT)]
    lost = (*state.recording.lost, replace(event.gap, recording=state.recording.id))
    return replace(state, recording=replace(state.recording, lost=lost)), []


def lost_while_recording(state: State, event: PartLost) -> Step:
    """Entered at once; ends the recording, or is told, and again when the part is back."""
    entered = _entered(state, event)
    if event.ends_recording:
        stopped, actions = stop(state, _ended_by(event))
        return stopped, [*entered, *actions, Tell(Prompt.FAULT)]
    prompt = (_LOST if event.gap.missing_us is None else _BACK).get(event.gap.cause)
    return state, [*entered, Tell(prompt)] if prompt else entered


def lost_while_sealing(state: State, event: PartLost) -> Step:
    """Entered; the end is under way already."""
    return state, _entered(state, event)


def _entered(state: State, event: PartLost) -> list[Action]:
    assert state.recording is not None
    return [Enter(replace(event.gap, recording=state.recording.id))]


def _ended_by(event: PartLost) -> StopReason:
    match event.gap.cause:
        case "camera" | "microphone":
            return event.gap.cause
        case "storage" if event.full:
            return "storage_full"
        case _:
            return "fault"
