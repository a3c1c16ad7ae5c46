"""A recording's pieces on disk under their working names, and what is made of them after a cut.

A piece is ``RECORDING-INDEX.open`` while it is written, ``.sealed`` once whole, and takes its digest as its name after
its line is in the ledger: so after a cut at any instant it is known what each file is and what is still to be entered.
Beside an open piece lies its *tail*: what was written but does not fill a chunk yet, sealed in a file of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Final

from agent.evidence.entries import ObjectRef, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import CHUNK_BYTES, TAG_BYTES, header_bytes, seal, whole_bytes
from agent.system.durable import (
    AppendFile,
    make_private_folder,
    move,
    remove_file,
    storage_errors,
    write_atomic,
)

OPEN_SUFFIX: Final = ".open"
SEALED_SUFFIX: Final = ".sealed"
UNLISTED: Final = "unlisted"


def piece_name(recording: str, index: int) -> str:
    """Working name of a segment, without suffix, until its line is in the ledger and its digest becomes its name."""
    return f"{recording}-{index:06d}"


class Tail:
    """What follows an open piece's whole chunks, sealed in a file of its own, whose name says after how many.

    A sealed file opens by whole chunks only: without this, up to 64 KiB of what is on disk could not be opened after a
    cut. Each tail has keys of its own. A tail is recovered by its name alone, so that a full disk does not hinder it.
    """

    def __init__(self, piece: Path, recipients: Iterable[bytes]) -> None:
        self._piece, self._recipients = piece, tuple(recipients)
        self._path: Path | None = None

    def keep(self, chunks: int, plain: bytes) -> None:
        """Seals ``plain``, durably, in place of the last tail. Raises StorageError."""
        _, sealed = seal(plain, self._recipients)
        before, self._path = self._path, tail_path(self._piece, chunks)
        write_atomic(self._path, sealed, 0o640)
        if before not in (None, self._path):
            _drop(before)

    def drop(self) -> None:
        """The piece is whole."""
        if self._path is not None:
            _drop(self._path)
            self._path = None


def tail_path(piece: Path, chunks: int) -> Path:
    """The tail of an open piece that follows so many whole chunks."""
    return piece.with_name(f".{piece.stem}.{chunks}.tail")


def _drop(tail: Path) -> None:
    """Not synced: one that comes back after a cut is known by its number to be an old one."""
    with storage_errors(tail, "removing"):
        tail.unlink(missing_ok=True)


def place_segment(folder: EvidenceFolder, segment: Segment) -> None:
    """Gives a sealed segment its final name, after its line is durable. Raises StorageError."""
    waiting = folder.objects / (piece_name(segment.recording, segment.index) + SEALED_SUFFIX)
    if waiting.exists():
        move(waiting, folder.object_path(segment.object))


def recover_pieces(folder: EvidenceFolder, entered: Set[str]) -> list[Segment]:
    """After a cut: entries due for the pieces left under working names; ``entered`` are the ledger's digests.

    A sealed piece whose line is there only gets its name; one without is entered whole; an open one is cut to its last
    whole chunk first, and its tail follows it as a piece of its own. Pieces that hold nothing are removed. May be
    interrupted anywhere and begun again. Raises StorageError.
    """
    for path in sorted(folder.objects.glob(f"*{OPEN_SUFFIX}")):
        recover_open(path)
    for path in folder.objects.glob(".*.tail"):
        _drop(path)  # of a piece that was whole already
    found = []
    for path in sorted(folder.objects.glob(f"*{SEALED_SUFFIX}")):
        segment = recovered(path)
        if segment.object.digest in entered:
            move(path, folder.object_path(segment.object))
        else:
            found.append(segment)
    return found


def recover_open(path: Path) -> list[Path]:
    """What is left of an open piece, now sealed: its whole chunks, then its tail; either may be missing."""
    with storage_errors(path, "recovering"), path.open("rb") as file:
        start = file.read(8192)
        size = file.seek(0, 2)
    keep = whole_bytes(start, size)
    chunks = (keep - header_bytes(start)) // (CHUNK_BYTES + TAG_BYTES) if keep else 0
    first, tail = path.with_suffix(SEALED_SUFFIX), tail_path(path, chunks)
    recording, _, index = path.stem.partition("-")
    second = path.with_name(piece_name(recording, int(index) + (chunks > 0)) + SEALED_SUFFIX)
    if tail.exists():
        move(tail, second)
    if chunks:
        with AppendFile(path) as piece:
            piece.cut(keep)
        move(path, first)
    else:
        remove_file(path)
    for old in path.parent.glob(f".{path.stem}.*.tail"):
        _drop(old)
    return [one for one in dict.fromkeys((first, second)) if one.exists()]


def recovered(path: Path) -> Segment:
    """The entry of a recovered piece. Its counts and times are unknown: the key to look inside is gone."""
    recording, _, index = path.stem.partition("-")
    with storage_errors(path, "reading"), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return Segment(recording, int(index), ObjectRef(digest, size, "age"), 0, 0, None, 0, recovered=True)


def set_unlisted_aside(folder: EvidenceFolder, entered: Set[str]) -> int:
    """After a cut: moves sealed objects that no line names out of ``objects``; nothing is deleted. Raises StorageError.

    They were durable, but the line that would have made them evidence was not: a still, or particulars.
    """
    moved = 0
    for path in sorted(folder.objects.glob("*.age")):
        if path.stem not in entered:
            make_private_folder(folder.path / UNLISTED)
            move(path, folder.path / UNLISTED / path.name)
            moved += 1
    return moved


def set_pieces_aside(folder: EvidenceFolder, pieces: Iterable[Segment]) -> None:
    """After a cut: moves pieces that no recording takes out of ``objects``; nothing is deleted. Raises StorageError.

    Their recording had its close already: the disk failed so that they could be neither entered nor named then.
    """
    for segment in pieces:
        make_private_folder(folder.path / UNLISTED)
        waiting = folder.objects / (piece_name(segment.recording, segment.index) + SEALED_SUFFIX)
        move(waiting, folder.path / UNLISTED / segment.object.file_name)
