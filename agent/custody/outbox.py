"""The outbox: what is on disk and not yet in safe hands. Ledger and object files are the truth; this is an index.

A small SQLite (WAL, synchronous FULL) beside the ledger remembers how far the ledger was read, where each line begins,
and the state of every object. It is filled from ``ledger.jws`` alone: objects become pending with the line that names
them, receipted with the ``receipt`` entries of as many docks as the policy asks for, released with the ``released``
entry. A dock is offered what is pending and not on an entered receipt of its own. Whoever deletes the
file, or kills the process at any moment, loses nothing: it is rebuilt. Nothing expires and nothing is dropped.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.errors import FormatError, StorageError
from agent.evidence import jws
from agent.evidence.encoding import from_b64url, load_object, sha256_hex
from agent.evidence.entries import Entry, ObjectRef, ReceiptEntry, Released, entry_objects, load_entry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.receipts import Receipt
from agent.evidence.shapes import load_shape
from agent.system.durable import storage_errors

FILE_NAME: Final = "outbox.sqlite3"
_VERSION: Final = 2
_BATCH_BYTES: Final = 4_194_304
_SCHEMA: Final = """
CREATE TABLE lines (seq INTEGER PRIMARY KEY, start INTEGER NOT NULL, length INTEGER NOT NULL, digest TEXT NOT NULL);
CREATE TABLE objects (
    digest TEXT PRIMARY KEY, size INTEGER NOT NULL, form TEXT NOT NULL, seq INTEGER NOT NULL,
    owed INTEGER NOT NULL, -- 1: a receipt is owed for it; 0: it is itself a receipt
    state TEXT NOT NULL CHECK (state IN ('pending', 'receipted', 'released', 'missing'))
) WITHOUT ROWID;
CREATE INDEX waiting ON objects (seq) WHERE state = 'pending';
CREATE TABLE receipts (digest TEXT NOT NULL, dock TEXT NOT NULL, PRIMARY KEY (digest, dock)) WITHOUT ROWID;
CREATE TABLE policy (receipts_needed INTEGER NOT NULL);
INSERT INTO policy VALUES (1);
"""

State = Literal["pending", "receipted", "released", "missing"]


@dataclass(frozen=True, slots=True)
class Pending:
    """An object without a receipt, and the ledger line that first named it."""

    ref: ObjectRef
    seq: int


class Outbox:
    """Index over one evidence folder. One thread uses it (SQLite's rule); ``close`` it there."""

    def __init__(self, folder: EvidenceFolder) -> None:
        """Opens, or rebuilds where the index is missing, damaged, or does not match the ledger. Raises StorageError."""
        self._folder = folder
        self._path = folder.path / FILE_NAME
        self._ledger: int | None = None
        self.rebuilt = False
        """Whether the index had to be made from the ledger."""
        self._db = self._open()
        self.lines, self._end = self._position()
        self._needed: int = self._db.execute("SELECT receipts_needed FROM policy").fetchone()[0]

    def close(self) -> None:
        """Closes both files; the index is durable at any moment anyway."""
        self._db.close()
        if self._ledger is not None:
            os.close(self._ledger)
            self._ledger = None

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            found = self._connect()
            if self._is_sound(found):
                return found
            found.close()
        except sqlite3.DatabaseError as error:  # damaged; anything worse shows again below
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise StorageError(f"{self._path} is in use") from error
        self._remove()
        self.rebuilt = True
        try:
            fresh = self._connect()
            fresh.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        except sqlite3.Error as error:
            raise StorageError(f"the outbox {self._path} cannot be made: {error}") from error
        return fresh

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def _is_sound(self, db: sqlite3.Connection) -> bool:
        """Whether the index is ours, and its last line stands in the ledger where it says."""
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            return False
        if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            return False
        last = db.execute("SELECT start, length, digest FROM lines ORDER BY seq DESC LIMIT 1").fetchone()
        return last is None or self._stands(*last)

    def _stands(self, start: int, length: int, digest: str) -> bool:
        with suppress(OSError), self._folder.ledger.open("rb") as ledger:
            ledger.seek(start)
            line = ledger.read(length + 1)
            return line.endswith(b"\n") and sha256_hex(line[:-1]) == digest
        return False

    def _remove(self) -> None:
        with storage_errors(self._path, "removing"):
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def _position(self) -> tuple[int, int]:
        last = self._db.execute("SELECT seq, start, length FROM lines ORDER BY seq DESC LIMIT 1").fetchone()
        return (0, 0) if last is None else (last[0] + 1, last[1] + last[2] + 1)

    # -- following the ledger -----------------------------------------------------------------------------------------

    def follow(self) -> int:
        """Takes in the whole lines that were appended since; returns how many. Raises StorageError, FormatError.

        Returns after the ledger is synced: a line that a power cut could still take back must not be published, or the
        device would seem to have rewritten its past.
        """
        taken = 0
        while lines := self._read_whole_lines():
            self._take(lines)
            taken += len(lines)
        return taken

    def _read_whole_lines(self) -> list[bytes]:
        handle = self._ledger_handle()
        if handle is None:
            return []
        with storage_errors(self._folder.ledger, "reading"):
            if os.fstat(handle).st_size <= self._end:
                return []
            data = os.pread(handle, _BATCH_BYTES, self._end)
            os.fdatasync(handle)
        return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]

    def _ledger_handle(self) -> int | None:
        if self._ledger is None and self._folder.ledger.exists():
            with storage_errors(self._folder.ledger, "opening"):
                self._ledger = os.open(self._folder.ledger, os.O_RDONLY | os.O_CLOEXEC)
        return self._ledger

    def _take(self, lines: list[bytes]) -> None:
        seq, end = self.lines, self._end
        with self._changing():
            for line in lines:
                row = (seq, end, len(line), sha256_hex(line))
                self._db.execute("INSERT INTO lines VALUES (?, ?, ?, ?)", row)
                self._enter(_read_entry(line), seq)
                seq, end = seq + 1, end + len(line) + 1
        self.lines, self._end = seq, end

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """All of it or nothing; durable when it ends. Raises StorageError."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"the outbox {self._path} cannot be written: {error}") from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _enter(self, entry: Entry, seq: int) -> None:
        for ref in entry_objects(entry):
            row = (ref.digest, ref.size, ref.form, seq, not isinstance(entry.body, ReceiptEntry))
            self._db.execute("INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, 'pending')", row)
        if isinstance(entry.body, ReceiptEntry):
            self._note_receipt(entry.body.dock, list(self._covered(entry.body.object)))
        elif isinstance(entry.body, Released):
            self._mark("released", iter(entry.body.objects))
            self._db.executemany("DELETE FROM receipts WHERE digest = ?", ((one,) for one in entry.body.objects))

    def _note_receipt(self, dock: str, digests: list[str]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO receipts VALUES (?, ?)", ((one, dock) for one in digests))
        # Never back from released: a receipt entered twice must not revive what was freed.
        sql = (
            "UPDATE objects SET state = 'receipted' WHERE digest = ? AND state != 'released'"
            " AND (SELECT count(*) FROM receipts r WHERE r.digest = objects.digest) >= ?"
        )
        self._db.executemany(sql, ((one, self._needed) for one in digests))

    def require(self, receipts_needed: int) -> bool:
        """Of how many docks a receipt is needed before an object is no longer offered; returns whether that is new."""
        if receipts_needed == self._needed:
            return False
        with self._changing():
            self._db.execute("UPDATE policy SET receipts_needed = ?", (receipts_needed,))
            self._db.execute(
                "UPDATE objects SET state = 'pending' WHERE state = 'receipted' AND owed"
                " AND (SELECT count(*) FROM receipts r WHERE r.digest = objects.digest) < ?",
                (receipts_needed,),
            )
            self._db.execute(
                "UPDATE objects SET state = 'receipted' WHERE state = 'pending'"
                " AND (SELECT count(*) FROM receipts r WHERE r.digest = objects.digest) >= ?",
                (receipts_needed,),
            )
        self._needed = receipts_needed
        return True

    def _covered(self, ref: ObjectRef) -> Iterator[str]:
        """What an entered receipt lists. The recorder has verified it, or it would not stand in the ledger."""
        try:
            token = self._folder.object_path(ref).read_bytes()
            payload = load_object(from_b64url(token.split(b".")[1]))
            yield from (held.digest for held in load_shape(Receipt, payload).objects)
        except (OSError, FormatError, IndexError):
            # Unreadable: what it covers stays pending and is offered again. The safe side.
            return

    def _mark(self, state: State, digests: Iterator[str]) -> None:
        # Never back from released: a receipt entered twice must not revive what was freed.
        sql = "UPDATE objects SET state = ? WHERE digest = ? AND state != 'released'"
        self._db.executemany(sql, ((state, digest) for digest in digests))

    # -- asking -----------------------------------------------------------------------------------------------------

    def line(self, seq: int) -> bytes:
        """One line without its newline. Raises StorageError."""
        row = self._db.execute("SELECT start, length FROM lines WHERE seq = ?", (seq,)).fetchone()
        handle = self._ledger_handle()
        if row is None or handle is None:
            raise StorageError(f"the outbox knows no ledger line {seq}")
        with storage_errors(self._folder.ledger, "reading"):
            data = os.pread(handle, row[1], row[0])
        if len(data) != row[1]:
            raise StorageError(f"ledger line {seq} has become shorter")
        return data

    def pending(self, after_seq: int = -1, limit: int = 64, after_digest: str = "", dock: str = "") -> list[Pending]:
        """What ``dock`` has still to get, in the order of the lines that name it, after the given place."""
        sql = (
            "SELECT digest, size, form, seq FROM objects WHERE state = 'pending' AND (seq, digest) > (?, ?)"
            " AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.digest = objects.digest AND r.dock = ?)"
            " ORDER BY seq, digest LIMIT ?"
        )
        rows = self._db.execute(sql, (after_seq, after_digest, dock, limit))
        return [Pending(ObjectRef(digest, size, form), seq) for digest, size, form, seq in rows]

    def totals(self, dock: str = "") -> tuple[int, int]:
        """Number and bytes of the objects that this dock, or without one any, still owes a receipt for.

        Receipts as objects are not counted: that would never end.
        """
        sql = (
            "SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE state = 'pending' AND owed"
            " AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.digest = objects.digest AND r.dock = ?)"
        )
        count, size = self._db.execute(sql, (dock,)).fetchone()
        return count, size

    def state(self, digest: str) -> State | None:
        """The state of an object; None if the ledger does not name it."""
        row = self._db.execute("SELECT state FROM objects WHERE digest = ?", (digest,)).fetchone()
        found: State | None = None if row is None else row[0]
        return found

    def is_wanted(self, digest: str, dock: str = "") -> bool:
        """Whether this object is still to be offered to this dock."""
        sql = (
            "SELECT 1 FROM objects WHERE digest = ? AND state = 'pending'"
            " AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.digest = objects.digest AND r.dock = ?)"
        )
        return self._db.execute(sql, (digest, dock)).fetchone() is not None

    def awaits_receipt(self, digest: str, dock: str = "") -> bool:
        """Whether this dock owes a receipt for this object, and none is entered yet."""
        sql = (
            "SELECT 1 FROM objects WHERE digest = ? AND state = 'pending' AND owed"
            " AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.digest = objects.digest AND r.dock = ?)"
        )
        return self._db.execute(sql, (digest, dock)).fetchone() is not None

    def missing(self, digest: str) -> None:
        """Notes that an object is neither on disk nor released; it is offered no more until the index is rebuilt."""
        self._mark("missing", iter([digest]))


def _read_entry(line: bytes) -> Entry:
    return load_entry(jws.parse(line, jws.LEDGER_TYPE).payload)
