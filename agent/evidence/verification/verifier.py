"""The verifier: a device folder, an archive or an extract, judged step by step as the specification numbers them.

Lines are read once, in order; every judge sees each entry and keeps only what the next one needs. What grows with the
evidence (objects named, recordings, the tree) lies in a temporary folder, so that memory does not.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.errors import FormatError, StorageError, UsageError
from agent.evidence.checkpoint import open_note, origin_of
from agent.evidence.entries import Entry
from agent.evidence.extract import EXTRACT_FILE, LINES_FILE
from agent.evidence.folder import EvidenceFolder, devices_of, is_regular, object_files, object_name
from agent.evidence.keys import KeyState
from agent.evidence.merkle import StoredTree
from agent.evidence.verification.case import Case, Judge, Kind, Progress, Question
from agent.evidence.verification.clocks import Clocks
from agent.evidence.verification.extracted import read_extract
from agent.evidence.verification.findings import Axis
from agent.evidence.verification.lines import Counts, Epochs, read_lines
from agent.evidence.verification.objects import Objects
from agent.evidence.verification.provenance import Boots, Documents
from agent.evidence.verification.recordings import Recordings
from agent.evidence.verification.report import Report
from agent.evidence.verification.timestamps import Timestamps
from agent.evidence.verification.witnesses import Witnesses, notes_of
from agent.evidence.verification.workbook import Workbook

__all__ = ["Question", "total_bytes", "verify"]

_ALL: Final = (
    "账本自此无法判断",
    "nothing after the line that does not hold can be judged",
)
_NOT_WITNESSED: Final = ("尚无见证，末尾是否被删无法判断", "not witnessed yet: a cut end would not show")
_NO_SOURCE: Final = ("无可信时间源且未经见证", "no trusted time source, and no witness yet")
_NO_WORD: Final = ("单段移交包未经见证", "the extract stands by a witness's word, and has none")
_NEEDS_KEY: Final = ("要素已封存，未能全部打开", "particulars are sealed and not all were read: that takes a key")
_NOT_IN_LEDGER: Final = ("不在账本中，须查案卷与档案库", "not in the ledger: ask the dossier and the archive")


def total_bytes(path: Path) -> int:
    """Bytes of ledgers, and of what has the name of an object, under a path, for a progress bar. Raises OSError."""
    found = 0
    for device in [path] if is_extract(path) else devices_of(path):
        folder = EvidenceFolder(device)
        for lines in (folder.ledger, folder.path / LINES_FILE):
            found += lines.lstat().st_size if is_regular(lines) else 0
        for file in object_files(folder):
            if object_name(file.name) and file.is_file(follow_symlinks=False):
                found += file.stat(follow_symlinks=False).st_size
    return found


def is_extract(path: Path) -> bool:
    """Whether this folder is one recording handed over."""
    return is_regular(path / EXTRACT_FILE)


def verify(path: Path, question: Question, progress: Progress = lambda count: None) -> Report:
    """Judges what lies at a path. Raises TrustError (trust file), UsageError (no evidence there), StorageError."""
    question.trust.root()
    report = Report()
    try:
        cases = list(_kinds(path))
        with tempfile.TemporaryDirectory(prefix="er-verify-") as place:
            book = Workbook(Path(place))
            try:
                report.merge(_judge(folder, kind, question, book, Path(place), progress) for folder, kind in cases)
                if len(cases) > 1:
                    _check_holders(book, report)
                if any(kind == "archive" for _, kind in cases):
                    _check_origins(question, report)
            finally:
                book.close()
    except sqlite3.Error as error:
        raise StorageError(f"the verifier's temporary files cannot be written: {error}") from error
    return report


def _kinds(path: Path) -> Iterator[tuple[Path, Kind]]:
    try:
        if is_extract(path):
            yield path, "extract"
            return
        devices = devices_of(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not devices:
        raise UsageError(f"{path} holds no evidence: no ledger.jws here or one folder down, and no {EXTRACT_FILE}")
    for device in devices:
        yield device, "device" if device == path else "archive"


def _judge(path: Path, kind: Kind, question: Question, book: Workbook, place: Path, progress: Progress) -> Report:
    tree = None if kind == "extract" else StoredTree(place / "tree")
    name = os.fsencode(path.resolve().name).decode("utf-8", "replace")
    case = Case(EvidenceFolder(path), kind, question, book, tree, progress, name)
    book.begin()
    try:
        _take_steps(case)
    finally:
        if tree is not None:
            tree.close()
    book.end()
    return case.report


def _take_steps(case: Case) -> None:
    """The steps in their order: lines first, which every judge looks at; then what needs all of them."""
    conduct = case.question.conduct(case)
    clocks, boots, recordings = Clocks(case), Boots(case), Recordings(case, conduct)
    extract = case.kind == "extract"
    files = (case.folder.cosigned,) if extract else (case.folder.checkpoint, case.folder.cosigned)
    witnesses = Witnesses(case, notes_of(case, files), clocks)
    objects = Objects(case, conduct)
    # Witnesses and documents come last: what a line brings counts for those after it.
    # Recordings end before objects are opened: particulars ask whether theirs came to its end.
    judges: list[Judge] = [Counts(case), recordings, objects, boots, clocks, Epochs(case), witnesses, Documents(case)]
    judges.append(Timestamps(case, witnesses))
    last: list[Entry] = []

    def take(entry: Entry) -> None:
        last[:] = [entry]
        for judge in judges:
            judge.see(entry)

    if read_extract(case, take) if extract else _read_ledger(case, take, witnesses):
        for judge in judges:
            judge.end()
        boots.judge_certificates()
    elif not extract:
        # Without a ledger: what the checkpoints say all the same, and that nothing lists the files.
        witnesses.end()
        objects.end()
    _say_unknown(case, witnesses, clocks)
    _tell(case, witnesses, last)


def _read_ledger(case: Case, take: Callable[[Entry], None], witnesses: Witnesses) -> bool:
    keys = KeyState()

    def follow(entry: Entry) -> None:
        nonlocal keys
        keys = keys.after(entry.body)
        take(entry)
        witnesses.key_after(entry.seq + 1, keys)

    return read_lines(case, follow) is not None


def _say_unknown(case: Case, witnesses: Witnesses, clocks: Clocks) -> None:
    """Step 10."""
    if case.broken or not case.facts.entries:
        for axis in Axis:
            case.unknown(axis, *_ALL)
    covered = witnesses.witnessed.checkpoint.size if witnesses.witnessed else 0
    if not covered:
        case.unknown(Axis.COMPLETENESS, *_NOT_WITNESSED)
        if case.kind == "extract":
            case.unknown(Axis.INTEGRITY, *_NO_WORD)
            case.unknown(Axis.PROVENANCE, *_NO_WORD)
    if clocks.last_without_source is not None and clocks.last_without_source >= covered:
        case.unknown(Axis.TIME, *_NO_SOURCE)
    if case.book.has_untold():
        for rule in ("R10", "R13.2", "R13.3"):
            case.unknown(rule, *_NEEDS_KEY)
    for rule in ("R17", "R18"):
        case.unknown(rule, *_NOT_IN_LEDGER)


def _tell(case: Case, witnesses: Witnesses, last: list[Entry]) -> None:
    facts, note = case.facts, witnesses.witnessed
    facts.device = case.device
    if note is not None:
        facts.witnessed_entries, facts.witnessed_at = note.checkpoint.size, note.time
        facts.witnesses = sorted(note.cosigners)
        facts.unwitnessed_entries = max(0, case.size - note.checkpoint.size)
    else:
        facts.unwitnessed_entries = facts.entries
    if last and facts.unwitnessed_entries:
        since = (note.time or 0) * 1_000_000 if note else case.first_us
        facts.unwitnessed_seconds = max(0, (last[0].time.utc_us - since) // 1_000_000)
    case.report.devices.append(facts)
    case.report.timelines[case.device] = case.timeline


def _check_origins(question: Question, report: Report) -> None:
    """A note given with an archive is of one of its devices, or a device is missing whole."""
    devices = [facts.device for facts in report.devices]
    known = {origin_of(question.trust.agency, device) for device in devices}
    for index, data in enumerate(question.notes):
        with suppress(FormatError):  # one that is none was said to be so, device by device
            origin = open_note(data).checkpoint.origin
            for device in devices if origin not in known else ():
                report.add("CHECKPOINT_INVALID", device, f"note {index}", f"of {origin[:100]}")


def _check_holders(book: Workbook, report: Report) -> None:
    """R16 over an archive: nobody records with two devices at the same time."""
    officer, ends = "", {}  # type: str, dict[str, int]
    for who, device, seq, begins, until in book.held():
        if who != officer:
            officer, ends = who, {}
        if any(other != device and end > begins for other, end in ends.items()):
            report.add("OFFICER_TWO_DEVICES", device, f"entry {seq}", who)
        ends[device] = max(until, ends.get(device, 0))
