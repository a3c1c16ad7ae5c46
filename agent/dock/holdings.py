"""Which objects of one device are still to come or to be receipted, and which receipts it has yet to enter.

Bounded by what is not yet handed over, however long the ledger is: its file under its name says that an object is held.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from typing import Final

from agent.dock.settings import DockSettings
from agent.errors import FormatError, StorageError
from agent.evidence.encoding import from_b64url, is_digest, load_object, sha256_hex
from agent.evidence.entries import Entry, ObjectRef, ReceiptEntry, entry_objects
from agent.evidence.folder import EvidenceFolder
from agent.evidence.receipts import Receipt
from agent.evidence.shapes import load_shape
from agent.system import durable

_ENTERED: Final = "entered"
_FORMS: Final = ("age", "jws")


class ReceiptBook:
    """Receipts signed for one device, by digest; each is written before it is published.

    Those that the device has entered into its ledger lie in a folder beside, so that the listing says which are owed.
    """

    def __init__(self, settings: DockSettings, device: str) -> None:
        """Raises StorageError."""
        self._folder = settings.receipts / device
        self._entered = self._folder / _ENTERED
        durable.make_private_folder(self._entered)
        self.owed: dict[str, bytes] = {}
        """Signed, and not yet entered by the device; oldest first."""
        with durable.storage_errors(self._folder, "reading the receipts in"):
            for path in sorted(self._folder.glob("*.jws"), key=lambda found: found.stat().st_mtime_ns):
                if is_digest(path.stem):
                    self.owed[path.stem] = path.read_bytes()

    def enter(self, token: bytes) -> str:
        """Keeps a receipt; returns its digest, after it is durable."""
        digest = sha256_hex(token)
        durable.write_atomic(self._folder / f"{digest}.jws", token, 0o640)
        self.owed[digest] = token
        return digest

    def entered(self, digest: str) -> list[ObjectRef]:
        """The device has entered this receipt: what it lists. Nothing for a receipt that this dock has not signed."""
        token = self.owed.pop(digest, None)
        if token is None:
            kept = self._entered / f"{digest}.jws"
            with durable.storage_errors(kept, "reading"):
                token = kept.read_bytes() if kept.exists() else None
        else:
            durable.move(self._folder / f"{digest}.jws", self._entered / f"{digest}.jws")
        return _listed(token) if token else []

    def listed(self) -> Iterator[ObjectRef]:
        """What the receipts list that are still owed."""
        for token in self.owed.values():
            yield from _listed(token)


def _listed(token: bytes) -> list[ObjectRef]:
    try:
        return load_shape(Receipt, load_object(from_b64url(token.split(b".")[1]))).objects
    except (FormatError, IndexError) as error:
        raise StorageError(f"a receipt that this dock has signed cannot be read any more: {error}") from error


class Holdings:
    """Objects of one device that this dock still has something to do about."""

    def __init__(
        self,
        folder: EvidenceFolder,
        book: ReceiptBook,
        named: Iterable[tuple[ObjectRef, bool]] = (),
        copies_needed: int = 0,
        gone: Container[str] = (),
    ) -> None:
        """``named``: as ``unsettled`` gave it, at any time before; ``gone``: deleted after retention. StorageError."""
        self._gone = gone
        self._folder, self._book, self._copies_needed = folder, book, copies_needed
        self._copies: dict[str, set[str]] = {}
        self.wanted: dict[str, ObjectRef] = {}
        """Named by the ledger, not held."""
        self.unreceipted: dict[str, ObjectRef] = {}
        """Held in as many copies as a receipt needs, and on no receipt of this dock yet; oldest first."""
        self.uncopied: dict[str, ObjectRef] = {}
        """Held here, and not yet in as many further copies as a receipt needs."""
        self._receipts: set[str] = set()
        for ref, is_receipt in named:
            self._name(ref, is_receipt)
        with durable.storage_errors(folder.objects, "listing"), os.scandir(folder.objects) as inside:
            self.count = sum(1 for _ in inside)

    def note(self, entry: Entry) -> None:
        """A line names objects."""
        for ref in entry_objects(entry):
            self._name(ref, isinstance(entry.body, ReceiptEntry))

    def _name(self, ref: ObjectRef, is_receipt: bool) -> None:
        if ref.digest in self._gone:
            return
        held = self._folder.object_path(ref).exists()
        (self._place_of_held if held else self.wanted).setdefault(ref.digest, ref)
        if is_receipt:
            self._receipts.add(ref.digest)

    def holds(self, digest: str) -> bool:
        """Whether this object is here, whole and read back."""
        return any((self._folder.objects / f"{digest}.{form}").exists() for form in _FORMS)

    @property
    def _place_of_held(self) -> dict[str, ObjectRef]:
        return self.uncopied if self._copies_needed else self.unreceipted

    def hold(self, ref: ObjectRef) -> None:
        """This object has got its name."""
        self._place_of_held[ref.digest] = self.wanted.pop(ref.digest)
        self.count += 1

    def copied(self, digest: str, copy: str) -> bool:
        """A further copy holds this object, read back there; whether a receipt may list it from now on."""
        if digest not in self.uncopied:
            return False
        holders = self._copies.setdefault(digest, set())
        holders.add(copy)
        if len(holders) < self._copies_needed:
            return False
        del self._copies[digest]
        self.unreceipted[digest] = self.uncopied.pop(digest)
        return True

    def receipted(self, refs: Iterable[ObjectRef]) -> None:
        """A receipt of this dock lists these."""
        for ref in refs:
            self.unreceipted.pop(ref.digest, None)
            self.uncopied.pop(ref.digest, None)
            self._copies.pop(ref.digest, None)
            self._receipts.discard(ref.digest)

    def entered(self, digest: str) -> None:
        """The device has entered a receipt, and the line that says so is durable. Raises StorageError."""
        self.receipted(self._book.entered(digest))

    def settle(self) -> None:
        """After all lines were noted: what a receipt lists that is still owed has its receipt."""
        self._gone = ()  # only what is old can be gone, and only a start reads what is old
        self.receipted(self._book.listed())

    @property
    def only_receipts(self) -> bool:
        """Whether nothing waits for a receipt but receipts: those alone are not receipted, or it would never end."""
        return self._receipts.issuperset(self.unreceipted)

    def unsettled(self) -> list[tuple[ObjectRef, bool]]:
        """All that is wanted or not yet receipted, and whether it is itself a receipt."""
        refs = (*self.wanted.values(), *self.unreceipted.values(), *self.uncopied.values())
        return [(ref, ref.digest in self._receipts) for ref in refs]
