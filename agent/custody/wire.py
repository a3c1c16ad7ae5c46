"""The wire between recorder and dock: topics and payloads, shared by both sides. Pure; ``docs/wire.md`` explains it.

Everything here is MQTT 3.1.1. A topic or payload that is out of shape is a WireError; nothing is guessed or repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import ConfigDict, Field

from agent.errors import FormatError, WireError
from agent.evidence.checkpoint import MAX_NOTE_BYTES
from agent.evidence.dispatch import MAX_DISPATCH_BYTES
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.entries import ObjectRef
from agent.evidence.hazard_flag import MAX_FLAG_BYTES
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.shapes import STRICT, Count, Digest, Flag, FormatVersion, Name, dump_shape, load_shape

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

ROOT: Final = "er/v1"
RESERVED_DEVICE: Final = "dock"
"""No device may be called so: its topics would fall among those of the docks."""
RESERVED_DOCKS: Final = frozenset({"up", "down"})
"""Nor a dock so, for the same reason."""
MAX_PART_BYTES: Final = 1_048_576
MAX_PARTS: Final = 65_536
MAX_STATE_BYTES: Final = 16_384
MAX_HAVE_OBJECTS: Final = 64
MAX_RANGES: Final = 128
MAX_SEQ: Final = 10**12
CHARGE_FLOOR_BYTES: Final = 8_192
"""Least that a message costs of the credit, so that credit bounds the number of waiting messages as well."""


class Kind(StrEnum):
    """What a topic is for. ``UP`` kinds are published by the device, ``DOWN`` kinds by a dock."""

    STATE = "state"
    LEDGER = "ledger"
    CHECKPOINT = "checkpoint"
    OPEN = "open"
    PART = "part"
    CLOSE = "close"
    RECEIPT = "receipt"
    HAVE = "have"
    CREDIT = "credit"
    COMMAND = "command"
    COSIGNED = "cosigned"
    HAZARD = "hazard"
    ASSIGNMENT = "assignment"
    DOCK_STATE = "dock-state"


DOWN: Final = frozenset(
    {Kind.RECEIPT, Kind.HAVE, Kind.CREDIT, Kind.COMMAND, Kind.COSIGNED, Kind.HAZARD, Kind.ASSIGNMENT}
)
_DOWN_WORD: Final = {kind: "checkpoint" if kind is Kind.COSIGNED else kind.value for kind in DOWN}
_DOWN_KIND: Final = {word: kind for kind, word in _DOWN_WORD.items()}
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")

LIMITS: Final[dict[Kind, int]] = {
    Kind.STATE: MAX_STATE_BYTES,
    Kind.LEDGER: MAX_JWS_BYTES,
    Kind.CHECKPOINT: MAX_NOTE_BYTES,
    Kind.OPEN: 1_024,
    Kind.PART: MAX_PART_BYTES,
    Kind.CLOSE: 1_024,
    Kind.RECEIPT: MAX_JWS_BYTES,
    Kind.HAVE: 262_144,
    Kind.CREDIT: 1_024,
    Kind.COMMAND: MAX_JWS_BYTES,
    Kind.COSIGNED: MAX_NOTE_BYTES,
    Kind.HAZARD: MAX_FLAG_BYTES,
    Kind.ASSIGNMENT: MAX_DISPATCH_BYTES,
    Kind.DOCK_STATE: MAX_STATE_BYTES,
}
"""Largest payload in bytes, by kind."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic. ``owner`` is the device, or the dock for DOCK_STATE; ``number`` is a line's seq or a part's."""

    kind: Kind
    owner: str
    digest: str | None = None
    number: int | None = None

    def __str__(self) -> str:
        """The topic as it stands on the wire."""
        match self.kind:
            case Kind.DOCK_STATE:
                return f"{ROOT}/dock/{self.owner}/state"
            case Kind.LEDGER:
                return f"{ROOT}/{self.owner}/up/ledger/{self.number}"
            case Kind.PART:
                return f"{ROOT}/{self.owner}/up/object/{self.digest}/{self.number}"
            case Kind.OPEN | Kind.CLOSE:
                return f"{ROOT}/{self.owner}/up/object/{self.digest}/{self.kind}"
            case Kind.STATE | Kind.CHECKPOINT:
                return f"{ROOT}/{self.owner}/up/{self.kind}"
            case _:
                return f"{ROOT}/{self.owner}/down/{_DOWN_WORD[self.kind]}"


def parse_topic(text: str) -> Topic:
    """Takes a topic apart; raises WireError unless it is exactly one of ours."""
    if not text.startswith(ROOT + "/") or len(text) > 256:
        raise WireError(f"not a topic of ours: {text[:80]!r}")
    topic = _parse(text.split("/")[2:])
    if topic is None or not _NAME.fullmatch(topic.owner) or _is_reserved(topic):
        raise WireError(f"not a topic of ours: {text[:80]!r}")
    return topic


def _is_reserved(topic: Topic) -> bool:
    return topic.owner in RESERVED_DOCKS if topic.kind is Kind.DOCK_STATE else topic.owner == RESERVED_DEVICE


def _parse(words: list[str]) -> Topic | None:
    match words:
        case ["dock", dock, "state"]:
            return Topic(Kind.DOCK_STATE, dock)
        case [device, "up", "state" | "checkpoint" as word]:
            return Topic(Kind(word), device)
        case [device, "up", "ledger", seq] if _NUMBER.fullmatch(seq) and int(seq) < MAX_SEQ:
            return Topic(Kind.LEDGER, device, number=int(seq))
        case [device, "up", "object", digest, step] if _DIGEST.fullmatch(digest):
            return _parse_object(device, digest, step)
        case [device, "down", word] if word in _DOWN_KIND:
            return Topic(_DOWN_KIND[word], device)
        case _:
            return None


def _parse_object(device: str, digest: str, step: str) -> Topic | None:
    if step in {"open", "close"}:
        return Topic(Kind(step), device, digest)
    if _NUMBER.fullmatch(step) and int(step) < MAX_PARTS:
        return Topic(Kind.PART, device, digest, int(step))
    return None


def up_filter(device: str = "+") -> str:
    """What a dock subscribes to: everything that a device (or every device) publishes."""
    return f"{ROOT}/{device}/up/#"


def down_filter(device: str) -> str:
    """What a device subscribes to for itself."""
    return f"{ROOT}/{device}/down/#"


DOCK_STATE_FILTER: Final = f"{ROOT}/dock/+/state"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Retained; also the last will (``online`` false). A new ``session`` or ``round`` asks the dock what it holds."""

    v: FormatVersion
    session: Count
    """Drawn anew for every connection; a will counts only for the session that it names."""
    round: Count
    """Rises within a session whenever both sides start counting afresh."""
    online: Flag
    lines: Count
    """Whole lines of the ledger on the device's disk."""
    pending_objects: Count
    pending_bytes: Count
    window_bytes: Count
    """Most credit that the device wants outstanding."""
    recorder: Annotated[dict[str, Any], Field(max_length=64)]
    """What the recorder announces of itself; opaque here."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class DockState:
    """Retained; also the last will (``online`` false)."""

    v: FormatVersion
    dock: Name
    session: Count
    online: Flag
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


PartBytes = Annotated[int, Field(strict=True, ge=1_024, le=MAX_PART_BYTES)]


@dataclass(frozen=True, slots=True)
class ObjectOpen:
    """The parts of an object follow; every part but the last has ``part_bytes``."""

    v: FormatVersion
    size: Count
    form: Literal["age", "jws"]
    part_bytes: PartBytes
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class ObjectClose:
    """All parts of an object have been sent, in this round or before."""

    v: FormatVersion
    parts: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


Range = Annotated[list[Count], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, slots=True)
class HeldObject:
    """What a dock holds of one object. ``parts``: ranges [first, last], rising, only when partial."""

    digest: Digest
    state: Literal["partial", "complete", "refused"]
    part_bytes: PartBytes
    parts: Annotated[list[Range], Field(max_length=MAX_RANGES)] = field(default_factory=list)
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def held_parts(self) -> frozenset[int]:
        """The numbers of the parts held; raises WireError for ranges that are not rising or out of bounds."""
        return from_ranges(self.parts)


@dataclass(frozen=True, slots=True)
class Have:
    """A dock's answer to a round, or (``resync``) its wish for a new one. An object not listed: nothing is held."""

    v: FormatVersion
    dock: Name
    session: Count
    round: Count
    resync: Flag
    next: Count
    """First ledger line that is not durably held."""
    ledger: Literal["open", "refused"]
    """Refused: the next line does not verify, or the ledger went back. None are taken until a custodian looked."""
    objects: Annotated[list[HeldObject], Field(max_length=MAX_HAVE_OBJECTS)]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Credit:
    """In this round the device may publish ``granted`` bytes in all, as ``charge`` counts them."""

    v: FormatVersion
    dock: Name
    session: Count
    round: Count
    granted: Count
    next: Count
    """First ledger line that is not durably held."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def charge(payload: bytes) -> int:
    """What a ledger, open, part or close message costs of the credit, in bytes."""
    return max(len(payload), CHARGE_FLOOR_BYTES)


def dump(shape: DataclassInstance) -> bytes:
    """The payload of a shape; raises FormatError if a value is out of shape (an error on our own side)."""
    return dump_json(dump_shape(shape))


def load(kind: type[T], payload: bytes) -> T:
    """Reads a JSON payload strictly; raises WireError."""
    try:
        return load_shape(kind, load_object(payload))
    except FormatError as error:
        raise WireError(f"payload refused: {error}") from error


def check_size(topic: Topic, payload: bytes) -> None:
    """Raises WireError when the payload is larger than its kind allows."""
    if len(payload) > LIMITS[topic.kind]:
        raise WireError(f"{topic.kind} payload of {len(payload)} bytes is over the limit of {LIMITS[topic.kind]}")


def part_count(size: int, part_bytes: int) -> int:
    """Number of parts of an object; an empty object has none. Raises WireError when there would be too many."""
    count = -(-size // part_bytes)
    if count > MAX_PARTS:
        raise WireError(f"an object of {size} bytes in parts of {part_bytes} is over {MAX_PARTS} parts")
    return count


def part_length(size: int, part_bytes: int, number: int) -> int:
    """Length in bytes that part ``number`` must have."""
    if not 0 <= number < part_count(size, part_bytes):
        raise WireError(f"part {number} is outside the object")
    return min(part_bytes, size - number * part_bytes)


def to_ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Rising ranges [first, last]; at most MAX_RANGES, the rest counts as not held and is sent again."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges[:MAX_RANGES]


def from_ranges(ranges: list[list[int]]) -> frozenset[int]:
    """The numbers in rising ranges; raises WireError for anything else."""
    found: set[int] = set()
    after = -1
    for first, last in ranges:
        if not after < first <= last < MAX_PARTS:
            raise WireError("part ranges must rise, and stay within the limit")
        found.update(range(first, last + 1))
        after = last
    return frozenset(found)


def open_of(ref: ObjectRef, part_bytes: int) -> bytes:
    """Payload that opens the transfer of an object."""
    return dump(ObjectOpen(1, ref.size, ref.form, part_bytes))
