"""Timestamps of an authority outside: judged only when the reader names its roots, with the codes of steps 2 and 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.errors import FormatError
from agent.evidence.entries import Entry
from agent.evidence.timestamps import check_stamp, read_stamp, stamp_names
from agent.evidence.verification.case import Case, at
from agent.evidence.verification.clocks import WITNESS_TOLERANCE_US
from agent.evidence.verification.witnesses import Note, Witnesses, read_note

_SECOND: Final = 1_000_000


@dataclass(slots=True)
class _Stamped:
    """A timestamp that verifies, and the cosigned note under it."""

    note: Note
    latest_us: int
    bound_us: int = 0
    """The earliest of all timestamps over as many entries or more."""
    late: Entry | None = None
    """The first entry below the note's size, and below no smaller one's, that says a later time than the bound."""


class Timestamps:
    """One device's timestamps: what they are over existed no later than they say."""

    def __init__(self, case: Case, witnesses: Witnesses) -> None:
        self._case, self._witnesses = case, witnesses
        names = stamp_names(case.folder)
        case.facts.timestamps = len(names)
        roots = case.question.timestamp_roots
        found = [self._read(name) for name in names] if roots and case.kind != "extract" else []
        self._stamps = sorted((one for one in found if one), key=lambda one: one.note.checkpoint.size)
        self._next = 0
        bound = None
        for stamp in reversed(self._stamps):
            bound = stamp.bound_us = min(stamp.latest_us, bound or stamp.latest_us)

    def _read(self, name: str) -> _Stamped | None:
        case, place = self._case, f"timestamp {name}"
        try:
            stamp = read_stamp(case.folder, name)
            latest = check_stamp(stamp, case.question.timestamp_roots)
        except FormatError as error:
            case.find("CHECKPOINT_INVALID", place, str(error))
            return None
        note = read_note(case, place, stamp.note, ours=False)
        if note.time is None:
            case.find("CHECKPOINT_INVALID", place, note.fault or "over a note that no trusted witness cosigned")
            return None
        return _Stamped(note, int(latest.timestamp() * _SECOND))

    def see(self, entry: Entry) -> None:
        """One entry, against the timestamps that cover it."""
        while self._next < len(self._stamps) and self._stamps[self._next].note.checkpoint.size <= entry.seq:
            self._next += 1
        if self._next < len(self._stamps):
            stamp = self._stamps[self._next]
            if stamp.late is None and entry.time.utc_us > stamp.bound_us + WITNESS_TOLERANCE_US:
                stamp.late = entry

    def end(self) -> None:
        """Holds the notes against the ledger, as step 2 does."""
        for stamp in self._stamps:
            fault = self._witnesses.fault_of(stamp.note, self._case.size)
            if fault is None:
                self._count(stamp)
            elif fault[0]:
                self._case.find(fault[0], stamp.note.place, fault[1])

    def _count(self, stamp: _Stamped) -> None:
        facts, note = self._case.facts, stamp.note
        facts.timestamps_valid += 1
        if note.checkpoint.size > facts.timestamped_entries:
            facts.timestamped_entries, facts.timestamped_at = note.checkpoint.size, stamp.latest_us // _SECOND
        if stamp.late is not None:
            self._case.find("TIME_AFTER_WITNESS", at(stamp.late), note.place)
