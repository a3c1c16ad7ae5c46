"""One device's evidence in the bucket: an ``ArchiveStore`` whose every claim is a record of the journal, or an object.

A worker keeps nothing of its own but parts of objects not yet whole. One thread per device.
"""

from __future__ import annotations

import shutil
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.dock.cluster import snapshot as snapshots
from agent.dock.cluster.bucket import MAX_OBJECT_BYTES, AlreadyThereError, Bucket
from agent.dock.cluster.holdings import BucketHoldings, BucketReceipts, listed, object_key
from agent.dock.cluster.journal import Journal, Record
from agent.dock.cluster.quarantine import BucketQuarantine
from agent.dock.staging import Staging
from agent.dock.store import Taken
from agent.errors import FormatError, StorageError, TrustError
from agent.evidence.checkpoint import newest_note, open_note
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import Entry, ObjectRef, ReceiptEntry
from agent.evidence.ledger import ChainState
from agent.evidence.merkle import Tree
from agent.system import durable
from agent.system.logs import logger
from agent.witness.memory import Remembered

SNAPSHOT_LINES: Final = 4_096
SNAPSHOT_RECORDS: Final = 256
"""After so many of either, what all records amount to is kept, so that a take-over reads no more than about these."""
_RECENT: Final = 8_192
_log = logger("intake")


class _UnusableSnapshotError(Exception):
    """A snapshot cannot be taken up; the records before it can."""


class BucketArchive:
    """A device that this worker has taken over. Any StorageError may be a FencedError: then another has it now."""

    def __init__(self, bucket: Bucket, worker: str, device: str, trust: TrustBundle, key: bytes, scratch: Path) -> None:
        """Claims the device and reads on from its newest snapshot.

        ``key``: seals snapshots, see ``seal_key``. ``scratch``: the device's own folder; emptied.
        Raises StorageError, FormatError, TrustError.
        """
        self.device = device
        self.stagings: dict[str, Staging] = {}
        self.cosigned: bytes | None = None
        self.chain = ChainState(trust, device)
        self.holdings = BucketHoldings(bucket, device)
        self.quarantine = BucketQuarantine(bucket, device)
        self.receipts = BucketReceipts(lambda token: self._journal.append("receipt", token))
        self._bucket, self._key, self._scratch, self._trust = bucket, key, scratch, trust
        self._unwritten: list[Taken] = []
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=_RECENT)
        with durable.storage_errors(scratch, "emptying"):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(mode=durable.PRIVATE_FOLDER, parents=True)
        self._journal = Journal(bucket, device, worker)
        self._snapshot_at = (0, 0)
        self._read_in()
        if self.chain.size != self._journal.lines:
            raise StorageError(f"the journal of {device} counts {self._journal.lines} lines, and has {self.chain.size}")

    def close(self) -> None:
        """Lets go of what is under way. What was not flushed is forgotten; it was not claimed either."""
        for staging in self.stagings.values():
            staging.close()
        self.stagings.clear()
        with suppress(OSError):  # whoever begins empties it
            shutil.rmtree(self._scratch)

    # -- journal ----------------------------------------------------------------------------------------------------

    def _read_in(self) -> None:
        try:
            records = self._journal.before()
            for record in records:
                self._replay(record)
        except _UnusableSnapshotError as error:
            # Of another version, or under a receipt key since renewed: the lines themselves are all there.
            _log.warning("verifying the ledger anew", device=self.device, why=str(error))
            for record in self._journal.before(from_first=True):
                self._replay(record)

    def _replay(self, record: Record) -> None:
        match record.head.kind:
            case "lines":
                for line in record.ledger_lines():
                    self._settle(self._note(line, fresh=False))
            case "receipt":
                self.receipts.note(record.data)
                self.holdings.receipted(listed(record.data))
            case "cosigned":
                self.cosigned = record.data
            case "snapshot" if self.chain.size == 0:
                self._resume(record)
            case _:
                pass

    def _resume(self, record: Record) -> None:
        try:
            found = snapshots.unseal(record.data, self._key, self.device)
            self.chain = found.chain(self._trust)
        except (FormatError, TrustError) as error:
            raise _UnusableSnapshotError(str(error)) from error
        self.holdings.resume(found.unsettled, found.objects)
        for token in found.owed:
            self.receipts.note(token.encode())
        self.cosigned = found.cosigned.encode() if found.cosigned else None
        self._snapshot_at = (found.size, record.head.number)

    def _snapshot_if_due(self) -> None:
        lines, number = self._snapshot_at
        due = self.chain.size - lines >= SNAPSHOT_LINES or self._journal.next - number >= SNAPSHOT_RECORDS
        if due and self.chain.size and not self._unwritten:
            owed, unsettled = list(self.receipts.owed.values()), self.holdings.unsettled()
            taken = snapshots.take(self.chain, unsettled, owed, self.cosigned, self.holdings.count)
            number = self._journal.next
            self._journal.append("snapshot", snapshots.seal(taken, self._key))
            self._snapshot_at = (self.chain.size, number)

    # -- ledger -----------------------------------------------------------------------------------------------------

    def accept(self, line: bytes) -> Taken:
        """Judges the next line and takes it in; ``flush`` makes it durable. Raises FormatError, TrustError."""
        taken = Taken(self._note(line, fresh=True), line)
        self._unwritten.append(taken)
        return taken

    def _note(self, line: bytes, fresh: bool) -> Entry:
        entry = self.chain.accept(line)
        self._recent.append((sha256_hex(line), self.chain.tree.root()))
        self.holdings.note(entry, fresh)
        return entry

    def _settle(self, entry: Entry) -> None:
        if isinstance(entry.body, ReceiptEntry):
            self.receipts.entered(entry.body.object.digest)

    def flush(self) -> int:
        """Makes accepted lines durable, in one record; returns how many lines are. Raises StorageError."""
        if self._unwritten:
            self._journal.append("lines", b"".join(taken.line + b"\n" for taken in self._unwritten))
            written, self._unwritten = self._unwritten, []
            for taken in written:
                self._settle(taken.entry)
            self._snapshot_if_due()
        return self.chain.size

    def same_line(self, seq: int, line: bytes) -> bool:
        """Whether this is the line held at ``seq``; an old one is looked up. Raises StorageError."""
        recent = self._recent_at(seq)
        if recent is not None:
            return recent[0] == sha256_hex(line)
        self.flush()
        return self._journal.line(seq) == line

    def has_root(self, size: int, root: bytes) -> bool:
        """Whether this is the Merkle root over the first ``size`` lines. For an old size all lines are read."""
        if not 0 <= size <= self.chain.size:
            return False
        if size == self.chain.size:
            return self.chain.tree.root() == root
        recent = self._recent_at(size - 1)
        if recent is not None:
            return recent[1] == root
        known = open_note(self.cosigned).checkpoint if self.cosigned else None
        if known is not None and known.size == size:
            return known.root == root
        return self._root_of_old(size) == root

    def _recent_at(self, seq: int) -> tuple[str, bytes] | None:
        back = self.chain.size - seq
        return self._recent[-back] if 0 < back <= len(self._recent) else None

    def _root_of_old(self, size: int) -> bytes:
        self.flush()
        tree = Tree()
        for line in self._journal.all_lines():
            if tree.size == size:
                break
            tree.add(line)
        return tree.root()

    # -- objects ----------------------------------------------------------------------------------------------------

    def stage(self, ref: ObjectRef, part_bytes: int) -> Staging:
        """The staging of a wanted object, begun anew when the part size is another. Raises StorageError."""
        if ref.size > MAX_OBJECT_BYTES:
            raise StorageError(f"object {ref.digest} has {ref.size} bytes; the archive takes {MAX_OBJECT_BYTES}")
        staging = self.stagings.get(ref.digest)
        if staging is None or staging.part_bytes != part_bytes:
            if staging is not None:
                staging.close()
            staging = self.stagings[ref.digest] = Staging.begin(self._scratch / ref.file_name, ref, part_bytes)
        return staging

    def finish(self, staging: Staging) -> str | None:
        """Hashes, stores once, reads back what the server gives and hashes that; None then, otherwise why not.

        Raises QuarantineFullError, StorageError.
        """
        ref = staging.ref
        found, size = staging.read_back(), staging.path.stat().st_size
        del self.stagings[ref.digest]
        if (found, size) != (ref.digest, ref.size):
            reason = f"{size} bytes with SHA-256 {found}, where the ledger says {ref.size} bytes with {ref.digest}"
            self._quarantine_staging(staging, reason)
            return reason
        self.flush()  # no object lies in the archive without the line that names it
        self._store(staging.path, ref)
        self._remove(staging)
        self.holdings.hold(ref)
        return None

    def _quarantine_staging(self, staging: Staging, reason: str) -> None:
        with durable.storage_errors(staging.path, "reading"):
            data = staging.path.read_bytes()
        self._remove(staging)
        self.quarantine.keep("object", staging.ref.file_name, data, reason)

    def _store(self, path: Path, ref: ObjectRef) -> None:
        key = object_key(self.device, ref.file_name)
        with suppress(AlreadyThereError):  # by another worker, or by ourselves when the answer was lost
            self._bucket.put_file_once(key, path, bytes.fromhex(ref.digest))
        if self._bucket.digest_of(key) != (ref.digest, ref.size):
            raise StorageError(f"{key} in the bucket is not what its name says")

    def _remove(self, staging: Staging) -> None:
        staging.close()
        with durable.storage_errors(self._scratch, "removing a staging from"):
            for path in self._scratch.glob(f"{staging.path.name}*"):
                path.unlink()

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def keep_cosigned(self, note: bytes) -> bytes:
        """Keeps the newest cosigned checkpoint; returns it. Durable then. Raises StorageError."""
        newest = newest_note(self.cosigned, note)
        if newest != self.cosigned:
            self._journal.append("cosigned", newest)
            self.cosigned = newest
        return newest


class BucketMemory:
    """What this intake has cosigned last of one device. It stands in the journal: a fenced worker cannot add to it."""

    def __init__(self, archive: BucketArchive) -> None:
        self._archive = archive

    def read(self, origin: str) -> Remembered | None:
        """What is remembered of this ledger."""
        note = self._archive.cosigned
        if note is None:
            return None
        point = open_note(note).checkpoint
        return Remembered(1, origin, point.size, point.root.hex(), note.decode(), None)

    def keep(self, remembered: Remembered) -> None:
        """Durable when it returns. Raises StorageError."""
        self._archive.keep_cosigned(remembered.note.encode())
