"""A case: one device's evidence under judgement, and what the judges share while they look at its entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import pyrage
from cryptography import x509

from agent.evidence.documents import Particulars, Policy, Profile, TrustBundle
from agent.evidence.entries import Entry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.merkle import StoredTree
from agent.evidence.verification.report import DeviceFacts, Event, EventKind, Report, Timeline
from agent.evidence.verification.workbook import Workbook

if TYPE_CHECKING:
    from agent.evidence.verification.recordings import Live

Kind = Literal["device", "archive", "extract"]
Progress = Callable[[int], None]
"""Called with the number of bytes just read; from any thread."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the reader wants judged, and with what."""

    trust: TrustBundle
    conduct: Callable[[Case], Conduct]
    """Judges whether the regulation was obeyed; given from outside, because the format does not know the regulation."""
    identity: pyrage.x25519.Identity | None = None
    notes: tuple[bytes, ...] = ()
    """Signed notes that somebody else has kept of this device, such as a witness."""
    timestamp_roots: tuple[x509.Certificate, ...] = ()
    """Of timestamp authorities that the reader trusts; with none, timestamps are counted and not judged."""
    accept_simulated: bool = False
    jobs: int = 1
    """How many objects are read at once."""


@dataclass(slots=True)
class Case:
    """One device folder, one device of an archive, or one extract."""

    folder: EvidenceFolder
    kind: Kind
    question: Question
    book: Workbook
    tree: StoredTree | None
    """Over the lines taken so far; None for an extract, which holds only some."""
    progress: Progress
    device: str
    size: int = 0
    """Lines taken; for an extract, lines of the ledger that it was taken from."""
    broken: bool = False
    first_us: int = 0
    """Wall clock of the first entry."""
    report: Report = field(default_factory=Report)
    timeline: Timeline = field(default_factory=Timeline)
    profile: Profile | None = None
    """In force at the entry being looked at; so is ``policy``."""
    policy: Policy | None = None
    facts: DeviceFacts = field(init=False)

    def __post_init__(self) -> None:
        self.facts = DeviceFacts(self.device, self.kind)

    @property
    def trust(self) -> TrustBundle:
        """What the reader trusts."""
        return self.question.trust

    def find(self, code: str, where: str, detail: str = "") -> None:
        """One finding."""
        self.report.add(code, self.device, where, detail[:500])

    def unknown(self, about: str, chinese: str, english: str) -> None:
        """One axis or rule that cannot be judged."""
        self.report.cannot_judge(self.device, about, chinese, english)

    def draw(
        self, kind: EventKind, entry: Entry, text: str = "", recording: str | None = None, until_us: int | None = None
    ) -> None:
        """One event for the timeline."""
        self.timeline.add(Event(kind, entry.seq, entry.time.utc_us, until_us, recording, text[:200]))


def at(entry: Entry) -> str:
    """An entry as a place."""
    return f"entry {entry.seq}"


class Judge(Protocol):
    """Looks at the entries one by one, and says what it has found at the end."""

    def see(self, entry: Entry) -> None:
        """One entry, in the order of the ledger; its line has been accepted."""

    def end(self) -> None:
        """All lines have been seen, or as many as could be."""


class Conduct(Protocol):
    """Judges recordings against the regulation (step 9)."""

    def opened(self, live: Live) -> None:
        """A recording has been opened."""

    def seen(self, live: Live, entry: Entry) -> None:
        """An entry between ``open`` and ``close``, of this recording or of the device."""

    def closed(self, live: Live, entry: Entry) -> None:
        """Its ``close``."""

    def particulars(self, entry: Entry, particulars: Particulars, interrupted: bool) -> None:
        """The sealed particulars of an ``open`` entry, opened with the reader's key."""
