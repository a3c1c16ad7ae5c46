"""Step 8: both clocks against each other, across restarts, and against the witnesses in the ledger."""

from __future__ import annotations

from typing import Final

from agent.evidence.entries import Boot, Clock, Entry
from agent.evidence.verification.case import Case, at

STEP_US: Final = 1_500_000
"""Wall clock against monotonic clock between two entries of one boot: more is a step."""
WITNESS_TOLERANCE_US: Final = 120_000_000


class Clocks:
    """Looks at each entry and the one before it."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._before: Entry | None = None
        self._floor_us: int | None = None
        self._behind = False
        self._sourceless: int | None = None

    def see(self, entry: Entry) -> None:
        """One entry."""
        before, self._before = self._before, entry
        if before is not None and before.seq == entry.seq - 1:
            if before.time.boot == entry.time.boot:
                self._within_boot(before, entry)
            elif "none" not in (before.time.source, entry.time.source):
                self._across_boots(before, entry)
        self._against_floor(entry)
        if isinstance(entry.body, Clock):
            self._case.draw("clock", entry, f"{entry.body.step_us / 1e6:+.1f} s")
        if entry.time.source == "none":
            self._sourceless = entry.seq

    def not_before(self, time_us: int) -> None:
        """A witness's time has come into the ledger: what follows is later than that."""
        self._floor_us = max(time_us, self._floor_us or 0)

    def end(self) -> None:
        """Nothing is left to be said; how far a missing source matters, the witnesses decide."""

    @property
    def last_without_source(self) -> int | None:
        """The last entry for whose wall clock nothing vouched."""
        return self._sourceless

    def _within_boot(self, before: Entry, entry: Entry) -> None:
        wall, steady = entry.time.utc_us - before.time.utc_us, entry.time.mono_us - before.time.mono_us
        if isinstance(entry.body, Clock) and abs(entry.body.step_us) > STEP_US:
            self._case.find("CLOCK_STEPPED", at(entry), f"{entry.body.step_us / 1e6:.1f} s")
        elif abs(wall - steady) > STEP_US or steady < 0:
            self._case.find("CLOCK_STEP_HIDDEN", at(entry), f"{(wall - steady) / 1e6:.1f} s")

    def _across_boots(self, before: Entry, entry: Entry) -> None:
        back = before.time.utc_us - entry.time.utc_us
        if back > STEP_US:
            self._case.find("CLOCK_BEHIND", at(entry), f"{back / 1e6:.1f} s")

    def _against_floor(self, entry: Entry) -> None:
        if isinstance(entry.body, Boot):
            self._behind = False
        if self._floor_us is None or self._behind or entry.time.utc_us >= self._floor_us - WITNESS_TOLERANCE_US:
            return
        self._behind = True
        early = (self._floor_us - entry.time.utc_us) / 1e6
        self._case.find("TIME_BEFORE_WITNESS", at(entry), f"{early:.0f} s before a witness in the ledger")
