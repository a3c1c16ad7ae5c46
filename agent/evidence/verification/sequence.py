"""Steps 6 to 8: certificates at their time, recordings without holes, clocks that agree with each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import from_b64url
from agent.evidence.entries import Boot, Clock, Close, Entry, Gap, Mark, Notice, Open, Photo, Segment
from agent.evidence.verification.chain import Ledger
from agent.evidence.verification.report import Axis, Report

STEP_US: Final = 1_500_000
"""Wall clock against monotonic clock between two entries of one boot: more is a step."""
JOINT_US: Final = 60_000
"""Two segments follow each other when the next begins within this of the end of the last."""
WITNESS_TOLERANCE_SECONDS: Final = 120


@dataclass(slots=True)
class RecordingFacts:
    """Everything that the ledger says of one recording, in its order."""

    id: str
    notices: list[Entry] = field(default_factory=list)
    open: Entry | None = None
    segments: list[Entry] = field(default_factory=list)
    photos: list[Entry] = field(default_factory=list)
    marks: list[Entry] = field(default_factory=list)
    gaps: list[Entry] = field(default_factory=list)
    close: Entry | None = None


def recordings_of(entries: Iterable[Entry]) -> dict[str, RecordingFacts]:
    """Entries grouped by recording, in order of first mention."""
    found: dict[str, RecordingFacts] = {}
    for entry in entries:
        recording = getattr(entry.body, "recording", None)
        if recording is None:
            continue
        facts = found.setdefault(recording, RecordingFacts(recording))
        match entry.body:
            case Notice():
                facts.notices.append(entry)
            case Open():
                facts.open = entry
            case Segment():
                facts.segments.append(entry)
            case Photo():
                facts.photos.append(entry)
            case Mark():
                facts.marks.append(entry)
            case Gap():
                facts.gaps.append(entry)
            case Close():
                facts.close = entry
    return found


def check_certificates(ledger: Ledger, trust: TrustBundle, report: Report) -> None:
    """Each boot's certificate: valid, and not revoked, at the time of that boot."""
    revoked = _revoked(trust, report)
    for entry in ledger.entries:
        if not isinstance(entry.body, Boot):
            continue
        certificate = x509.load_der_x509_certificate(from_b64url(entry.body.certificate))
        seconds = entry.time.utc_us / 1e6
        start, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        if not start <= seconds <= end:
            report.add("CERTIFICATE_EXPIRED", f"entry {entry.seq}")
        revoked_at = revoked.get(certificate.serial_number)
        if revoked_at is not None and revoked_at <= seconds:
            report.add("CERTIFICATE_REVOKED", f"entry {entry.seq}")


def _revoked(trust: TrustBundle, report: Report) -> dict[int, float]:
    """Serial numbers on the agency's revocation list, with the POSIX time of revocation."""
    try:
        listed = x509.load_pem_x509_crl(trust.crl.encode())
        key = trust.root().public_key()
        if not listed.is_signature_valid(key):  # type: ignore[arg-type]
            raise InvalidSignature
    except (ValueError, TypeError, InvalidSignature):
        report.add("REVOCATION_LIST", "trust file")
        return {}
    return {one.serial_number: one.revocation_date_utc.timestamp() for one in listed}


def check_hardware(ledger: Ledger, accept_simulated: bool, report: Report) -> bool:
    """Whether any run used simulated parts; a finding unless the reader asked to accept it."""
    for entry in ledger.entries:
        if isinstance(entry.body, Boot) and "simulated" in entry.body.hardware.values():
            if not accept_simulated:
                report.add("SIMULATED_HARDWARE", f"entry {entry.seq}")
            return True
    return False


def check_continuity(recordings: Iterable[RecordingFacts], broken: bool, report: Report) -> None:
    """Each recording: opened, segments that run on, closed, counted."""
    for facts in recordings:
        place = f"recording {facts.id}"
        if facts.open is None:
            if facts.segments or facts.photos or facts.close or facts.marks:
                report.add("ORPHAN_ENTRY", place)
            continue
        for gap in facts.gaps:
            if isinstance(gap.body, Gap):
                report.add("GAP", f"entry {gap.seq}", gap.body.cause)
        _check_joints(facts, place, report)
        if facts.close is None and not broken:
            report.add("RECORDING_UNFINISHED", place)
        elif facts.close is not None:
            _check_order(facts, place, report)


def _check_joints(facts: RecordingFacts, place: str, report: Report) -> None:
    expected = 0
    for index, entry in enumerate(facts.segments):
        segment = entry.body
        assert isinstance(segment, Segment)
        late = abs(segment.start_us - expected) > JOINT_US and not segment.recovered
        if segment.index != index or late:
            report.add("SEGMENT_ORDER", f"{place}, entry {entry.seq}")
            return
        expected = segment.start_us + segment.duration_us


def _check_order(facts: RecordingFacts, place: str, report: Report) -> None:
    assert facts.open is not None and facts.close is not None
    close = facts.close.body
    assert isinstance(close, Close)
    inside = [*facts.segments, *facts.photos, *facts.marks, *facts.gaps]
    if any(not facts.open.seq < entry.seq < facts.close.seq for entry in inside):
        report.add("ORPHAN_ENTRY", place)
    frames = sum(entry.body.frames for entry in facts.segments if isinstance(entry.body, Segment))
    if close.segments != len(facts.segments) or close.frames != frames:
        report.add("COUNT_MISMATCH", place, f"{len(facts.segments)} segments here, {close.segments} entered")


def check_time(ledger: Ledger, report: Report) -> None:
    """Both clocks against each other, and against the witness; says when nothing vouches for the wall clock."""
    before: Entry | None = None
    for entry in ledger.entries:
        if before is not None and before.time.boot == entry.time.boot:
            _check_step(before, entry, report)
        before = entry
    _check_witness(ledger, report)


def _check_step(before: Entry, entry: Entry, report: Report) -> None:
    step = (entry.time.utc_us - before.time.utc_us) - (entry.time.mono_us - before.time.mono_us)
    backwards = entry.time.mono_us < before.time.mono_us
    if isinstance(entry.body, Clock) and abs(entry.body.step_us) > STEP_US:
        report.add("CLOCK_STEPPED", f"entry {entry.seq}", f"{entry.body.step_us / 1e6:.1f} s")
    elif abs(step) > STEP_US or backwards:
        report.add("CLOCK_STEP_HIDDEN", f"entry {entry.seq}", f"{step / 1e6:.1f} s")


def _check_witness(ledger: Ledger, report: Report) -> None:
    witnessed = ledger.entries[: ledger.witnessed_size]
    limit = (ledger.witnessed_seconds or 0) + WITNESS_TOLERANCE_SECONDS
    late = next((entry for entry in witnessed if entry.time.utc_us > limit * 1_000_000), None)
    if late is not None:
        report.add("TIME_AFTER_WITNESS", f"entry {late.seq}")
    if any(entry.time.source == "none" for entry in ledger.entries[ledger.witnessed_size :]):
        report.cannot_judge(Axis.TIME, "无可信时间源且未经见证 no trusted time source, and no witness yet")
