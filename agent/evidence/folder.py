"""Names in an evidence folder. A device and an archive lay out one device's evidence alike, so one verifier reads both.

    ledger.jws                 one JWS per line, newline-ended
    checkpoint                 newest signed note over the ledger
    cosigned                   newest signed note that a witness has cosigned
    objects/<sha256>.age       sealed objects
    objects/<sha256>.jws       signed documents: profile, policy, receipts
    timestamps/                in an archive, perhaps: timestamps over cosigned checkpoints

An archive is a folder of such folders, each named by its device.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import ObjectRef
from agent.evidence.jws import MAX_JWS_BYTES

_WORKING: Final = (b".open", b".sealed")
_OBJECT: Final = re.compile(rb"([0-9a-f]{64})\.(age|jws)")


@dataclass(frozen=True, slots=True)
class EvidenceFolder:
    """Paths of one device's evidence; makes nothing and reads nothing."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger file."""
        return self.path / "ledger.jws"

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint"

    @property
    def cosigned(self) -> Path:
        """The newest checkpoint that a witness has cosigned."""
        return self.path / "cosigned"

    @property
    def timestamps(self) -> Path:
        """The folder of timestamps over cosigned checkpoints."""
        return self.path / "timestamps"

    @property
    def objects(self) -> Path:
        """The folder of objects."""
        return self.path / "objects"

    def object_path(self, ref: ObjectRef) -> Path:
        """Where an object lies."""
        return self.objects / ref.file_name


def devices_of(path: Path) -> list[Path]:
    """The device folders at a path: the path itself if it holds a ledger, else its sub-folders that do, by name.

    Raises OSError. What the ledger is (a file, a link, a pipe) is for whoever reads it to judge.
    """
    if os.path.lexists(EvidenceFolder(path).ledger):
        return [path]
    with os.scandir(path) as inside:  # one by one: an archive may hold any number of things that are no devices
        names = [one.name for one in inside if one.is_dir(follow_symlinks=False) and _has_ledger(one.path)]
    return [path / name for name in sorted(names, key=os.fsencode)]


def _has_ledger(folder: str) -> bool:
    return os.path.lexists(EvidenceFolder(Path(folder)).ledger)


def object_files(folder: EvidenceFolder) -> Iterator[os.DirEntry[bytes]]:
    """What lies in the folder of objects, one by one, but for pieces being written; nothing when it is no folder."""
    if folder.objects.is_symlink():
        return
    try:
        with os.scandir(os.fsencode(folder.objects)) as inside:
            yield from (one for one in inside if not one.name.startswith(b".") and not one.name.endswith(_WORKING))
    except OSError:
        return  # no folder: then every object is missing, and that is said


def object_name(name: bytes) -> tuple[str, str] | None:
    """Digest and form, when a file of this name may be an object."""
    found = _OBJECT.fullmatch(name)
    return (found[1].decode(), found[2].decode()) if found else None


def open_regular(path: Path) -> BufferedReader | None:
    """Opens a regular file of this very name for reading; None for anything else, or nothing, or no permission.

    A link could lead out of the evidence, and a pipe would never end: neither is evidence.
    """
    return _open_in(path.parent, path.name, 0)


def is_regular(path: Path) -> bool:
    """Whether ``open_regular`` would open it."""
    file = open_regular(path)
    if file is not None:
        file.close()
    return file is not None


def open_object(folder: EvidenceFolder, ref: ObjectRef) -> BufferedReader | None:
    """Opens an object as ``open_regular`` does; None also when the folder of objects itself is a link."""
    return _open_in(folder.objects, ref.file_name, os.O_NOFOLLOW)


def _open_in(folder: Path, name: str, follow: int) -> BufferedReader | None:
    try:
        place = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | follow)
    except (OSError, ValueError):
        return None
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(name, flags, dir_fd=place)
    except (OSError, ValueError):
        return None
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    return os.fdopen(handle, "rb")


def read_regular(path: Path, limit: int) -> bytes | None:
    """A small regular file, whole; None when it is none, or longer than ``limit`` bytes, or cannot be read."""
    return _read(open_regular(path), limit)


def _read(file: BufferedReader | None, limit: int) -> bytes | None:
    if file is None:
        return None
    with file:
        try:
            data = file.read(limit + 1)
        except OSError:
            return None
    return data if len(data) <= limit else None


def is_here(folder: EvidenceFolder, ref: ObjectRef) -> bool:
    """Whether an object is there, whole, with its size and digest; reads it once."""
    file = open_object(folder, ref)
    if file is None:
        return False
    with file:
        try:
            whole = os.fstat(file.fileno()).st_size == ref.size
            return whole and hashlib.file_digest(file, "sha256").hexdigest() == ref.digest
        except OSError:
            return False


def read_document(folder: EvidenceFolder, ref: ObjectRef) -> bytes | None:
    """A signed document of the folder, if it is there and is the one meant."""
    data = _read(open_object(folder, ref), MAX_JWS_BYTES)
    return data if data is not None and len(data) == ref.size and sha256_hex(data) == ref.digest else None
