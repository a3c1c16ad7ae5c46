"""Steps 1 to 3: the ledger's lines, one after the other; checkpoints, cosignatures and receipts against its tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.errors import FormatError, ReceiptError, SignatureError, TrustError
from agent.evidence.checkpoint import SignedNote, check_ledger_signature, cosigned_at, open_note, origin_of
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import from_b64url
from agent.evidence.entries import Entry, ReceiptEntry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.ledger import ChainState
from agent.evidence.receipts import Receipt, read_receipt
from agent.evidence.verification.report import Report

MAX_NOTE: Final = 16_384


@dataclass(slots=True)
class Ledger:
    """A ledger as far as it verifies; ``roots`` and ``keys`` at the sizes that somebody signed."""

    device: str
    entries: list[Entry] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    broken: bool = False
    witnessed_size: int = 0
    witnessed_seconds: int | None = None
    """POSIX time of the cosignature over ``witnessed_size`` lines."""
    receipts: dict[str, Receipt] = field(default_factory=dict)
    """Receipts that verify, by the digest of their object."""


def lines_of(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Lines without newline, and whether they had one; a line over the limit is cut there and so refused later."""
    with path.open("rb") as file:
        while line := file.readline(MAX_JWS_BYTES + 2):
            yield line.removesuffix(b"\n"), line.endswith(b"\n")


def read_note(path: Path) -> SignedNote | None:
    """A signed note, or None when there is no file. Raises FormatError."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return open_note(file.read(MAX_NOTE + 1))


def read_ledger(folder: EvidenceFolder, trust: TrustBundle, report: Report) -> Ledger:
    """Judges every line, every checkpoint and every receipt; findings go into the report."""
    notes = _notes(folder, report)
    receipts = _receipts(folder, trust)
    sizes = {note.checkpoint.size for note in notes} | {receipt.ledger_size for receipt in receipts.values()}
    ledger = _read_lines(folder, trust, report, sizes)
    for note in notes:
        _judge_note(note, ledger, trust, report)
    _judge_receipts(ledger, receipts, report)
    return ledger


def _notes(folder: EvidenceFolder, report: Report) -> list[SignedNote]:
    notes = []
    for path in (folder.checkpoint, folder.cosigned):
        try:
            note = read_note(path)
        except (FormatError, OSError) as error:
            report.add("CHECKPOINT_INVALID", path.name, str(error))
            continue
        if note:
            notes.append(note)
    return notes


def _receipts(folder: EvidenceFolder, trust: TrustBundle) -> dict[str, Receipt]:
    """All receipts among the documents that verify; the ledger says later which ones ought to be there."""
    found: dict[str, Receipt] = {}
    if not folder.objects.is_dir():
        return found
    for path in sorted(folder.objects.glob("*.jws")):
        try:
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_JWS_BYTES:
                found[path.stem] = read_receipt(path.read_bytes(), trust)
        except (ReceiptError, OSError):
            continue  # a profile or a policy, or a bad receipt: judged where the ledger names it
    return found


def _read_lines(folder: EvidenceFolder, trust: TrustBundle, report: Report, sizes: set[int]) -> Ledger:
    state = ChainState(trust)
    ledger = Ledger(folder.path.name)
    for line, whole in lines_of(folder.ledger):
        place = f"entry {state.size}"
        if not whole and len(line) <= MAX_JWS_BYTES:
            report.add("TORN_TAIL", place)
            break
        if not _accept(state, line, ledger, report, place):
            ledger.broken = True
            break
        if state.size in sizes:
            ledger.roots[state.size] = state.tree.root()
            ledger.keys[state.size] = state.keys.epoch_key or b""
    ledger.device = state.device or folder.path.name
    if not ledger.entries and not ledger.broken:
        report.add("LEDGER_UNREADABLE", str(folder.ledger.name), "empty")
    return ledger


def _accept(state: ChainState, line: bytes, ledger: Ledger, report: Report, place: str) -> bool:
    try:
        ledger.entries.append(state.accept(line))
    except SignatureError as error:
        report.add("LEDGER_SIGNATURE", place, str(error))
    except FormatError as error:
        report.add("LEDGER_LINE", place, str(error))
    except TrustError as error:
        report.add("CERTIFICATE", place, str(error))
    else:
        return True
    return False


def _judge_note(note: SignedNote, ledger: Ledger, trust: TrustBundle, report: Report) -> None:
    """A checkpoint must fit the lines; one that a trusted witness cosigned also says how many there must be."""
    point = note.checkpoint
    place = f"checkpoint at {point.size}"
    try:
        witnessed = _cosigned(note, trust)
    except SignatureError as error:
        report.add("CHECKPOINT_INVALID", place, str(error))
        return
    if point.origin != origin_of(trust.agency, ledger.device):
        report.add("CHECKPOINT_INVALID", place, f"of {point.origin}")
        return
    if point.size > len(ledger.entries):
        report.add("LEDGER_CUT", place, f"{len(ledger.entries)} entries are here")
        return
    if ledger.roots.get(point.size) != point.root:
        report.add("HISTORY_FORKED", place)
        return
    try:
        check_ledger_signature(note, ledger.keys[point.size])
    except SignatureError as error:
        report.add("CHECKPOINT_INVALID", place, str(error))
        return
    if witnessed is not None and point.size > ledger.witnessed_size:
        ledger.witnessed_size, ledger.witnessed_seconds = point.size, witnessed


def _cosigned(note: SignedNote, trust: TrustBundle) -> int | None:
    """POSIX seconds of the earliest cosignature by a trusted witness; None when there is none."""
    times = [cosigned_at(note, dock.id, from_b64url(dock.witness_key)) for dock in trust.docks]
    return min((time for time in times if time is not None), default=None)


def _judge_receipts(ledger: Ledger, receipts: dict[str, Receipt], report: Report) -> None:
    for entry in ledger.entries:
        if not isinstance(entry.body, ReceiptEntry):
            continue
        digest = entry.body.object.digest
        receipt = receipts.get(digest)
        place = f"entry {entry.seq}"
        if receipt is None:
            report.add("RECEIPT_INVALID", place, "missing, or not signed by the dock it names")
        elif receipt.device != ledger.device or receipt.dock != entry.body.dock:
            report.add("RECEIPT_INVALID", place, f"of {receipt.dock} for {receipt.device}")
        elif ledger.roots.get(receipt.ledger_size, b"").hex() != receipt.ledger_root:
            report.add("HISTORY_FORKED", place, f"receipt over {receipt.ledger_size} entries")
        else:
            ledger.receipts[digest] = receipt
