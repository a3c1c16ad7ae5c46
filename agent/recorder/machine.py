"""The recorder's state machine, a pure reducer: ``(state, event) -> (state, actions)``. All decisions are made here.

The shell gathers facts into events and carries out actions in order; it decides nothing. No pause exists: there is no
event that suspends a recording (R12.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from agent.evidence.documents import Assignment
from agent.evidence.entries import (
    Body,
    Close,
    Docked,
    Gap,
    Hazard,
    Interlock,
    Mark,
    Notice,
    ObjectRef,
    Open,
    Photo,
    Refused,
    Segment,
    SoundFormat,
    StopReason,
    VideoFormat,
)
from agent.hardware.prompts import Prompt
from agent.rules.interlock import Situation, judge
from agent.rules.sequence import notice_served

ORAL_WAIT_US = 30_000_000
"""How long after a failed notice the officer's second press means "told in person"."""


_ENDED_BY: Final[dict[str, StopReason]] = {"storage": "storage_full", "camera": "camera"}
"""Why a recording ended, by what was lost; everything else is a fault of the unit."""


class Phase(StrEnum):
    """Where the unit stands."""

    READY = "ready"
    NOTICE = "notice"
    RECORDING = "recording"
    SEALING = "sealing"
    BLOCKED = "blocked"
    FAULT = "fault"
    DOCKED = "docked"


Kind = Literal["video", "photo"]


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording under way: permitted, perhaps not yet opened."""

    id: str
    kind: Kind
    interlock: Interlock
    assignment: Assignment | None
    opened: bool = False
    cancelled: bool = False
    reason: StopReason = "button"
    lost: tuple[Gap, ...] = ()
    """What failed during the notice without ending it: entered once the recording is open."""


@dataclass(frozen=True, slots=True)
class State:
    """All that the machine remembers."""

    phase: Phase = Phase.READY
    recording: Recording | None = None
    docked: bool = False
    hazard: str = "clear"
    oral_until_us: int = 0
    """Until then (monotonic us) a press in ``blocked`` means that the notice is given in person."""


# Events


@dataclass(frozen=True, slots=True)
class Pressed:
    """Record or photo button, with everything that a judgement needs."""

    kind: Kind
    recording: str
    situation: Situation
    mono_us: int


@dataclass(frozen=True, slots=True)
class MarkAsked:
    """Double press, or a command; the moment in media time."""

    kind: Literal["moment", "site_sign", "site_spoken"]
    at_us: int


@dataclass(frozen=True, slots=True)
class PhotoAsked:
    """Photo button during a recording."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Hold, a command, or a cause from inside."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class NoticeEnded:
    """The speaker is done, and what it proved; what the recording would be opened with."""

    recording: str
    proof: Notice
    must_be_heard: bool
    particulars: ObjectRef | None
    recipients: tuple[str, ...]
    video: VideoFormat | None
    sound: SoundFormat | None
    mono_us: int


@dataclass(frozen=True, slots=True)
class SegmentSealed:
    """A segment's object is durable."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class PhotoSealed:
    """A photo's object is durable."""

    photo: Photo


@dataclass(frozen=True, slots=True)
class PartLost:
    """A part stopped serving a recording, or lost something of it; the recording itself may go on."""

    gap: Gap
    ends_recording: bool
    why: str
    """For the log; the ledger has the cause."""


@dataclass(frozen=True, slots=True)
class CaptureEnded:
    """Everything of the recording is sealed; totals as stored."""

    recording: str
    segments: int
    frames: int
    dropped: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class HazardChanged:
    """The hazard flag was read anew; ``situation`` for judging a recording that runs."""

    state: Literal["clear", "set", "stale"]
    situation: Situation


@dataclass(frozen=True, slots=True)
class DockChanged:
    """The dock contact closed or opened."""

    docked: bool


Event = (
    Pressed | MarkAsked | PhotoAsked | StopAsked | NoticeEnded | SegmentSealed | PhotoSealed | PartLost | CaptureEnded
    | HazardChanged | DockChanged
)  # fmt: skip


# Actions


@dataclass(frozen=True, slots=True)
class Enter:
    """Append to the ledger, durably, before the next action."""

    body: Body


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Start camera and microphone; throw away what they deliver."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class PlayNotice:
    """Play the notice; ``NoticeEnded`` follows in any case."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class AttestOral:
    """The officer told the party in person, by a second deliberate press; ``NoticeEnded`` follows."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class CutNotice:
    """Stop the notice."""


@dataclass(frozen=True, slots=True)
class HoldFrames:
    """From this monotonic moment on keep frames in memory; store none yet."""

    from_us: int


@dataclass(frozen=True, slots=True)
class Store:
    """The recording is open: store frames, beginning with those held."""


@dataclass(frozen=True, slots=True)
class CoolDown:
    """Stop camera and microphone; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Stop capture and seal what is there; ``CaptureEnded`` follows."""


@dataclass(frozen=True, slots=True)
class TakePhoto:
    """Seal one still of the running picture; ``PhotoSealed`` follows."""


@dataclass(frozen=True, slots=True)
class RotateKey:
    """The recording is over: sign the next epoch key, drop this one, write a checkpoint."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Say a prompt."""

    prompt: Prompt


Action = (
    Enter | WarmUp | PlayNotice | AttestOral | CutNotice | HoldFrames | Store | CoolDown | Finish | TakePhoto
    | RotateKey | Tell
)  # fmt: skip
Step = tuple[State, list[Action]]


def reduce(state: State, event: Event) -> Step:
    """The one place of decisions. Events that mean nothing in a phase leave the state as it is, with no action."""
    match event:
        case Pressed():
            return _pressed(state, event)
        case NoticeEnded():
            return _notice_ended(state, event)
        case StopAsked(reason):
            return _stop(state, reason)
        case HazardChanged():
            return _hazard_changed(state, event)
        case DockChanged(docked):
            return _dock_changed(state, docked)
        case CaptureEnded():
            return _capture_ended(state, event)
        case PartLost():
            return _part_lost(state, event)
        case _:
            return _during(state, event)


def _pressed(state: State, event: Pressed) -> Step:
    if state.phase not in (Phase.READY, Phase.BLOCKED):
        return state, []
    interlock = judge(event.situation)
    if interlock.verdict == "refused":
        refusal = Refused(interlock.rule or "", interlock.reason, interlock)
        return replace(state, phase=Phase.BLOCKED, oral_until_us=0), [Enter(refusal), Tell(_why(interlock))]
    recording = Recording(event.recording, event.kind, interlock, event.situation.assignment)
    if event.mono_us < state.oral_until_us:
        oral = replace(state, phase=Phase.NOTICE, recording=recording, oral_until_us=0)
        return oral, [WarmUp(recording), AttestOral(recording)]
    playing = replace(state, phase=Phase.NOTICE, recording=recording, oral_until_us=0)
    return playing, [PlayNotice(recording), WarmUp(recording)]


def _why(interlock: Interlock) -> Prompt:
    if interlock.rule == "R13.1":
        return Prompt.REFUSED_HAZARD
    return Prompt.STORAGE_LOW if interlock.reason == "storage_full" else Prompt.REFUSED_OTHER


def _notice_ended(state: State, event: NoticeEnded) -> Step:
    recording = state.recording
    if state.phase is not Phase.NOTICE or recording is None or recording.id != event.recording:
        return state, []
    if recording.cancelled:
        return replace(state, phase=_resting(state), recording=None), [CoolDown(), Enter(event.proof)]
    if not notice_served(event.proof, event.must_be_heard):
        waiting = replace(state, phase=Phase.BLOCKED, recording=None, oral_until_us=event.mono_us + ORAL_WAIT_US)
        return waiting, [CoolDown(), Enter(event.proof), Tell(Prompt.NOTICE_FAILED)]
    opened = replace(recording, opened=True)
    actions: list[Action] = [
        HoldFrames(event.proof.ended_us),
        Enter(event.proof),
        Enter(_open_entry(opened, event)),
        *(Enter(gap) for gap in opened.lost),
        Store(),
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
        video=event.video if recording.kind == "video" else None,
        sound=event.sound if recording.kind == "video" else None,
    )


def _stop(state: State, reason: StopReason) -> Step:
    if state.recording is None:
        return state, []
    if state.phase is Phase.NOTICE:
        cancelled = replace(state.recording, cancelled=True, reason=reason)
        return replace(state, recording=cancelled), [CutNotice()]
    if state.phase is Phase.RECORDING:
        return replace(state, phase=Phase.SEALING, recording=replace(state.recording, reason=reason)), [Finish()]
    return state, []


def _hazard_changed(state: State, event: HazardChanged) -> Step:
    actions: list[Action] = []
    if event.state != state.hazard:
        actions.append(Enter(Hazard(event.state, list(event.situation.inputs))))
        state = replace(state, hazard=event.state)
    interlock = judge(event.situation)
    if interlock.rule == "R13.1" and state.phase in (Phase.NOTICE, Phase.RECORDING):
        stopped, stop_actions = _stop(state, "hazard")
        return stopped, [*actions, *stop_actions, Tell(Prompt.REFUSED_HAZARD)]
    return state, actions


def _dock_changed(state: State, docked: bool) -> Step:
    if docked == state.docked:
        return state, []
    state = replace(state, docked=docked)
    entry = Enter(Docked("in" if docked else "out", None))
    if state.phase in (Phase.NOTICE, Phase.RECORDING):
        stopped, actions = _stop(state, "docked")
        return stopped, [entry, *actions]
    if state.phase in (Phase.READY, Phase.BLOCKED, Phase.DOCKED):
        rested = replace(state, phase=_resting(state), oral_until_us=0)
        return rested, [entry, Tell(Prompt.DOCKED)] if docked else [entry]
    return state, [entry]


def _resting(state: State) -> Phase:
    return Phase.DOCKED if state.docked else Phase.READY


def _capture_ended(state: State, event: CaptureEnded) -> Step:
    recording = state.recording
    if recording is None or recording.id != event.recording or not recording.opened:
        return state, []
    reason: StopReason = recording.reason if state.phase is Phase.SEALING else "fault"
    close = Close(recording.id, reason, event.segments, event.frames, event.dropped, event.duration_us)
    actions: list[Action] = [Enter(close), RotateKey(), Tell(Prompt.RECORDING_STOPPED)]
    return replace(state, phase=_resting(state), recording=None), actions


def _part_lost(state: State, event: PartLost) -> Step:
    recording = state.recording
    if recording is None:
        return state, []
    gap = replace(event.gap, recording=recording.id)
    if state.phase is Phase.NOTICE:
        return _lost_in_notice(state, recording, gap, event.ends_recording)
    actions: list[Action] = [Enter(gap)]
    if event.ends_recording and state.phase is Phase.RECORDING:
        state, more = _stop(state, _ENDED_BY.get(gap.cause, "fault"))
        actions += [*more, Tell(Prompt.FAULT)]
    return state, actions


def _lost_in_notice(state: State, recording: Recording, gap: Gap, ends_recording: bool) -> Step:
    if ends_recording:
        cancelled, actions = _stop(state, _ENDED_BY.get(gap.cause, "fault"))
        return cancelled, [*actions, Tell(Prompt.FAULT)]
    return replace(state, recording=replace(recording, lost=(*recording.lost, gap))), []


def _during(state: State, event: Event) -> Step:
    """Things that belong to a recording under way, and mean nothing without one."""
    recording = state.recording
    if recording is None or not recording.opened:
        return state, []
    match event:
        case MarkAsked(kind, at_us) if state.phase is Phase.RECORDING:
            return state, [Enter(Mark(recording.id, kind, at_us)), Tell(Prompt.MARKED)]
        case PhotoAsked() if state.phase is Phase.RECORDING:
            return state, [TakePhoto()]
        case SegmentSealed(segment) if segment.recording == recording.id:
            return state, [Enter(segment)]
        case PhotoSealed(photo) if photo.recording == recording.id:
            return _photo_sealed(state, recording, photo)
        case _:
            return state, []


def _photo_sealed(state: State, recording: Recording, photo: Photo) -> Step:
    actions: list[Action] = [Enter(photo), Tell(Prompt.PHOTO_TAKEN)]
    if recording.kind == "photo" and state.phase is Phase.RECORDING:
        state, more = _stop(state, "photo")
        actions += more
    return state, actions
