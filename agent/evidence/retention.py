"""How long recordings are kept (JWS ``er-retention+jws``), and what was deleted after that (``er-deletion+jws``).

Neither is part of a ledger: the ledger still names what was deleted, for ever. ``deletions.jws`` lies beside it, one
record a line, each signed by the dock and naming the SHA-256 of the line before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict, Field

from agent.errors import FormatError, TrustError
from agent.evidence import jws
from agent.evidence.documents import ActionKind, TrustBundle
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import ObjectRef
from agent.evidence.shapes import (
    STRICT,
    Count,
    Digest,
    FormatVersion,
    Micros,
    Name,
    RecordingId,
    dump_shape,
    load_shape,
)

RETENTION_TYPE: Final = "er-retention+jws"
DELETION_TYPE: Final = "er-deletion+jws"
DELETIONS: Final = "deletions.jws"
MAX_OBJECTS: Final = 256
"""In one record; a recording with more has several."""
FIRST: Final = "0" * 64
RecordingKind = Literal["video", "audio", "photo", "fixed"]
Days = Annotated[int, Field(strict=True, ge=1, le=36_525)]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """A row: recordings of this action and kind are kept at least so long. Null: of any."""

    action: ActionKind | None
    kind: RecordingKind | None
    keep_days: Days
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The agency's table. Where several rows fit, the longest counts; ``default_days`` is the least of all."""

    v: FormatVersion
    type: Literal["retention"]
    agency: Name
    version: Count
    issued_us: Micros
    default_days: Days
    rules: Annotated[list[RetentionRule], Field(max_length=64)]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted of one recording, why it might be, and who said so. Nothing personal."""

    v: FormatVersion
    type: Literal["deletion"]
    dock: Name
    device: Name
    prev: Digest
    """SHA-256 of the record before this one in the file; zeros for the first."""
    recording: RecordingId
    objects: Annotated[list[ObjectRef], Field(min_length=1, max_length=MAX_OBJECTS)]
    matter: Name | None
    closed_us: Micros
    """End of the recording, as its ledger says."""
    matter_closed_us: Micros | None
    """When the case was closed, as the list of closed cases says."""
    cases_digest: Digest
    """SHA-256 of that list."""
    policy_version: Count
    keep_days: Days
    deleted_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def sign_retention(policy: RetentionPolicy, key: SigningKey) -> bytes:
    """The table as the agency hands it to its docks."""
    return jws.sign(dump_shape(policy), RETENTION_TYPE, key)


def read_retention(token: bytes, trust: TrustBundle) -> RetentionPolicy:
    """Verifies and reads a table; raises TrustError unless a document key of this very agency signed it."""
    try:
        policy = load_shape(RetentionPolicy, jws.verify(token, RETENTION_TYPE, trust.document_key).payload)
        if policy.agency != trust.agency:
            raise FormatError(f"it is of {policy.agency}, not of {trust.agency}")
    except FormatError as error:
        raise TrustError(f"the retention table is not acceptable: {error}") from error
    return policy


def sign_deletion(deletion: Deletion, key: SigningKey) -> bytes:
    """The record as a line of ``deletions.jws``, no newline. ``key``: the one that signs the dock's receipts."""
    return jws.sign(dump_shape(deletion), DELETION_TYPE, key)


def read_deletions(path: Path, trust: TrustBundle, device: str) -> Iterator[Deletion]:
    """The records of a device, in order; a torn last line ends them. Nothing when there is no file.

    Raises FormatError for a record that no dock of the trust file has signed, that is of another device, or that does
    not follow the one before; OSError.
    """
    prev = FIRST
    for line in _lines(path):
        parsed = jws.parse(line, DELETION_TYPE)
        found = load_shape(Deletion, parsed.payload)
        key = trust.receipt_key(parsed.kid, found.dock)
        if key is None:
            raise FormatError(f"the key of a deletion record is none of dock {found.dock} of this agency")
        jws.check(parsed, key)
        if (found.device, found.prev) != (device, prev):
            raise FormatError("a deletion record does not follow the one before it")
        prev = sha256_hex(line)
        yield found


def _lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        while (line := file.readline(jws.MAX_JWS_BYTES + 2)).endswith(b"\n"):
            yield line[:-1]
