"""An index beside a ledger: one recording is found and proved without reading the rest. A cache, never evidence.

    index/offsets       where each line begins: 8 bytes a line, and one more for the end of the last
    index/tree          the final nodes of the Merkle tree, see ``StoredTree``
    index/recordings    48 bytes a recording, see ``Place``
    index/keys          8 bytes a line that names a key: its number, twice, and one more for a ``boot``

Whoever appends to a ledger may keep one; whoever finds none, or one that does not fit, makes one anew. Nothing that is
read from it is believed: a line must lie where it says and a proof must lead to a witnessed root. Whoever continues one
does so from a ``Mark``, which only he keeps who would also be believed without it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Final, Self, TypeVar

from pydantic import ConfigDict, Field

from agent.errors import FormatError
from agent.evidence import jws
from agent.evidence.encoding import MAX_SAFE_INTEGER, sha256_hex
from agent.evidence.entries import Adopted, Boot, Close, Entry, Epoch, Open, load_entry
from agent.evidence.merkle import StoredTree, TreeFile, leaf_hash
from agent.evidence.shapes import STRICT, Count, Digest, Flag, RecordingId

INDEX: Final = "index"
_RECORD: Final = struct.Struct(">8sqqqqq")
_NUMBER: Final = struct.Struct(">q")
_NONE: Final = -1
_BUFFER_BYTES: Final = 1 << 16

Line = Annotated[int, Field(strict=True, ge=_NONE, le=MAX_SAFE_INTEGER)]
"""Number of a line; -1 for none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording stands."""

    recording: RecordingId
    begin: Line
    """Its ``epoch`` line, with reason ``recording_begin``."""
    boot: Line
    """The last ``boot`` before ``begin``; so are ``profile`` and ``policy`` the last ``adopted`` ones."""
    profile: Line
    policy: Line
    end: Line = _NONE
    """The last line of its span; -1 while there is none."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def pack(self) -> bytes:
        """Its 48 bytes."""
        return _RECORD.pack(bytes.fromhex(self.recording), self.begin, self.boot, self.profile, self.policy, self.end)


_NOWHERE: Final = Place("0" * 16, _NONE, _NONE, _NONE, _NONE)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an index stood: what it takes to continue it, and to see that it and the ledger are still those."""

    size: Count = 0
    """Lines."""
    end_bytes: Count = 0
    """Bytes of the ledger that these lines are."""
    head: Digest = "0" * 64
    """SHA-256 of the last of them."""
    root: Digest = "0" * 64
    recordings: Count = 0
    """Rows; so is ``keys``."""
    keys: Count = 0
    rows: Digest = "0" * 64
    """SHA-256 of the rows of both: nothing else would show that some of them are not what was written."""
    now: Place = _NOWHERE
    """What a recording that began now would stand on; ``begun``: what the one stands on that began last."""
    begun: Place = _NOWHERE
    opened: Place | None = None
    """The last row of recordings, if its span has not ended."""
    closing: Flag = False
    """It is closed; the line that follows ends its span."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class _Rows:
    """A file of rows of one length. Raises OSError."""

    def __init__(self, path: Path, row_bytes: int, count: int) -> None:
        """Continues at ``count`` rows and drops what stands beyond. Raises FormatError when there are fewer."""
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._row_bytes, self.count, self._pending = row_bytes, count, bytearray()
        self._written = count * row_bytes
        if os.fstat(self._handle).st_size < self._written:
            os.close(self._handle)
            raise FormatError(f"the index has lost a part of {path.name}")
        os.ftruncate(self._handle, self._written)

    def add(self, row: bytes) -> None:
        """Appends one."""
        self._pending += row
        self.count += 1

    def change(self, number: int, row: bytes) -> None:
        """Replaces one that stands there."""
        self.flush()
        os.pwrite(self._handle, row, number * self._row_bytes)

    @property
    def waits_bytes(self) -> int:
        """How much ``flush`` would write."""
        return len(self._pending)

    def flush(self) -> None:
        """Hands what waits to the operating system."""
        while self._pending:
            done = os.pwrite(self._handle, self._pending, self._written)
            self._written += done
            del self._pending[:done]

    def sync(self) -> None:
        """Returns when everything is durable."""
        self.flush()
        os.fdatasync(self._handle)

    def content(self) -> bytes:
        """All rows; for files that are small."""
        self.flush()
        return os.pread(self._handle, self._written, 0)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)


File = TypeVar("File", _Rows, StoredTree)


class IndexWriter:
    """Follows a ledger line by line. Nothing is synced but by ``mark``: what a crash takes is made anew. One thread."""

    def __init__(self, folder: Path, mark: Mark | None = None) -> None:
        """Begins an empty index, or continues one; what stood there beyond the mark is dropped.

        Raises OSError, FormatError when the files hold less than the mark says. ``resume`` also looks at the ledger.
        """
        mark = mark or Mark()
        folder.mkdir(mode=0o700, exist_ok=True)
        self._files: list[_Rows | StoredTree] = []
        try:
            self._tree = self._keep(StoredTree(folder / "tree", mark.size))
            self._recordings = self._keep(_Rows(folder / "recordings", _RECORD.size, mark.recordings))
            self._keys = self._keep(_Rows(folder / "keys", _NUMBER.size, mark.keys))
            # Last, since a reader counts the lines by the offsets: the rest must be there before.
            self._offsets = self._keep(_Rows(folder / "offsets", _NUMBER.size, mark.size + 1 if mark.size else 0))
        except BaseException:
            self._close_files()
            raise
        self._size, self._offset, self._head = mark.size, mark.end_bytes, mark.head
        self._last: bytes | None = None
        self._now, self._begun, self._opened, self._closing = mark.now, mark.begun, mark.opened, mark.closing
        if mark.size == 0:
            self._offsets.add(_NUMBER.pack(0))
        if self._opened is not None and self._recordings.count:
            self._recordings.change(self._recordings.count - 1, self._opened.pack())

    @classmethod
    def resume(cls, folder: Path, ledger: Path, mark: Mark) -> Self:
        """Continues an index where it stood. What was written beyond is dropped, of the index only.

        Raises FormatError when the index or the ledger is not the one that the mark is of, OSError.
        """
        writer = cls(folder, mark)
        try:
            writer._check(folder, ledger, mark)
        except BaseException:
            writer._close_files()
            raise
        return writer

    def _check(self, folder: Path, ledger: Path, mark: Mark) -> None:
        if mark.size == 0:
            return
        with LedgerIndex(folder, ledger) as index:
            line, end = index.line(mark.size - 1), index.end_bytes
        if (end, sha256_hex(line), self._tree.root().hex()) != (mark.end_bytes, mark.head, mark.root):
            raise FormatError("the index is not of this ledger")
        if self._rows_digest() != mark.rows:
            raise FormatError("rows of the index are not what was written")
        if self._tree.node(0, mark.size - 1) != leaf_hash(line):
            raise FormatError("the tree is not of this ledger")

    def add(self, line: bytes, entry: Entry) -> None:
        """One more line (without newline), and what it says. Raises OSError."""
        self._tree.add(line)
        self._offset += len(line) + 1
        self._offsets.add(_NUMBER.pack(self._offset))
        self._follow(entry)
        self._size += 1
        self._last = line
        if self._offsets.waits_bytes >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands everything to the operating system, so that readers find it. Raises OSError."""
        for file in self._files:
            file.flush()

    def mark(self) -> Mark:
        """Where it stands, after everything up to here is durable. Raises OSError."""
        for file in self._files:
            file.sync()
        if self._last is not None:
            self._head, self._last = sha256_hex(self._last), None
        return Mark(
            self._size, self._offset, self._head, self._tree.root().hex(), self._recordings.count, self._keys.count,
            self._rows_digest(), self._now, self._begun, self._opened, self._closing,
        )  # fmt: skip

    def _rows_digest(self) -> str:
        return sha256_hex(self._keys.content() + self._recordings.content())

    def close(self) -> None:
        """Flushes and closes. Raises OSError."""
        self.flush()
        self._close_files()

    def abandon(self) -> None:
        """Closes without a word about what was not flushed."""
        self._close_files()

    @property
    def tree(self) -> StoredTree:
        """The tree over the lines so far."""
        return self._tree

    @property
    def boot(self) -> int:
        """Number of the last ``boot`` line; -1 for none."""
        return self._now.boot

    def _keep(self, file: File) -> File:
        self._files.append(file)
        return file

    def _close_files(self) -> None:
        while self._files:
            self._files.pop().close()

    def _follow(self, entry: Entry) -> None:
        if self._closing:
            self._end(entry.seq)
        if isinstance(entry.body, Boot | Epoch):
            self._keys.add(_NUMBER.pack(2 * entry.seq + isinstance(entry.body, Boot)))
        match entry.body:
            case Boot():
                self._now = replace(self._now, boot=entry.seq, begin=_NONE)
            case Adopted(document="profile"):
                self._now = replace(self._now, profile=entry.seq)
            case Adopted():
                self._now = replace(self._now, policy=entry.seq)
            case Epoch(reason="recording_begin"):
                # Documents adopted from here on stand in the span itself.
                self._begun = replace(self._now, begin=entry.seq)
                self._now = replace(self._now, begin=entry.seq)
            case Open(recording=recording) if self._now.begin != _NONE:
                self._opened = replace(self._begun, recording=recording)
                self._recordings.add(self._opened.pack())
            case Close(recording=recording) if self._opened and self._opened.recording == recording:
                self._closing = True

    def _end(self, seq: int) -> None:
        assert self._opened is not None
        # Only the last row can be open: a recording that begins while another is open takes its place.
        self._recordings.change(self._recordings.count - 1, replace(self._opened, end=seq).pack())
        self._opened, self._closing = None, False


class LedgerIndex:
    """Reads an index and the ledger beside it, as long as both were when it was opened."""

    def __init__(self, folder: Path, ledger: Path) -> None:
        """Raises OSError when a part is missing, FormatError when they cannot belong together."""
        self._handles: list[int] = []
        try:
            self._ledger, self._offsets = self._open(ledger), self._open(folder / "offsets")
            self._keys = self._open(folder / "keys")
            self._recordings = folder / "recordings"
            self.size = os.fstat(self._offsets).st_size // _NUMBER.size - 1
            self.end_bytes = self._offset(self.size)
            if self.size < 0 or self.end_bytes > os.fstat(self._ledger).st_size:
                raise FormatError("the index is not of this ledger")
            self.tree = TreeFile(folder / "tree", self.size)
        except BaseException:
            self._close_handles()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def line(self, seq: int) -> bytes:
        """A line without its newline. Raises FormatError when there is none such there."""
        if not 0 <= seq < self.size:
            raise FormatError(f"there is no line {seq}")
        begin, end = self._offset(seq), self._offset(seq + 1)
        sensible = begin >= 0 and 0 < end - begin <= jws.MAX_JWS_BYTES + 1
        line = os.pread(self._ledger, end - begin, begin) if sensible else b""
        if not line.endswith(b"\n") or line.count(b"\n") != 1:
            raise FormatError("the index is not of this ledger")
        return line[:-1]

    def find(self, recording: str) -> Place | None:
        """Where a recording stands; None when the index does not know it. Raises OSError."""
        wanted, data = bytes.fromhex(recording), self._recordings.read_bytes()
        at = data.find(wanted)
        while at >= 0 and at % _RECORD.size:
            at = data.find(wanted, at + 1)
        if at < 0 or at + _RECORD.size > len(data):
            return None
        _, *numbers = _RECORD.unpack_from(data, at)
        return Place(recording, *numbers)

    def key_lines(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Of the first ``size`` lines: number and bytes of the last ``boot`` and of every ``epoch`` after it."""
        last = os.fstat(self._keys).st_size // _NUMBER.size - 1
        while last >= 0 and _read_number(self._keys, last) // 2 >= size:
            last -= 1
        first = last
        while first >= 0 and not _read_number(self._keys, first) % 2:
            first -= 1
        for row in range(max(0, first), last + 1):
            seq = _read_number(self._keys, row) // 2
            yield seq, self.line(seq)

    def close(self) -> None:
        """Closes the files."""
        self._close_handles()
        self.tree.close()

    def _open(self, path: Path) -> int:
        self._handles.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        return self._handles[-1]

    def _close_handles(self) -> None:
        while self._handles:
            os.close(self._handles.pop())

    def _offset(self, seq: int) -> int:
        return _read_number(self._offsets, seq) if seq >= 0 else 0


def _read_number(handle: int, row: int) -> int:
    found = os.pread(handle, _NUMBER.size, row * _NUMBER.size)
    if len(found) != _NUMBER.size:
        raise FormatError("the index is not of this ledger")
    number: int = _NUMBER.unpack(found)[0]
    return number


@dataclass(frozen=True, slots=True)
class KeptIndex:
    """An index that its writer goes on writing, as it was at ``size`` lines. Opens its files at each question.

    So any thread may ask, and nobody has to close it. All trouble is a FormatError.
    """

    folder: Path
    ledger: Path
    size: int

    def node(self, level: int, index: int) -> bytes:
        """One final node of the tree (32 bytes)."""
        with _as_format_error():
            tree = TreeFile(self.folder / "tree", self.size)
            try:
                return tree.node(level, index)
            finally:
                tree.close()

    def line(self, seq: int) -> bytes:
        """A line without its newline."""
        with _as_format_error(), LedgerIndex(self.folder, self.ledger) as index:
            return index.line(seq)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The key lines of its lines, as ``LedgerIndex.key_lines`` gives them."""
        with _as_format_error(), LedgerIndex(self.folder, self.ledger) as index:
            yield from index.key_lines(self.size)


@contextmanager
def _as_format_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FormatError(f"the index cannot be read: {error}") from error


def build_index(folder: Path, ledger: Path, progress: Callable[[int], None] = lambda count: None) -> None:
    """Makes an index from a ledger; nothing is verified. Raises OSError, FormatError at a line that is none."""
    writer = IndexWriter(folder)
    try:
        with ledger.open("rb") as file:
            while (line := file.readline(jws.MAX_JWS_BYTES + 2)).endswith(b"\n"):
                writer.add(line[:-1], load_entry(jws.parse(line[:-1], jws.LEDGER_TYPE).payload))
                progress(len(line))
    finally:
        writer.close()
