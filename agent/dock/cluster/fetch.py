"""An archive out of the bucket, as folders that ``recorder verify`` reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from agent.dock.cluster.bucket import Bucket
from agent.dock.cluster.holdings import ROOT as OBJECTS
from agent.dock.cluster.holdings import object_key
from agent.dock.cluster.journal import ROOT, newest, read_records
from agent.errors import StorageError
from agent.evidence.encoding import is_digest
from agent.evidence.folder import EvidenceFolder
from agent.system import durable

_FILE: int = 0o640


def devices(bucket: Bucket) -> list[str]:
    """Who has a journal there."""
    return sorted(bucket.folders(ROOT))


def fetch(bucket: Bucket, device: str, target: Path, progress: Callable[[int], None] = lambda _bytes: None) -> Path:
    """Writes one device's evidence to ``target/DEVICE`` and returns that; what is there already is not read again.

    Ledger and notes are those of now; objects are checked against their names on the way. Raises StorageError.
    """
    folder = EvidenceFolder(target / device)
    durable.make_private_folder(folder.objects)
    durable.sweep_aside(folder.objects)
    # Objects that come while this runs are named by lines that come later still: so the ledger is read first.
    note = _fetch_ledger(bucket, device, folder)
    if note is not None:
        durable.write_atomic(folder.checkpoint, note, _FILE)
        durable.write_atomic(folder.cosigned, note, _FILE)
    for key in bucket.keys(f"{OBJECTS}{device}/"):
        name = key.rpartition("/")[2]
        if is_digest(name.partition(".")[0]) and not (folder.objects / name).exists():
            progress(_fetch_object(bucket, device, folder.objects / name))
    return folder.path


def _fetch_ledger(bucket: Bucket, device: str, folder: EvidenceFolder) -> bytes | None:
    """Writes the ledger; returns the newest cosigned note."""
    count, note = newest(bucket, device) + 1, None
    if count == 0:
        raise StorageError(f"the archive holds nothing of {device}")
    aside = folder.path / ".ledger.jws.fetched.aside"
    with durable.storage_errors(aside, "writing"), aside.open("wb") as file:
        for record in read_records(bucket, device, 0, count):
            if record.head.kind == "lines":
                file.write(record.data)
            elif record.head.kind == "cosigned":
                note = record.data
        file.flush()
        os.fsync(file.fileno())
    durable.move(aside, folder.ledger)
    return note


def _fetch_object(bucket: Bucket, device: str, target: Path) -> int:
    aside, hasher, size = target.with_name(f".{target.name}.fetched.aside"), hashlib.sha256(), 0
    with durable.storage_errors(aside, "writing"), aside.open("wb") as file:
        for block in bucket.stream(object_key(device, target.name)):
            file.write(block)
            hasher.update(block)
            size += len(block)
        file.flush()
        os.fsync(file.fileno())
    if hasher.hexdigest() != target.name.partition(".")[0]:
        raise StorageError(f"{target.name} of {device} in the bucket is not what its name says; kept as {aside}")
    durable.move(aside, target)
    return size
