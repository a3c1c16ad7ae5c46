"""What happens beside the officer's hand: the hazard flag, charge and room, the dock; and what is entered meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.evidence.entries import Docked, Hazard, Health, Mark, Restricted, StopReason
from agent.hardware.prompts import Prompt, battery_prompt, storage_prompt
from agent.recorder.ending import stop
from agent.recorder.machine import (
    Action,
    DockChanged,
    Enter,
    HazardChanged,
    MarkAsked,
    Measured,
    Phase,
    PhotoSealed,
    Recording,
    RestrictedDeclared,
    SegmentSealed,
    State,
    Step,
    TelemetrySealed,
    Tell,
)
from agent.recorder.starting import leaving
from agent.rules.interlock import judge
from agent.rules.reserves import Alarm, Vitals, alarms, must_seal

LEAVE_AGAIN_US: Final = 60_000_000
ASK_AGAIN_US: Final = 60_000_000
ANSWER_US: Final = 30_000_000
"""How long after being asked for the place a double press answers."""
TIMES_ASKED: Final = 3

_SEALED_FOR: Final[dict[StopReason, Prompt]] = {
    "storage_full": Prompt.REFUSED_STORAGE,
    "battery": Prompt.BATTERY_LOW,
    "overheated": Prompt.TEMPERATURE_HIGH,
}


def hazard_changed(state: State, event: HazardChanged) -> Step:
    """A change is entered. Where R13.1 refuses, what runs is ended and the officer told to go."""
    actions: list[Action] = []
    if event.state != state.hazard:
        actions.append(Enter(Hazard(event.state, list(event.situation.inputs))))
        state = replace(state, hazard=event.state)
    interlock = judge(event.situation)
    if interlock.rule != "R13.1":
        return _safe_again(state), actions
    if state.phase not in (Phase.NOTICE, Phase.RECORDING) or _is_cut(state.recording):
        return state, actions
    state, stopping = stop(state, "hazard")
    state, going = leaving(state, interlock, event.mono_us, power_down=event.situation.policy.power_down)
    return state, [*actions, *stopping, Tell(Prompt.REFUSED_HAZARD), *going]


def _is_cut(recording: Recording | None) -> bool:
    return recording is not None and recording.cancelled


def _safe_again(state: State) -> State:
    blocked = state.phase is Phase.BLOCKED and state.leave_by_us is not None
    return replace(state, phase=Phase.READY if blocked else state.phase, leave_by_us=None)


def measured(state: State, event: Measured) -> Step:
    """Reserves that run low are told, and sealed for in time; what the officer still owes is asked for."""
    state, actions = _tell_alarms(state, event)
    state, reminders = _remind(state, event.mono_us)
    actions += reminders
    end = must_seal(event.vitals, event.limits)
    if end is None or state.phase not in (Phase.NOTICE, Phase.RECORDING) or _is_cut(state.recording):
        return state, actions
    state, stopping = stop(state, end)
    return state, [*actions, *stopping, Tell(_SEALED_FOR[end])]


def _tell_alarms(state: State, event: Measured) -> Step:
    on = alarms(event.vitals, event.limits, state.alarms)
    due = {(alarm, _warning(alarm, event.vitals)) for alarm in on}
    news = sorted(due - state.told, key=lambda one: one[0])
    told = frozenset(one for one in state.told | due if one[0] in on)
    health: list[Action] = [Enter(health_of(event.vitals))] if on != state.alarms else []
    return replace(state, alarms=on, told=told), [*health, *(Tell(prompt) for _, prompt in news)]


def _warning(alarm: Alarm, vitals: Vitals) -> Prompt:
    match alarm:
        case "battery":
            return battery_prompt(vitals.battery_minutes or 0)
        case "storage":
            return storage_prompt(vitals.storage_minutes or 0)
        case "temperature":
            return Prompt.TEMPERATURE_HIGH


def health_of(vitals: Vitals) -> Health:
    """The entry of a reading."""
    return Health(vitals.free_bytes, vitals.battery_percent, vitals.battery_minutes, vitals.millicelsius)


def _remind(state: State, now_us: int) -> Step:
    if state.leave_by_us is not None and now_us >= state.leave_by_us and state.phase is Phase.BLOCKED:
        return replace(state, leave_by_us=now_us + LEAVE_AGAIN_US), [Tell(Prompt.LEAVE_OR_SWITCH_OFF)]
    recording = state.recording
    if state.phase is not Phase.RECORDING or recording is None or recording.ask_site_us is None:
        return state, []
    if now_us < recording.ask_site_us:
        return state, []
    times = recording.times_asked + 1
    asked = replace(
        recording,
        times_asked=times,
        ask_site_us=now_us + ASK_AGAIN_US if times < TIMES_ASKED else None,
        answer_until_us=now_us + ANSWER_US,
    )
    return replace(state, recording=asked), [Tell(Prompt.SITE_ASKED)]


def marked(state: State, event: MarkAsked) -> Step:
    """R12.3: the officer's hand at a moment; a double press that answers the question for the place says it."""
    recording = state.recording
    assert recording is not None
    answers = event.kind == "moment" and event.mono_us < recording.answer_until_us
    kind = "site_spoken" if answers else event.kind
    if kind != "moment":
        recording = replace(recording, ask_site_us=None, answer_until_us=0)
    return replace(state, recording=recording), [Enter(Mark(recording.id, kind, event.at_us)), Tell(Prompt.MARKED)]


def declared_while_busy(state: State, event: RestrictedDeclared) -> Step:
    """R13.2, R13.3: entered, and what runs ends; a notice under way comes to nothing."""
    stopped, actions = stop(state, "restricted")
    return stopped, [_restricted(state, event), *actions, Tell(Prompt.RESTRICTED_DECLARED)]


def declared(state: State, event: RestrictedDeclared) -> Step:
    """Nothing runs: entered, and the unit shows that it will not record. The next press is judged anew."""
    blocked = replace(state, phase=Phase.BLOCKED, oral_until_us=0)
    return blocked, [_restricted(state, event), Tell(Prompt.REFUSED_RESTRICTED)]


def declared_aside(state: State, event: RestrictedDeclared) -> Step:
    """The end is under way, or the unit is in its dock: entered."""
    return state, [_restricted(state, event)]


def _restricted(state: State, event: RestrictedDeclared) -> Action:
    opened = state.recording.id if state.recording and state.recording.opened else None
    return Enter(Restricted(opened, event.content, event.note))


def segment_sealed(state: State, event: SegmentSealed) -> Step:
    """Entered, if it is of this recording."""
    mine = state.recording is not None and event.segment.recording == state.recording.id
    return state, [Enter(event.segment)] if mine else []


def telemetry_sealed(state: State, event: TelemetrySealed) -> Step:
    """Entered, if it is of this recording."""
    mine = state.recording is not None and event.entry.recording == state.recording.id
    return state, [Enter(event.entry)] if mine else []


def photo_sealed(state: State, event: PhotoSealed) -> Step:
    """Entered, if it is of this recording; a recording of one photo is over with it."""
    recording = state.recording
    if recording is None or event.photo.recording != recording.id:
        return state, []
    actions: list[Action] = [Enter(event.photo), Tell(Prompt.PHOTO_TAKEN)]
    if recording.kind == "photo":
        state, more = stop(state, "photo")
        actions += more
    return state, actions


def docked_while_busy(state: State, event: DockChanged) -> Step:
    """In the dock nothing is recorded: what runs ends."""
    if event.docked == state.docked:
        return state, []
    stopped, actions = stop(replace(state, docked=event.docked), "docked")
    return stopped, [_docked(event), *actions]


def docked_while_sealing(state: State, event: DockChanged) -> Step:
    """Entered; the end is under way already."""
    if event.docked == state.docked:
        return state, []
    return replace(state, docked=event.docked), [_docked(event)]


def docked(state: State, event: DockChanged) -> Step:
    """Entered; the unit rests there, or is ready again."""
    if event.docked == state.docked:
        return state, []
    phase = Phase.DOCKED if event.docked else Phase.READY
    rested = replace(state, docked=event.docked, phase=phase, oral_until_us=0, leave_by_us=None)
    return rested, [_docked(event), Tell(Prompt.DOCKED)] if event.docked else [_docked(event)]


def _docked(event: DockChanged) -> Action:
    return Enter(Docked("in" if event.docked else "out", None))
