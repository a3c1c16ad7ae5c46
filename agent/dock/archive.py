"""One device's part of the archive: a verified ledger, write-once objects, staging beside them. One thread per device.

An object gets its name in ``objects/`` only after its bytes were synced, dropped from the page cache, read back from
the disk and hashed: a file under its name is therefore whole, and the folder's listing is the truth about what is held.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.dock.holdings import Holdings, ReceiptBook
from agent.dock.quarantine import Quarantine
from agent.dock.retention import read_records
from agent.dock.settings import DockSettings
from agent.dock.staging import Staging, list_path
from agent.dock.store import Taken
from agent.dock.verified import Verified, describe, read_verified, resume_chain, write_verified
from agent.errors import FormatError, StorageError, TrustError
from agent.evidence.checkpoint import newest_note
from agent.evidence.documents import TrustBundle
from agent.evidence.entries import Entry, ObjectRef, ReceiptEntry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import INDEX, IndexWriter, KeptIndex
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.ledger import ChainState
from agent.evidence.merkle import leaf_hash, root_at, root_of_file
from agent.system import durable
from agent.system.durable import storage_errors
from agent.system.logs import logger

_WRITE_ONCE: Final = 0o440
VERIFIED_EVERY_LINES: Final = 4096
"""After so many lines, at least, what was verified is kept: a start after a crash verifies no more than about these."""
_log = logger("dock")


class DeviceArchive:
    """A device's evidence at this dock. ``chain`` runs ahead of the disk until ``flush``; claims come after it.

    Beside the ledger lie its index and what was verified of it; both are made anew whenever they do not fit.
    """

    def __init__(self, settings: DockSettings, device: str, trust: TrustBundle, key: bytes) -> None:
        """Opens or makes the folders; verifies the ledger held, as far as that was not done and kept before.

        ``key``: seals what was verified, see ``seal_key``. Raises StorageError, FormatError, TrustError.
        """
        self.device = device
        self.folder = EvidenceFolder(settings.archive / device)
        self._staging_folder = settings.staging / device
        self.quarantine = Quarantine(settings, device, lambda: time.time_ns() // 1000)
        self._copies_needed = settings.receipt_after_copies
        self._index_folder = self.folder.path / INDEX
        for path in (self.folder.path, self.folder.objects, self._staging_folder):
            durable.make_private_folder(path)
        self.receipts = ReceiptBook(settings, device)
        self._trust, self._key = trust, key
        self._unwritten: list[Taken] = []
        self._index_damaged = False
        self._names_unsynced = True  # a killed process may have left some
        self._ledger = durable.AppendFile(self.folder.ledger, 0o640)
        self.stagings: dict[str, Staging] = {}
        try:
            self._load()
            self._resume_stagings()
        except BaseException:
            self._ledger.close()
            raise

    def close(self) -> None:
        """Closes the files. What was not flushed is forgotten; it was not claimed either."""
        if not self._unwritten and not self._index_damaged and self.chain.size > self._verified_size:
            with suppress(StorageError):  # the next start verifies a little more
                self._keep_verified()
        self._ledger.close()
        with suppress(OSError):  # the index is made anew from the last mark
            self._index.close()
        for staging in self.stagings.values():
            staging.close()

    # -- ledger -----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        found = read_verified(self._verified_path, self._key, self.device)
        if found is not None:
            try:
                self._load_after(found)
                return
            except (FormatError, TrustError, OSError) as error:
                _log.warning("verifying the ledger anew", device=self.device, why=str(error))
        self._load_all()

    def _load_after(self, found: Verified) -> None:
        durable.sweep_aside(self._index_folder)
        self._index = IndexWriter.resume(self._index_folder, self.folder.ledger, found.mark)
        try:
            self.chain = resume_chain(found, self._trust, self._index, self._kept(found.mark.size))
            self.holdings = Holdings(self.folder, self.receipts, found.objects(), self._copies_needed, self._gone())
            self._verified_size = found.mark.size
            self._read_on(found.mark.end_bytes)
        except BaseException:
            self._index.close()
            raise

    def _load_all(self) -> None:
        with storage_errors(self._index_folder, "making anew"):
            if self._index_folder.exists():
                shutil.rmtree(self._index_folder)
            durable.make_private_folder(self._index_folder)
            self._index = IndexWriter(self._index_folder)
        self.chain = ChainState(self._trust, self.device)
        self.holdings = Holdings(self.folder, self.receipts, (), self._copies_needed, self._gone())
        self._verified_size = 0
        try:
            self._read_on(0)
        except BaseException:
            self._index.close()
            raise

    def _gone(self) -> set[str]:
        return {ref.digest for record in read_records(self.folder, self._trust) for ref in record.objects}

    def _read_on(self, begin: int) -> None:
        with storage_errors(self.folder.ledger, "reading"), self.folder.ledger.open("rb") as file:
            file.seek(begin)
            while line := file.readline(MAX_JWS_BYTES + 2):
                if not line.endswith(b"\n"):
                    self._cut_torn(begin, line)
                    break
                begin += len(line)
                self._note(Taken(self.chain.accept(line[:-1]), line[:-1]), durable_already=True)
        durable.sync_file(self.folder.ledger)  # a process killed in an append has left what only the cache holds
        with storage_errors(self._index_folder, "writing"):
            self._index.flush()
        self.holdings.settle()
        self._keep_verified_if_due()

    def _cut_torn(self, begin: int, line: bytes) -> None:
        if len(line) > MAX_JWS_BYTES:
            raise FormatError(f"line {self.chain.size} has no end")
        self._ledger.cut(begin)  # the dock's own torn append: those bytes were never claimed

    def accept(self, line: bytes) -> Taken:
        """Judges the next line and takes it in; ``flush`` writes it. Raises FormatError, TrustError, StorageError."""
        taken = Taken(self.chain.accept(line), line)
        self._note(taken)
        self._unwritten.append(taken)
        return taken

    def _note(self, taken: Taken, durable_already: bool = False) -> None:
        with storage_errors(self._index_folder, "writing"):
            self._index.add(taken.line, taken.entry)
        self.holdings.note(taken.entry)
        if durable_already:
            self._settle(taken.entry)

    def _settle(self, entry: Entry) -> None:
        if isinstance(entry.body, ReceiptEntry):
            self.holdings.entered(entry.body.object.digest)

    def flush(self) -> int:
        """Writes accepted lines; returns, after fdatasync, the number of lines that are durable. So are names given."""
        self._sync_names()
        self._write_lines()
        return self.chain.size

    def _write_lines(self) -> None:
        if self._unwritten:
            self._ledger.append(b"".join(taken.line + b"\n" for taken in self._unwritten))
            written, self._unwritten = self._unwritten, []
            with storage_errors(self._index_folder, "writing"):
                self._index.flush()
            for taken in written:
                self._settle(taken.entry)
            self._keep_verified_if_due()

    def _sync_names(self) -> None:
        # The folder that they left need not be synced: a name too many after a power cut does no harm.
        if self._names_unsynced:
            durable.sync_folder(self.folder.objects)
            self._names_unsynced = False

    def same_line(self, seq: int, line: bytes) -> bool:
        """Whether this is the line held at ``seq``. Raises StorageError when what is held here is damaged."""
        kept = self._kept(self.flush())
        try:
            held = kept.line(seq)
            if held != line and kept.node(0, seq) != leaf_hash(held):
                raise FormatError("ledger and index do not agree")  # rot of ours must not be called the device's fork
        except FormatError as error:
            self._forget_verified()
            raise StorageError(f"line {seq} of {self.device} here is damaged, or its index is: {error}") from error
        return held == line

    def has_root(self, size: int, root: bytes) -> bool:
        """Whether this is the Merkle root over the first ``size`` lines held. Before it says no, it reads the lines."""
        if not 0 <= size <= self.chain.size:
            return False
        if size == self.chain.size:
            return self.chain.tree.root() == root
        with suppress(FormatError), storage_errors(self._index_folder, "reading"):
            if root_at(self._index.tree, size) == root:
                return True
        self.flush()
        with storage_errors(self.folder.ledger, "reading"):
            found = root_of_file(self.folder.ledger, size) == root
        if found:
            self._forget_verified()
        return found

    def offered(self) -> KeptIndex:
        """Nodes and key lines of what is durable now, for other threads."""
        return self._kept(self.flush())

    def _kept(self, size: int) -> KeptIndex:
        return KeptIndex(self._index_folder, self.folder.ledger, size)

    # -- what was verified ------------------------------------------------------------------------------------------

    @property
    def _verified_path(self) -> Path:
        return self._index_folder / "verified"

    def _keep_verified_if_due(self) -> None:
        # Its cost grows with what is not settled, so it comes the more rarely.
        unsettled = len(self.holdings.wanted) + len(self.holdings.unreceipted)
        due = self.chain.size - self._verified_size >= max(VERIFIED_EVERY_LINES, unsettled)
        if due and not self._index_damaged:
            self._keep_verified()

    def _keep_verified(self) -> None:
        with storage_errors(self._index_folder, "syncing"):
            mark = self._index.mark()
        if (mark.size, mark.end_bytes, mark.head) != (self.chain.size, self._ledger.size, self.chain.head):
            raise StorageError(f"chain, index and ledger of {self.device} do not stand at the same line")
        write_verified(self._verified_path, describe(self.chain, mark, self.holdings.unsettled()), self._key)
        self._verified_size = mark.size

    def _forget_verified(self) -> None:
        """The index is damaged: the next start makes it anew."""
        durable.remove_file(self._verified_path)
        self._index_damaged = True

    # -- objects ----------------------------------------------------------------------------------------------------

    def _resume_stagings(self) -> None:
        for entry in sorted(self._staging_folder.iterdir()):
            digest, _, form = entry.name.partition(".")
            ref = self.holdings.wanted.get(digest)
            if ref is not None and form == ref.form and list_path(entry).exists():
                with suppress(FormatError):  # begun anew at the next open
                    self.stagings[digest] = Staging.resume(entry, ref)

    def stage(self, ref: ObjectRef, part_bytes: int) -> Staging:
        """The staging of a wanted object, resumed or begun. Another part size than before begins it anew."""
        staging = self.stagings.get(ref.digest)
        if staging is None or staging.part_bytes != part_bytes:
            if staging is not None:
                staging.close()
            staging = Staging.begin(self._staging_folder / ref.file_name, ref, part_bytes)
            self.stagings[ref.digest] = staging
        return staging

    def finish(self, staging: Staging) -> str | None:
        """Reads back and hashes; a match is held, its name durable after ``flush``. Otherwise quarantined; says why.

        Raises QuarantineFullError when there is no room for that: the bytes then stay in staging. StorageError.
        """
        ref = staging.ref
        found = staging.read_back()
        size = staging.path.stat().st_size
        del self.stagings[ref.digest]
        if (found, size) != (ref.digest, ref.size):
            reason = f"{size} bytes with SHA-256 {found}, where the ledger says {ref.size} bytes with {ref.digest}"
            staging.close()
            self.quarantine.take("object", staging.path, size, found, reason)
            staging.remove_list()
            return reason
        self._write_lines()  # no object lies in the archive without the line that names it
        self._give_name(staging)
        self.holdings.hold(ref)
        return None

    def _give_name(self, staging: Staging) -> None:
        target = self.folder.object_path(staging.ref)
        with storage_errors(staging.path, "protecting"):
            staging.path.chmod(_WRITE_ONCE)
        if target.exists():  # write once: what already bears the name was read back under it
            durable.remove_file(staging.path)
        else:
            with storage_errors(target, "moving an object to"):
                staging.path.replace(target)
            self._names_unsynced = True
        staging.remove_list()

    def keep_cosigned(self, note: bytes) -> bytes:
        """Keeps the newest cosigned checkpoint, with all cosignatures over the same lines; returns it. Durable then."""
        with storage_errors(self.folder.cosigned, "reading"):
            kept = self.folder.cosigned.read_bytes() if self.folder.cosigned.exists() else None
        try:
            newest = newest_note(kept, note)
        except FormatError:
            newest = note  # what was kept is no note; this one has just been checked against the ledger
        durable.write_atomic(self.folder.checkpoint, newest, 0o640)
        durable.write_atomic(self.folder.cosigned, newest, 0o640)
        return newest
