"""The dock as witness: cosigns a checkpoint after recomputing it, remembers the last, refuses fork and rollback.

It holds the ledger, so it needs no proof and no key lines; what it remembers is kept as every witness keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nacl.signing import SigningKey

from agent.dock.store import ArchiveStore, WitnessMemory
from agent.errors import FormatError, SignatureError, StorageError
from agent.evidence.checkpoint import check_ledger_signature, compose, cosign, open_note, origin_of
from agent.witness.memory import Memory, Remembered


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a checkpoint. ``early``: its lines are not here yet. ``stale``: true, but lines have followed."""

    outcome: Literal["cosigned", "early", "stale", "fork", "refused"]
    reason: str = ""
    note: bytes = b""


class Witness:
    """One per device; its memory is one file, written before a cosignature leaves."""

    def __init__(
        self, memory: Path | WitnessMemory, agency: str, name: str, key: SigningKey, archive: ArchiveStore
    ) -> None:
        """``memory``: or the folder of one.

        Raises StorageError when the ledger held does not continue what was cosigned: our own archive went back.
        """
        self._memory: WitnessMemory = Memory(memory) if isinstance(memory, Path) else memory
        self._origin = origin_of(agency, archive.device)
        self._name, self._key, self._archive = name, key, archive
        self.last = self._memory.read(self._origin)
        if self.last is not None and not self._holds(self.last.size, self.last.root):
            raise StorageError(f"the archive of {archive.device} no longer continues the checkpoint it cosigned")

    def _holds(self, size: int, root: str) -> bool:
        return self._archive.has_root(size, bytes.fromhex(root))

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
        if not self._archive.has_root(checkpoint.size, checkpoint.root):
            return Judgement("fork", f"root at {checkpoint.size} lines is not that of the ledger held here")
        if checkpoint.size < chain.size:
            return Judgement("stale")
        try:
            line = check_ledger_signature(opened, chain.keys.epoch_key or b"")
        except SignatureError as error:
            return Judgement("refused", str(error))
        # The ledger's line alone: other lines are nobody's word here, and could fill the note.
        cosigned = cosign(compose(checkpoint, [line]), self._name, self._key, time_seconds)
        self._remember(checkpoint.size, checkpoint.root.hex(), cosigned)
        return Judgement("cosigned", note=cosigned)

    def _remember(self, size: int, root: str, note: bytes) -> None:
        if self.last is None or (size, root) != (self.last.size, self.last.root):
            remembered = Remembered(1, self._origin, size, root, note.decode(), None)
            self._memory.keep(remembered)
            self.last = remembered
