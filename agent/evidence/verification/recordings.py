"""Step 7: each recording opened, its segments running on, closed and counted. Drives the judgement of conduct."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agent.evidence.documents import Policy, Profile
from agent.evidence.entries import (
    Close,
    Entry,
    Gap,
    Hazard,
    Mark,
    Notice,
    Open,
    Photo,
    Refused,
    Restricted,
    Segment,
    TelemetryEntry,
)
from agent.evidence.verification.case import Case, Conduct, at

JOINT_US: Final = 60_000
"""Two segments follow each other when the next begins within this of the end of the last."""
PAUSE_US: Final = 500_000
"""Media time and the clock of exposure may drift apart by this much."""


@dataclass(slots=True)
class Live:
    """The recording that is open: what its entries have said so far, in memory that does not grow with it."""

    open: Entry
    body: Open
    notice: Entry | None
    profile: Profile | None
    policy: Policy | None
    segments: int = 0
    frames: int = 0
    photos: int = 0
    gaps: int = 0
    recovered: bool = False
    site: bool = False
    """A mark says that the sign was filmed or the place spoken."""
    end_us: int = 0
    """Media time at which the next segment should begin."""
    gap_since: bool = False
    """A gap was entered since the last segment."""
    bases: dict[str, int] = field(default_factory=dict)
    """Exposure less media time of the first segment, by boot id: a recording knows one or two."""
    disordered: bool = False
    """A finding about the order of its segments was made: one is enough."""

    @property
    def place(self) -> str:
        """The recording as a place."""
        return f"recording {self.body.recording}"


class Recordings:
    """At most one recording is open at a time; what is over is remembered by its id, on disk."""

    def __init__(self, case: Case, conduct: Conduct) -> None:
        self._case, self._conduct = case, conduct
        self._live: Live | None = None

    def see(self, entry: Entry) -> None:
        """One entry."""
        case, live = self._case, self._live
        match entry.body:
            case Notice():
                self._on_notice(entry, entry.body)
            case Open():
                self._on_open(entry, entry.body)
            case Segment() | Photo() | TelemetryEntry() | Mark() | Gap() | Close() as body:
                if live is None or live.body.recording != body.recording:
                    case.find("ORPHAN_ENTRY", at(entry), entry.type)
                else:
                    self._on_part(live, entry)
            case Refused(reason=reason):
                case.facts.refusals += 1
                case.draw("refused", entry, reason)
            case Restricted(recording=recording, content=content):
                self._on_restricted(entry, recording, content)
            case Hazard(state=state):
                case.draw("hazard", entry, state)
                if live:
                    self._conduct.seen(live, entry)

    def end(self) -> None:
        """What is still open has no end."""
        if self._live and not self._case.broken:
            self._abandon(self._live)

    def _abandon(self, live: Live) -> None:
        self._case.find("RECORDING_UNFINISHED", live.place)
        self._case.book.interrupt(live.body.recording)
        self._case.draw("recording", live.open, "unfinished", live.body.recording)
        self._live = None

    def _on_restricted(self, entry: Entry, recording: str | None, content: str) -> None:
        live = self._live
        if recording != (live.body.recording if live else None):
            self._case.find("ORPHAN_ENTRY", at(entry), "restricted")
            return
        self._case.draw("refused", entry, f"declared, {content}", recording or "")
        if live:
            self._conduct.seen(live, entry)

    def _on_notice(self, entry: Entry, body: Notice) -> None:
        if self._case.book.was_opened(body.recording):
            self._case.find("ORPHAN_ENTRY", at(entry), "notice")
            return
        self._case.book.note_notice(body.recording, entry)
        self._case.draw("notice", entry, f"{body.means}, {body.outcome}", body.recording)

    def _on_open(self, entry: Entry, body: Open) -> None:
        case = self._case
        if not case.book.open_recording(body.recording, entry.seq):
            case.find("RECORDING_REPEATED", at(entry), body.recording)
            return
        if self._live:
            self._abandon(self._live)
        notice = case.book.notice_of(body.recording, entry.time.boot)
        case.facts.recordings += 1
        self._live = Live(entry, body, notice, case.profile, case.policy)
        self._conduct.opened(self._live)

    def _on_part(self, live: Live, entry: Entry) -> None:
        match entry.body:
            case Segment() as body:
                self._check_order(live, entry, body)
                live.segments, live.frames = live.segments + 1, live.frames + body.frames
                live.recovered |= body.recovered
                live.gap_since = False
            case Photo(recording=recording):
                live.photos += 1
                self._case.draw("photo", entry, "", recording)
            case Mark(recording=recording, kind=kind):
                live.site |= kind != "moment"
                self._case.draw("mark", entry, kind, recording)
            case Gap(recording=recording, cause=cause):
                live.gaps, live.gap_since = live.gaps + 1, True
                self._case.find("GAP", at(entry), cause)
                self._case.book.interrupt(recording)
                self._case.draw("gap", entry, cause, recording)
            case Close() as body:
                self._on_close(live, entry, body)
                return
        self._conduct.seen(live, entry)

    def _check_order(self, live: Live, entry: Entry, segment: Segment) -> None:
        """One finding at most; a recovered segment's times are unknown and leave the end where it was."""
        code, paused = None, self._paused(live, entry, segment)
        if segment.index != live.segments or (not segment.recovered and segment.start_us < live.end_us - JOINT_US):
            code = "SEGMENT_ORDER"
        elif not segment.recovered:
            if segment.start_us > live.end_us + JOINT_US and not live.gap_since:
                code = "GAP_HIDDEN"
            elif paused:
                code = "PAUSE_HIDDEN"
        if not segment.recovered:
            live.end_us = segment.start_us + segment.duration_us
        if code and not live.disordered:
            live.disordered = True
            self._case.find(code, at(entry))

    @staticmethod
    def _paused(live: Live, entry: Entry, segment: Segment) -> bool:
        if segment.first_frame_us is None:
            return False
        base = segment.first_frame_us - segment.start_us
        return abs(base - live.bases.setdefault(entry.time.boot, base)) > PAUSE_US

    def _on_close(self, live: Live, entry: Entry, close: Close) -> None:
        case = self._case
        if (close.segments, close.frames) != (live.segments, live.frames):
            here, entered = f"{live.segments} with {live.frames}", f"{close.segments} with {close.frames}"
            case.find("COUNT_MISMATCH", live.place, f"segments and frames: {here} here, {entered} entered")
        if _too_few_frames(live, close):
            case.find("GAP_HIDDEN", at(entry), f"{close.frames} frames in {close.duration_us / 1e6:.1f} s")
        case.draw("recording", live.open, f"{live.body.kind}, {close.reason}", close.recording, entry.time.utc_us)
        self._conduct.closed(live, entry)
        self._live = None


def _too_few_frames(live: Live, close: Close) -> bool:
    """Less than half of the frames that were asked for, and nothing entered that would explain it."""
    video = live.body.video
    if live.body.kind not in ("video", "fixed") or video is None or live.gaps or live.recovered:
        return False
    return 2_000_000 * (close.frames + close.dropped) < close.duration_us * video.frames_per_second
