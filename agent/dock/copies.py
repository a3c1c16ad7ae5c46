"""Further copies of the archive, on other disks: written aside, synced, read back from the disk, then named.

    ROOT/enforcement-recorder-copy.json   says whose copy this is; without it nothing is written here
    ROOT/archive/DEVICE/...               as the archive: `recorder verify ROOT/archive` reads it

The mark is there because a disk that is not mounted looks like an empty folder of the disk below it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.dock.retention import read_records, remove_deleted
from agent.errors import CopyDiffersError, CopyError, FormatError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.folder import EvidenceFolder, devices_of, object_name
from agent.evidence.retention import DELETIONS
from agent.evidence.shapes import STRICT, FormatVersion, Name, dump_shape, load_shape
from agent.system import durable
from agent.system.durable import storage_errors

MARK: Final = "enforcement-recorder-copy.json"
_BLOCK_BYTES: Final = 1 << 20
_PIECE_BYTES: Final = 8 << 20
"""Of a ledger in one append; more than a line can have."""
_WRITE_ONCE: Final = 0o440


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose copy a disk holds."""

    v: FormatVersion
    type: Literal["copy"]
    dock: Name
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def prepare_copy(root: Path, dock: str) -> None:
    """Marks an empty folder as a copy of this dock's archive. Raises CopyError for any other, StorageError."""
    with storage_errors(root, "listing"):
        found = [entry.name for entry in root.iterdir() if entry.name != "lost+found"]
    if found == [] or found == [MARK]:
        durable.write_atomic(root / MARK, dump_json(dump_shape(Mark(1, "copy", dock))) + b"\n", 0o640)
    elif MARK not in found:
        raise CopyError(f"{root} is not empty and is no copy")
    CopyFolder(root, dock, root).check()


class CopyFolder:
    """One copy. Every method waits for its disk: never call one from the thread that takes evidence in."""

    def __init__(self, root: Path, dock: str, archive: Path, trust: TrustBundle | None = None) -> None:
        """``trust``: checks the records of deletions; without it none is followed."""
        self.root, self._dock, self._archive, self._trust = root, dock, archive, trust
        self._deleted_bytes: dict[str, int] = {}
        self._ledger_bytes: dict[str, int] = {}
        """How much of a device's ledger is known to be the archive's."""

    def check(self) -> None:
        """Raises CopyError unless the disk is there and holds this dock's copy."""
        try:
            mark = load_shape(Mark, load_object((self.root / MARK).read_bytes()))
        except (OSError, FormatError) as error:
            raise CopyError(f"{self.root} is not mounted or not prepared: {error}") from error
        if mark.dock != self._dock:
            raise CopyError(f"{self.root} holds the copy of {mark.dock}")

    def bring_ledger(self, device: str) -> None:
        """Makes the copy's ledger and notes those of the archive, durably. Raises CopyDiffersError, StorageError."""
        source, target = self._both(device)
        if not source.ledger.exists():
            return
        known = self._ledger_bytes.get(device)
        if known is None:
            self._make_folders(target)
            known = self._compare(source, target)
        self._ledger_bytes[device] = self._append(source, target, known)
        for one in (source.checkpoint, source.cosigned):
            _bring_small(one, target.path / one.name)
        self._follow_deletions(source, target)

    def bring_object(self, device: str, name: str) -> bool:
        """Copies one object unless it is there; whether the copy now holds it, read back. False: not in the archive.

        Raises CopyDiffersError when the archive's own bytes are not those of the name, CopyError when the copy's disk
        gives back others.
        """
        source, target = self._both(device)
        if (target.objects / name).exists():
            return True
        found = object_name(os.fsencode(name))
        if found is None or not (source.objects / name).exists():
            return False
        self._make_folders(target)
        try:
            _copy_object(source.objects / name, target.objects / name, found[0])
        except CopyDiffersError:
            if (source.objects / name).exists():
                raise
            return False  # deleted after retention this very moment
        return True

    def missing(self) -> Iterator[tuple[str, str]]:
        """Device and name of every object that the archive has and the copy has not, one by one."""
        with storage_errors(self._archive, "listing"):
            devices = [path.name for path in devices_of(self._archive)]
        for device in devices:
            source, target = self._both(device)
            yield device, ""
            with storage_errors(source.objects, "listing"), os.scandir(source.objects) as inside:
                for entry in inside:
                    if object_name(os.fsencode(entry.name)) and not (target.objects / entry.name).exists():
                        yield device, entry.name

    def _follow_deletions(self, source: EvidenceFolder, target: EvidenceFolder) -> None:
        """The record first, then the bytes, as in the archive."""
        path = source.path / DELETIONS
        size = path.stat().st_size if path.exists() else 0
        if self._trust is None or size == self._deleted_bytes.get(source.path.name, 0):
            return
        records = list(read_records(source, self._trust))
        _bring_small(path, target.path / DELETIONS)
        remove_deleted(target, records)
        self._deleted_bytes[source.path.name] = size

    def forget(self) -> None:
        """The disk was away: what is known of it is looked at anew."""
        self._deleted_bytes.clear()
        self._ledger_bytes.clear()

    def _both(self, device: str) -> tuple[EvidenceFolder, EvidenceFolder]:
        return EvidenceFolder(self._archive / device), EvidenceFolder(self.root / "archive" / device)

    def _make_folders(self, target: EvidenceFolder) -> None:
        if not target.objects.exists():
            durable.make_private_folder(target.objects)
        if target.path.name not in self._ledger_bytes:
            durable.sweep_aside(target.objects)
            durable.sweep_aside(target.path)

    def _compare(self, source: EvidenceFolder, target: EvidenceFolder) -> int:
        """Bytes of the copy's ledger that are the archive's; a torn end of the copy is cut off."""
        with storage_errors(target.ledger, "comparing"):
            if not target.ledger.exists():
                return 0
            same = _common_prefix(source.ledger, target.ledger)
            size = target.ledger.stat().st_size
            if same == size:
                return size
            if same == source.ledger.stat().st_size or _has_whole_line(target.ledger, same):
                raise CopyDiffersError(f"{target.ledger} differs from the archive after {same} bytes")
        with durable.AppendFile(target.ledger, 0o640) as file:
            file.cut(same)
        return same

    def _append(self, source: EvidenceFolder, target: EvidenceFolder, known: int) -> int:
        with (
            storage_errors(source.ledger, "reading"),
            source.ledger.open("rb") as lines,
            durable.AppendFile(target.ledger, 0o640) as file,
        ):
            if file.size != known:
                raise CopyError(f"{target.ledger} has {file.size} bytes, and had {known}")
            lines.seek(known)
            while fresh := _whole_lines(lines):
                file.append(fresh)
            return file.size


def _whole_lines(file: BufferedReader) -> bytes:
    """Some whole lines from here; empty at the end, which the archive may be appending to this moment."""
    data = file.read(_PIECE_BYTES)
    whole = data.rfind(b"\n") + 1
    file.seek(whole - len(data), os.SEEK_CUR)
    return data[:whole]


def _copy_object(source: Path, target: Path, digest: str) -> None:
    with storage_errors(target, "copying to"):
        handle, aside = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".aside", dir=target.parent)
        try:
            _fill(source, handle, digest)
            Path(aside).rename(target)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                Path(aside).unlink()
            raise
        finally:
            os.close(handle)
    durable.sync_folder(target.parent)


def _fill(source: Path, handle: int, digest: str) -> None:
    """Writes, syncs, and reads back from the disk. Raises CopyError, OSError."""
    read = hashlib.sha256()
    with os.fdopen(os.dup(handle), "wb") as copy:
        for block in _blocks(source):
            read.update(block)
            copy.write(block)
    if read.hexdigest() != digest:
        raise CopyDiffersError(f"{source} in the archive is damaged: its bytes hash to {read.hexdigest()}")
    os.fchmod(handle, _WRITE_ONCE)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.lseek(handle, 0, os.SEEK_SET)
    written = hashlib.sha256()
    while block := os.read(handle, _BLOCK_BYTES):
        written.update(block)
    if written.hexdigest() != digest:
        raise CopyError(f"the disk of {source.name}'s copy gives back other bytes than were written")


def _blocks(source: Path) -> Iterator[bytes]:
    """Trouble in reading the archive is the archive's, and must not be taken for the copy's."""
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except OSError as error:
        raise CopyDiffersError(f"{source} in the archive cannot be read: {error.strerror}") from error


def _bring_small(source: Path, target: Path) -> None:
    with storage_errors(target, "comparing"):
        data = source.read_bytes() if source.exists() else None
        same = data is None or (target.exists() and target.read_bytes() == data)
    if data is not None and not same:
        durable.write_atomic(target, data, 0o640)


def _common_prefix(one: Path, other: Path) -> int:
    """How many leading bytes are the same."""
    with one.open("rb") as first, other.open("rb") as second:
        same = 0
        while (a := first.read(_BLOCK_BYTES)) and (b := second.read(_BLOCK_BYTES)):
            if a != b:
                return same + _first_difference(a, b)
            same += len(a)
    return same


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _has_whole_line(path: Path, after: int) -> bool:
    """Whether a line ends after this place: then it is no torn append."""
    with path.open("rb") as file:
        file.seek(after)
        return any(b"\n" in block for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
