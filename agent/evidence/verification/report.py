"""The verdict: seven axes, rules, and findings with stable codes. Never one word, and of bounded size."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from agent.evidence.verification.findings import MEANINGS, RULES, Axis, Meaning

MAX_PLACES: Final = 200
"""Findings of one code that are listed for one device; the rest is counted."""
MAX_EVENTS: Final = 4_000
"""Events of one device that are kept for drawing; the newest stay."""

EventKind = Literal[
    "boot",
    "recording",
    "notice",
    "gap",
    "refused",
    "hazard",
    "receipt",
    "witnessed",
    "docked",
    "photo",
    "mark",
    "clock",
]
Verdict = Literal["ok", "finding", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: stable code, device, where it is, and what was seen there (English)."""

    code: str
    device: str
    where: str
    detail: str = ""

    @property
    def meaning(self) -> Meaning:
        """What the code says."""
        return MEANINGS[self.code]

    @property
    def what(self) -> str:
        """Meaning, Chinese first."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.meaning.chinese}。 {self.meaning.english[0].upper()}{self.meaning.english[1:]}{detail}."

    def to_json(self) -> dict[str, Any]:
        """As in the report."""
        meaning = self.meaning
        return {
            "code": self.code,
            "step": meaning.step,
            "axis": meaning.axis,
            "rule": meaning.rule,
            "device": self.device,
            "where": self.where,
            "zh": meaning.chinese,
            "en": meaning.english,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be judged, and why."""

    device: str
    about: str
    """An axis or a rule."""
    chinese: str
    english: str

    def to_json(self) -> dict[str, str]:
        """As in the report."""
        return {"device": self.device, "about": self.about, "zh": self.chinese, "en": self.english}


@dataclass(frozen=True, slots=True)
class Event:
    """Something to draw on the timeline: when (UTC, microseconds, by the device's clock), and until when."""

    kind: EventKind
    seq: int
    utc_us: int
    until_us: int | None = None
    recording: str | None = None
    text: str = ""
    """A word or two in the format's own terms: a reason, a cause, a kind."""


@dataclass(slots=True)
class Timeline:
    """The newest events of one device, in the order of the ledger; how many older ones were left out."""

    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    left_out: int = 0

    def add(self, event: Event) -> None:
        """One more; the oldest goes when there are too many."""
        self.left_out += len(self.events) == MAX_EVENTS
        self.events.append(event)


@dataclass(slots=True)
class DeviceFacts:
    """What was looked at, for one device."""

    device: str
    kind: Literal["device", "archive", "extract"] = "device"
    entries: int = 0
    unknown_entries: int = 0
    """Of optional types that this version does not know."""
    recordings: int = 0
    refusals: int = 0
    objects_checked: int = 0
    bytes_checked: int = 0
    objects_with_dock: int = 0
    """Released against receipts: not here, and rightly so."""
    objects_deleted: int = 0
    """Deleted from the archive after retention, as a dock has signed."""
    witnessed_entries: int = 0
    witnessed_at: int | None = None
    """POSIX seconds of the cosignature over them."""
    witnesses: list[str] = field(default_factory=list)
    """Who cosigned, by name."""
    unwitnessed_entries: int = 0
    unwitnessed_seconds: int = 0
    timestamps: int = 0
    """Of authorities outside, as many as lie there."""
    timestamps_valid: int = 0
    """Of those, judged with the reader's roots and found to hold."""
    timestamped_entries: int = 0
    timestamped_at: int | None = None
    """POSIX seconds of the timestamp over them: no later than this they were there."""
    simulated: bool = False
    profile: dict[str, Any] | None = None
    """The last profile in force: officer, section, serial."""
    recording: str | None = None
    """The one recording of an extract."""


@dataclass(slots=True)
class Report:
    """Findings, what could not be judged, and what was looked at; of one device, or merged of several."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """How many findings of each code there are, also those that are not listed."""
    unknown: list[Unknown] = field(default_factory=list)
    devices: list[DeviceFacts] = field(default_factory=list)
    timelines: dict[str, Timeline] = field(default_factory=dict)

    def add(self, code: str, device: str, where: str, detail: str = "") -> None:
        """One finding; over ``MAX_PLACES`` of a code it is only counted."""
        self.counts[code] += 1
        if self.counts[code] <= MAX_PLACES:
            self.findings.append(Finding(code, device, where, detail))

    def cannot_judge(self, device: str, about: str, chinese: str, english: str) -> None:
        """One axis or rule that is not known for a device; the first reason stays."""
        if not any((one.device, one.about) == (device, about) for one in self.unknown):
            self.unknown.append(Unknown(device, about, chinese, english))

    def merge(self, others: Iterable[Report]) -> None:
        """Takes in other devices' reports, each device's findings in the order of the steps."""
        for other in others:
            self.findings += sorted(other.findings, key=lambda one: one.meaning.step)
            self.counts += other.counts
            self.unknown += other.unknown
            self.devices += other.devices
            self.timelines |= other.timelines

    def axes(self) -> dict[str, Verdict]:
        """The verdict by axis."""
        return self._verdicts([axis.value for axis in Axis], {MEANINGS[code].axis for code in self.counts})

    def rules(self) -> dict[str, Verdict]:
        """The verdict by rule of the regulation."""
        return self._verdicts(RULES, {MEANINGS[code].rule for code in self.counts})

    def _verdicts(self, about: Iterable[str], found: set[Any]) -> dict[str, Verdict]:
        unknown = {one.about for one in self.unknown}
        return {one: "finding" if one in found else "unknown" if one in unknown else "ok" for one in about}

    def exit_code(self) -> int:
        """0: every axis holds; 1: there are findings; 2: some axis could not be judged."""
        if self.counts:
            return 1
        return 2 if "unknown" in self.axes().values() else 0

    def to_json(self, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The report for machines; its schema is published. ``about``: what was judged, with what."""
        return {
            "v": 1,
            "type": "report",
            "about": dict(about or {}),
            "axes": self.axes(),
            "rules": self.rules(),
            "findings": [finding.to_json() for finding in self.findings],
            "counts": dict(self.counts),
            "unknown": [one.to_json() for one in self.unknown],
            "devices": [asdict(device) for device in self.devices],
            "timelines": [
                {"device": device, "left_out": line.left_out, "events": [asdict(event) for event in line.events]}
                for device, line in self.timelines.items()
            ],
        }
