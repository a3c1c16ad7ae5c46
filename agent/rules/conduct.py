"""Was the regulation obeyed: each recording held against the rules, from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterable

from agent.evidence.documents import Policy, Profile
from agent.evidence.entries import Adopted, Entry, Hazard, Mark, Notice, Open, Segment
from agent.evidence.verification.chain import Ledger
from agent.evidence.verification.objects import Documents
from agent.evidence.verification.report import Report
from agent.evidence.verification.sequence import RecordingFacts
from agent.rules.interlock import hazard_state
from agent.rules.sequence import notice_served

HAZARD_STOP_US = 2_000_000
"""A recording must have taken its last frame this long after the hazard was entered."""


def judge_conduct(ledger: Ledger, recordings: list[RecordingFacts], documents: Documents, report: Report) -> None:
    """R12.1 to R13.1 for every recording that was opened."""
    opened = [facts for facts in recordings if facts.open is not None]
    for facts in opened:
        profile, policy = _in_force(ledger.entries, documents, facts)
        _notice(facts, policy, report)
        _particulars(facts, report)
        _site(facts, report)
        _interlock(facts, profile, policy, report)
        _hazard_meanwhile(facts, ledger.entries, report)
    _restarts(opened, report)


def _in_force(
    entries: Iterable[Entry], documents: Documents, facts: RecordingFacts
) -> tuple[Profile | None, Policy | None]:
    """Profile and policy that stood when the recording was opened."""
    profile, policy = None, None
    for entry in entries:
        if facts.open is None or entry.seq > facts.open.seq:
            break
        if isinstance(entry.body, Adopted):
            digest = entry.body.object.digest
            profile = documents.profiles.get(digest, profile)
            policy = documents.policies.get(digest, policy)
    return profile, policy


def _notice(facts: RecordingFacts, policy: Policy | None, report: Report) -> None:
    """R12.1: a notice for this very recording, served, of the right sound, and over before the first frame."""
    assert facts.open is not None
    place = f"recording {facts.id}"
    before = [
        entry for entry in facts.notices if entry.seq < facts.open.seq and entry.time.boot == facts.open.time.boot
    ]
    if not before:
        report.add("NOTICE_MISSING", place)
        return
    notice = before[-1].body
    assert isinstance(notice, Notice)
    if not notice_served(notice, policy.notice.must_be_heard if policy else True):
        report.add("NOTICE_NOT_SERVED", f"entry {before[-1].seq}", notice.failure or notice.heard.state)
    if policy and notice.means == "played" and notice.asset != policy.notice.digest:
        report.add("NOTICE_OTHER_SOUND", f"entry {before[-1].seq}")
    for first in _first_frames(facts):
        if first < notice.ended_us:
            report.add("FRAME_BEFORE_NOTICE", place, f"{(notice.ended_us - first) / 1000:.0f} ms too early")
            return


def _first_frames(facts: RecordingFacts) -> Iterable[int]:
    for entry in facts.segments:
        if isinstance(entry.body, Segment) and entry.body.first_frame_us is not None:
            yield entry.body.first_frame_us
    for entry in facts.photos:
        yield entry.body.captured_us  # type: ignore[union-attr]


def _particulars(facts: RecordingFacts, report: Report) -> None:
    """R12.2: kind of action, stage, matter, and the sealed particulars."""
    assert facts.open is not None and isinstance(facts.open.body, Open)
    body = facts.open.body
    wanted = {"action": body.action, "stage": body.stage, "matter": body.matter, "particulars": body.particulars}
    missing = [name for name, value in wanted.items() if value is None]
    if missing:
        report.add("PARTICULARS_MISSING", f"entry {facts.open.seq}", ", ".join(missing))


def _site(facts: RecordingFacts, report: Report) -> None:
    """R12.3: the officer marked the sign or spoke the place; a photo alone need not."""
    assert facts.open is not None and isinstance(facts.open.body, Open)
    if facts.open.body.kind == "photo":
        return
    if not any(isinstance(entry.body, Mark) and entry.body.kind != "moment" for entry in facts.marks):
        report.add("SITE_NOT_IDENTIFIED", f"recording {facts.id}")


def _interlock(facts: RecordingFacts, profile: Profile | None, policy: Policy | None, report: Report) -> None:
    """R13.1: what the interlock saw allows what it said; an approval it leans on stands in the signed profile."""
    assert facts.open is not None and isinstance(facts.open.body, Open)
    interlock, place = facts.open.body.interlock, f"entry {facts.open.seq}"
    if interlock.verdict != "permitted":
        report.add("RECORDED_THOUGH_REFUSED", place)
    if policy is None:
        return
    hazard = hazard_state(tuple(interlock.inputs), policy.hazard)
    if hazard == "clear" or (hazard == "stale" and not policy.hazard.stale_counts_as_set):
        return
    approval = profile.ex_approval if profile else None
    valid = (
        approval is not None
        and approval.certificate == interlock.approval
        and profile is not None
        and approval.unit_serial == profile.serial
        and facts.open.time.utc_us < approval.expires_us
    )
    if not valid:
        report.add("RECORDED_UNDER_HAZARD", place)


def _hazard_meanwhile(facts: RecordingFacts, entries: Iterable[Entry], report: Report) -> None:
    """R13.1: a hazard that was set during the recording ended it, unless an approval covers it."""
    assert facts.open is not None and isinstance(facts.open.body, Open)
    if facts.open.body.interlock.approval is not None:
        return
    end = facts.close.seq if facts.close else 2**53
    for entry in entries:
        if isinstance(entry.body, Hazard) and entry.body.state == "set" and facts.open.seq < entry.seq < end:
            limit = entry.time.mono_us + HAZARD_STOP_US
            if any(first > limit for first in _first_frames(facts)):
                report.add("RECORDED_UNDER_HAZARD", f"entry {entry.seq}")


def _restarts(opened: list[RecordingFacts], report: Report) -> None:
    """R12.4: the same matter, stopped and started again, is reported; the reader judges why."""
    last: dict[str, str] = {}
    for facts in opened:
        assert facts.open is not None and isinstance(facts.open.body, Open)
        matter = facts.open.body.matter
        if matter is None or facts.open.body.kind == "photo":
            continue
        if matter in last:
            report.add("RESTARTED", f"recording {facts.id}", f"after {last[matter]}")
        last[matter] = facts.id
