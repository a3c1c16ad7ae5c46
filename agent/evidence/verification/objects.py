"""Step 4: every object that the ledger names: there, unaltered, sealed for whom it says; with a key, its content."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyrage

from agent.errors import FormatError
from agent.evidence.documents import Particulars, Remark, Telemetry
from agent.evidence.encoding import load_object
from agent.evidence.entries import Entry, ObjectRef, Open, Photo, Restricted, Segment, TelemetryEntry, entry_objects
from agent.evidence.folder import EvidenceFolder, object_files, object_name, open_object
from agent.evidence.fragments import FragmentReader, check_segment
from agent.evidence.retention import DELETIONS, read_deletions
from agent.evidence.sealing import HEADER_LIMIT, stanza_types
from agent.evidence.shapes import load_shape
from agent.evidence.verification.case import Case, Conduct, Progress, at
from agent.evidence.verification.workbook import Named

_BLOCK: Final = 1 << 20
MAX_OPENED_BYTES: Final = 1 << 26
"""Photo, particulars, telemetry and remark are opened up to this size; a segment is, whatever its size."""
_KINDS: Final = {"open": "particulars", "adopted": "document", "receipt": "receipt"}


class Objects:
    """Notes which objects are named; looks at the files when all entries have been seen."""

    def __init__(self, case: Case, conduct: Conduct) -> None:
        self._case, self._conduct = case, conduct
        self._recipients: tuple[str, int] = ("", 0)

    def see(self, entry: Entry) -> None:
        """One entry, and the object that it names."""
        case, body = self._case, entry.body
        if isinstance(body, Open):
            self._recipients = (body.recording, len(body.recipients))
            if case.policy is not None and set(body.recipients) != set(case.policy.recipients):
                case.find("RECIPIENTS_DIFFER", at(entry))
        for ref in entry_objects(entry):
            self._name(entry, ref)

    def end(self) -> None:
        """Looks at every file."""
        self._read_deletions()
        self._find_missing()
        for checked in _in_order(self._case):
            self._report(checked)
        self._find_unlisted()

    def _name(self, entry: Entry, ref: ObjectRef) -> None:
        case = self._case
        kind = _KINDS.get(entry.type, entry.type)
        if case.kind == "extract" and kind == "receipt":
            return
        recording = getattr(entry.body, "recording", None)
        recipients = self._recipients[1] if recording is not None and recording == self._recipients[0] else None
        wanted = case.question.identity is not None and ref.form == "age"
        first = case.book.name(Named(ref, entry.seq, recording, kind, recipients, entry if wanted else None))
        if not first and ref.form == "age":
            case.find("OBJECT_REPEATED", at(entry), ref.digest)

    def _read_deletions(self) -> None:
        """What a dock has signed to have deleted after retention; only an archive deletes."""
        case = self._case
        if case.kind != "archive":
            return
        path = case.folder.path / DELETIONS
        try:
            for record in read_deletions(path, case.question.trust, case.device):
                for ref in record.objects:
                    case.book.delete(ref.digest, record.recording)
        except (FormatError, OSError) as error:
            case.find("DELETION_INVALID", f"file {DELETIONS}", str(error))

    def _find_missing(self) -> None:
        case, book = self._case, self._case.book
        for named in book.objects():
            if _is_there(case.folder, named.ref):
                continue
            if case.kind == "device" and book.is_released(named.ref.digest):
                case.facts.objects_with_dock += 1
                book.leave(named.ref)
            elif book.is_deleted(named):
                case.facts.objects_deleted += 1
                book.leave(named.ref)
            else:
                book.miss(named.ref)
        for recording, count in book.removed_recordings():
            case.find("RECORDING_REMOVED", f"recording {recording}", f"{count} objects")
        for seq, digest in book.missing_elsewhere():
            case.find("OBJECT_MISSING", f"object {digest}", f"entry {seq}")

    def _report(self, checked: Checked) -> None:
        case, named = self._case, checked.named
        case.facts.objects_checked += 1
        case.facts.bytes_checked += named.ref.size
        for code, detail in checked.faults:
            case.find(code, f"object {named.ref.digest}", f"entry {named.seq}{': ' if detail else ''}{detail}")
        if checked.particulars is None or named.entry is None or named.recording is None:
            return
        if case.book.tell_recording(named.recording, named.seq):
            self._conduct.particulars(named.entry, checked.particulars, case.book.is_interrupted(named.recording))

    def _find_unlisted(self) -> None:
        case = self._case
        if case.broken:
            return
        for file in object_files(case.folder):
            found = object_name(file.name)
            if found is None or not case.book.is_named(*found):
                case.book.unlist(file.name)
        for name in case.book.unlisted():
            case.find("OBJECT_UNLISTED", f"file {name.decode('utf-8', 'replace')}")


def _is_there(folder: EvidenceFolder, ref: ObjectRef) -> bool:
    file = open_object(folder, ref)
    if file is None:
        return False
    file.close()
    return True


@dataclass(frozen=True, slots=True)
class Checked:
    """What looking at one file gave: codes with details, and the particulars if it held some."""

    named: Named
    faults: tuple[tuple[str, str], ...]
    particulars: Particulars | None = None


def _in_order(case: Case) -> Iterator[Checked]:
    """Every file that is there, checked, in the order of the ledger; several at once when the reader has cores."""
    jobs = case.question.jobs
    if jobs <= 1:
        for named in case.book.objects():
            yield check(case.folder, named, case.question.identity, case.progress)
        return
    waiting: deque[Future[Checked]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for named in case.book.objects():
            waiting.append(pool.submit(check, case.folder, named, case.question.identity, case.progress))
            if len(waiting) > 4 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def check(folder: EvidenceFolder, named: Named, identity: pyrage.x25519.Identity | None, progress: Progress) -> Checked:
    """Reads one object once; any thread."""
    start = _hash_matches(folder, named.ref, progress)
    if start is None:
        return Checked(named, (("OBJECT_ALTERED", ""),))
    if named.ref.form != "age":
        return Checked(named, ())
    stanzas = _stanzas(start)
    faults = list(_seal_faults(stanzas, named.recipients))
    if identity is None or named.entry is None or getattr(named.entry.body, "recovered", False):
        return Checked(named, tuple(faults))
    try:
        content = _open(folder, named, identity, stanzas is not None)
        return Checked(named, tuple(faults), judge_content(content, named.entry))
    except pyrage.DecryptError as error:
        faults.append(("CONTENT_UNREADABLE", str(error)))
    except FormatError as error:
        faults.append(("CONTENT_MISMATCH", str(error)))
    return Checked(named, tuple(faults))


def _hash_matches(folder: EvidenceFolder, ref: ObjectRef, progress: Progress) -> bytes | None:
    """The file's first bytes when it is the object named; None when it is not, or cannot be read to its end."""
    file = open_object(folder, ref)
    if file is None:
        return None
    digest, start = hashlib.sha256(), b""
    with file:
        if os.fstat(file.fileno()).st_size != ref.size:
            return None
        block = bytearray(min(_BLOCK, max(1, ref.size)))
        try:
            while count := file.readinto(block):
                part = memoryview(block)[:count]
                digest.update(part)
                start = start or bytes(part[: HEADER_LIMIT + 64])
                progress(count)
        except OSError:
            return None
    return start if digest.hexdigest() == ref.digest else None


def _stanzas(start: bytes) -> list[bytes] | None:
    try:
        return stanza_types(start)
    except FormatError:
        return None


def _seal_faults(found: list[bytes] | None, recipients: int | None) -> Iterator[tuple[str, str]]:
    if found is None:
        yield "NOT_SEALED", "no age file, or a malformed header"
    elif any(kind != b"X25519" for kind in found):
        yield "NOT_SEALED", "with a stanza that is not X25519"
    elif recipients is not None and len(found) != recipients:
        yield "NOT_SEALED", f"for {len(found)} recipients, {recipients} are named"


def _open(folder: EvidenceFolder, named: Named, identity: pyrage.x25519.Identity, headed: bool) -> bytes:
    if named.kind != "segment" and named.ref.size > MAX_OPENED_BYTES:
        raise FormatError(f"too large for {named.kind}")
    if not headed:  # the library would take text and longer headers too
        raise pyrage.DecryptError("no age file, or a malformed header")
    file = open_object(folder, named.ref)
    with file if file is not None else open(os.devnull, "rb") as readable:  # noqa: PTH123 gone meanwhile: does not open
        opened: bytes = pyrage.decrypt(readable.read(), [identity])
    return opened


def judge_content(plain: bytes, entry: Entry) -> Particulars | None:
    """Holds an opened object against its entry; raises FormatError. Particulars are returned."""
    match entry.body:
        case Segment() as body:
            _judge_film(plain, body)
        case Photo():
            if not plain.startswith(b"\xff\xd8"):
                raise FormatError("not a JPEG picture")
        case TelemetryEntry() as body:
            _judge_telemetry(load_shape(Telemetry, load_object(plain)), body, entry.device)
        case Open():
            particulars = load_shape(Particulars, load_object(plain))
            if particulars.device != entry.device:
                raise FormatError(f"particulars of {particulars.device}")
            return particulars
        case Restricted():
            remark = load_shape(Remark, load_object(plain))
            if remark.device != entry.device:
                raise FormatError(f"remark of {remark.device}")
    return None


def _judge_film(plain: bytes, body: Segment) -> None:
    check_segment(plain)
    fragments = FragmentReader().feed(plain)
    frames = sum(one.frames for one in fragments)
    if frames != body.frames:
        raise FormatError(f"the film has {frames} frames, its entry says {body.frames}")
    if not fragments or fragments[0].start_us != body.start_us:
        raise FormatError("the film begins at another time than its entry says")


def _judge_telemetry(telemetry: Telemetry, body: TelemetryEntry, device: str) -> None:
    if (telemetry.device, telemetry.recording) != (device, body.recording):
        raise FormatError(f"telemetry of {telemetry.device}, recording {telemetry.recording}")
    times = [position.at_us for position in telemetry.positions]
    if len(times) != body.samples or times != sorted(times):
        raise FormatError("positions are not as many as entered, or not in order")
    if times and not body.start_us <= times[0] <= times[-1] <= body.end_us:
        raise FormatError("positions outside the stretch that was entered")
