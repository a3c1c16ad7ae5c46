"""Steps 2 and 3: checkpoints, cosignatures and receipts against the tree of the lines; releases against receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.errors import FormatError, ReceiptError, SignatureError
from agent.evidence.checkpoint import (
    MAX_NOTE_BYTES,
    Checkpoint,
    SignedNote,
    check_ledger_signature,
    cosigned_at,
    open_note,
    origin_of,
)
from agent.evidence.entries import Docked, Entry, ReceiptEntry, Released, Witnessed
from agent.evidence.folder import open_regular, read_document, read_regular
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.keys import KeyState
from agent.evidence.merkle import root_at
from agent.evidence.receipts import read_receipt
from agent.evidence.verification.case import Case, at
from agent.evidence.verification.clocks import WITNESS_TOLERANCE_US, Clocks

_SECOND: Final = 1_000_000


@dataclass(slots=True)
class Note:
    """A signed note that was found or given: what it says, who cosigned when, and what was seen meanwhile."""

    place: str
    ours: bool
    """Lies in the folder, so the ledger's own signature must be there."""
    signed: SignedNote | None
    fault: str = ""
    cosigners: dict[str, int] = field(default_factory=dict)
    """POSIX seconds by name, of witnesses that are trusted."""
    epoch_key: bytes | None = None
    """In force after the last line that it covers."""
    late: Entry | None = None
    """The first entry below its size that says a later time than the cosignature."""

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says; only for one that could be read."""
        assert self.signed is not None
        return self.signed.checkpoint

    @property
    def time(self) -> int | None:
        """The earliest cosignature, POSIX seconds."""
        return min(self.cosigners.values(), default=None)


def read_note(case: Case, place: str, data: bytes, ours: bool) -> Note:
    """Takes a note apart and checks the cosignatures in the names of trusted witnesses."""
    note = Note(place, ours, None)
    try:
        note.signed = open_note(data)
        for name, key in case.trust.witness_keys():
            seconds = cosigned_at(note.signed, name, key)
            if seconds is not None:
                note.cosigners[name] = min(seconds, note.cosigners.get(name, seconds))
    except FormatError as error:
        note.fault = str(error)
    return note


def notes_of(case: Case, files: tuple[Path, ...]) -> list[Note]:
    """The notes in the folder, then those that the reader gave."""
    found = []
    for path in files:
        file = open_regular(path)
        if file is not None:
            with file:
                found.append(read_note(case, path.name, file.read(MAX_NOTE_BYTES + 1), ours=True))
    return found + [
        read_note(case, f"note {index}", data, ours=False) for index, data in enumerate(case.question.notes)
    ]


def _reach(note: Note) -> tuple[int, int]:
    """Of two notes the one over more lines says more; over as many, the earlier."""
    return note.checkpoint.size, -(note.time or 0)


class Witnesses:
    """Holds every note and receipt against the lines as they come, and at the end."""

    def __init__(self, case: Case, notes: list[Note], clocks: Clocks) -> None:
        self._case, self._notes, self._clocks = case, notes, clocks
        self.witnessed: Note | None = None
        """The note over the most lines that holds and has a trusted cosignature."""

    def see(self, entry: Entry) -> None:
        """One entry; with those about witnesses, what they say. An extract holds too little of the tree for that."""
        for note in self._notes:
            self._watch(note, entry)
        if self._case.kind == "extract":
            return
        match entry.body:
            case Witnessed(note=text):
                self._on_witnessed(entry, text)
            case ReceiptEntry() as body:
                self._on_receipt(entry, body)
            case Released() as body:
                self._on_released(entry, body)
            case Docked(state=state):
                self._case.draw("docked", entry, state)

    def key_after(self, size: int, keys: KeyState) -> None:
        """The key in force after ``size`` lines, for the notes over just as many."""
        for note in self._notes:
            if note.signed is not None and note.checkpoint.size == size:
                note.epoch_key = keys.epoch_key

    def end(self) -> None:
        """Judges the notes, now that all lines are there."""
        for note in self._notes:
            fault = self.fault_of(note, self._case.size)
            if fault is not None:
                if fault[0]:
                    self._case.find(fault[0], note.place, fault[1])
            elif note.time is not None and note.checkpoint.size > 0:
                self.witnessed = note if self.witnessed is None else max(self.witnessed, note, key=_reach)
                self._case.book.witness(note.checkpoint.size, note.time * _SECOND)
        late = self.witnessed.late if self.witnessed else None
        if late is not None:
            self._case.find("TIME_AFTER_WITNESS", at(late))

    @staticmethod
    def _watch(note: Note, entry: Entry) -> None:
        if note.late is not None or note.time is None or entry.seq >= note.checkpoint.size:
            return
        if entry.time.utc_us > note.time * _SECOND + WITNESS_TOLERANCE_US:
            note.late = entry

    def fault_of(self, note: Note, lines: int) -> tuple[str, str] | None:
        """Code and detail, given so many lines; an empty code where nothing can be said; None for one that holds."""
        case = self._case
        if note.signed is None:
            return "CHECKPOINT_INVALID", note.fault
        point = note.checkpoint
        ours = point.origin == origin_of(case.trust.agency, case.device)
        if not ours and case.kind == "archive" and note.place.startswith("note "):
            return "", ""  # perhaps another device's: judged there, or at the end
        if note.fault or not ours:
            return "CHECKPOINT_INVALID", note.fault or f"of {point.origin[:100]}"
        if case.kind == "extract":
            return self._fault_beside(point)
        if point.size > lines:
            return ("", "") if case.broken else ("LEDGER_CUT", f"{lines} entries are here, {point.size} were")
        if case.tree is not None and root_at(case.tree, point.size) != point.root:
            return "HISTORY_FORKED", f"over {point.size} entries"
        if note.ours:
            try:
                check_ledger_signature(note.signed, note.epoch_key or b"")
            except SignatureError as error:
                return "CHECKPOINT_INVALID", str(error)
        return None

    def _fault_beside(self, point: Checkpoint) -> tuple[str, str] | None:
        """Of an extract: its own note is the first, and only one over as many lines can be held against it."""
        own = self._notes[0].checkpoint
        if point.size != own.size:
            return "", ""
        return None if point.root == own.root else ("HISTORY_FORKED", f"over {point.size} entries")

    def _on_witnessed(self, entry: Entry, text: str) -> None:
        case = self._case
        note = read_note(case, at(entry), text.encode("utf-8", "replace"), ours=False)
        fault = self.fault_of(note, entry.seq)
        if fault is not None:
            case.find(fault[0], note.place, fault[1])
        elif note.time is not None:
            case.book.witness(note.checkpoint.size, note.time * _SECOND)
            self._clocks.not_before(note.time * _SECOND)
            case.draw("witnessed", entry, ", ".join(note.cosigners))

    def _on_receipt(self, entry: Entry, body: ReceiptEntry) -> None:
        case, place = self._case, at(entry)
        data = read_document(case.folder, body.object)
        if data is None:
            case.find("RECEIPT_INVALID", place, "not there, or altered")
            return
        try:
            receipt = read_receipt(data, case.trust)
        except ReceiptError as error:
            case.find("RECEIPT_INVALID", place, str(error))
            return
        assert case.tree is not None
        if (receipt.device, receipt.dock, receipt.ledger_size) != (case.device, body.dock, body.ledger_size):
            said = f"of {receipt.dock} for {receipt.device} over {receipt.ledger_size} entries"
            case.find("RECEIPT_INVALID", place, said)
        elif receipt.ledger_size > entry.seq or root_at(case.tree, receipt.ledger_size).hex() != receipt.ledger_root:
            case.find("HISTORY_FORKED", place, f"receipt over {receipt.ledger_size} entries")
        else:
            case.book.receive(body.object.digest)
            case.book.witness(receipt.ledger_size, receipt.issued_us)
            self._clocks.not_before(receipt.issued_us)
            case.draw("receipt", entry, receipt.dock)

    def _on_released(self, entry: Entry, body: Released) -> None:
        case = self._case
        covered: set[str] = set()
        if case.book.is_receipt(body.receipt):
            covered = self._covered_by(body.receipt)
        uncovered = sum(digest not in covered for digest in body.objects)
        if uncovered:
            case.find("RELEASED_UNCOVERED", at(entry), f"{uncovered} objects")
        case.book.release(covered & set(body.objects))

    def _covered_by(self, digest: str) -> set[str]:
        case = self._case
        data = read_regular(case.folder.objects / f"{digest}.jws", MAX_JWS_BYTES)
        try:
            return {ref.digest for ref in read_receipt(data or b"", case.trust).objects}
        except ReceiptError:
            return set()  # it was good a moment ago: somebody is altering the folder while we look
