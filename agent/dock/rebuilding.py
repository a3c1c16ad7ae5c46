"""Makes anew what a dock can make anew: its catalogue and the browsable tree. The archive is only read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.dock.catalogue import Catalogue, Recording
from agent.dock.layout import Layout
from agent.dock.settings import DockSettings
from agent.errors import StorageError
from agent.evidence.documents import TrustBundle
from agent.system.durable import storage_errors


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How much there is now, and which recordings could not be laid out."""

    recordings: int
    shelved: int
    failed: tuple[str, ...]


def catalogue_is_true(settings: DockSettings) -> bool:
    """Whether the catalogue, as it lies there, is what the archive gives. Changes nothing. Raises StorageError."""
    with storage_errors(settings.catalogue, "reading"):
        before = settings.catalogue.read_bytes() if settings.catalogue.exists() else None
    if before is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        kept, fresh = Path(folder) / "kept.json", Path(folder) / "fresh.json"
        kept.write_bytes(before)
        return _rows(kept, settings) == _rows(fresh, settings) and kept.read_bytes() == before


def _rows(path: Path, settings: DockSettings) -> list[Recording]:
    catalogue = Catalogue(path, settings.archive)
    catalogue.close()
    return catalogue.recordings()


def rebuild(settings: DockSettings) -> Rebuilt:
    """Catalogue and tree, from the archive. The caller holds the dock's lock. Raises StorageError."""
    with storage_errors(settings.folder, "rebuilding in"):
        settings.catalogue.unlink(missing_ok=True)
        if settings.by_section.exists():
            shutil.rmtree(settings.by_section)
    return _shelve(settings, _rows(settings.catalogue, settings))


def lay_out(settings: DockSettings, which: Callable[[Recording], bool]) -> Rebuilt:
    """Writes the folders of these recordings; the dock may be running. Raises StorageError."""
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(Path(folder) / "fresh.json", settings)
    return _shelve(settings, [row for row in rows if which(row)])


def _shelve(settings: DockSettings, rows: list[Recording]) -> Rebuilt:
    with storage_errors(settings.credentials, "reading the credentials in"):
        trust = TrustBundle.from_json((settings.credentials / "trust.json").read_bytes())
    layout, failed, shelved = Layout(settings, trust), [], 0
    for row in rows:
        try:
            layout.shelve(row)
            shelved += 1
        except StorageError as error:
            failed.append(f"{row.device} {row.recording}: {error.code} {error}")
    return Rebuilt(len(rows), shelved, tuple(failed))
