"""Entries of the ledger: the envelope, one body shape per type, and which objects an entry refers to.

Nothing personal stands in an entry: party, site, texts and positions live only in sealed objects that entries name by
digest. A type that is not listed here fails verification; so does an unknown field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from agent.errors import FormatError, UnknownTypeError
from agent.evidence.documents import ActionKind, RestrictedContent, Stage
from agent.evidence.encoding import Json
from agent.evidence.shapes import (
    STRICT,
    Base64url,
    Count,
    Digest,
    Flag,
    FormatVersion,
    Key,
    Micros,
    Name,
    Recipient,
    RecordingId,
    Text,
    Word,
    load_shape,
)

_OPTIONAL_TYPE: Final = re.compile(r"x-[a-z0-9_-]{1,62}")
FORMAT: Final = "enforcement-recorder/1"
Signed = Annotated[int, Field(strict=True, ge=-(2**53) + 1, le=2**53 - 1)]


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A file beside the ledger, named by the SHA-256 of its bytes: sealed (``age``) or a signed document (``jws``)."""

    digest: Digest
    size: Count
    form: Literal["age", "jws"]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    @property
    def file_name(self) -> str:
        """Name in the ``objects`` folder."""
        return f"{self.digest}.{self.form}"


@dataclass(frozen=True, slots=True)
class EntryTime:
    """Both clocks at the moment of the entry, and what vouches for the wall clock."""

    utc_us: Micros
    mono_us: Micros
    boot: Annotated[str, Field(pattern=r"^[0-9a-f-]{8,64}\z")]
    """Kernel boot id: ``mono_us`` values compare only within one boot."""
    source: Literal["gnss", "ntp", "rtc", "none"]
    error_us: Micros | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Boot:
    """The process started. Signed by the identity key; certifies the first epoch key of this run."""

    TYPE: ClassVar[str] = "boot"
    counter: Count
    certificate: Base64url
    """Identity certificate, DER."""
    epoch_key: Key
    software: Text
    hardware: dict[Word, Word]
    tail_cut_bytes: Count
    """Bytes of a torn last line that were cut off before this entry."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Genesis:
    """First words of a ledger, right after its first ``boot``."""

    TYPE: ClassVar[str] = "genesis"
    format: Literal["enforcement-recorder/1"]
    agency: Name
    device: Name
    serial: Text
    hash: Literal["sha-256"]
    seal: Literal["age-v1-x25519"]
    hardware: dict[Word, Word]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Adopted:
    """A signed document of the agency is in force from here on."""

    TYPE: ClassVar[str] = "adopted"
    document: Literal["profile", "policy"]
    version: Count
    object: ObjectRef
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Epoch:
    """The next public key; the key that signed this line is dropped and signs nothing more."""

    TYPE: ClassVar[str] = "epoch"
    key: Key
    reason: Literal["recording_begin", "recording_end", "lines"]
    """A recording has keys of its own: one begins before its notice, and its last ends with it."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What each part said of itself: ``ok``, or a stable error code."""

    TYPE: ClassVar[str] = "self_test"
    results: dict[Word, Text]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class HazardInput:
    """One source of the explosion-hazard flag, as it stood."""

    source: Literal["switch", "matter", "zone_map", "command"]
    state: Literal["clear", "set", "stale"]
    age_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Interlock:
    """R13.1, R13.2: how the question "may it record here" was answered, and from what."""

    verdict: Literal["permitted", "refused"]
    rule: Text | None
    reason: Text
    hazard: Literal["clear", "set", "stale"]
    inputs: list[HazardInput]
    approval: Text | None
    """Certificate number of the Ex approval that covered a set hazard."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Refused:
    """A press was refused; nothing was recorded."""

    TYPE: ClassVar[str] = "refused"
    rule: Text
    reason: Text
    interlock: Interlock | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Heard:
    """Whether a microphone heard the notice: level in hundredths of dBFS; correlation in thousandths, the square root
    of the share of what it heard that the notice explains through the room's first 50 ms."""

    state: Literal["heard", "not_heard", "not_measured"]
    correlation_milli: Signed | None
    level_centi_dbfs: Signed | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Notice:
    """R12.1: the notice of one recording: played to its end, given in person, posted as a sign, or not given."""

    TYPE: ClassVar[str] = "notice"
    recording: RecordingId
    means: Literal["played", "oral", "posted"]
    """``posted``: a sign; only for a fixed camera (R6)."""
    outcome: Literal["completed", "failed"]
    asset: Digest | None
    frames_total: Count
    frames_consumed: Count
    sample_rate: Count
    underruns: Count
    started_us: Micros
    """Monotonic, like ``ended_us``."""
    ended_us: Micros
    heard: Heard
    failure: Text | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What the encoder was asked for."""

    codec: Literal["h264"]
    width: Count
    height: Count
    frames_per_second: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What the encoder was asked for."""

    codec: Literal["aac"]
    sample_rate: Count
    channels: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Open:
    """A recording begins: after its notice, before its first stored frame."""

    TYPE: ClassVar[str] = "open"
    recording: RecordingId
    kind: Literal["video", "audio", "photo", "fixed"]
    action: ActionKind | None
    stage: Stage | None
    matter: Name | None
    particulars: ObjectRef | None
    recipients: list[Recipient]
    interlock: Interlock
    video: VideoFormat | None
    sound: SoundFormat | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Segment:
    """One sealed piece: initialisation boxes and whole fragments. Media times count from the first frame."""

    TYPE: ClassVar[str] = "segment"
    recording: RecordingId
    index: Count
    object: ObjectRef
    start_us: Micros
    duration_us: Micros
    first_frame_us: Micros | None
    """Monotonic time of the first frame's exposure; unknown when recovered."""
    frames: Count
    recovered: Flag
    """Found after a cut, whole up to its last whole chunk; counts and times are then unknown and zero."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Mark:
    """The officer's hand at a moment of the recording. R12.3: sign filmed, place spoken."""

    TYPE: ClassVar[str] = "mark"
    recording: RecordingId
    kind: Literal["moment", "site_sign", "site_spoken"]
    at_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Photo:
    """R6: a still picture, sealed."""

    TYPE: ClassVar[str] = "photo"
    recording: RecordingId
    object: ObjectRef
    at_us: Micros
    captured_us: Micros
    """Monotonic time of exposure."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class TelemetryEntry:
    """Positions of a stretch of a recording (R12.2), sealed."""

    TYPE: ClassVar[str] = "telemetry"
    recording: RecordingId
    object: ObjectRef
    start_us: Micros
    """Media time of the first sample, like ``end_us`` of the last."""
    end_us: Micros
    samples: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should be there is not, and why (R12.4)."""

    TYPE: ClassVar[str] = "gap"
    recording: RecordingId
    cause: Literal["power_cut", "camera", "microphone", "storage", "overload", "encoder"]
    missing_us: Micros | None
    dropped: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Hazard:
    """The explosion-hazard flag changed (R13.1)."""

    TYPE: ClassVar[str] = "hazard"
    state: Literal["clear", "set", "stale"]
    inputs: list[HazardInput]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Restricted:
    """R13.2, R13.3: the officer declared content that must not be recorded; a recording that runs ends with it."""

    TYPE: ClassVar[str] = "restricted"
    recording: RecordingId | None
    """The recording that it ended; null: none ran."""
    content: RestrictedContent
    note: ObjectRef | None
    """The officer's own words, sealed."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


StopReason = Literal[
    "button",
    "command",
    "docked",
    "hazard",
    "restricted",
    "storage_full",
    "camera",
    "microphone",
    "battery",
    "overheated",
    "shutdown",
    "power_cut",
    "fault",
    "photo",
]


@dataclass(frozen=True, slots=True)
class Close:
    """A recording ends, and why; how many segments and frames it has, how many frames were lost on the way."""

    TYPE: ClassVar[str] = "close"
    recording: RecordingId
    reason: StopReason
    segments: Count
    frames: Count
    dropped: Count
    duration_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock stepped against the monotonic clock, or what vouches for it changed."""

    TYPE: ClassVar[str] = "clock"
    step_us: Signed
    before: Text
    after: Text
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Health:
    """Room left, charge left, how warm the unit is."""

    TYPE: ClassVar[str] = "health"
    free_bytes: Count
    battery_percent: Count | None
    minutes_left: Count | None
    temperature_millicelsius: Signed | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Docked:
    """The unit was put into a dock, or (``out``) taken out."""

    TYPE: ClassVar[str] = "docked"
    state: Literal["in", "out"]
    dock: Name | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class ReceiptEntry:
    """A dock's receipt was verified and is kept as an object."""

    TYPE: ClassVar[str] = "receipt"
    dock: Name
    object: ObjectRef
    ledger_size: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Released:
    """Space is about to be freed: these objects are covered by the named receipt."""

    TYPE: ClassVar[str] = "released"
    receipt: Digest
    objects: list[Digest]
    bytes: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A witness's cosignature came back: everything up to the note's size stood before the cosignature's time."""

    TYPE: ClassVar[str] = "witnessed"
    note: Annotated[str, Field(max_length=8192)]
    """The signed note, as the witness returned it."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Still here: lets a verifier bound what a missing tail could hide."""

    TYPE: ClassVar[str] = "heartbeat"
    state: Text
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


KnownBody = (
    Boot | Genesis | Adopted | Epoch | SelfTest | Refused | Notice | Open | Segment | Mark | Photo | TelemetryEntry
    | Gap | Hazard | Restricted | Close | Clock | Health | Docked | ReceiptEntry | Released | Witnessed | Heartbeat
)  # fmt: skip
BODIES: Final[dict[str, type[Any]]] = {kind.TYPE: kind for kind in KnownBody.__args__}
OPTIONAL_PREFIX: Final = "x-"
"""Types whose name begins so may be skipped by whoever does not know them; every other unknown type is refused."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An entry of an optional type (``x-...``) that this version does not know: chained and signed, not understood."""

    TYPE: ClassVar[str] = OPTIONAL_PREFIX
    name: str
    content: dict[str, Json]


Body = KnownBody | Unknown


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger, taken apart. ``prev`` is the SHA-256 of the line before, hex; zeros for the first."""

    seq: int
    prev: str
    device: str
    time: EntryTime
    body: Body

    @property
    def type(self) -> str:
        """The entry's type as it stands in the line."""
        return self.body.name if isinstance(self.body, Unknown) else self.body.TYPE


@dataclass(frozen=True, slots=True)
class _Envelope:
    v: FormatVersion
    seq: Count
    prev: Digest
    device: Name
    type: Text
    time: EntryTime
    body: dict[str, Any]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def load_entry(payload: dict[str, Json]) -> Entry:
    """Builds an entry from a line's payload; raises FormatError for an unknown type or any field out of shape."""
    envelope = load_shape(_Envelope, payload)
    kind = BODIES.get(envelope.type)
    body: Body
    if kind is not None:
        body = load_shape(kind, envelope.body)
    elif _OPTIONAL_TYPE.fullmatch(envelope.type):
        body = Unknown(envelope.type, envelope.body)
    else:
        raise UnknownTypeError(f"unknown entry type {envelope.type[:64]!r}")
    for ref in objects_of(body):
        # Sealed or a document is a matter of the entry's type: else footage called a document would escape sealing.
        if ref.form != ("jws" if isinstance(body, Adopted | ReceiptEntry) else "age"):
            raise FormatError(f"an object of form {ref.form} has no place in {envelope.type}")
    return Entry(envelope.seq, envelope.prev, envelope.device, envelope.time, body)


def entry_objects(entry: Entry) -> Iterator[ObjectRef]:
    """The objects that an entry refers to."""
    return objects_of(entry.body)


def objects_of(body: Body) -> Iterator[ObjectRef]:
    """The objects that an entry with this body refers to."""
    match body:
        case Segment(object=ref) | Photo(object=ref) | TelemetryEntry(object=ref) | Adopted(object=ref):
            yield ref
        case ReceiptEntry(object=ref):
            yield ref
        case Open(particulars=ObjectRef() as ref) | Restricted(note=ObjectRef() as ref):
            yield ref
        case _:
            return
