"""R22: space is freed only against verified receipts. Which receipts cover what, and what may go now."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import FormatError, ReceiptError
from agent.evidence.checkpoint import Checkpoint, compose, find_cosignature, newest_note, open_note, origin_of
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import Entry, ObjectRef, ReceiptEntry, Released, entry_objects
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import INDEX, KeptIndex
from agent.evidence.merkle import root_at as root_of_nodes
from agent.evidence.merkle import root_of_file
from agent.evidence.receipts import MAX_OBJECTS, Receipt, read_receipt
from agent.system.durable import remove_file, write_atomic


def root_at(ledger: Path, size: int) -> str:
    """Merkle root (hex) over the first ``size`` lines on disk. Raises ReceiptError when there are fewer."""
    root = root_of_file(ledger, size)
    if root is None:
        raise ReceiptError(f"the receipt speaks of {size} lines, this ledger has fewer")
    return root.hex()


def has_root(folder: EvidenceFolder, size: int, root: str) -> bool:
    """Whether this is the Merkle root (hex) over the first ``size`` lines. Raises ReceiptError when there are fewer.

    The index says yes at once; before it is no, the lines themselves are read.
    """
    with suppress(FormatError):
        if root_of_nodes(KeptIndex(folder.path / INDEX, folder.ledger, size), size).hex() == root:
            return True
    return root_at(folder.ledger, size) == root


def keep_cosigned(folder: EvidenceFolder, note: bytes, trust: TrustBundle, device: str) -> Checkpoint:
    """Keeps a cosigned checkpoint, durably, if it is over this very ledger and a trusted witness signed it.

    Raises FormatError (SignatureError) or ReceiptError. An older one than the one kept is dropped; of two over the same
    lines the cosignatures are kept together. Lines of nobody trusted are left away: they could fill the note.
    """
    signed = open_note(note)
    point = signed.checkpoint
    asked = [find_cosignature(signed, name, key) for name, key in trust.witness_keys()]
    lines = [one for one in asked if one is not None]
    if point.origin != origin_of(trust.agency, device) or not lines:
        raise ReceiptError("not a checkpoint of this device that a trusted witness cosigned")
    if not has_root(folder, point.size, point.root.hex()):
        raise ReceiptError("the witness saw another ledger than the one on this device")
    own = [one for one in signed.signatures if one.name == point.origin]
    kept = folder.cosigned.read_bytes() if folder.cosigned.exists() else None
    newest = newest_note(kept, compose(point, own + lines))
    if newest != kept:
        write_atomic(folder.cosigned, newest)
    return point


@dataclass(slots=True)
class ReceiptBook:
    """Sealed objects that are still here, the docks that hold each, and what is released and about to be deleted.

    What was released and deleted is forgotten, so that it does not grow with the ledger.
    """

    folder: EvidenceFolder
    trust: TrustBundle
    device: str
    held_by: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """By object: the docks that hold it, and when each first signed for it (UTC, us)."""
    sizes: dict[str, ObjectRef] = field(default_factory=dict)
    receipt_of: dict[str, str] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    covered_by: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Entered receipts that cover an object that is here."""

    def note(self, entry_body: object, refs: list[ObjectRef]) -> None:
        """Takes in what one entry says about objects; for every entry of the past and every new one."""
        for ref in refs:
            if ref.form == "age":
                self.sizes[ref.digest] = ref
        if isinstance(entry_body, Released):
            self._note_released(entry_body)
        if isinstance(entry_body, ReceiptEntry):
            self._note_receipt(entry_body)

    def _note_released(self, body: Released) -> None:
        for digest in body.objects:
            ref = self.sizes.get(digest)
            if ref and self.folder.object_path(ref).exists():
                self.released.add(digest)
            elif ref:
                self._forget(digest)

    def note_entry(self, entry: Entry) -> None:
        """As ``note``, from a whole entry."""
        self.note(entry.body, list(entry_objects(entry)))

    def _note_receipt(self, body: ReceiptEntry) -> None:
        self.count_receipt(body.object.digest)

    def count_receipt(self, digest: str) -> None:
        """An entered receipt counts for what it lists and is here. It is verified each time that it is read."""
        try:
            token = (self.folder.objects / f"{digest}.jws").read_bytes()
            receipt = read_receipt(token, self.trust)
        except (OSError, FormatError, ReceiptError):
            return  # a receipt that cannot be read any more frees nothing
        for ref in receipt.objects:
            if self.sizes.get(ref.digest) == ref:
                docks = self.held_by[ref.digest]
                docks[receipt.dock] = min(receipt.issued_us, docks.get(receipt.dock, receipt.issued_us))
                self.receipt_of[ref.digest] = digest
                self.covered_by[ref.digest].add(digest)

    def receipts(self) -> list[str]:
        """Receipts that still count: they cover something that is here."""
        return sorted(set().union(*self.covered_by.values()))

    def check(self, token: bytes) -> tuple[Receipt, ObjectRef]:
        """Verifies a receipt against this ledger; keeps it as an object, durably. Raises ReceiptError, StorageError."""
        receipt = read_receipt(token, self.trust)
        if receipt.device != self.device:
            raise ReceiptError(f"the receipt is for {receipt.device}")
        if not has_root(self.folder, receipt.ledger_size, receipt.ledger_root):
            raise ReceiptError("the dock's ledger is not the one on this device")
        ref = ObjectRef(sha256_hex(token), len(token), "jws")
        write_atomic(self.folder.object_path(ref), token)
        return receipt, ref

    def releasable(self, receipts_needed: int, signed_by_us: int | None = None) -> list[Released]:
        """Entries for what may go now: held by enough docks, still here. One entry per receipt.

        ``signed_by_us``: docks that signed later than this (UTC, us) do not count yet; None: all count.
        """
        by_receipt: dict[str, list[ObjectRef]] = defaultdict(list)
        for digest, docks in self.held_by.items():
            count = sum(signed_by_us is None or issued <= signed_by_us for issued in docks.values())
            if count >= max(1, receipts_needed) and digest not in self.released:
                by_receipt[self.receipt_of[digest]].append(self.sizes[digest])
        return [
            Released(receipt, [ref.digest for ref in refs[:MAX_OBJECTS]], sum(ref.size for ref in refs[:MAX_OBJECTS]))
            for receipt, refs in by_receipt.items()
        ]

    def remove(self, entry: Released) -> list[str]:
        """Deletes released objects, after their entry is durable; returns the digests. Repeating is harmless."""
        for digest in entry.objects:
            if ref := self.sizes.get(digest):
                remove_file(self.folder.object_path(ref))
                self._forget(digest)
        return entry.objects

    def sweep(self) -> None:
        """After a cut: deletes what was released but not yet deleted. Raises StorageError."""
        for digest in sorted(self.released):
            remove_file(self.folder.object_path(self.sizes[digest]))
            self._forget(digest)

    def _forget(self, digest: str) -> None:
        del self.sizes[digest]
        self.released.discard(digest)
        self.held_by.pop(digest, None)
        self.receipt_of.pop(digest, None)
        self.covered_by.pop(digest, None)
