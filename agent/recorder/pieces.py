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
_OFFSET_BYTES: Final = 8


def piece_name(recording: str, index: int) -> str:
    """Working name of a segment, without suffix, until its line is in the ledger and its digest becomes its name."""
    return f"{recording}-{index:06d}"


def tail_path(piece: Path) -> Path:
    """Where the tail of an open piece lies."""
    return piece.with_name(f".{piece.stem}.tail")


def keep_tail(piece: Path, chunks: int, plain: bytes, recipients: Iterable[bytes]) -> None:
    """Seals what follows the piece's whole chunks, durably, in place of the last tail. Raises StorageError.

    A sealed file opens by whole chunks only: without this, up to 64 KiB of what is on disk could not be opened after a
    cut. Each tail has keys of its own.
    """
    _, sealed = seal(plain, recipients)
    write_atomic(tail_path(piece), chunks.to_bytes(_OFFSET_BYTES, "big") + sealed, 0o640)


def drop_tail(piece: Path) -> None:
    """The piece is whole."""
    remove_file(tail_path(piece))


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
        remove_file(path)  # of a piece that was whole already
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
    first, tail = path.with_suffix(SEALED_SUFFIX), _tail_after(path, chunks)
    recording, _, index = path.stem.partition("-")
    second = path.with_name(piece_name(recording, int(index) + (chunks > 0)) + SEALED_SUFFIX)
    if tail is not None:
        write_atomic(second, tail, 0o640)
    if chunks:
        with AppendFile(path) as piece:
            piece.cut(keep)
        move(path, first)
    else:
        remove_file(path)
    drop_tail(path)
    return ([first] if chunks else []) + ([second] if tail is not None else [])


def _tail_after(piece: Path, chunks: int) -> bytes | None:
    """The tail as a sealed file, if it is what follows so many chunks; an older one is in them already."""
    path = tail_path(piece)
    if not path.exists():
        return None
    with storage_errors(path, "reading"):
        data = path.read_bytes()
    offset, sealed = int.from_bytes(data[:_OFFSET_BYTES], "big"), data[_OFFSET_BYTES:]
    return sealed if offset == chunks and len(data) > _OFFSET_BYTES else None


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
