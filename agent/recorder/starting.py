"""From a press to the first stored frame: the judgement, the notice, the opening (R12.1, R13, R22)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agent.evidence.entries import Interlock, Open, Refused
from agent.hardware.prompts import Prompt
from agent.recorder.ending import cancelled, off_asked, stop
from agent.recorder.machine import (
    Action,
    AttestOral,
    AttestPosted,
    CoolDown,
    Enter,
    HoldFrames,
    Kind,
    NoticeEnded,
    OffAsked,
    Phase,
    PlayNotice,
    Pressed,
    Reassigned,
    Recording,
    SealParticulars,
    State,
    Step,
    Store,
    TakePhoto,
    Tell,
    WarmUp,
)
from agent.recorder.refusals import refusal
from agent.rules.interlock import judge
from agent.rules.sequence import notice_served

ORAL_WAIT_US: Final = 30_000_000
"""How long after a failed notice the officer's second press means "told in person"."""
LEAVE_WAIT_US: Final = 30_000_000
"""How long after a refusal by R13.1 the officer is told once more to switch off or leave."""
ASK_SITE_US: Final = 10_000_000
"""How long after the opening the officer is asked for the place (R12.3)."""
_STARTED: Final[dict[Kind, Prompt]] = {"video": Prompt.RECORDING_STARTED, "audio": Prompt.AUDIO_STARTED}
"""Said as the recording begins, for whoever does not look; it is heard in it. Nobody stands beside a fixed camera."""


def pressed(state: State, event: Pressed) -> Step:
    """Nothing is under way: judged anew, whatever the last answer was."""
    state = replace(state, oral_until_us=0)
    interlock = judge(event.situation)
    if interlock.verdict == "refused":
        return _refused(state, event, interlock)
    recording = Recording(
        event.recording,
        event.kind,
        interlock,
        event.situation.assignment,
        event.source,
        warnings=tuple(_warnings(event)),
    )
    return replace(state, phase=Phase.NOTICE, recording=recording, leave_by_us=None), _notice(recording)


def pressed_after_failed_notice(state: State, event: Pressed) -> Step:
    """In time, the second press says that the party has been told in person."""
    step, actions = pressed(state, event)
    if step.recording is not None and event.kind != "fixed" and event.mono_us < state.oral_until_us:
        return step, [WarmUp(step.recording), AttestOral(step.recording)]
    return step, actions


def reassigned(state: State, event: Reassigned) -> Step:
    """R12.2: the assignment counts for this recording, if with it the recording is still permitted."""
    recording = state.recording
    if recording is None or recording.cancelled:
        return state, []
    interlock = judge(event.situation)
    if interlock.verdict == "refused":
        stopped, actions = stop(state, "hazard" if interlock.rule == "R13.1" else "restricted")
        entry = Refused(interlock.rule or "", interlock.reason, interlock)
        return stopped, [Enter(entry), *actions, Tell(refusal(interlock.reason, interlock.rule).prompt)]
    taken = replace(recording, interlock=interlock, assignment=event.situation.assignment, source=event.source)
    return replace(state, recording=taken), [SealParticulars(taken), Tell(Prompt.ASSIGNMENT_TAKEN)]


def pressed_while_recording(state: State, event: Pressed) -> Step:
    """Only a picture of what is being filmed."""
    filming = state.recording is not None and state.recording.kind in ("video", "fixed")
    return state, [TakePhoto()] if filming and event.kind == "photo" else []


def _notice(recording: Recording) -> list[Action]:
    if recording.kind == "fixed":
        return [WarmUp(recording), AttestPosted(recording)]
    return [PlayNotice(recording), WarmUp(recording)]


def _warnings(event: Pressed) -> Iterator[Prompt]:
    if not event.time_trusted:
        yield Prompt.CLOCK_UNTRUSTED
    if not event.position_known:
        yield Prompt.POSITION_UNKNOWN


def _refused(state: State, event: Pressed, interlock: Interlock) -> Step:
    entry = Refused(interlock.rule or "", interlock.reason, interlock)
    actions: list[Action] = [Enter(entry), Tell(refusal(interlock.reason, interlock.rule).prompt)]
    state = replace(state, phase=Phase.BLOCKED)
    if interlock.rule != "R13.1" or interlock.reason == "assignment_unusable":
        return state, actions
    state, more = leaving(state, interlock, event.mono_us, power_down=event.situation.policy.power_down)
    return state, [*actions, *more]


def leaving(state: State, interlock: Interlock, mono_us: int, *, power_down: bool) -> Step:
    """R13.1: refusing to record does not make a powered unit safe, so it is told to go, or goes off by itself.

    A hazard that is only not known switches nothing off.
    """
    if power_down and interlock.hazard == "set":
        return off_asked(replace(state, power_off=True), OffAsked())
    return replace(state, leave_by_us=mono_us + LEAVE_WAIT_US), []


def notice_ended(state: State, event: NoticeEnded) -> Step:
    """Served: the recording is opened, and frames from after the notice are stored. Otherwise nothing was."""
    recording = state.recording
    if recording is None or recording.id != event.recording:
        return state, []
    if recording.cancelled:
        return cancelled(state, recording, event)
    if not notice_served(event.proof, event.must_be_heard, recording.kind):
        waiting = replace(state, phase=Phase.BLOCKED, recording=None, oral_until_us=event.mono_us + ORAL_WAIT_US)
        return waiting, [CoolDown(), Enter(event.proof), Tell(Prompt.NOTICE_FAILED)]
    ask = event.mono_us + ASK_SITE_US if recording.kind in ("video", "audio") else None
    opened = replace(recording, opened=True, ask_site_us=ask)
    actions: list[Action] = [
        HoldFrames(event.proof.ended_us),
        Enter(event.proof),
        Enter(_open_entry(opened, event)),
        *(Enter(gap) for gap in opened.lost),
        Store(),
        *(Tell(prompt) for kind, prompt in _STARTED.items() if kind == recording.kind),
        *map(Tell, opened.warnings),
    ]
    return replace(state, phase=Phase.RECORDING, recording=opened), actions


def _open_entry(recording: Recording, event: NoticeEnded) -> Open:
    assignment = recording.assignment
    return Open(
        recording=recording.id,
        kind=recording.kind,
        action=assignment.action if assignment else None,
        stage=assignment.stage if assignment else None,
        matter=assignment.matter if assignment else None,
        particulars=event.particulars,
        recipients=list(event.recipients),
        interlock=recording.interlock,
        video=event.video if recording.kind in ("video", "fixed") else None,
        sound=event.sound if recording.kind != "photo" else None,
    )
