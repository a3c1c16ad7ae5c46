"""What a worker knows of one device's objects and receipts: rebuilt from the journal, checked against the bucket.

A stored object is found under its digest; whether it is there is asked only where the journal leaves it open, that is
for what was named before this worker took over and stands on no receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from agent.dock.cluster.bucket import Bucket
from agent.dock.cluster.snapshot import Unsettled
from agent.errors import FormatError, StorageError
from agent.evidence.encoding import from_b64url, load_object, sha256_hex
from agent.evidence.entries import Entry, ObjectRef, ReceiptEntry, entry_objects
from agent.evidence.receipts import Receipt
from agent.evidence.shapes import load_shape

ROOT: Final = "objects/"
_FORMS: Final = ("age", "jws")
_MOST_ABSENT: Final = 65_536


def object_key(device: str, file_name: str) -> str:
    """Where an object lies."""
    return f"{ROOT}{device}/{file_name}"


def listed(token: bytes) -> list[ObjectRef]:
    """What a receipt of ours lists. Raises StorageError."""
    try:
        return load_shape(Receipt, load_object(from_b64url(token.split(b".")[1]))).objects
    except (FormatError, IndexError) as error:
        raise StorageError(f"a receipt that this intake has signed cannot be read any more: {error}") from error


class BucketReceipts:
    """Receipts signed and not yet entered by the device."""

    def __init__(self, append: Callable[[bytes], None]) -> None:
        """``append`` puts a receipt into the journal."""
        self._append = append
        self.owed: dict[str, bytes] = {}

    def enter(self, token: bytes) -> str:
        """Keeps a receipt; returns its digest, after it is durable. Raises StorageError."""
        self._append(token)
        return self.note(token)

    def note(self, token: bytes) -> str:
        """The journal has this receipt."""
        digest = sha256_hex(token)
        self.owed[digest] = token
        return digest

    def entered(self, digest: str) -> None:
        """The device has entered it, durably."""
        self.owed.pop(digest, None)


class BucketHoldings:
    """Objects of one device that there is still something to do about."""

    def __init__(self, bucket: Bucket, device: str) -> None:
        self._bucket, self._device = bucket, device
        self.wanted: dict[str, ObjectRef] = {}
        self.unreceipted: dict[str, ObjectRef] = {}
        self.uncopied: dict[str, ObjectRef] = {}
        """Nothing: copies of a bucket are the server's."""
        self.count = 0
        self._receipts: set[str] = set()
        self._held: set[str] = set()
        self._absent: set[str] = set()
        """Asked for already, or named since the take-over."""

    def resume(self, unsettled: Iterable[Unsettled], count: int) -> None:
        """As ``unsettled`` gave it."""
        self.count = count
        for digest, size, form, held, receipt in unsettled:
            (self.unreceipted if held else self.wanted)[digest] = ObjectRef(digest, size, form)
            if held:
                self._held.add(digest)
            if receipt:
                self._receipts.add(digest)

    def note(self, entry: Entry, fresh: bool) -> None:
        """A line names objects. ``fresh``: it came to this worker, so that no other has stored them for it."""
        for ref in entry_objects(entry):
            (self.unreceipted if ref.digest in self._held else self.wanted).setdefault(ref.digest, ref)
            if isinstance(entry.body, ReceiptEntry):
                self._receipts.add(ref.digest)
            if fresh:
                self._note_absent(ref.digest)

    def holds(self, digest: str) -> bool:
        """Whether this object is here, whole; what another worker stored is read back first. Raises StorageError."""
        if digest in self._held:
            return True
        if digest in self._absent:
            return False
        wanted = self.wanted.get(digest)
        forms = (wanted.form,) if wanted else _FORMS
        found = any(self._is_stored(digest, form) for form in forms)
        if not found:
            self._note_absent(digest)
        elif wanted:
            self.hold(wanted)
        else:
            self._held.add(digest)
        return found

    def _is_stored(self, digest: str, form: str) -> bool:
        key = object_key(self._device, f"{digest}.{form}")
        if self._bucket.size_of(key) is None:
            return False
        if self._bucket.digest_of(key)[0] != digest:
            raise StorageError(f"{key} in the bucket is not what its name says")
        return True

    def _note_absent(self, digest: str) -> None:
        if len(self._absent) >= _MOST_ABSENT:
            self._absent.clear()  # it is asked for once more, no worse
        self._absent.add(digest)

    def hold(self, ref: ObjectRef) -> None:
        """This object is stored and was read back."""
        self.wanted.pop(ref.digest, None)
        self.unreceipted[ref.digest] = ref
        self._held.add(ref.digest)
        self.count += 1

    def receipted(self, refs: Iterable[ObjectRef]) -> None:
        """A receipt lists these."""
        for ref in refs:
            if self.wanted.pop(ref.digest, None) is not None:
                self.count += 1  # stored by the worker that signed the receipt
            self.unreceipted.pop(ref.digest, None)
            self._receipts.discard(ref.digest)
            self._held.add(ref.digest)

    @property
    def only_receipts(self) -> bool:
        """Whether nothing waits for a receipt but receipts: those alone are not receipted, or it would never end."""
        return self._receipts.issuperset(self.unreceipted)

    def unsettled(self) -> list[Unsettled]:
        """All that is wanted or not yet receipted."""
        return [
            (ref.digest, ref.size, ref.form, held, ref.digest in self._receipts)
            for held, refs in ((False, self.wanted), (True, self.unreceipted))
            for ref in refs.values()
        ]
