"""The list of recordings held: small, quick to ask, and rebuilt from the archive whenever it is missing or damaged.

TinyDB behind a storage that replaces its file as a whole: TinyDB's own file storage can be torn by a crash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict
from tinydb import TinyDB, where
from tinydb.storages import Storage

from agent.errors import FormatError, StorageError
from agent.evidence.entries import Adopted, Close, Entry, Gap, Open, Photo, Segment
from agent.evidence.folder import EvidenceFolder, devices_of
from agent.evidence.ledger import unverified_entries
from agent.evidence.shapes import STRICT, Count, Digest, load_shape
from agent.system import durable

_TABLE: Final = "recordings"
_LINES: Final = "lines"
_BLOCK_BYTES: Final = 1 << 20


class AtomicStorage(Storage):
    """TinyDB's storage over one JSON file, written aside, synced and renamed. Raises StorageError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The whole content; None when there is no file yet."""
        try:
            found: dict[str, dict[str, Any]] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error
        return found

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Replaces the content, durably."""
        durable.write_atomic(self._path, json.dumps(data, ensure_ascii=False).encode(), 0o640)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as the ledger tells it. Times are microseconds of UTC; nothing personal."""

    device: str
    recording: str
    kind: str
    action: str | None
    stage: str | None
    matter: str | None
    opened_us: Count
    opened_line: Count
    """Where its ledger says so; the notice stands a few lines before."""
    profile: Digest | None
    """The profile in force: it names officer and section."""
    closed_us: Count | None = None
    last_line: Count | None = None
    """The last line that speaks of it, so far."""
    reason: str | None = None
    segments: Count = 0
    photos: Count = 0
    gaps: Count = 0
    bytes: Count = 0
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class _Lines:
    """How many lines of a device's ledger have been taken in."""

    device: str
    lines: Count
    profile: Digest | None
    """In force after them."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class Catalogue:
    """Recordings by device and id. One thread uses it. ``apply`` is durable when it returns."""

    def __init__(self, path: Path, archive: Path) -> None:
        """Opens; rebuilds when the file is missing, damaged or behind the archive. Raises StorageError."""
        self._rows: dict[tuple[str, str], Recording] = {}
        self._lines: dict[str, int] = {}
        self._profiles: dict[str, str | None] = {}
        self._db = TinyDB(path, storage=AtomicStorage)
        if not self._load() or self._lines != _lines_in(archive):
            self._db.close()
            path.unlink(missing_ok=True)
            self._db = TinyDB(path, storage=AtomicStorage)
            self.rebuild(archive)

    def _load(self) -> bool:
        try:
            rows = [load_shape(Recording, dict(row)) for row in self._db.table(_TABLE)]
            lines = [load_shape(_Lines, dict(row)) for row in self._db.table(_LINES)]
        # Damaged, or another version: rebuilt. TinyDB takes for granted that there are tables of numbered rows.
        except (StorageError, FormatError, TypeError, AttributeError, ValueError):
            return False
        self._lines = {row.device: row.lines for row in lines}
        self._profiles = {row.device: row.profile for row in lines}
        self._rows = {(row.device, row.recording): row for row in rows}
        return True

    def recordings(self, device: str | None = None) -> list[Recording]:
        """All recordings, or one device's, oldest first."""
        found = [row for row in self._rows.values() if device in (None, row.device)]
        return sorted(found, key=lambda row: (row.opened_us, row.device, row.recording))

    def apply(self, device: str, entries: Iterable[Entry]) -> list[Recording]:
        """Takes in entries that are durable in the archive; those taken in before are passed over.

        Returns the recordings that they speak of.
        """
        fresh = [entry for entry in entries if entry.seq >= self._lines.get(device, 0)]
        if not fresh:
            return []
        changed = {key for entry in fresh if (key := self._enter(device, entry))}
        table = self._db.table(_TABLE)
        for key in changed:
            same = (where("device") == key[0]) & (where("recording") == key[1])
            table.upsert(asdict(self._rows[key]), same)
        # Last: a crash in between leaves too few lines noted, and the next start rebuilds.
        self._db.table(_LINES).upsert(asdict(self._lines_of(device)), where("device") == device)
        return [self._rows[key] for key in changed]

    def _lines_of(self, device: str) -> _Lines:
        return _Lines(device, self._lines[device], self._profiles.get(device))

    def rebuild(self, archive: Path) -> None:
        """Makes the catalogue anew from the archive's ledgers, which were verified before they were written there."""
        self._rows, self._lines, self._profiles = {}, {}, {}
        for folder in devices_of(archive) if archive.is_dir() else []:
            try:
                for entry in unverified_entries(EvidenceFolder(folder).ledger):
                    self._enter(folder.name, entry)
            except FormatError as error:
                raise StorageError(f"the ledger of {folder.name} in the archive is damaged: {error}") from error
        self._db.drop_tables()
        self._db.table(_TABLE).insert_multiple(asdict(row) for row in self._rows.values())
        self._db.table(_LINES).insert_multiple(asdict(self._lines_of(device)) for device in self._lines)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _enter(self, device: str, entry: Entry) -> tuple[str, str] | None:
        body = entry.body
        self._lines[device] = entry.seq + 1
        if isinstance(body, Adopted) and body.document == "profile":
            self._profiles[device] = body.object.digest
        if isinstance(body, Open):
            key = (device, body.recording)
            shown = (body.kind, body.action, body.stage, body.matter)
            placed = (entry.time.utc_us, entry.seq, self._profiles.get(device))
            self._rows[key] = Recording(device, body.recording, *shown, *placed)
            return key
        key = (device, getattr(body, "recording", None) or "")
        if key not in self._rows:
            return None
        self._rows[key] = replace(_after(self._rows[key], entry), last_line=entry.seq)
        return key


def _after(row: Recording, entry: Entry) -> Recording:
    match entry.body:
        case Segment(object=ref):
            return replace(row, segments=row.segments + 1, bytes=row.bytes + ref.size)
        case Photo(object=ref):
            return replace(row, photos=row.photos + 1, bytes=row.bytes + ref.size)
        case Gap():
            return replace(row, gaps=row.gaps + 1)
        case Close(reason=reason):
            return replace(row, closed_us=entry.time.utc_us, reason=reason)
        case _:
            return row


def _lines_in(archive: Path) -> dict[str, int]:
    folders = devices_of(archive) if archive.is_dir() else []
    counts = {folder.name: _count_lines(EvidenceFolder(folder).ledger) for folder in folders}
    return {device: count for device, count in counts.items() if count}


def _count_lines(ledger: Path) -> int:
    with ledger.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
