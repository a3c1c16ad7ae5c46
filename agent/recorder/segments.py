"""From whole fragments to sealed, durable segments: one age file each, synced after every fragment (about a second).

A piece is ``RECORDING-INDEX.open`` while it is written, ``.sealed`` once whole, and takes its digest as its name after
its line is in the ledger: so after a cut at any instant it is known what each file is and what is still to be entered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.evidence.entries import ObjectRef, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import Fragment
from agent.evidence.sealing import SealedWriter, header_bytes, whole_bytes
from agent.system.durable import AppendFile, make_private_folder, move, storage_errors

OPEN_SUFFIX: Final = ".open"
SEALED_SUFFIX: Final = ".sealed"
UNLISTED: Final = "unlisted"


@dataclass(slots=True)
class _Open:
    """The segment being written; ``pending`` is what the next sync will put on disk."""

    file: AppendFile
    sealer: SealedWriter
    pending: bytearray
    start_us: int
    init: bytes
    duration_us: int = 0
    frames: int = 0


class SegmentSink:
    """Takes the fragments of one recording in order and reports every segment once it is durable.

    Runs on the encoder's thread. ``origin_us`` is the monotonic time of the recording's first frame.
    """

    def __init__(
        self,
        folder: EvidenceFolder,
        recording: str,
        recipients: Iterable[bytes],
        segment_us: int,
        sealed: Callable[[Segment], None],
    ) -> None:
        self._folder = folder
        self._recording = recording
        self._recipients = tuple(recipients)
        self._segment_us = segment_us
        self._sealed = sealed
        self._current: _Open | None = None
        self.count = 0
        self.frames = 0
        self.duration_us = 0
        self.origin_us = 0

    def add(self, init: bytes, fragment: Fragment) -> None:
        """Writes one fragment; returns after fdatasync of all whole chunks so far. Raises StorageError.

        Another initialisation part begins another segment.
        """
        current = self._current
        if current and (fragment.start_us - current.start_us >= self._segment_us or init != current.init):
            self._seal(current)
        current = self._current or self._begin(init, fragment.start_us)
        current.sealer.write(fragment.data)
        self._flush(current)
        current.frames += fragment.frames
        current.duration_us = fragment.start_us + fragment.duration_us - current.start_us

    def finish(self) -> None:
        """Seals the last segment. Raises StorageError."""
        if self._current:
            self._seal(self._current)

    def salvage(self) -> None:
        """After a StorageError: keeps the open segment up to its last whole chunk and reports it as recovered."""
        current, self._current = self._current, None
        if current is None:
            return
        current.file.close()
        if keep_whole_chunks(current.file.path):
            self.count += 1
            self._sealed(_recovered(current.file.path.with_suffix(SEALED_SUFFIX)))

    def _begin(self, init: bytes, start_us: int) -> _Open:
        path = self._folder.objects / (piece_name(self._recording, self.count) + OPEN_SUFFIX)
        file, pending = AppendFile(path, 0o640), bytearray()
        self._current = _Open(file, SealedWriter(self._recipients, pending.extend), pending, start_us, init)
        self._current.sealer.write(init)
        return self._current

    def _flush(self, current: _Open) -> None:
        current.file.append(bytes(current.pending))
        current.pending.clear()

    def _seal(self, current: _Open) -> None:
        ref = current.sealer.close()
        self._flush(current)
        current.file.close()
        move(current.file.path, current.file.path.with_suffix(SEALED_SUFFIX))
        segment = self._entry(current, ref)
        self._current = None
        self.count += 1
        self.frames += segment.frames
        self.duration_us += segment.duration_us
        self._sealed(segment)

    def _entry(self, current: _Open, ref: ObjectRef) -> Segment:
        return Segment(
            recording=self._recording,
            index=self.count,
            object=ref,
            start_us=current.start_us,
            duration_us=current.duration_us,
            first_frame_us=self.origin_us + current.start_us,
            frames=current.frames,
            recovered=False,
        )


def piece_name(recording: str, index: int) -> str:
    """Working name of a segment, without suffix, until its line is in the ledger and its digest becomes its name."""
    return f"{recording}-{index:06d}"


def place_segment(folder: EvidenceFolder, segment: Segment) -> None:
    """Gives a sealed segment its final name, after its line is durable. Raises StorageError."""
    waiting = folder.objects / (piece_name(segment.recording, segment.index) + SEALED_SUFFIX)
    if waiting.exists():
        move(waiting, folder.object_path(segment.object))


def recover_pieces(folder: EvidenceFolder, entered: Set[str]) -> list[Segment]:
    """After a cut: entries due for the pieces left under working names; ``entered`` are the ledger's digests.

    A sealed piece whose line is there only gets its name; one without is entered whole; an open one is cut to its last
    whole chunk first. Pieces that hold nothing are removed. Raises StorageError.
    """
    found = []
    for path in sorted(folder.objects.glob(f"*{OPEN_SUFFIX}")):
        keep_whole_chunks(path)
    for path in sorted(folder.objects.glob(f"*{SEALED_SUFFIX}")):
        segment = _recovered(path)
        if segment.object.digest in entered:
            move(path, folder.object_path(segment.object))
        else:
            found.append(segment)
    return found


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


def keep_whole_chunks(path: Path) -> bool:
    """Cuts a torn open piece to its last whole chunk and marks it sealed; False (and removed) if nothing was."""
    with storage_errors(path, "recovering"):
        with path.open("rb") as file:
            start = file.read(8192)
            size = file.seek(0, 2)
        keep = whole_bytes(start, size)
        if keep == 0 or keep == header_bytes(start):
            path.unlink()
            return False
        with AppendFile(path) as piece:
            piece.cut(keep)
    move(path, path.with_suffix(SEALED_SUFFIX))
    return True


def _recovered(path: Path) -> Segment:
    """The entry of a recovered piece. Its counts and times are unknown: the key to look inside is gone."""
    recording, _, index = path.stem.partition("-")
    with storage_errors(path, "reading"), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return Segment(recording, int(index), ObjectRef(digest, size, "age"), 0, 0, None, 0, recovered=True)
