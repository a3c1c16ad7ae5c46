"""Was the regulation obeyed (step 9): each recording held against the rules; with a key, its particulars too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agent.evidence.documents import ExApproval, Particulars
from agent.evidence.entries import Close, Entry, Hazard, Notice, Open, Photo, Restricted, Segment
from agent.evidence.verification.case import Case, at
from agent.evidence.verification.recordings import Live
from agent.rules.interlock import UNASSIGNED, hazard_state
from agent.rules.sequence import notice_served

STOP_US: Final = 2_000_000
"""A recording must have taken its last frame this long after a hazard, or restricted content, was entered."""
_RESTRICTED: Final = {
    "state_secret": "RECORDED_RESTRICTED",
    "commercial_secret": "RECORDED_RESTRICTED",
    "privacy": "RECORDED_RESTRICTED",
    "other": "RECORDED_UNSUITABLE",
}


@dataclass(slots=True)
class _Watch:
    """What is still to be looked for while a recording runs."""

    notice_end_us: int | None
    """No frame may be from before this (monotonic); None once said, or without a notice."""
    ends: dict[tuple[str, str], Entry] = field(default_factory=dict)
    """What must end it, by boot id and the code to find if it does not: the first entry of each since it was opened."""
    reported: set[str] = field(default_factory=set)


class ConductJudge:
    """Judges every recording that was opened. One for a device."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._watch = _Watch(None)

    def opened(self, live: Live) -> None:
        """What must hold when a recording begins."""
        self._watch = _Watch(None)
        self._notice(live)
        self._particulars(live)
        self._format(live)
        self._interlock(live)
        self._restart(live)
        if live.profile is not None and live.profile.officer == UNASSIGNED:
            self._case.find("OFFICER_UNASSIGNED", at(live.open))

    def seen(self, live: Live, entry: Entry) -> None:
        """Frames against the notice's end and what must end them; hazards, restricted content as entered."""
        match entry.body:
            case Segment(first_frame_us=int() as first, duration_us=duration):
                self._frames(live, entry, first, first + duration)
            case Photo(captured_us=captured):
                self._frames(live, entry, captured, captured)
            case Hazard(state="set") if live.body.interlock.approval is None and not _may_stay(live, entry):
                self._watch.ends.setdefault((entry.time.boot, "RECORDED_UNDER_HAZARD"), entry)
            case Restricted(content=content):
                self._watch.ends.setdefault((entry.time.boot, _RESTRICTED[content]), entry)

    def closed(self, live: Live, entry: Entry) -> None:
        """What must hold when a recording is over."""
        assert isinstance(entry.body, Close)
        if live.body.kind in ("video", "audio") and not live.site:
            self._case.find("SITE_NOT_IDENTIFIED", live.place)
        if live.body.kind == "photo" and (live.segments or not live.photos):
            self._case.find("FORMAT_OF_KIND", at(live.open), f"{live.segments} segments, {live.photos} photos")
        if live.profile is not None and live.profile.officer != UNASSIGNED:
            span = (live.open.time.utc_us, entry.time.utc_us)
            self._case.book.hold(live.profile.officer, self._case.device, live.open.seq, *span)

    def particulars(self, entry: Entry, particulars: Particulars, interrupted: bool) -> None:
        """R10, R12.2, R13.2, R13.3, from what is sealed."""
        assert isinstance(entry.body, Open)
        body, assignment = entry.body, particulars.assignment
        said = (body.action, body.stage, body.matter)
        sealed = (assignment.action, assignment.stage, assignment.matter) if assignment else (None, None, None)
        if said != sealed:
            self._case.find("PARTICULARS_DIFFER", at(entry))
        if assignment is None:
            return
        if assignment.mandatory and interrupted:
            self._case.find("MANDATORY_INTERRUPTED", f"recording {body.recording}")
        if assignment.restricted is not None:
            self._case.find(_RESTRICTED[assignment.restricted], at(entry), assignment.restricted)

    def _notice(self, live: Live) -> None:
        """R12.1: a notice for this very recording, served, of the right sound."""
        case = self._case
        if live.notice is None:
            case.find("NOTICE_MISSING", live.place)
            return
        notice, policy = live.notice.body, live.policy
        assert isinstance(notice, Notice)
        self._watch.notice_end_us = notice.ended_us
        if not notice_served(notice, policy.notice.must_be_heard if policy else True, live.body.kind):
            case.find("NOTICE_NOT_SERVED", at(live.notice), notice.failure or f"{notice.means}, {notice.heard.state}")
        if policy and notice.means == "played" and notice.asset != policy.notice.digest:
            case.find("NOTICE_OTHER_SOUND", at(live.notice))

    def _particulars(self, live: Live) -> None:
        """R12.2: kind of action, stage, matter, and the sealed particulars."""
        body = live.body
        wanted = {"action": body.action, "stage": body.stage, "matter": body.matter, "particulars": body.particulars}
        missing = [name for name, value in wanted.items() if value is None]
        if missing:
            self._case.find("PARTICULARS_MISSING", at(live.open), ", ".join(missing))

    def _format(self, live: Live) -> None:
        """R6: what is recorded is of the kind that was entered."""
        body = live.body
        film = body.kind in ("video", "fixed")
        if (film and body.video is None) or (body.kind == "audio" and (body.sound is None or body.video is not None)):
            self._case.find("FORMAT_OF_KIND", at(live.open), body.kind)

    def _interlock(self, live: Live) -> None:
        """R13.1: what the interlock saw allows what it said; an approval it leans on stands in the signed profile."""
        interlock = live.body.interlock
        if interlock.verdict != "permitted":
            self._case.find("RECORDED_THOUGH_REFUSED", at(live.open), interlock.reason)
        if live.policy is None:
            return
        hazard = hazard_state(tuple(interlock.inputs), live.policy.hazard)
        dangerous = hazard == "set" or (hazard == "stale" and live.policy.hazard.stale_counts_as_set)
        if dangerous and not _is_approved(live):
            self._case.find("RECORDED_UNDER_HAZARD", at(live.open), hazard)

    def _restart(self, live: Live) -> None:
        """R12.4: the same matter, stopped and started again, is reported; the reader judges why."""
        body = live.body
        if self._case.kind == "extract" or body.matter is None or body.kind == "photo":
            return
        before = self._case.book.last_of_matter(body.matter, body.recording)
        if before is not None:
            self._case.find("RESTARTED", live.place, f"after {before}")

    def _frames(self, live: Live, entry: Entry, first_us: int, last_us: int) -> None:
        watch = self._watch
        if (
            watch.notice_end_us is not None
            and entry.time.boot == live.open.time.boot
            and first_us < watch.notice_end_us
        ):
            early = (watch.notice_end_us - first_us) / 1000
            self._case.find("FRAME_BEFORE_NOTICE", live.place, f"{early:.0f} ms too early")
            watch.notice_end_us = None
        for (boot, code), end in watch.ends.items():
            late = boot == entry.time.boot and last_us > end.time.mono_us + STOP_US
            if late and code not in watch.reported:
                watch.reported.add(code)
                self._case.find(code, at(end), "recorded on after it was entered")


def _is_approved(live: Live) -> bool:
    approval = _approval(live, live.open)
    return approval is not None and approval.certificate == live.body.interlock.approval


def _may_stay(live: Live, hazard: Entry) -> bool:
    """A unit that is approved may record on where the flag is set only later; for which zone, it judged itself."""
    return _approval(live, hazard) is not None


def _approval(live: Live, entry: Entry) -> ExApproval | None:
    """The unit's own approval, if it holds at this entry."""
    profile = live.profile
    approval = profile.ex_approval if profile else None
    holds = approval and profile and approval.unit_serial == profile.serial and entry.time.utc_us < approval.expires_us
    return approval if holds else None
