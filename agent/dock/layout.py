"""Where a person finds a recording: by section, officer and day. Made from the ledgers, and anew whenever it is gone.

    by-section/SECTION/OFFICER/2026-11-24/0915-RECORDING/manifest.json   what it is, and which files it has
                                                        /device          link to the device's folder in the archive

Nothing here is evidence: that stays in ``archive/DEVICE``, where ``recorder verify`` reads it. Nothing here is personal
beyond the ids that the ledger shows anyway.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.dock.catalogue import Recording
from agent.dock.retention import read_records
from agent.dock.settings import DockSettings
from agent.errors import FormatError, StorageError, TrustError
from agent.evidence import jws
from agent.evidence.documents import Profile, TrustBundle, read_profile
from agent.evidence.encoding import load_object
from agent.evidence.entries import Close, Entry, Notice, ObjectRef, Open, entry_objects, load_entry
from agent.evidence.folder import EvidenceFolder, read_regular
from agent.evidence.index import INDEX, LedgerIndex
from agent.evidence.shapes import STRICT, Count, Flag, FormatVersion, load_shape
from agent.rules.remarks import remarks_on
from agent.system import durable
from agent.system.durable import storage_errors

MANIFEST: Final = "manifest.json"
UNKNOWN: Final = "unknown"
_NOTICE_LINES: Final = 64
"""The notice stands at most so far before the line that opens its recording."""
_MAX_MANIFEST_BYTES: Final = 64 << 20
_NOTE: Final = "备注仅供查找，以 recorder verify 的结论为准。 Remarks help to find; the verdict is recorder verify's."


@dataclass(frozen=True, slots=True)
class File:
    """One object of a recording."""

    file: str
    type: str
    size: Count
    state: Literal["held", "missing", "deleted"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a recording is. Times are ISO 8601 with the station's offset."""

    v: FormatVersion
    type: Literal["manifest"]
    device: str
    recording: str
    section: str
    officer: str
    kind: str
    action: str | None
    stage: str | None
    matter: str | None
    opened: str
    closed: str | None
    reason: str | None
    duration_us: Count | None
    bytes: Count
    complete: Flag
    """Closed, and every object is held, or deleted after retention."""
    remarks: list[str]
    """Codes of findings."""
    note: str
    objects: list[File]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class Layout:
    """The tree of one dock. One thread uses it; it reads the archive while others write to it."""

    def __init__(self, settings: DockSettings, trust: TrustBundle) -> None:
        self._settings, self._trust = settings, trust
        self._zone = timezone(timedelta(minutes=settings.utc_offset_minutes))

    def shelve(self, row: Recording) -> Manifest:
        """Writes a recording's folder; durable. Raises StorageError when its ledger or index cannot be read."""
        manifest = self.describe(row)
        place = self._settings.by_section / self._relative(row, manifest)
        stale = self._settings.by_section / self._relative(row, None)
        if stale != place and stale.exists():  # laid out before its profile had come
            shutil.rmtree(stale)
        durable.make_private_folder(place)
        text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
        durable.write_atomic(place / MANIFEST, text.encode() + b"\n", 0o640)
        self._link(place, row.device)
        return manifest

    def is_complete(self, row: Recording) -> bool:
        """Whether the folder is there and says that nothing is missing. Reads the manifest."""
        officer = self._profile(row)
        place = self._settings.by_section / self._relative(row, officer)
        data = read_regular(place / MANIFEST, _MAX_MANIFEST_BYTES)
        try:
            return data is not None and load_shape(Manifest, load_object(data)).complete
        except FormatError:
            return False

    def describe(self, row: Recording) -> Manifest:
        """What stands in the manifest. Raises StorageError."""
        folder = EvidenceFolder(self._settings.archive / row.device)
        entries = self._entries(folder, row)
        opened = next(body for entry in entries if isinstance(body := entry.body, Open))
        notice = next((body for entry in entries if isinstance(body := entry.body, Notice)), None)
        files = self._files(folder, entries)
        close = next((body for entry in entries if isinstance(body := entry.body, Close)), None)
        profile = self._profile(row)
        return Manifest(
            v=1,
            type="manifest",
            device=row.device,
            recording=row.recording,
            section=profile.section if profile else UNKNOWN,
            officer=profile.officer if profile else UNKNOWN,
            kind=row.kind,
            action=row.action,
            stage=row.stage,
            matter=row.matter,
            opened=self._moment(row.opened_us).isoformat(timespec="seconds"),
            closed=self._moment(row.closed_us).isoformat(timespec="seconds") if row.closed_us is not None else None,
            reason=row.reason,
            duration_us=close.duration_us if close else None,
            bytes=sum(one.size for one in files),
            complete=close is not None and all(one.state != "missing" for one in files),
            remarks=remarks_on(opened, notice, [one.body for one in entries], profile.officer if profile else None),
            note=_NOTE,
            objects=files,
        )

    def _entries(self, folder: EvidenceFolder, row: Recording) -> list[Entry]:
        """The entries that speak of this recording, from its notice to its end."""
        first, last = max(0, row.opened_line - _NOTICE_LINES), max(row.opened_line, row.last_line or 0)
        try:
            with storage_errors(folder.path, "reading"), LedgerIndex(folder.path / INDEX, folder.ledger) as index:
                found = [_entry(index.line(seq)) for seq in range(first, last + 1)]
        except FormatError as error:
            raise StorageError(f"the ledger of {row.device} here cannot be read: {error}") from error
        mine = [entry for entry in found if getattr(entry.body, "recording", None) == row.recording]
        if not any(isinstance(entry.body, Open) for entry in mine):
            raise StorageError(f"the ledger of {row.device} does not open {row.recording} at {row.opened_line}")
        return mine

    def _files(self, folder: EvidenceFolder, entries: list[Entry]) -> list[File]:
        named = [(entry.type, ref) for entry in entries for ref in entry_objects(entry)]
        missing = {ref.digest for _, ref in named if not folder.object_path(ref).exists()}
        gone: set[str] = set()
        if missing:
            gone = {ref.digest for record in read_records(folder, self._trust) for ref in record.objects}
        return [File(ref.file_name, kind, ref.size, _state(ref, missing, gone)) for kind, ref in named]

    def _profile(self, row: Recording) -> Profile | None:
        """Who held the device, by the signed profile that it said was in force."""
        path = self._settings.archive / row.device / "objects" / f"{row.profile}.jws"
        data = read_regular(path, jws.MAX_JWS_BYTES) if row.profile is not None else None
        try:
            return read_profile(data, self._trust) if data is not None else None
        except TrustError:
            return None

    def _relative(self, row: Recording, who: Manifest | Profile | None) -> Path:
        opened = self._moment(row.opened_us)
        section, officer = (who.section, who.officer) if who else (UNKNOWN, UNKNOWN)
        return Path(section, officer, f"{opened:%Y-%m-%d}", f"{opened:%H%M}-{row.recording}")

    def _moment(self, utc_us: int) -> datetime:
        return datetime.fromtimestamp(utc_us // 1_000_000, self._zone)

    def _link(self, place: Path, device: str) -> None:
        """Relative, so that the dock's folder may be mounted elsewhere."""
        link = place / "device"
        target = os.path.relpath(self._settings.archive / device, place)
        with storage_errors(link, "linking"):
            if link.is_symlink() and str(link.readlink()) == target:
                return
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        durable.sync_folder(place)


def _entry(line: bytes) -> Entry:
    return load_entry(jws.parse(line, jws.LEDGER_TYPE).payload)


def _state(ref: ObjectRef, missing: set[str], gone: set[str]) -> Literal["held", "missing", "deleted"]:
    if ref.digest not in missing:
        return "held"
    return "deleted" if ref.digest in gone else "missing"
