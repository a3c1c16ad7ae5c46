"""Extract: one recording with its proofs, to be handed over; nothing about any other recording is in it.

Which lines an extract holds, and how each is proved, stands in the specification. Making one believes nothing of the
index that it reads from: every proof is checked against the witnessed note before anything is written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.errors import FormatError, NotExtractableError
from agent.evidence import jws
from agent.evidence.checkpoint import MAX_NOTE_BYTES, Checkpoint, open_note, origin_parts
from agent.evidence.encoding import dump_json
from agent.evidence.entries import Body, Close, Epoch, ObjectRef, Open, ReceiptEntry, load_entry, objects_of
from agent.evidence.folder import EvidenceFolder, open_object, read_regular
from agent.evidence.index import LedgerIndex, Place
from agent.evidence.merkle import HASH_BYTES, MAX_PROOF, check_inclusion, inclusion_proof, leaf_hash
from agent.evidence.shapes import STRICT, Count, FormatVersion, Name, RecordingId, dump_shape

EXTRACT_FILE: Final = "extract.json"
LINES_FILE: Final = "lines.jws"
PROOFS_FILE: Final = "proofs"
MAX_ROW_BYTES: Final = 4_096
_INDEX: Final = re.compile(rb"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Extract:
    """What an extract says it is (``extract.json``)."""

    v: FormatVersion
    type: Literal["extract"]
    agency: Name
    device: Name
    recording: RecordingId
    size: Count
    """Lines of the ledger that the note covers."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Proof:
    """Where a line stands, and its audit path to the note's root (32 bytes each, lowest first)."""

    index: int
    path: tuple[bytes, ...]


def write_proof(proof: Proof) -> bytes:
    """The row of a line in ``proofs``."""
    return b" ".join([str(proof.index).encode(), *(base64.b64encode(node) for node in proof.path)]) + b"\n"


def read_proof(row: bytes) -> Proof:
    """Reads a row, newline included. Raises FormatError."""
    if not row.endswith(b"\n") or len(row) > MAX_ROW_BYTES:
        raise FormatError("a row of proofs must end with a newline and not be too long")
    index, *nodes = row[:-1].split(b" ")
    if not _INDEX.fullmatch(index) or len(nodes) > MAX_PROOF:
        raise FormatError("not an index and an audit path")
    return Proof(int(index), tuple(_nodes(nodes)))


def _nodes(encoded: list[bytes]) -> Iterator[bytes]:
    for text in encoded:
        try:
            node = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise FormatError(f"a hash of an audit path is not base64: {error}") from error
        if len(node) != HASH_BYTES or base64.b64encode(node) != text:
            raise FormatError("a hash of an audit path has 32 bytes")
        yield node


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was written: how many lines and objects, and which objects were not there or not the ones meant."""

    lines: int
    objects: int
    missing: tuple[str, ...]


def extract_recording(folder: EvidenceFolder, index: LedgerIndex, recording: str, out: Path) -> Extracted:
    """Writes one recording with its proofs into a new folder. Not synced: it is a copy.

    Raises NotExtractableError when the recording is not there, has no keys of its own, or is not yet witnessed to its
    end; FormatError when the index is not of this ledger; OSError.
    """
    note = read_regular(folder.cosigned, MAX_NOTE_BYTES)
    if note is None:
        raise NotExtractableError("no witness has cosigned this ledger: dock the device, or ask a witness")
    point = open_note(note).checkpoint
    origin = origin_parts(point.origin)
    if origin is None:
        raise FormatError(f"the cosigned note is of {point.origin[:100]!r}, which is no device's ledger")
    place = index.find(recording)
    if place is None:
        raise NotExtractableError(f"there is no recording {recording} with keys of its own in this ledger")
    last = place.end if place.end >= 0 else index.size - 1
    if last >= point.size:
        raise NotExtractableError(f"it goes to line {last}, the witness saw {point.size}: dock the device first")
    if not 0 <= place.begin <= last:
        raise FormatError("the index is not of this ledger")
    rows = [_proved(index, seq, point) for seq in _numbers(place, last)]
    _check_span(place, [line for line, proof in rows if proof.index >= place.begin])
    out.mkdir(parents=True)
    about = dump_shape(Extract(1, "extract", *origin, recording, point.size))
    (out / EXTRACT_FILE).write_bytes(dump_json(about) + b"\n")
    (out / LINES_FILE).write_bytes(b"".join(line + b"\n" for line, _ in rows))
    (out / PROOFS_FILE).write_bytes(b"".join(write_proof(proof) for _, proof in rows))
    copy = EvidenceFolder(out)
    copy.cosigned.write_bytes(note)
    copy.objects.mkdir()
    return _copy_objects(folder, copy, [line for line, _ in rows])


def _numbers(place: Place, last: int) -> list[int]:
    """The lines that an extract must have: the preamble, then the span."""
    preamble = sorted(seq for seq in (place.boot, place.profile, place.policy) if seq >= 0)
    return [*preamble, *range(place.begin, last + 1)]


def _check_span(place: Place, span: list[bytes]) -> None:
    """Raises FormatError unless these lines are the whole span: the index could name another, or cut it short."""
    bodies = [_body(line) for line in span]
    closed = [seq for seq, body in enumerate(bodies) if isinstance(body, Close) and body.recording == place.recording]
    opened = any(isinstance(body, Open) and body.recording == place.recording for body in bodies)
    ended = closed == [len(bodies) - 2] if place.end >= 0 else closed in ([], [len(bodies) - 1])
    begun = isinstance(bodies[0], Epoch) and bodies[0].reason == "recording_begin"
    if not (begun and opened and ended):
        raise FormatError("the index is not of this ledger")


def _body(line: bytes) -> Body:
    return load_entry(jws.parse(line, jws.LEDGER_TYPE).payload).body


def _proved(index: LedgerIndex, seq: int, point: Checkpoint) -> tuple[bytes, Proof]:
    line = index.line(seq)
    path = inclusion_proof(index.tree, seq, point.size)
    check_inclusion(leaf_hash(line), seq, point.size, path, point.root)  # the index is not believed
    return line, Proof(seq, tuple(path))


def _copy_objects(source: EvidenceFolder, target: EvidenceFolder, lines: list[bytes]) -> Extracted:
    refs: dict[str, ObjectRef] = {}
    for line in lines:
        body = _body(line)
        if not isinstance(body, ReceiptEntry):  # a receipt lists what else a dock holds
            refs |= {ref.file_name: ref for ref in objects_of(body)}
    missing = [name for name, ref in refs.items() if not _copy(source, target, ref)]
    return Extracted(len(lines), len(refs) - len(missing), tuple(missing))


def _copy(source: EvidenceFolder, target: EvidenceFolder, ref: ObjectRef) -> bool:
    file = open_object(source, ref)
    if file is None:
        return False
    digest = hashlib.sha256()
    path = target.object_path(ref)
    with file, path.open("wb") as copy:
        while block := file.read(1 << 20):
            digest.update(block)
            copy.write(block)
    if digest.hexdigest() != ref.digest:
        path.unlink()  # what is not the object meant has no place in an extract
        return False
    return True
