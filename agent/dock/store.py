"""What an intake needs of an archive: one device's verified ledger and write-once objects, wherever they lie.

Two of them: ``DeviceArchive`` (a folder) and ``cluster.archive.BucketArchive`` (an S3 bucket). One contract suite runs
over both. What the methods return is durable when they return it, ``accept`` apart: ``flush`` makes lines durable.
All trouble with storage is a StorageError; the caller then closes the archive and opens it anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from agent.dock.quarantine import What
from agent.dock.staging import Staging
from agent.evidence.entries import Entry, ObjectRef
from agent.evidence.ledger import ChainState
from agent.witness.memory import Remembered


@dataclass(frozen=True, slots=True)
class Taken:
    """A line was accepted: its entry, and the bytes that will be durable after ``flush``."""

    entry: Entry
    line: bytes


class HoldingsView(Protocol):
    """Which objects are still to come or to be receipted; see ``Holdings``."""

    wanted: dict[str, ObjectRef]
    unreceipted: dict[str, ObjectRef]
    count: int

    @property
    def uncopied(self) -> dict[str, ObjectRef]:
        """Held, and not yet on the further copies that receipts wait for; empty where there are none."""

    @property
    def only_receipts(self) -> bool:
        """Whether nothing waits for a receipt but receipts."""

    def holds(self, digest: str) -> bool:
        """Whether this object is here, whole and read back. Raises StorageError."""

    def receipted(self, refs: Iterable[ObjectRef]) -> None:
        """A receipt lists these."""


class QuarantineView(Protocol):
    """Where what does not verify is kept; see ``Quarantine``."""

    def keep(self, what: What, name: str, data: bytes, detail: str) -> object:
        """Keeps bytes, whole, with the reason; durable when it returns. Raises QuarantineFullError, StorageError."""


class ReceiptsView(Protocol):
    """Receipts signed for the device; see ``ReceiptBook``."""

    owed: dict[str, bytes]

    def enter(self, token: bytes) -> str:
        """Keeps a receipt; returns its digest, after it is durable."""


class ArchiveStore(Protocol):
    """One device's evidence. One thread."""

    device: str
    chain: ChainState
    """Runs ahead of what is durable until ``flush``."""
    stagings: dict[str, Staging]

    @property
    def holdings(self) -> HoldingsView:
        """Objects wanted, held, receipted."""

    @property
    def quarantine(self) -> QuarantineView:
        """What did not verify."""

    @property
    def receipts(self) -> ReceiptsView:
        """Receipts signed, and not yet entered by the device."""

    def accept(self, line: bytes) -> Taken:
        """Judges the next line and takes it in. Raises FormatError, TrustError."""

    def flush(self) -> int:
        """Makes accepted lines durable; returns how many lines are."""

    def same_line(self, seq: int, line: bytes) -> bool:
        """Whether this is the line held at ``seq``."""

    def has_root(self, size: int, root: bytes) -> bool:
        """Whether this is the Merkle root over the first ``size`` lines."""

    def stage(self, ref: ObjectRef, part_bytes: int) -> Staging:
        """The staging of a wanted object, resumed or begun."""

    def finish(self, staging: Staging) -> str | None:
        """Hashes and keeps, once, what was read back; None then. Otherwise quarantined; returns why.

        Raises QuarantineFullError when there is no room for that.
        """

    def keep_cosigned(self, note: bytes) -> bytes:
        """Keeps the newest cosigned checkpoint; returns it, with all cosignatures over the same lines."""

    def close(self) -> None:
        """Frees what is open. What was not flushed is forgotten; it was not claimed either."""


class WitnessMemory(Protocol):
    """What a witness has cosigned last; see ``agent.witness.memory``."""

    def read(self, origin: str) -> Remembered | None:
        """What is remembered of this ledger."""

    def keep(self, remembered: Remembered) -> None:
        """Durable when it returns; only then may the cosignature leave."""
