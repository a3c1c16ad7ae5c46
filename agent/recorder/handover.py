"""What comes back from the dock, and what follows: receipts, cosignatures, freed space (R22). On the main loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from agent.errors import FormatError, ReceiptError
from agent.evidence.documents import Policy, TrustBundle
from agent.evidence.entries import Body, ReceiptEntry, Witnessed
from agent.hardware.parts import ClockReading
from agent.recorder.release import keep_cosigned
from agent.recorder.start import Opened
from agent.recorder.timekeeping import is_trusted
from agent.system.logs import logger

log = logger("recorder")


class Custody(Protocol):
    """What the recorder needs of the device side of custody."""

    def start(self) -> None:
        """Begins to publish."""

    def stop(self, timeout: float) -> None:
        """Ends; returns within the limit (seconds)."""

    def notify(self) -> None:
        """Something new is on disk."""

    def announce(self, state: dict[str, Any]) -> None:
        """Sets the retained state."""

    def released(self, digests: list[str]) -> None:
        """These objects are gone from the device."""

    def status(self) -> dict[str, Any]:
        """For ``recorder status``."""


class Handover:
    """The device's end of custody: judges what arrives, enters it, and frees what may go."""

    def __init__(self, opened: Opened, trust: TrustBundle, device: str, enter: Callable[[Body], None]) -> None:
        self._opened, self._trust, self._device, self._enter = opened, trust, device, enter
        self.custody: Custody | None = None
        self._witnessed = 0
        """News (``Journal.news``) up to which a cosignature has been entered in this run."""

    @property
    def held_objects(self) -> int:
        """Sealed objects that are still on this device."""
        return len(self._opened.book.sizes) - len(self._opened.book.released)

    @property
    def complete(self) -> bool:
        """Everything is with the dock."""
        progress = self.status() or {}
        lines_pending = progress.get("ledger_lines_pending")
        return self.held_objects == 0 and bool(progress.get("connected")) and lines_pending == 0

    def status(self) -> dict[str, Any] | None:
        """Custody's own; None without."""
        return self.custody.status() if self.custody else None

    def appended(self) -> None:
        """The ledger has grown."""
        if self.custody:
            self.custody.notify()

    def on_receipt(self, token: bytes) -> None:
        """Verifies a receipt and enters it; a false one is logged."""
        try:
            receipt, ref = self._opened.book.check(token)
        except ReceiptError as error:
            log.error("receipt refused", code=error.code, why=str(error))
            return
        self._enter(ReceiptEntry(receipt.dock, ref, receipt.ledger_size))

    def on_cosigned(self, note: bytes) -> None:
        """Keeps a cosigned checkpoint and enters it; a false one is logged."""
        try:
            point = keep_cosigned(self._opened.folder, note, self._trust, self._device)
        except (FormatError, ReceiptError) as error:
            log.error("cosignature refused", code=error.code, why=str(error))
            return
        log.info("cosigned", size=point.size)
        news = self._opened.journal.news
        if point.size >= news > self._witnessed:
            self._witnessed = news
            self._enter(Witnessed(note.decode()))

    def release(self, policy: Policy, now: ClockReading) -> None:
        """R22: what enough receipts cover for long enough goes. Only in a dock: in the field a copy does no harm.

        Where receipts must have stood for a while, a clock that nobody vouches for frees nothing.
        """
        signed_by_us = None
        if policy.release_after_us:
            if not is_trusted(now):
                return
            signed_by_us = now.utc_us - policy.release_after_us
        for entry in self._opened.book.releasable(policy.receipts_needed, signed_by_us):
            self._enter(entry)
            removed = self._opened.book.remove(entry)
            log.info("released", objects=len(removed), bytes=entry.bytes)
            if self.custody:
                self.custody.released(removed)
