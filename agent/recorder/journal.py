"""The journal: the one writer of a device's ledger on disk. An entry is durable when ``enter`` returns.

Used by the main loop only. A reserve file is kept so that the end of a recording can still be entered on a full disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from nacl.signing import SigningKey

from agent.errors import FormatError, StorageError, StorageFullError
from agent.evidence import jws
from agent.evidence.checkpoint import Checkpoint, origin_of, sign_checkpoint
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import (
    Body,
    Entry,
    EntryTime,
    Heartbeat,
    Notice,
    ReceiptEntry,
    Released,
    Witnessed,
    load_entry,
)
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import FIRST_PREV, LedgerWriter
from agent.evidence.merkle import Tree
from agent.system.durable import AppendFile, remove_file, storage_errors, write_atomic

RESERVE_BYTES: Final = 1 << 20
CHECKPOINT_EVERY_LINES: Final = 16
_NO_NEWS: Final = (Heartbeat, ReceiptEntry, Released, Witnessed)
"""Entries about handing over: a cosignature over these alone is not entered, or entering would never end."""


@dataclass(slots=True)
class Past:
    """Where an existing ledger ends: all that the next line needs."""

    size: int = 0
    head: str = FIRST_PREV
    tree: Tree = field(default_factory=Tree)
    end_bytes: int = 0
    tail_cut_bytes: int = 0


class Follower(Protocol):
    """Is told every line that has become durable."""

    def take(self, line: bytes, entry: Entry) -> None:
        """One more line (without newline), and what it says. Must not raise for trouble of its own."""

    def close(self) -> None:
        """No more will come."""


def read_past(
    path: Path, past: Past | None = None, take: Callable[[bytes, Entry], object] = lambda line, entry: None
) -> Past:
    """Reads the ledger of earlier runs from where ``past`` ends, cuts off a torn last line (durably); gives its end.

    Lines are not verified here: their keys are gone, and whoever can alter them can alter this program. Verification
    belongs to those who hold the trust bundle. Raises FormatError, StorageError.
    """
    past = past or Past()
    if not path.exists():
        return past
    with storage_errors(path, "reading"), path.open("rb") as file:
        file.seek(past.end_bytes)
        while line := file.readline():
            if not line.endswith(b"\n"):
                past.tail_cut_bytes = len(line)
                break
            take(line[:-1], _take(past, line[:-1]))
    if past.tail_cut_bytes:
        with AppendFile(path) as ledger:
            ledger.cut(past.end_bytes)
    return past


def _take(past: Past, line: bytes) -> Entry:
    entry = load_entry(jws.parse(line, jws.LEDGER_TYPE).payload)
    if entry.seq != past.size or entry.prev != past.head:
        raise FormatError(
            f"the ledger on this device is damaged at line {past.size}; keep it and call the administrator"
        )
    past.tree.add(line)
    past.head = sha256_hex(line)
    past.size += 1
    past.end_bytes += len(line) + 1
    return entry


class Journal:
    """Appends entries; rotates the epoch key every ``epoch_lines`` lines; writes checkpoints."""

    def __init__(
        self,
        folder: EvidenceFolder,
        past: Past,
        device: str,
        agency: str,
        epoch_lines: int,
        now: Callable[[], EntryTime],
        follower: Follower | None = None,
    ) -> None:
        """Continues the ledger that ``past`` describes. Raises StorageError."""
        self.folder = folder
        self._origin = origin_of(agency, device)
        self._writer = LedgerWriter(device, past.size, past.head, past.tree)
        self._file = AppendFile(folder.ledger, 0o640)
        self._epoch_lines = epoch_lines
        self._now = now
        self._follower = follower
        self._reserve = folder.path / "reserve"
        self._checkpointed = past.size
        self._begun = ""
        self.news = past.size
        """Lines up to the last one that says something new: what a witness should see soon."""
        self._keep_reserve()

    @property
    def size(self) -> int:
        """Lines in the ledger."""
        return self._writer.size

    def boot(self, identity: SigningKey, **fields: object) -> None:
        """Enters ``boot``: signed by the identity key, which is needed no more afterwards."""
        self._append(self._writer.boot(identity, self._now(), **fields))

    def enter(self, body: Body) -> None:
        """Enters one entry; returns after fdatasync. Raises StorageError."""
        if isinstance(body, Notice):
            self.begin_recording(body.recording)
        self._append(self._writer.entry(body, self._now()))
        if not isinstance(body, _NO_NEWS):
            self.news = self.size
        if self._writer.lines_by_key >= self._epoch_lines:
            self.rotate("lines")
        elif self.size - self._checkpointed >= CHECKPOINT_EVERY_LINES:
            self.checkpoint()

    def begin_recording(self, recording: str) -> None:
        """Replaces the key before the first line of a recording; asked again for the same one, does nothing.

        So a recording is signed by keys of its own, and can be handed over and checked without a word about another.
        """
        if recording != self._begun:
            self.rotate("recording_begin")
            self._begun = recording

    def rotate(self, reason: str) -> None:
        """Enters ``epoch``: the next key takes over, the current one is dropped. Writes a checkpoint."""
        self._append(self._writer.next_epoch(reason, self._now()))
        self.checkpoint()

    def checkpoint(self) -> None:
        """Writes the newest checkpoint, signed by the key in force; durable."""
        point = Checkpoint(self._origin, self._writer.size, self._writer.tree.root())
        note = sign_checkpoint(point, self._writer.epoch_key)
        self._with_reserve(lambda: write_atomic(self.folder.checkpoint, note))
        self._checkpointed = self._writer.size

    def settle(self) -> bool:
        """Writes a checkpoint if lines follow the last one; whether it did. Keeps the unwitnessed tail short."""
        behind = self.size > self._checkpointed
        if behind:
            self.checkpoint()
        return behind

    def close(self) -> None:
        """Closes the file; then its follower."""
        self._file.close()
        if self._follower:
            self._follower.close()

    def _append(self, line: bytes) -> None:
        self._with_reserve(lambda: self._file.append(line + b"\n"))
        if self._follower and self._writer.newest:
            self._follower.take(line, self._writer.newest)

    def _with_reserve(self, write: Callable[[], object]) -> None:
        try:
            write()
        except StorageFullError:
            # The reserve exists for exactly this: the line that says that the disk is full.
            remove_file(self._reserve)
            write()

    def _keep_reserve(self) -> None:
        with suppress(StorageError):  # a full disk is met by refusing to start, not here
            if not self._reserve.exists():
                write_atomic(self._reserve, os.urandom(RESERVE_BYTES))
