"""The verifier's workbook: what grows with the evidence lies on disk (SQLite, temporary), not in memory.

One table a question: which objects are named, what was released, who witnessed how much and when. Written during the
pass over the lines, asked afterwards. One thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.evidence.entries import Entry, ObjectRef, load_entry

_SCHEMA: Final = """
CREATE TABLE object (
  digest BLOB, form TEXT, size INT, seq INT, recording TEXT, kind TEXT, recipients INT, entry TEXT,
  missing INT DEFAULT 0,
  PRIMARY KEY (digest, form)) WITHOUT ROWID;
CREATE INDEX by_seq ON object (seq);
CREATE TABLE released (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE deleted (digest BLOB PRIMARY KEY, recording TEXT) WITHOUT ROWID;
CREATE TABLE receipt (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE witness (size INT, time_us INT);
CREATE TABLE boot (seq INT PRIMARY KEY, utc_us INT, from_us INT, until_us INT, serial TEXT);
CREATE TABLE notice (recording TEXT, boot TEXT, entry TEXT, PRIMARY KEY (recording, boot)) WITHOUT ROWID;
CREATE TABLE recording (id TEXT PRIMARY KEY, seq INT, interrupted INT DEFAULT 0, told INT DEFAULT 0) WITHOUT ROWID;
CREATE TABLE matter (name TEXT PRIMARY KEY, recording TEXT) WITHOUT ROWID;
CREATE TABLE unlisted (name BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (officer TEXT, device TEXT, seq INT, from_us INT, until_us INT);
"""
_TABLES: Final = (
    "object", "released", "deleted", "receipt", "witness", "boot", "notice", "recording", "matter", "unlisted",
)  # fmt: skip
_NEXT_OBJECTS: Final = (
    "SELECT digest, form, size, seq, recording, kind, recipients, entry FROM object"
    " WHERE missing = 0 AND seq > ? ORDER BY seq LIMIT 500"
)
_LATEST_US: Final = 2**63 - 1
"""What a column holds. A witness may say a later time; it is later than everything all the same."""
FILM: Final = ("segment", "photo", "telemetry")
"""Kinds of objects that are the recording itself."""


@dataclass(frozen=True, slots=True)
class Named:
    """An object as the ledger first names it; ``entry`` only where contents are judged."""

    ref: ObjectRef
    seq: int
    recording: str | None
    kind: str
    recipients: int | None
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class BootTime:
    """A boot's own time, its certificate's span (UTC, microseconds) and number, the earliest witness that covers it."""

    seq: int
    utc_us: int
    from_us: int
    until_us: int
    serial: int
    witnessed_us: int | None


class Workbook:
    """For one verification; a new device begins with empty tables, but for who held what."""

    def __init__(self, folder: Path) -> None:
        """Makes the database in a temporary folder. Raises sqlite3.Error when there is no room."""
        self._db = sqlite3.connect(folder / "workbook.sqlite3", isolation_level=None)
        # Nothing here outlives the verification: no journal, no sync; 8 MB of cache whatever the size.
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;")
        self.begin()

    def begin(self) -> None:
        """Empties the tables for the next device."""
        self._db.executescript("".join(f"DROP TABLE IF EXISTS {name};" for name in _TABLES) + _SCHEMA + "BEGIN;")

    def end(self) -> None:
        """Ends the one transaction that a device is written in."""
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    # -- objects ------------------------------------------------------------------------------------------------------

    def name(self, named: Named) -> bool:
        """Enters an object; whether it is the first time that the ledger names it."""
        ref = named.ref
        entry = dump_entry(named.entry) if named.entry else None
        row = (bytes.fromhex(ref.digest), ref.form, ref.size, named.seq, named.recording, named.kind)
        added = self._db.execute(
            "INSERT OR IGNORE INTO object (digest, form, size, seq, recording, kind, recipients, entry)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, named.recipients, entry),
        )
        return added.rowcount == 1

    def is_named(self, digest: str, form: str) -> bool:
        """Whether the ledger names this object."""
        found = self._db.execute("SELECT 1 FROM object WHERE digest = ? AND form = ?", (bytes.fromhex(digest), form))
        return found.fetchone() is not None

    def objects(self) -> Iterator[Named]:
        """All that are not known to be away, in order. ``miss`` and ``leave`` may be called meanwhile."""
        last = -1
        while rows := self._db.execute(_NEXT_OBJECTS, (last,)).fetchall():
            for digest, form, size, seq, recording, kind, recipients, entry in rows:
                last = seq
                ref = ObjectRef(digest.hex(), size, form)
                yield Named(ref, seq, recording, kind, recipients, load_entry(json.loads(entry)) if entry else None)

    def miss(self, ref: ObjectRef) -> None:
        """This object is not there, and should be."""
        self._set_missing(ref, 1)

    def leave(self, ref: ObjectRef) -> None:
        """This object is rightly not there."""
        self._set_missing(ref, 2)

    def _set_missing(self, ref: ObjectRef, value: int) -> None:
        where = (value, bytes.fromhex(ref.digest), ref.form)
        self._db.execute("UPDATE object SET missing = ? WHERE digest = ? AND form = ?", where)

    def removed_recordings(self) -> Iterator[tuple[str, int]]:
        """Recordings of which all film is missing, in their order, and how many objects that is."""
        film = ", ".join(f"'{kind}'" for kind in FILM)
        yield from self._db.execute(
            f"SELECT recording, COUNT(*) FROM object WHERE recording NOT NULL AND kind IN ({film})"  # noqa: S608 our words
            " GROUP BY recording HAVING SUM(missing = 1) = COUNT(*) ORDER BY MIN(seq)"
        )

    def missing_elsewhere(self) -> Iterator[tuple[int, str]]:
        """Missing objects of recordings that are not removed whole: entry and digest, in the order of the ledger."""
        film = ", ".join(f"'{kind}'" for kind in FILM)
        rows = self._db.execute(
            "SELECT seq, digest FROM object WHERE missing = 1 AND (recording IS NULL OR recording NOT IN ("  # noqa: S608
            f"SELECT recording FROM object WHERE recording NOT NULL AND kind IN ({film})"
            " GROUP BY recording HAVING SUM(missing = 1) = COUNT(*))) ORDER BY seq"
        )
        for seq, digest in rows:
            yield seq, digest.hex()

    def unlist(self, name: bytes) -> None:
        """A file that no entry names."""
        self._db.execute("INSERT OR IGNORE INTO unlisted VALUES (?)", (name,))

    def unlisted(self) -> Iterator[bytes]:
        """Those files, by name."""
        for (name,) in self._db.execute("SELECT name FROM unlisted ORDER BY name"):
            yield name

    # -- receipts -----------------------------------------------------------------------------------------------------

    def receive(self, digest: str) -> None:
        """A receipt that is good."""
        self._db.execute("INSERT OR IGNORE INTO receipt VALUES (?)", (bytes.fromhex(digest),))

    def is_receipt(self, digest: str) -> bool:
        """Whether an entry before had this receipt, and it was good."""
        found = self._db.execute("SELECT 1 FROM receipt WHERE digest = ?", (bytes.fromhex(digest),))
        return found.fetchone() is not None

    def release(self, digests: set[str]) -> None:
        """Objects rightly released."""
        self._db.executemany("INSERT OR IGNORE INTO released VALUES (?)", ((bytes.fromhex(one),) for one in digests))

    def is_released(self, digest: str) -> bool:
        """Whether this object is."""
        found = self._db.execute("SELECT 1 FROM released WHERE digest = ?", (bytes.fromhex(digest),))
        return found.fetchone() is not None

    # -- retention ----------------------------------------------------------------------------------------------------

    def delete(self, digest: str, recording: str) -> None:
        """A dock has signed that this object of this recording was deleted after retention."""
        self._db.execute("INSERT OR IGNORE INTO deleted VALUES (?, ?)", (bytes.fromhex(digest), recording))

    def is_deleted(self, named: Named) -> bool:
        """Whether this object is, as an object of that very recording."""
        row = (bytes.fromhex(named.ref.digest), named.recording)
        return self._db.execute("SELECT 1 FROM deleted WHERE digest = ? AND recording = ?", row).fetchone() is not None

    # -- witnesses and boots ------------------------------------------------------------------------------------------

    def witness(self, size: int, time_us: int) -> None:
        """Somebody trusted saw the first ``size`` lines at this time."""
        self._db.execute("INSERT INTO witness VALUES (?, ?)", (size, min(time_us, _LATEST_US)))

    def boot(self, boot: BootTime) -> None:
        """A boot and its certificate."""
        row = (boot.seq, boot.utc_us, boot.from_us, boot.until_us, f"{boot.serial:x}")
        self._db.execute("INSERT INTO boot VALUES (?, ?, ?, ?, ?)", row)

    def boots(self) -> Iterator[BootTime]:
        """Every boot with the earliest witness that covers it; the newest boot first."""
        seen = self._db.execute("SELECT size, time_us FROM witness ORDER BY size DESC")
        following, earliest = seen.fetchone(), None
        for seq, utc, begins, ends, serial in self._db.execute("SELECT * FROM boot ORDER BY seq DESC"):
            while following is not None and following[0] > seq:
                earliest = following[1] if earliest is None else min(earliest, following[1])
                following = seen.fetchone()
            yield BootTime(seq, utc, begins, ends, int(serial, 16), earliest)

    # -- recordings ---------------------------------------------------------------------------------------------------

    def note_notice(self, recording: str, entry: Entry) -> None:
        """The newest notice of a recording in its boot id."""
        row = (recording, entry.time.boot, dump_entry(entry))
        self._db.execute("INSERT OR REPLACE INTO notice VALUES (?, ?, ?)", row)

    def notice_of(self, recording: str, boot: str) -> Entry | None:
        """The newest notice of a recording in this boot id."""
        wanted = "SELECT entry FROM notice WHERE recording = ? AND boot = ?"
        found = self._db.execute(wanted, (recording, boot)).fetchone()
        return load_entry(json.loads(found[0])) if found else None

    def open_recording(self, recording: str, seq: int) -> bool:
        """Enters a recording as opened at this entry; whether it is the first time."""
        added = self._db.execute("INSERT OR IGNORE INTO recording (id, seq) VALUES (?, ?)", (recording, seq))
        return added.rowcount == 1

    def was_opened(self, recording: str) -> bool:
        """Whether a recording of this id was ever opened."""
        return self._db.execute("SELECT 1 FROM recording WHERE id = ?", (recording,)).fetchone() is not None

    def interrupt(self, recording: str) -> None:
        """A recording has a gap or no end."""
        self._db.execute("UPDATE recording SET interrupted = 1 WHERE id = ?", (recording,))

    def is_interrupted(self, recording: str) -> bool:
        """Whether a recording has a gap or no end."""
        found = self._db.execute("SELECT interrupted FROM recording WHERE id = ?", (recording,)).fetchone()
        return found is None or bool(found[0])

    def tell_recording(self, recording: str, seq: int) -> bool:
        """The particulars that the entry of this number names have been read; whether it opened the recording."""
        told = self._db.execute("UPDATE recording SET told = 1 WHERE id = ? AND seq = ?", (recording, seq))
        return told.rowcount == 1

    def has_untold(self) -> bool:
        """Whether the particulars of some recording have not been read."""
        return self._db.execute("SELECT 1 FROM recording WHERE told = 0 LIMIT 1").fetchone() is not None

    def last_of_matter(self, matter: str, recording: str) -> str | None:
        """The recording of the same matter before this one, which takes its place."""
        found = self._db.execute("SELECT recording FROM matter WHERE name = ?", (matter,)).fetchone()
        self._db.execute("INSERT OR REPLACE INTO matter VALUES (?, ?)", (matter, recording))
        return found[0] if found else None

    # -- over all devices ---------------------------------------------------------------------------------------------

    def hold(self, officer: str, device: str, seq: int, from_us: int, until_us: int) -> None:
        """An officer recorded with this device from then until then."""
        self._db.execute("INSERT INTO held VALUES (?, ?, ?, ?, ?)", (officer, device, seq, from_us, until_us))

    def held(self) -> Iterator[tuple[str, str, int, int, int]]:
        """Officer, device, entry, from, until: by officer, then by time."""
        yield from self._db.execute("SELECT * FROM held ORDER BY officer, from_us, device, seq")


def dump_entry(entry: Entry) -> str:
    """An entry as its line's payload."""
    payload: dict[str, Any] = {"v": 1, "seq": entry.seq, "prev": entry.prev, "device": entry.device, "type": entry.type}
    return json.dumps({**payload, "time": asdict(entry.time), "body": asdict(entry.body)}, ensure_ascii=False)
