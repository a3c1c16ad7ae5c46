"""An index beside a ledger: one recording is found and proved without reading the rest. A cache, never evidence.

    index/offsets       where each line begins: 8 bytes a line, and one more for the end of the last
    index/tree          the final nodes of the Merkle tree, see ``StoredTree``
    index/recordings    48 bytes a recording, see ``Place``

Whoever appends to a ledger may keep one; whoever finds none, or one that does not fit, makes one anew. Nothing that is
read from it is believed: a line must lie where it says and a proof must lead to a witnessed root.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent.errors import FormatError
from agent.evidence import jws
from agent.evidence.entries import Adopted, Boot, Close, Entry, Epoch, Open, load_entry
from agent.evidence.merkle import StoredTree, TreeFile

INDEX: Final = "index"
_RECORD: Final = struct.Struct(">8sqqqqq")
_OFFSET: Final = struct.Struct(">q")
_NONE: Final = -1
_BUFFER_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording stands: numbers of lines, -1 for none."""

    recording: str
    begin: int
    """Its ``epoch`` line, with reason ``recording_begin``."""
    boot: int
    """The last ``boot`` before ``begin``; so are ``profile`` and ``policy`` the last ``adopted`` ones."""
    profile: int
    policy: int
    end: int = _NONE
    """The last line of its span; -1 while there is none."""

    def pack(self) -> bytes:
        """Its 48 bytes."""
        return _RECORD.pack(bytes.fromhex(self.recording), self.begin, self.boot, self.profile, self.policy, self.end)


class IndexWriter:
    """Follows a ledger line by line. Nothing is synced: what a crash takes is made anew. One thread."""

    def __init__(self, folder: Path) -> None:
        """Begins an empty index; one that stood there is dropped. Raises OSError."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._tree = StoredTree(folder / "tree")
        self._offsets = _create(folder / "offsets")
        self._recordings = _create(folder / "recordings")
        self._pending = bytearray(_OFFSET.pack(0))
        self._offset = self._seq = self._records = 0
        self._now = self._begun = Place("0" * 16, _NONE, _NONE, _NONE, _NONE)
        self._open: tuple[int, Place] | None = None
        self._closing = False

    def add(self, line: bytes, entry: Entry) -> None:
        """One more line (without newline), and what it says. Raises OSError."""
        self._tree.add(line)
        self._offset += len(line) + 1
        self._pending += _OFFSET.pack(self._offset)
        self._follow(entry)
        self._seq += 1
        if len(self._pending) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands everything to the operating system. Raises OSError."""
        _append(self._offsets, self._pending)
        self._tree.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self.flush()
        self._tree.close()
        os.close(self._offsets)
        os.close(self._recordings)

    @property
    def tree(self) -> StoredTree:
        """The tree over the lines so far."""
        return self._tree

    def _follow(self, entry: Entry) -> None:
        if self._closing:
            self._end(entry.seq)
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
                self._open = (self._records, replace(self._begun, recording=recording))
                _append(self._recordings, bytearray(self._open[1].pack()))
                self._records += 1
            case Close(recording=recording) if self._open and self._open[1].recording == recording:
                self._closing = True

    def _end(self, seq: int) -> None:
        assert self._open is not None
        number, place = self._open
        os.pwrite(self._recordings, replace(place, end=seq).pack(), number * _RECORD.size)
        self._open, self._closing = None, False


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _append(handle: int, data: bytearray) -> None:
    while data:
        os.lseek(handle, 0, os.SEEK_END)
        del data[: os.write(handle, data)]


def _open(path: Path, opened: ExitStack) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    opened.callback(os.close, handle)
    return handle


class LedgerIndex:
    """Reads an index and the ledger beside it."""

    def __init__(self, folder: Path, ledger: Path) -> None:
        """Raises OSError when a part is missing, FormatError when they cannot belong together."""
        with ExitStack() as opened:
            self._ledger = _open(ledger, opened)
            self._offsets = _open(folder / "offsets", opened)
            self._recordings = folder / "recordings"
            self.size = os.fstat(self._offsets).st_size // _OFFSET.size - 1
            if self.size < 0 or self._offset(self.size) > os.fstat(self._ledger).st_size:
                raise FormatError("the index is not of this ledger")
            self.tree = TreeFile(folder / "tree", self.size)
            opened.pop_all()  # from here on ``close`` closes them

    def line(self, seq: int) -> bytes:
        """A line without its newline. Raises FormatError when there is none such there."""
        if not 0 <= seq < self.size:
            raise FormatError(f"there is no line {seq}")
        begin, end = self._offset(seq), self._offset(seq + 1)
        fits = 0 <= begin < end <= begin + jws.MAX_JWS_BYTES + 1
        line = os.pread(self._ledger, end - begin, begin) if fits else b""
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

    def close(self) -> None:
        """Closes the files."""
        os.close(self._ledger)
        os.close(self._offsets)
        self.tree.close()

    def _offset(self, seq: int) -> int:
        found = os.pread(self._offsets, _OFFSET.size, seq * _OFFSET.size)
        if len(found) != _OFFSET.size:
            raise FormatError("the index is not of this ledger")
        offset: int = _OFFSET.unpack(found)[0]
        return offset


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
