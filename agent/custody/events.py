"""What custody tells the recorder, and what it shows of its progress."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link to the broker came up or went down."""

    connected: bool
    reason: str


@dataclass(frozen=True, slots=True)
class DockSeen:
    """A dock answers us; it is the one that evidence goes to."""

    dock: str


@dataclass(frozen=True, slots=True)
class ReceiptArrived:
    """A receipt, not verified. The recorder verifies it, enters it, appends ``released``, and only then deletes."""

    token: bytes


@dataclass(frozen=True, slots=True)
class CheckpointCosigned:
    """A checkpoint with a witness's cosignature, not verified."""

    note: bytes


@dataclass(frozen=True, slots=True)
class CommandArrived:
    """A command, not verified."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class HazardFlagArrived:
    """R13.1: a hazard flag, not verified; retained by the broker, so that it may be old."""

    token: bytes


@dataclass(frozen=True, slots=True)
class AssignmentArrived:
    """R12.2: an assignment, not verified; retained by the broker, so that it comes with every connection."""

    token: bytes


@dataclass(frozen=True, slots=True)
class ObjectRefused:
    """The dock does not take an object, because its bytes are not what the ledger says. It stays on the device."""

    digest: str


@dataclass(frozen=True, slots=True)
class ObjectMissing:
    """The ledger names an object that is neither on disk nor released."""

    digest: str


@dataclass(frozen=True, slots=True)
class LedgerRefused:
    """The dock takes no more ledger lines: the next one does not verify there, or ours is the shorter one."""

    at_line: int


@dataclass(frozen=True, slots=True)
class PartsShrunk:
    """Parts do not get through: they are smaller from now on, or (``withheld``) not sent for a while."""

    part_bytes: int
    withheld: bool


CustodyEvent = (
    LinkChanged
    | DockSeen
    | ReceiptArrived
    | CheckpointCosigned
    | CommandArrived
    | HazardFlagArrived
    | AssignmentArrived
    | ObjectRefused
    | ObjectMissing
    | LedgerRefused
    | PartsShrunk
)


@dataclass(frozen=True, slots=True)
class OffloadProgress:
    """Where the offload stands."""

    pending_bytes: int
    """In objects without an entered receipt."""
    pending_objects: int
    sent_bytes: int
    """Payload bytes of parts published since start, repeats included."""
    connected: bool
    ledger_lines_pending: int
    """Lines that no dock has yet said it holds durably."""
    part_bytes: int = 0
    """Size of the parts of objects that are begun now."""
    parts_withheld: bool = False
    """No part gets through, however small: the broker refuses them, or the link is too bad. Tried again by itself."""
