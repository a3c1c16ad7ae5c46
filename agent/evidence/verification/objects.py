"""Steps 4 and 5: every object that the ledger names, by size and SHA-256; what is missing, and whether rightly."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyrage

from agent.errors import FormatError, TrustError
from agent.evidence.documents import Policy, Profile, TrustBundle, read_policy, read_profile
from agent.evidence.encoding import load_object
from agent.evidence.entries import Adopted, Entry, ObjectRef, Open, Photo, Released, Segment, entry_objects
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import FragmentReader
from agent.evidence.sealing import stanza_count
from agent.evidence.verification.chain import Ledger
from agent.evidence.verification.report import Report

_BLOCK: Final = 1 << 20
Progress = Callable[[int], None]
"""Called with the number of bytes just checked."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Profiles and policies that verify, by the digest of their object."""

    profiles: dict[str, Profile]
    policies: dict[str, Policy]


@dataclass(slots=True)
class ObjectCounts:
    """How many objects were checked here, and how many are rightly with a dock."""

    checked: int = 0
    with_dock: int = 0


def check_objects(
    folder: EvidenceFolder,
    ledger: Ledger,
    report: Report,
    identity: pyrage.x25519.Identity | None,
    progress: Progress,
    in_archive: bool,
) -> ObjectCounts:
    """Reads every object once; findings go into the report.

    On a device a released object is rightly gone; in an archive it is missing: the archive is where it went.
    """
    counts = ObjectCounts()
    covered = _released(ledger, report)
    released = set() if in_archive else covered
    missing: dict[str, list[ObjectRef]] = defaultdict(list)
    recipients: dict[str, int] = {}
    present: dict[str, int] = defaultdict(int)
    for entry in ledger.entries:
        if isinstance(entry.body, Open):
            recipients[entry.body.recording] = len(entry.body.recipients)
        for ref in entry_objects(entry):
            recording = getattr(entry.body, "recording", "")
            if not _is_file(folder.object_path(ref)):
                if ref.digest in released:
                    counts.with_dock += 1
                else:
                    missing[recording or f"entry {entry.seq}"].append(ref)
                continue
            counts.checked += 1
            present[recording] += isinstance(entry.body, Segment | Photo)
            _check_one(folder.object_path(ref), ref, entry, recipients.get(recording), report, identity, progress)
    _report_missing(missing, present, report)
    _report_unlisted(folder, ledger, report)
    return counts


def _is_file(path: Path) -> bool:
    # A link could lead out of the folder: what it points to is not this evidence.
    return path.is_file() and not path.is_symlink()


def _released(ledger: Ledger, report: Report) -> set[str]:
    """Digests that a receipt covers and that were released against it."""
    fine: set[str] = set()
    for entry in ledger.entries:
        if isinstance(entry.body, Released):
            receipt = ledger.receipts.get(entry.body.receipt)
            covered = {ref.digest for ref in receipt.objects} if receipt else set()
            uncovered = [digest for digest in entry.body.objects if digest not in covered]
            if uncovered:
                report.add("RELEASED_UNCOVERED", f"entry {entry.seq}", f"{len(uncovered)} objects")
            fine |= covered & set(entry.body.objects)
    return fine


def _report_missing(missing: dict[str, list[ObjectRef]], present: dict[str, int], report: Report) -> None:
    for place, refs in missing.items():
        whole = present.get(place, 0) == 0 and not place.startswith("entry")
        if whole:
            report.add("RECORDING_REMOVED", f"recording {place}", f"{len(refs)} objects")
        else:
            for ref in refs:
                report.add("OBJECT_MISSING", f"{place}: {ref.file_name}")


def _report_unlisted(folder: EvidenceFolder, ledger: Ledger, report: Report) -> None:
    listed = {ref.file_name for entry in ledger.entries for ref in entry_objects(entry)}
    if ledger.broken or not folder.objects.is_dir():
        return
    for path in folder.objects.iterdir():
        working = path.suffix in (".open", ".sealed") or path.name.startswith(".")
        if path.name not in listed and not working:
            report.add("OBJECT_UNLISTED", f"objects/{path.name}")


def _check_one(
    path: Path,
    ref: ObjectRef,
    entry: Entry,
    recipients: int | None,
    report: Report,
    identity: pyrage.x25519.Identity | None,
    progress: Progress,
) -> None:
    place = f"entry {entry.seq}: {ref.file_name}"
    start = _hash_matches(path, ref, progress)
    if start is None:
        report.add("OBJECT_ALTERED", place)
    elif ref.form == "age":
        _check_sealed(start, recipients, place, report)
        if identity and not (isinstance(entry.body, Segment) and entry.body.recovered):
            _check_content(path, entry, identity, place, report)


def _hash_matches(path: Path, ref: ObjectRef, progress: Progress) -> bytes | None:
    """The file's first bytes when it is the object named; None when it is not."""
    digest, size, start = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            start = start or block[:8192]
            digest.update(block)
            size += len(block)
            progress(len(block))
            if size > ref.size:
                return None
    return start if size == ref.size and digest.hexdigest() == ref.digest else None


def _check_sealed(start: bytes, recipients: int | None, place: str, report: Report) -> None:
    try:
        found = stanza_count(start)
    except FormatError:
        report.add("NOT_SEALED", place)
        return
    if recipients is not None and found != recipients:
        report.add("NOT_SEALED", place, f"for {found} recipients, {recipients} are named")


def _check_content(path: Path, entry: Entry, identity: pyrage.x25519.Identity, place: str, report: Report) -> None:
    """With a key: opens the object and holds it against its entry."""
    try:
        plain = pyrage.decrypt(path.read_bytes(), [identity])
    except pyrage.DecryptError as error:
        report.add("CONTENT_UNREADABLE", place, str(error))
        return
    try:
        _judge_content(plain, entry)
    except FormatError as error:
        report.add("CONTENT_MISMATCH", place, str(error))


def _judge_content(plain: bytes, entry: Entry) -> None:
    if isinstance(entry.body, Segment):
        reader = FragmentReader()
        fragments = reader.feed(plain)
        if reader.leftover or sum(one.frames for one in fragments) != entry.body.frames:
            raise FormatError("the film has other frames than its entry says")
        if fragments and fragments[0].start_us != entry.body.start_us:
            raise FormatError("the film begins at another time than its entry says")
    elif isinstance(entry.body, Photo):
        if not plain.startswith(b"\xff\xd8"):
            raise FormatError("not a JPEG picture")
    elif isinstance(entry.body, Open) and load_object(plain).get("device") != entry.device:
        raise FormatError("particulars of another device")


def read_documents(folder: EvidenceFolder, entries: Iterable[Entry], trust: TrustBundle, report: Report) -> Documents:
    """Profiles and policies in force, each verified against the agency's keys."""
    documents = Documents({}, {})
    for entry in entries:
        if not isinstance(entry.body, Adopted):
            continue
        ref, path = entry.body.object, folder.object_path(entry.body.object)
        if not _is_file(path):
            continue  # reported as missing already
        try:
            if entry.body.document == "profile":
                documents.profiles[ref.digest] = read_profile(path.read_bytes(), trust)
            else:
                documents.policies[ref.digest] = read_policy(path.read_bytes(), trust)
        except (TrustError, OSError) as error:
            report.add("DOCUMENT_INVALID", f"entry {entry.seq}", str(error))
    return documents
