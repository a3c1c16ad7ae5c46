"""From whole fragments to sealed, durable segments: one age file each, synced after every fragment, its tail too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.evidence.entries import ObjectRef, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import Fragment
from agent.evidence.sealing import SealedWriter
from agent.recorder.pieces import (
    OPEN_SUFFIX,
    SEALED_SUFFIX,
    Tail,
    piece_name,
    recover_open,
    recovered,
)
from agent.system.durable import AppendFile, move


@dataclass(slots=True)
class _Open:
    """The segment being written; ``pending`` is what the next sync will put on disk."""

    file: AppendFile
    tail: Tail
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
        self.before_sealed: Callable[[], object] = lambda: None
        """Called before each segment is reported: what is missing in it must be said first."""
        self._current: _Open | None = None
        self.count = 0
        self.frames = 0
        self.duration_us = 0
        self.origin_us = 0

    def add(self, init: bytes, fragment: Fragment) -> None:
        """Writes one fragment; returns once all of it can be opened after a cut. Raises StorageError.

        Another initialisation part begins another segment; otherwise one begins only with a picture that needs no
        other, so that it plays alone.
        """
        current = self._current
        if current and (init != current.init or (fragment.key and self._is_full(current, fragment))):
            self._seal(current)
        current = self._current or self._begin(init, fragment.start_us)
        current.sealer.write(fragment.data)
        self._flush(current)
        current.tail.keep(current.sealer.chunks, current.sealer.unsealed)
        current.frames += fragment.frames
        current.duration_us = fragment.start_us + fragment.duration_us - current.start_us

    def _is_full(self, current: _Open, following: Fragment) -> bool:
        return following.start_us - current.start_us >= self._segment_us

    def finish(self) -> None:
        """Seals the last segment. Raises StorageError."""
        if self._current:
            self._seal(self._current)

    def salvage(self) -> None:
        """After a StorageError: keeps what is on disk of the open segment and reports it as recovered."""
        current, self._current = self._current, None
        if current is None:
            return
        current.file.close()
        for path in recover_open(current.file.path):
            self.count += 1
            self._sealed(recovered(path))

    def _begin(self, init: bytes, start_us: int) -> _Open:
        path = self._folder.objects / (piece_name(self._recording, self.count) + OPEN_SUFFIX)
        file, pending = AppendFile(path, 0o640), bytearray()
        tail = Tail(path, self._recipients)
        self._current = _Open(file, tail, SealedWriter(self._recipients, pending.extend), pending, start_us, init)
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
        current.tail.drop()
        segment = self._entry(current, ref)
        self._current = None
        self.count += 1
        self.frames += segment.frames
        self.duration_us += segment.duration_us
        self.before_sealed()
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
