"""The verifier: a good bundle passes every axis; each attack and each breach is found under its own code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bundle import DEVICE, START_US, YEAR, Agency, Bundle, good, interlock
from nacl.signing import SigningKey

from agent.errors import TrustError, UsageError
from agent.evidence.checkpoint import Checkpoint, origin_of, sign_checkpoint
from agent.evidence.documents import ExApproval, TrustBundle
from agent.evidence.entries import Clock, Gap, Hazard, HazardInput, Heard, Mark, Released
from agent.evidence.verification.findings import Axis
from agent.evidence.verification.report import Report
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge

R = "3" * 16


def judge(path: Path, bundle: Bundle, **options: object) -> Report:
    return verify(path, Question(bundle.agency.trust(), ConductJudge, **options))  # type: ignore[arg-type]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def test_good_evidence_holds_on_every_axis_and_rule(tmp_path: Path) -> None:
    """Nothing is found in good evidence, everything is witnessed, and the exit code is 0."""
    bundle = good(tmp_path / DEVICE)
    report = judge(bundle.path, bundle)
    assert report.findings == [] and {one.about for one in report.unknown} == {"R10", "R13.2", "R13.3", "R17", "R18"}
    assert set(report.axes().values()) == {"ok"} and set(report.rules().values()) == {"ok", "unknown"}
    assert report.exit_code() == 0
    facts = report.devices[0]
    assert (facts.recordings, facts.unwitnessed_entries, facts.simulated) == (2, 0, False)


def test_an_archive_of_several_devices_is_judged_as_one(tmp_path: Path) -> None:
    """A finding in one device's folder shows in the archive's report."""
    agency = Agency()
    first = good(tmp_path / "a", agency=agency)
    good(tmp_path / "b", agency=agency)
    assert judge(tmp_path, first).exit_code() == 0
    next((tmp_path / "b" / "objects").glob("*.age")).unlink()
    assert judge(tmp_path, first).exit_code() == 1


# What somebody does to the files


def flip(path: Path, where: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 1
    path.write_bytes(data)


def edit_lines(bundle: Bundle, change: Callable[[list[bytes]], None]) -> None:
    lines = bundle.folder.ledger.read_bytes().splitlines(keepends=True)
    change(lines)
    bundle.folder.ledger.write_bytes(b"".join(lines))


def swap(lines: list[bytes]) -> None:
    lines[6], lines[7] = lines[7], lines[6]


def flip_payload(lines: list[bytes]) -> None:
    head, payload, signature = lines[6].split(b".")
    middle = len(payload) // 2
    lines[6] = head + b"." + payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :] + b"." + signature


FILE_ATTACKS: dict[str, tuple[Callable[[Bundle], None], set[str]]] = {
    "a bit of a segment": (lambda b: flip(b.folder.object_path(b.sealed[1])), {"OBJECT_ALTERED"}),
    "a segment truncated": (
        lambda b: b.folder.object_path(b.sealed[1]).write_bytes(b.folder.object_path(b.sealed[1]).read_bytes()[:-1]),
        {"OBJECT_ALTERED"},
    ),
    "two segments swapped": (
        lambda b: (
            b.folder.object_path(b.sealed[1]).rename(b.path / "x"),
            b.folder.object_path(b.sealed[2]).rename(b.folder.object_path(b.sealed[1])),
            (b.path / "x").rename(b.folder.object_path(b.sealed[2])),
        ),
        {"OBJECT_ALTERED"},
    ),
    "one segment removed": (lambda b: b.folder.object_path(b.sealed[1]).unlink(), {"OBJECT_MISSING"}),
    "a whole recording removed": (
        lambda b: [b.folder.object_path(ref).unlink() for ref in b.sealed[3:6]],
        {"RECORDING_REMOVED"},
    ),
    "a link instead of a file": (
        lambda b: (
            b.folder.object_path(b.sealed[1]).rename(b.path / "elsewhere"),
            b.folder.object_path(b.sealed[1]).symlink_to(b.path / "elsewhere"),
        ),
        {"OBJECT_MISSING"},
    ),
    "a file inserted": (lambda b: (b.folder.objects / ("f" * 64 + ".age")).write_bytes(b"x"), {"OBJECT_UNLISTED"}),
    "newest recording removed with its entries": (
        lambda b: edit_lines(b, lambda lines: lines.__delitem__(slice(10, None))),
        {"LEDGER_CUT", "OBJECT_UNLISTED"},
    ),
    "the last line torn": (
        lambda b: b.folder.ledger.write_bytes(b.folder.ledger.read_bytes()[:-20]),
        {"TORN_TAIL", "LEDGER_CUT", "OBJECT_UNLISTED"},
    ),
    "an entry altered": (lambda b: edit_lines(b, flip_payload), {"LINE_MALFORMED", "SIGNATURE_INVALID"}),
    "an entry removed": (lambda b: edit_lines(b, lambda lines: lines.__delitem__(6)), {"LINE_OUT_OF_PLACE"}),
    "two entries swapped": (lambda b: edit_lines(b, swap), {"LINE_OUT_OF_PLACE"}),
    "an entry repeated": (lambda b: edit_lines(b, lambda lines: lines.insert(7, lines[6])), {"LINE_OUT_OF_PLACE"}),
    "the ledger emptied": (lambda b: b.folder.ledger.write_bytes(b""), {"LEDGER_UNREADABLE", "LEDGER_CUT"}),
    "a ledger of random bytes": (lambda b: b.folder.ledger.write_bytes(bytes(range(256)) * 1000), {"LINE_MALFORMED"}),
    "a checkpoint altered": (lambda b: flip(b.folder.checkpoint, 0.9), {"CHECKPOINT_INVALID"}),
    "a cosignature altered": (lambda b: flip(b.folder.cosigned, 0.95), {"CHECKPOINT_INVALID"}),
    "a profile replaced": (
        lambda b: next(b.folder.objects.glob("*.jws")).write_bytes(b"e30.e30.e30"),
        {"OBJECT_ALTERED", "DOCUMENT_INVALID", "RECEIPT_INVALID"},
    ),
}


@pytest.mark.parametrize("attack", FILE_ATTACKS)
def test_every_attack_on_the_files_is_found(tmp_path: Path, attack: str) -> None:
    """What was done to the files shows under the expected codes, and never passes."""
    do, expected = FILE_ATTACKS[attack]
    bundle = good(tmp_path / DEVICE)
    do(bundle)
    found = codes(judge(bundle.path, bundle))
    assert found and found & expected, found
    assert "LEDGER" in "".join(found) or found <= expected, found


def test_a_history_that_was_rewritten_is_not_the_one_that_was_witnessed(tmp_path: Path) -> None:
    """Whoever holds the identity key can write another ledger, but not under the old cosignature."""
    bundle = good(tmp_path / DEVICE)
    other = Bundle(tmp_path / "other" / DEVICE, agency=bundle.agency)
    other.identity, other.certificate = bundle.identity, bundle.certificate
    other.begin()
    for number in "4567":
        other.record(number * 16, f"matter-{number}")
    other.write()
    shutil.copy(bundle.folder.cosigned, other.folder.cosigned)
    assert "HISTORY_FORKED" in codes(judge(other.path, other))


# What a lying or failing device enters


def unserved(b: Bundle, **changes: object) -> None:
    b.enter(b.notice(R, **changes))
    b.enter(b.open(R, "matter-3"))
    b.enter(Mark(R, "site_sign", 0))
    b.enter(b.segment(R, 0))
    b.close(R, 1)


def with_segments(b: Bundle, *changes: dict[str, object], count: int | None = None) -> None:
    b.enter(b.notice(R))
    b.enter(b.open(R, "matter-3"))
    b.enter(Mark(R, "site_sign", 0))
    for index, change in enumerate(changes):
        b.enter(replace(b.segment(R, index), **change))  # type: ignore[arg-type]
    b.close(R, len(changes) if count is None else count, frames=150 * len(changes))


def step(b: Bundle, seconds: int, entered: bool) -> None:
    b.clock_offset_us += seconds * 1_000_000
    if entered:
        b.enter(Clock(seconds * 1_000_000, "ntp", "none"))
    b.record(R, "matter-3")


def foreign_receipt(b: Bundle) -> None:
    b.enter(b.receipt(device="rec-other"))


def early(b: Bundle) -> None:
    notice = b.notice(R)
    b.enter(notice)
    b.enter(b.open(R, "matter-3"))
    b.enter(Mark(R, "site_sign", 0))
    b.enter(b.segment(R, 0, first_frame_us=notice.ended_us - 1))
    b.close(R, 1)


def hazard_meanwhile(b: Bundle) -> None:
    b.enter(b.notice(R))
    b.enter(b.open(R, "matter-3"))
    b.enter(Mark(R, "site_sign", 0))
    b.enter(Hazard("set", [HazardInput("switch", "set", 0)]))
    b.enter(b.segment(R, 0, first_frame_us=b.mono_us + 3_000_000))
    b.close(R, 1)


SET = interlock(hazard="set", inputs=[HazardInput("switch", "set", 0)])
ENTERED: dict[str, tuple[Callable[[Bundle], None], set[str]]] = {
    "no notice": (lambda b: (b.enter(b.open(R, "m3")), b.enter(Mark(R, "site_sign", 0)), b.close(R, 0)), {"NOTICE_MISSING"}),
    "a notice cut short": (lambda b: unserved(b, frames_consumed=50), {"NOTICE_NOT_SERVED"}),
    "a notice that failed": (lambda b: unserved(b, outcome="failed", failure="interrupted"), {"NOTICE_NOT_SERVED"}),
    "a notice that nobody heard": (lambda b: unserved(b, heard=Heard("not_heard", 10, -9000)), {"NOTICE_NOT_SERVED"}),
    "an underrun in the notice": (lambda b: unserved(b, underruns=1), {"NOTICE_NOT_SERVED"}),
    "another sound as notice": (lambda b: unserved(b, asset="b" * 64), {"NOTICE_OTHER_SOUND"}),
    "footage before the notice ended": (early, {"FRAME_BEFORE_NOTICE"}),
    "no stage": (lambda b: b.record(R, "matter-3", stage=None), {"PARTICULARS_MISSING"}),
    "no site": (lambda b: (b.enter(b.notice(R)), b.enter(b.open(R, "m3")), b.close(R, 0)), {"SITE_NOT_IDENTIFIED"}),
    "the same matter again": (lambda b: b.record(R, "matter-1"), {"RESTARTED"}),
    "recording under the hazard flag": (lambda b: b.record(R, "matter-3", interlock=SET), {"RECORDED_UNDER_HAZARD"}),
    "an approval that is not in the profile": (
        lambda b: b.record(R, "matter-3", interlock=replace(SET, approval="MADE-UP")),
        {"RECORDED_UNDER_HAZARD"},
    ),
    "a stale hazard input": (
        lambda b: b.record(R, "matter-3", interlock=interlock(inputs=[HazardInput("switch", "clear", 99_000_000)])),
        {"RECORDED_UNDER_HAZARD"},
    ),
    "recording on after the hazard was set": (hazard_meanwhile, {"RECORDED_UNDER_HAZARD"}),
    "recorded though refused": (
        lambda b: b.record(R, "matter-3", interlock=interlock(verdict="refused", rule="R13.1")),
        {"RECORDED_THOUGH_REFUSED"},
    ),
    "no end": (lambda b: (b.enter(b.notice(R)), b.enter(b.open(R, "m3")), b.enter(Mark(R, "site_sign", 0))), {"RECORDING_UNFINISHED"}),
    "a hole between segments": (lambda b: with_segments(b, {}, {"start_us": 9_000_000}), {"GAP_HIDDEN"}),
    "a segment number left out": (lambda b: with_segments(b, {}, {"index": 2}), {"SEGMENT_ORDER"}),
    "fewer segments than said": (lambda b: with_segments(b, {}, count=2), {"COUNT_MISMATCH"}),
    "an entry outside any recording": (lambda b: b.enter(Mark(R, "moment", 0)), {"ORPHAN_ENTRY"}),
    "an entered gap": (lambda b: (b.enter(b.notice(R)), b.enter(b.open(R, "m3")), b.enter(Mark(R, "site_sign", 0)), b.enter(Gap(R, "power_cut", None, 0)), b.close(R, 0)), {"GAP"}),
    "the clock set forward": (
        lambda b: step(b, 3600, entered=False),
        {"CLOCK_STEP_HIDDEN", "TIME_AFTER_WITNESS"},
    ),
    "the clock set back": (lambda b: step(b, -3600, entered=False), {"CLOCK_STEP_HIDDEN"}),
    "an entered step": (lambda b: step(b, 60, entered=True), {"CLOCK_STEPPED"}),
    "sealed for somebody more": (lambda b: with_segments(b, {"object": b.put(b"x", recipients=2)}), {"NOT_SEALED", "OBJECT_UNLISTED"}),
    "a receipt of another device": (foreign_receipt, {"RECEIPT_INVALID"}),
    "a forged receipt": (lambda b: b.enter(b.receipt(key=SigningKey.generate())), {"RECEIPT_INVALID"}),
    "a release without receipt": (lambda b: b.enter(Released("c" * 64, [b.sealed[1].digest], 1)), {"RELEASED_UNCOVERED"}),
}  # fmt: skip


@pytest.mark.parametrize("breach", ENTERED)
def test_every_breach_that_the_ledger_shows_is_found(tmp_path: Path, breach: str) -> None:
    """What the device itself entered is held against the rules; the code is the expected one and no other."""
    do, expected = ENTERED[breach]
    bundle = good(tmp_path / DEVICE, lambda made: do(made) and None)
    assert codes(judge(bundle.path, bundle)) & expected
    assert codes(judge(bundle.path, bundle)) <= expected


def test_an_approval_in_the_signed_profile_covers_a_recording_under_hazard(tmp_path: Path) -> None:
    """R13.1: the approval that the interlock leaned on stands in the profile and has not expired."""
    approval = ExApproval("Ex ib IIC T4 Gb", "SAMPLE-EX-1", "SAMPLE", START_US + YEAR, "SAMPLE-0001")
    bundle = Bundle(tmp_path / DEVICE)
    bundle.begin(approval)
    bundle.record(R, interlock=replace(SET, approval="SAMPLE-EX-1"))
    bundle.witness()
    bundle.write()
    assert judge(bundle.path, bundle).exit_code() == 0


def test_an_expired_approval_does_not(tmp_path: Path) -> None:
    """R13.1: an approval counts up to its expiry."""
    approval = ExApproval("Ex ib IIC T4 Gb", "SAMPLE-EX-1", "SAMPLE", START_US, "SAMPLE-0001")
    bundle = Bundle(tmp_path / DEVICE)
    bundle.begin(approval)
    bundle.record(R, interlock=replace(SET, approval="SAMPLE-EX-1"))
    bundle.witness()
    bundle.write()
    assert codes(judge(bundle.path, bundle)) == {"RECORDED_UNDER_HAZARD"}


# Where it comes from


def test_simulated_hardware_is_never_passed_as_real_unless_asked_to(tmp_path: Path) -> None:
    """It is a finding; with the reader's consent it is still stated."""
    bundle = good(tmp_path / DEVICE, hardware="simulated")
    assert codes(judge(bundle.path, bundle)) == {"SIMULATED_HARDWARE"}
    accepted = judge(bundle.path, bundle, accept_simulated=True)
    assert accepted.exit_code() == 0 and accepted.devices[0].simulated


def test_a_device_of_another_agency_is_refused(tmp_path: Path) -> None:
    """The boot line's certificate must come from the root in the trust file."""
    bundle = good(tmp_path / DEVICE)
    report = verify(bundle.path, Question(Agency().trust(), ConductJudge))
    assert "CERTIFICATE" in codes(report)


def test_a_tls_certificate_cannot_sign_a_boot(tmp_path: Path) -> None:
    """Only a certificate issued as identity counts."""
    bundle = good(tmp_path / DEVICE, certificate_unit="device")
    assert "CERTIFICATE" in codes(judge(bundle.path, bundle))


def test_a_certificate_that_had_expired_at_boot_is_found(tmp_path: Path) -> None:
    """Validity is judged at the time of the boot."""
    bundle = good(tmp_path / DEVICE, certificate_days=1)
    assert "CERTIFICATE_EXPIRED" in codes(judge(bundle.path, bundle))


@pytest.mark.parametrize(("after_seconds", "found"), [(-10, True), (3600, False)])
def test_a_certificate_counts_up_to_its_revocation(tmp_path: Path, after_seconds: int, found: bool) -> None:
    """Revoked before the boot: a finding. Revoked afterwards: what was recorded before still counts."""
    bundle = good(tmp_path / DEVICE)
    bundle.agency.revoked[bundle.certificate.serial_number] = START_US // 1_000_000 + after_seconds
    assert ("CERTIFICATE_REVOKED" in codes(judge(bundle.path, bundle))) is found


# What cannot be known


def test_without_a_witness_completeness_is_unknown_and_the_exit_code_says_so(tmp_path: Path) -> None:
    """A cut tail would not show, so nobody may say that all is there."""
    bundle = good(tmp_path / DEVICE)
    bundle.folder.cosigned.unlink()
    report = judge(bundle.path, bundle)
    assert report.axes()["completeness"] == "unknown" and report.exit_code() == 2
    assert report.devices[0].unwitnessed_entries == len(bundle.lines)


def test_a_checkpoint_ahead_of_the_ledger_shows_a_cut_even_unwitnessed(tmp_path: Path) -> None:
    """The device's own checkpoint already says how many lines there were."""
    bundle = good(tmp_path / DEVICE)
    note = sign_checkpoint(Checkpoint(origin_of("sample-agency", DEVICE), 99, b"0" * 32), bundle.writer.epoch_key)
    bundle.folder.checkpoint.write_bytes(note)
    assert "LEDGER_CUT" in codes(judge(bundle.path, bundle))


def test_an_untrusted_clock_is_bounded_by_the_witness(tmp_path: Path) -> None:
    """With no time source the time is believed as far as a witness saw it, and unknown beyond."""
    witnessed = good(tmp_path / "a" / DEVICE, source="none")
    assert judge(witnessed.path, witnessed).axes()["time"] == "ok"
    witnessed.folder.cosigned.unlink()
    assert judge(witnessed.path, witnessed).axes()["time"] == "unknown"


def test_entries_later_than_their_witness_are_found(tmp_path: Path) -> None:
    """A cosignature is a "not after"."""
    bundle = good(tmp_path / DEVICE, lambda made: setattr(made, "clock_offset_us", 0), source="none")
    ahead = Bundle(tmp_path / "b" / DEVICE, agency=bundle.agency)
    ahead.clock_offset_us = 3600 * 1_000_000
    ahead.begin()
    ahead.witness()
    ahead.write()
    assert "TIME_AFTER_WITNESS" in codes(judge(ahead.path, ahead))


# What is rightly gone


def test_a_released_object_is_rightly_gone_from_the_device_but_not_from_the_archive(tmp_path: Path) -> None:
    """The receipt says where it is: in the archive. There it must be."""

    def release(b: Bundle) -> None:
        entry = b.receipt()
        b.enter(entry)
        b.enter(Released(entry.object.digest, [b.sealed[1].digest], 1))
        b.folder.object_path(b.sealed[1]).unlink()

    bundle = good(tmp_path / "archive" / DEVICE, release)
    report = judge(bundle.path, bundle)
    assert report.exit_code() == 0 and report.devices[0].objects_with_dock == 1
    assert codes(judge(tmp_path / "archive", bundle)) == {"OBJECT_MISSING"}


# With the agency's key


def test_with_a_key_the_contents_are_judged_too(tmp_path: Path) -> None:
    """What is sealed must be the film that its entry says; another key opens nothing."""
    bundle = good(tmp_path / DEVICE)
    assert "CONTENT_MISMATCH" in codes(judge(bundle.path, bundle, identity=bundle.agency.identity))
    assert "CONTENT_UNREADABLE" in codes(judge(bundle.path, bundle, identity=Agency().identity))


# Not evidence at all


def test_a_folder_without_evidence_is_a_clear_error(tmp_path: Path) -> None:
    """Nothing to judge is neither good nor bad: it is an error that says so."""
    with pytest.raises(UsageError, match="no evidence"):
        verify(tmp_path, Question(Agency().trust(), ConductJudge))
    with pytest.raises(UsageError, match="cannot be read"):
        verify(tmp_path / "nowhere", Question(Agency().trust(), ConductJudge))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"v":1}', b"\xff" * 100])
def test_a_trust_file_that_is_none_is_a_clear_error(data: bytes) -> None:
    """A verifier without a root of trust judges nothing."""
    with pytest.raises(TrustError):
        TrustBundle.from_json(data)


def test_every_finding_has_both_languages_and_an_axis() -> None:
    """The table of findings is whole; the JSON has the fields that others rely on."""
    report = Report()
    report.add("GAP", "rec-sample", "entry 1", "power_cut")
    finding = report.to_json()["findings"][0]
    assert set(finding) == {"code", "step", "axis", "rule", "device", "where", "zh", "en", "detail"}
    assert finding["axis"] == Axis.CONTINUITY and "缺口" in finding["zh"] and "gap" in finding["en"]
