"""One device's part of the archive: a verified ledger, write-once objects, staging beside them. One thread per device.

An object gets its name in ``objects/`` only after its bytes were synced, dropped from the page cache, read back from
the disk and hashed: a file under its name is therefore whole, and the folder's listing is the truth about what is held.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.custody import wire
from agent.dock.settings import DockSettings
from agent.errors import FormatError, StorageError
from agent.evidence.checkpoint import newest_note
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import dump_json, is_digest, load_object, sha256_hex
from agent.evidence.entries import Boot, Entry, Epoch, ObjectRef, ReceiptEntry, entry_objects
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import ChainState
from agent.evidence.merkle import LeafNodes, leaf_hash, root_at
from agent.evidence.shapes import STRICT, Count, load_shape
from agent.system import durable
from agent.system.durable import storage_errors

_READ_BYTES: Final = 1_048_576
_WRITE_ONCE: Final = 0o440
_PART: Final = re.compile(rb"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class _ListHead:
    """First line of a staging list: what it is of."""

    size: Count
    form: Literal["age", "jws"]
    part_bytes: wire.PartBytes
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class Staging:
    """An object being received. Its parts list survives the process; the digest at the end checks it."""

    def __init__(self, path: Path, ref: ObjectRef, part_bytes: int, held: set[int]) -> None:
        self.path, self.ref, self.part_bytes, self.held = path, ref, part_bytes, held
        self.count = wire.part_count(ref.size, part_bytes)
        with storage_errors(path, "opening"):
            self._data = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._list = os.open(_list_path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @classmethod
    def begin(cls, path: Path, ref: ObjectRef, part_bytes: int) -> Staging:
        """A fresh staging file; its list begins with what it is of."""
        head = dump_json({"size": ref.size, "form": ref.form, "part_bytes": part_bytes}) + b"\n"
        durable.write_atomic(_list_path(path), head, 0o600)
        return cls(path, ref, part_bytes, set())

    @classmethod
    def resume(cls, path: Path, ref: ObjectRef) -> Staging:
        """Takes up what an earlier process left. Raises FormatError when the list does not fit the object."""
        with storage_errors(path, "reading"):
            head, *numbers = _list_path(path).read_bytes().split(b"\n")
        found = load_shape(_ListHead, load_object(head))
        if (found.size, found.form) != (ref.size, ref.form) or ref.size > wire.MAX_PARTS * found.part_bytes:
            raise FormatError("the staging list is of something else")
        # The last piece is empty, or torn by a crash: the part is then simply asked for again.
        return cls(path, ref, found.part_bytes, {int(number) for number in numbers[:-1] if _PART.fullmatch(number)})

    def write(self, number: int, data: bytes) -> None:
        """Writes one part at its place, then notes it. Not synced: the digest at the end decides."""
        with storage_errors(self.path, "writing"):
            offset = number * self.part_bytes
            rest = memoryview(data)
            while rest:
                written = os.pwrite(self._data, rest, offset)
                rest, offset = rest[written:], offset + written
            os.write(self._list, b"%d\n" % number)
        self.held.add(number)

    @property
    def whole(self) -> bool:
        """Whether every part has come."""
        return len(self.held) == self.count

    def read_back(self) -> str:
        """Syncs, drops the file from the page cache, reads it from the disk; returns the SHA-256 of what is there."""
        with storage_errors(self.path, "syncing and reading back"):
            os.fsync(self._data)
            os.posix_fadvise(self._data, 0, 0, os.POSIX_FADV_DONTNEED)
            hasher = hashlib.sha256()
            offset = 0
            while block := os.pread(self._data, _READ_BYTES, offset):
                hasher.update(block)
                offset += len(block)
        return hasher.hexdigest()

    def close(self) -> None:
        """Closes the files; they stay."""
        for handle in (self._data, self._list):
            with suppress(OSError):  # closing twice, or an error that the sync would have told
                os.close(handle)

    def remove_list(self) -> None:
        """The object has moved on; its list goes."""
        self.close()
        durable.remove_file(_list_path(self.path))


def _list_path(path: Path) -> Path:
    return path.with_name(path.name + ".parts")


@dataclass(frozen=True, slots=True)
class Taken:
    """A line was accepted: its entry, and the bytes that will be on disk after ``flush``."""

    entry: Entry
    line: bytes


class DeviceArchive:
    """A device's evidence at this dock. ``chain`` runs ahead of the disk until ``flush``; claims come after it."""

    def __init__(self, settings: DockSettings, device: str, trust: TrustBundle) -> None:
        """Opens or makes the folders and verifies the whole ledger held. Raises StorageError, FormatError."""
        self.device = device
        self.folder = EvidenceFolder(settings.archive / device)
        self._staging_folder = settings.staging / device
        self.quarantine_folder = settings.quarantine / device
        for path in (self.folder.path, self.folder.objects, self._staging_folder):
            durable.make_private_folder(path)
        self.chain = ChainState(trust, device)
        self.leaves: list[bytes] = []
        """Only ever appended to: another thread may read those that were there."""
        self.keys: list[tuple[int, bytes]] = []
        """Number and bytes of the last ``boot`` line and the ``epoch`` lines after it: what other witnesses need."""
        self.wanted: dict[str, ObjectRef] = {}
        """Named by the ledger, not held."""
        self.held: dict[str, ObjectRef] = {}
        self.receipts_entered: set[str] = set()
        """Digests of the receipts that the device has entered into its ledger."""
        self._unwritten: list[bytes] = []
        self._names = {entry.name for entry in self.folder.objects.iterdir()}
        self._ledger = durable.AppendFile(self.folder.ledger, 0o640)
        self._load()
        self.stagings: dict[str, Staging] = {}
        self._resume_stagings()

    def close(self) -> None:
        """Closes the files. What was not flushed is forgotten; it was not claimed either."""
        self._ledger.close()
        for staging in self.stagings.values():
            staging.close()

    # -- ledger -----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        with storage_errors(self.folder.ledger, "reading"):
            data = self.folder.ledger.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._ledger.cut(whole)  # the dock's own torn append: those bytes were never claimed
        for line in data[:whole].split(b"\n")[:-1]:
            self._note(self.chain.accept(line), line)

    def accept(self, line: bytes) -> Taken:
        """Judges the next line and takes it in; ``flush`` writes it. Raises FormatError, TrustError."""
        entry = self.chain.accept(line)
        self._note(entry, line)
        self._unwritten.append(line)
        return Taken(entry, line)

    def _note(self, entry: Entry, line: bytes) -> None:
        if isinstance(entry.body, Boot):
            self.keys.clear()
        if isinstance(entry.body, Boot | Epoch):
            self.keys.append((entry.seq, line))
        self.leaves.append(leaf_hash(line))
        for ref in entry_objects(entry):
            if ref.digest not in self.held:
                (self.held if ref.file_name in self._names else self.wanted)[ref.digest] = ref
        if isinstance(entry.body, ReceiptEntry):
            self.receipts_entered.add(entry.body.object.digest)

    def flush(self) -> int:
        """Writes accepted lines; returns, after fdatasync, the number of lines that are durable."""
        if self._unwritten:
            self._ledger.append(b"".join(line + b"\n" for line in self._unwritten))
            self._unwritten.clear()
        return self.chain.size

    def same_line(self, seq: int, line: bytes) -> bool:
        """Whether this is the line held at ``seq``."""
        return self.leaves[seq] == leaf_hash(line)

    def root_at(self, size: int) -> bytes:
        """Merkle root over the first ``size`` lines held."""
        return self.chain.tree.root() if size == self.chain.size else root_at(LeafNodes(self.leaves), size)

    # -- objects ----------------------------------------------------------------------------------------------------

    def _resume_stagings(self) -> None:
        for entry in sorted(self._staging_folder.iterdir()):
            digest, _, form = entry.name.partition(".")
            ref = self.wanted.get(digest)
            if ref is not None and form == ref.form and _list_path(entry).exists():
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
        """Reads back and hashes; a match is held, durably, and gives None. Otherwise quarantined; returns why."""
        ref = staging.ref
        found = staging.read_back()
        size = staging.path.stat().st_size
        del self.stagings[ref.digest]
        if (found, size) != (ref.digest, ref.size):
            reason = f"{size} bytes with SHA-256 {found}, where the ledger says {ref.size} bytes with {ref.digest}"
            self._quarantine_file(staging, reason)
            return reason
        self._give_name(staging)
        self.held[ref.digest] = self.wanted.pop(ref.digest)
        return None

    def _give_name(self, staging: Staging) -> None:
        target = self.folder.object_path(staging.ref)
        with storage_errors(staging.path, "protecting"):
            staging.path.chmod(_WRITE_ONCE)
        if target.exists():  # write once: what already bears the name was read back under it
            durable.remove_file(staging.path)
        else:
            durable.move(staging.path, target)
        self._names.add(target.name)
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

    # -- quarantine -------------------------------------------------------------------------------------------------

    def _quarantine_file(self, staging: Staging, reason: str) -> None:
        target = self._quarantine_place(staging.ref.file_name)
        durable.move(staging.path, target)
        staging.remove_list()
        self._write_reason(target, reason)

    def quarantine_bytes(self, name: str, data: bytes, reason: str) -> Path:
        """Keeps bytes that did not verify, whole, with the reason beside them. Durable when it returns."""
        target = self._quarantine_place(name)
        durable.write_atomic(target, data, 0o600)
        self._write_reason(target, reason)
        return target

    def _quarantine_place(self, name: str) -> Path:
        durable.make_private_folder(self.quarantine_folder)
        for number in range(1_000_000):
            place = self.quarantine_folder / f"{number:06d}-{name}"
            if not place.exists():
                return place
        raise StorageError(f"the quarantine {self.quarantine_folder} holds too much")

    def _write_reason(self, target: Path, reason: str) -> None:
        text = json.dumps({"device": self.device, "file": target.name, "reason": reason}, ensure_ascii=False, indent=1)
        durable.write_atomic(target.with_name(target.name + ".reason.json"), text.encode() + b"\n", 0o600)


class ReceiptBook:
    """Every receipt signed for one device, by digest; written before it is published."""

    def __init__(self, settings: DockSettings, device: str) -> None:
        self._folder = settings.receipts / device
        durable.make_private_folder(self._folder)
        self.tokens: dict[str, bytes] = {}
        for path in sorted(self._folder.glob("*.jws"), key=lambda found: found.stat().st_mtime_ns):
            if is_digest(path.stem):
                self.tokens[path.stem] = path.read_bytes()

    def enter(self, token: bytes) -> str:
        """Keeps a receipt; returns its digest, after it is durable."""
        digest = sha256_hex(token)
        durable.write_atomic(self._folder / f"{digest}.jws", token, 0o640)
        self.tokens[digest] = token
        return digest
