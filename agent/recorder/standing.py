"""Where a device's ledger stands: what a start, and the run that follows, must know of all the lines so far.

It follows the ledger line by line, with the index beside it, and is kept on disk now and then, so that a start reads
only the lines after that. What is kept only saves time: it must fit the index, and the index the end of the lines that
both are of; the lines after those are read and checked like all lines. Else all is made anew from the ledger.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import ConfigDict

from agent.errors import FormatError, StorageError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.entries import Adopted, Boot, Entry, ObjectRef
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import INDEX, IndexWriter, Mark
from agent.evidence.shapes import (
    STRICT,
    Count,
    Digest,
    FormatVersion,
    Micros,
    RecordingId,
    Word,
    dump_shape,
    load_shape,
)
from agent.recorder.journal import Past, read_past
from agent.recorder.recovery import Unfinished, follow
from agent.recorder.release import ReceiptBook
from agent.system.durable import AppendFile, make_private_folder, storage_errors, sweep_aside, write_atomic
from agent.system.logs import logger

KEEP_EVERY_LINES: Final = 1000
"""At least; with more sealed objects here than that, so many: keeping costs time for each of them."""
_FILE: Final = "standing"
_log = logger("standing")


@dataclass(frozen=True, slots=True)
class KeptUnfinished:
    """``Unfinished`` as it is kept."""

    recording: RecordingId
    indexes: list[Count]
    frames: Count
    duration_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Kept:
    """A standing on disk."""

    v: FormatVersion
    mark: Mark
    boots: Count
    in_force: dict[Word, Digest]
    unfinished: KeptUnfinished | None
    objects: list[tuple[Digest, Count]]
    """Sealed objects that are here, with their sizes."""
    receipts: list[Digest]
    """Receipts that count for some of them. They are read and verified anew: only they can free space."""
    released: list[Digest]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class Standing:
    """Follows one ledger. One thread. Trouble with its own files costs a slower start, never an entry."""

    def __init__(self, folder: EvidenceFolder, book: ReceiptBook) -> None:
        self.book = book
        self.boots = 0
        self.in_force: dict[str, str] = {}
        """Digests of the adopted profile and policy."""
        self.unfinished: Unfinished | None = None
        self._path = folder.path / INDEX / _FILE
        self._index: IndexWriter | None = None
        self._size = self._kept_size = 0

    # -- opening ----------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, folder: EvidenceFolder, trust: TrustBundle, device: str) -> tuple[Self, Past]:
        """Reads what was kept and the lines after it, or all lines; cuts a torn last one off, durably.

        Raises FormatError when the ledger is damaged, StorageError.
        """
        kept = _read_kept(folder.path / INDEX / _FILE)
        if kept is not None:
            standing = cls(folder, ReceiptBook(folder, trust, device))
            try:
                return standing, standing._read_after(folder, kept)
            except (FormatError, OSError) as error:
                standing._drop_index()
                _log.warning("reading the whole ledger", why=str(error))
        standing = cls(folder, ReceiptBook(folder, trust, device))
        past = standing._read_all(folder)
        if past.size == 1:
            # The power went between the very first line and genesis. Nobody has seen that line: begin once more.
            standing._drop_index()
            cut = _cut_all(folder.ledger) + past.tail_cut_bytes
            standing = cls(folder, ReceiptBook(folder, trust, device))
            past = standing._read_all(folder)
            past.tail_cut_bytes = cut
        return standing, past

    def _read_after(self, folder: EvidenceFolder, kept: Kept) -> Past:
        mark = kept.mark
        self._index = IndexWriter.resume(self._path.parent, folder.ledger, mark)
        sweep_aside(self._path.parent)
        self._restore(kept)
        return self._read_on(folder, Past(mark.size, mark.head, self._index.tree.frontier(), mark.end_bytes))

    def _read_all(self, folder: EvidenceFolder) -> Past:
        try:
            if self._path.parent.exists():
                shutil.rmtree(self._path.parent)
            make_private_folder(self._path.parent)
            self._index = IndexWriter(self._path.parent)
        except (OSError, StorageError) as error:
            self._do_without(error)
        return self._read_on(folder, Past())

    def _read_on(self, folder: EvidenceFolder, past: Past) -> Past:
        past = read_past(folder.ledger, past, self._follow)
        self._flush()
        self._keep_if_due()
        return past

    def _restore(self, kept: Kept) -> None:
        self._size = self._kept_size = kept.mark.size
        self.boots, self.in_force = kept.boots, dict(kept.in_force)
        if left := kept.unfinished:
            self.unfinished = Unfinished(left.recording, set(left.indexes), left.frames, left.duration_us)
        self.book.sizes.update((digest, ObjectRef(digest, size, "age")) for digest, size in kept.objects)
        self.book.released.update(digest for digest in kept.released if digest in self.book.sizes)
        for receipt in kept.receipts:
            self.book.count_receipt(receipt)

    # -- following --------------------------------------------------------------------------------------------------

    def take(self, line: bytes, entry: Entry) -> None:
        """A line that has just become durable."""
        self._follow(line, entry)
        self._flush()
        self._keep_if_due()

    def close(self) -> None:
        """Keeps where it stands, for the next start."""
        if self._size > self._kept_size:
            self._keep()
        self._drop_index()

    def _follow(self, line: bytes, entry: Entry) -> None:
        self.book.note_entry(entry)
        self.unfinished = follow(self.unfinished, entry.body)
        if isinstance(entry.body, Boot):
            self.boots += 1
        elif isinstance(entry.body, Adopted):
            self.in_force[entry.body.document] = entry.body.object.digest
        self._size += 1
        if self._index is not None:
            try:
                self._index.add(line, entry)
            except OSError as error:
                self._do_without(error)

    def _flush(self) -> None:
        if self._index is not None:
            try:
                self._index.flush()
            except OSError as error:
                self._do_without(error)

    def _do_without(self, error: OSError | StorageError) -> None:
        # A full disk above all: its last bytes are for the ledger. What was kept before stays true.
        _log.warning("no index is kept in this run", why=str(error))
        self._drop_index()

    def _drop_index(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            index.abandon()

    # -- keeping ----------------------------------------------------------------------------------------------------

    def _keep_if_due(self) -> None:
        if self._size - self._kept_size >= max(KEEP_EVERY_LINES, len(self.book.sizes)):
            self._keep()

    def _keep(self) -> None:
        if self._index is None:
            return
        try:
            with storage_errors(self._path, "keeping"):
                mark = self._index.mark()
            _write_kept(self._path, self._describe(mark))
        except StorageError as error:
            self._do_without(error)
        else:
            self._kept_size = mark.size

    def _describe(self, mark: Mark) -> Kept:
        book, left, unfinished = self.book, self.unfinished, None
        if left is not None:
            unfinished = KeptUnfinished(left.recording, sorted(left.indexes), left.frames, left.duration_us)
        objects = [(ref.digest, ref.size) for ref in book.sizes.values()]
        released = sorted(book.released)
        return Kept(1, mark, self.boots, dict(self.in_force), unfinished, objects, book.receipts(), released)


def _cut_all(ledger: Path) -> int:
    with AppendFile(ledger) as file:
        size = file.size
        file.cut(0)
    return size


def _write_kept(path: Path, kept: Kept) -> None:
    text = dump_json(dump_shape(kept)) + b"\n"
    write_atomic(path, hashlib.sha256(text).hexdigest().encode() + b"\n" + text, 0o600)


def _read_kept(path: Path) -> Kept | None:
    """What was kept; None when there is nothing, or nothing whole, or it is of another version of this program."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
        if digest != hashlib.sha256(text).hexdigest().encode():
            return None
        return load_shape(Kept, load_object(text))
    except (OSError, FormatError):
        return None
