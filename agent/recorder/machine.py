"""What the recorder's state machine speaks of: phases, what it remembers, events that come in, actions that go out.

The shell gathers facts into events and carries out actions in order; it decides nothing: ``agent.recorder.reducer``
does. No pause exists: there is no event that suspends a recording (R12.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from agent.evidence.documents import Assignment, RestrictedContent
from agent.evidence.entries import (
    Body,
    Gap,
    Interlock,
    Notice,
    ObjectRef,
    Photo,
    Segment,
    SoundFormat,
    StopReason,
    TelemetryEntry,
    VideoFormat,
)
from agent.hardware.prompts import Prompt
from agent.rules.interlock import Situation
from agent.rules.reserves import Alarm, Limits, Vitals


class Phase(StrEnum):
    """Where the unit stands."""

    READY = "ready"
    NOTICE = "notice"
    RECORDING = "recording"
    SEALING = "sealing"
    BLOCKED = "blocked"
    FAULT = "fault"
    DOCKED = "docked"
    OFF_DUTY = "off_duty"


BUSY = (Phase.NOTICE, Phase.RECORDING, Phase.SEALING)
"""Phases with a recording under way."""

Kind = Literal["video", "audio", "photo", "fixed"]
MarkKind = Literal["moment", "site_sign", "site_spoken"]


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording under way: permitted, perhaps not yet opened."""

    id: str
    kind: Kind
    interlock: Interlock
    assignment: Assignment | None
    source: Literal["file", "qr", "dispatch"] | None = None
    """Where the assignment came from."""
    opened: bool = False
    cancelled: bool = False
    reason: StopReason = "button"
    lost: tuple[Gap, ...] = ()
    """What failed during the notice without ending it: entered once the recording is open."""
    warnings: tuple[Prompt, ...] = ()
    """Said right after it has begun."""
    ask_site_us: int | None = None
    """When (monotonic us) the officer is next asked for it; None: not any more."""
    times_asked: int = 0
    answer_until_us: int = 0
    """Until then a double press answers: the place was spoken."""


@dataclass(frozen=True, slots=True)
class State:
    """All that the machine remembers."""

    phase: Phase = Phase.READY
    recording: Recording | None = None
    docked: bool = False
    hazard: str = "clear"
    oral_until_us: int = 0
    """Until then (monotonic us) a press in ``blocked`` means that the notice is given in person."""
    alarms: frozenset[Alarm] = frozenset()
    """Reserves that run low."""
    told: frozenset[tuple[Alarm, Prompt]] = frozenset()
    """Warnings of the alarms that are on, told already."""
    leave_by_us: int | None = None
    """R13.1 refused or stopped: when (monotonic us) the officer is next told to switch off or leave."""
    going_off: bool = False
    """The unit goes off duty as soon as nothing is under way."""
    power_off: bool = False
    """And is then switched off."""


# Events


@dataclass(frozen=True, slots=True)
class Pressed:
    """Record or photo button, with everything that a judgement needs.

    Kind ``photo`` within a recording takes a picture of it; no other press within one means anything.
    """

    kind: Kind
    recording: str
    situation: Situation
    mono_us: int
    source: Literal["file", "qr", "dispatch"] | None = None
    """Where the situation's assignment came from."""
    time_trusted: bool = True
    """Somebody vouches for the wall clock since this boot."""
    position_known: bool = True
    """There is a fresh position, or no part that could tell one."""


@dataclass(frozen=True, slots=True)
class MarkAsked:
    """Double press, or a command; the moment in media time and in monotonic time.

    A ``moment`` soon after the officer was asked for the place is the answer: ``site_spoken``.
    """

    kind: MarkKind
    at_us: int
    mono_us: int


@dataclass(frozen=True, slots=True)
class Reassigned:
    """An assignment was taken before the recording is open, such as from a code shown; the situation with it."""

    situation: Situation
    source: Literal["file", "qr", "dispatch"] | None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Hold, or a command."""

    reason: Literal["button", "command"]


@dataclass(frozen=True, slots=True)
class OffAsked:
    """The process is asked to end: what runs is sealed first."""


@dataclass(frozen=True, slots=True)
class RestrictedDeclared:
    """R13.2, R13.3: the officer's gesture, or a command with words of the officer's, sealed and durable."""

    content: RestrictedContent
    note: ObjectRef | None


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
    full: bool = False
    """Storage took nothing more because it is full; otherwise it failed."""


@dataclass(frozen=True, slots=True)
class TelemetrySealed:
    """A piece of positions is durable."""

    entry: TelemetryEntry


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
    mono_us: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Once a second: what the unit lives on, and that time passes."""

    vitals: Vitals
    limits: Limits
    mono_us: int


@dataclass(frozen=True, slots=True)
class DockChanged:
    """The dock contact closed or opened."""

    docked: bool


Event = (
    Pressed | Reassigned | MarkAsked | StopAsked | OffAsked | RestrictedDeclared | NoticeEnded | SegmentSealed
    | PhotoSealed | TelemetrySealed | PartLost | CaptureEnded | HazardChanged | Measured | DockChanged
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
class SealParticulars:
    """R12.2: seal who, what and where anew, durably; what was sealed for this recording before is removed."""

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
class AttestPosted:
    """A sign tells everybody of a fixed camera (R6); ``NoticeEnded`` follows."""

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


@dataclass(frozen=True, slots=True)
class GoOff:
    """Nothing is under way any more: the process ends, and where ``power_off`` the unit is switched off."""

    power_off: bool


Action = (
    Enter | WarmUp | SealParticulars | PlayNotice | AttestOral | AttestPosted | CutNotice | HoldFrames | Store
    | CoolDown | Finish | TakePhoto | RotateKey | Tell | GoOff
)  # fmt: skip
Step = tuple[State, list[Action]]
