"""The dock as witness: cosigns a checkpoint after recomputing it, remembers the last, refuses fork and rollback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict

from agent.dock.archive import DeviceArchive
from agent.errors import FormatError, SignatureError, StorageError
from agent.evidence.checkpoint import check_ledger_signature, cosign, open_note, origin_of
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.shapes import STRICT, Count, Digest, FormatVersion, Name, dump_shape, load_shape
from agent.system import durable


@dataclass(frozen=True, slots=True)
class Remembered:
    """The largest checkpoint cosigned for a device."""

    v: FormatVersion
    device: Name
    size: Count
    root: Digest
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a checkpoint. ``early``: its lines are not here yet. ``stale``: true, but lines have followed."""

    outcome: Literal["cosigned", "early", "stale", "fork", "refused"]
    reason: str = ""
    note: bytes = b""


class Witness:
    """One per device; its memory is one file, written before a cosignature leaves."""

    def __init__(self, folder: Path, agency: str, name: str, key: SigningKey, archive: DeviceArchive) -> None:
        """Raises StorageError when the ledger held does not continue what was cosigned: our own archive went back."""
        durable.make_private_folder(folder)
        self._path = folder / f"{archive.device}.json"
        self._origin = origin_of(agency, archive.device)
        self._name, self._key, self._archive = name, key, archive
        self.last = self._read()
        if self.last is not None and not self._holds(self.last.size, self.last.root):
            raise StorageError(f"the archive of {archive.device} no longer continues the checkpoint it cosigned")

    def _read(self) -> Remembered | None:
        if not self._path.exists():
            return None
        try:
            return load_shape(Remembered, load_object(self._path.read_bytes()))
        except (OSError, FormatError) as error:
            raise StorageError(f"the witness memory {self._path} cannot be read: {error}") from error

    def _holds(self, size: int, root: str) -> bool:
        return size <= self._archive.chain.size and self._archive.root_at(size).hex() == root

    def judge(self, note: bytes, time_seconds: int) -> Judgement:
        """Cosigns, or says why not. The caller has flushed the ledger. Raises StorageError."""
        try:
            opened = open_note(note)
        except FormatError as error:
            return Judgement("refused", str(error))
        checkpoint, chain = opened.checkpoint, self._archive.chain
        if checkpoint.origin != self._origin:
            return Judgement("refused", f"a checkpoint of {checkpoint.origin[:100]}")
        if checkpoint.size > chain.size:
            return Judgement("early")
        if self._archive.root_at(checkpoint.size) != checkpoint.root:
            return Judgement("fork", f"root at {checkpoint.size} lines is not that of the ledger held here")
        if checkpoint.size < chain.size:
            return Judgement("stale")
        try:
            check_ledger_signature(opened, chain.keys.epoch_key or b"")
        except SignatureError as error:
            return Judgement("refused", str(error))
        self._remember(checkpoint.size, checkpoint.root.hex())
        return Judgement("cosigned", note=cosign(note, self._name, self._key, time_seconds))

    def _remember(self, size: int, root: str) -> None:
        remembered = Remembered(1, self._archive.device, size, root)
        if remembered != self.last:
            durable.write_atomic(self._path, dump_json(dump_shape(remembered)) + b"\n", 0o600)
            self.last = remembered
