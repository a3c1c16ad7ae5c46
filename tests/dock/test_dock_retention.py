"""Deleting after retention: dry by default, signed before the first byte goes, followed by the copies."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, trust_of
from dock_rig import hand_over, open_intake, settings_of, settle
from kill_points import kill_points

from agent.cli import main
from agent.dock.copies import CopyFolder, prepare_copy
from agent.dock.retention import Cases, Retention, read_cases, read_records
from agent.dock.settings import DockSettings
from agent.errors import RefusedError, StorageError, UsageError
from agent.evidence.folder import EvidenceFolder
from agent.evidence.retention import DELETIONS, RetentionPolicy, RetentionRule, sign_retention
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge
from agent.rules.retention import DAY_US
from provisioning.agency import Agency

NO_CASES = Cases({}, "0" * 64)


def sign_table(agency: Path, credentials: Path, default_days: int = 30) -> None:
    with Agency(agency / "agency", writable=False) as opened:
        rules = [RetentionRule("coercion", "photo", 3_650)]
        policy = RetentionPolicy(1, "retention", "sample", 1, 0, default_days, rules)
        (credentials / "retention.jws").write_bytes(sign_retention(policy, opened.document_key()))


@pytest.fixture
def settings(agency: Path, tmp_path: Path) -> DockSettings:
    """Credentials of its own: a table is put among them."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for path in (agency / DOCK).iterdir():
        if path.is_file():
            (credentials / path.name).write_bytes(path.read_bytes())
    sign_table(agency, credentials)
    return replace(settings_of(agency, tmp_path / "dock"), credentials=credentials)


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


@pytest.fixture
def filled(settings: DockSettings, unit: Unit) -> DockSettings:
    """An archive with two recordings, receipted, the receipts entered."""
    unit.record([1_000, 2_000])
    unit.record([3_000])
    intake = open_intake(settings)
    settle(intake, unit)
    intake.close()
    return settings



def run_after(settings: DockSettings, days: int) -> Retention:
    return Retention(settings, lambda: time.time_ns() // 1000 + days * DAY_US)


def sealed(settings: DockSettings) -> set[str]:
    return {path.stem for path in (settings.archive / "er-1" / "objects").glob("*.age")}


def test_nothing_is_deleted_before_its_time_and_planning_changes_nothing(filled: DockSettings) -> None:
    """The dry run lists what is due and leaves all as it is."""
    before = sealed(filled)
    assert {row.ruling.verdict for row in run_after(filled, 29).plan(NO_CASES)} == {"not_due"}
    rows = run_after(filled, 31).plan(NO_CASES)
    assert {row.ruling.verdict for row in rows} == {"due"} and sum(row.bytes for row in rows) > 6_000
    assert sealed(filled) == before and not (filled.archive / "er-1" / DELETIONS).exists()


def test_a_deletion_is_signed_and_the_ledger_stays_and_a_second_run_finds_it_done(filled: DockSettings) -> None:
    run = run_after(filled, 31)
    before, ledger = sealed(filled), (filled.archive / "er-1" / "ledger.jws").read_bytes()
    signed = run.apply(run.plan(NO_CASES), NO_CASES)
    records = list(read_records(EvidenceFolder(filled.archive / "er-1"), trust_of(filled.credentials)))
    assert records == signed and len(records) == 2
    assert {ref.digest for record in records for ref in record.objects} == before and not sealed(filled)
    assert (filled.archive / "er-1" / "ledger.jws").read_bytes() == ledger
    again = run.plan(NO_CASES)
    assert {row.ruling.verdict for row in again} == {"deleted"} and run.apply(again, NO_CASES) == []


def test_a_dock_does_not_want_back_what_was_deleted(filled: DockSettings, unit: Unit) -> None:
    """Neither from what it kept of the ledger nor from reading it anew."""
    run = run_after(filled, 31)
    run.apply(run.plan(NO_CASES), NO_CASES)
    for _ in range(2):
        intake = open_intake(filled)
        assert not intake.archive.holdings.wanted
        hand_over(intake, unit)
        assert not intake.archive.holdings.wanted
        intake.close()
        (filled.archive / "er-1" / "index" / "verified").unlink()


def test_what_is_not_receipted_or_not_whole_is_kept(settings: DockSettings, unit: Unit) -> None:
    """A device that has not entered its receipt would send it all again."""
    unit.record([1_000])
    intake = open_intake(settings)
    hand_over(intake, unit)
    intake.close()
    assert {row.ruling.verdict for row in run_after(settings, 31).plan(NO_CASES)} == {"incomplete"}


def test_a_station_may_keep_longer_than_the_table_and_never_shorter(filled: DockSettings) -> None:
    longer = replace(filled, keep_days=60)
    assert {row.ruling.verdict for row in run_after(longer, 31).plan(NO_CASES)} == {"not_due"}
    shorter = replace(filled, keep_days=1)
    assert {row.ruling.verdict for row in run_after(shorter, 29).plan(NO_CASES)} == {"not_due"}


def test_without_the_agencys_table_nothing_is_ever_due(filled: DockSettings) -> None:
    (filled.credentials / "retention.jws").unlink()
    with pytest.raises(UsageError):
        Retention(filled)


def test_a_clock_that_does_not_fit_the_archive_deletes_nothing(filled: DockSettings) -> None:
    """A dock that thinks it is ten years later does not empty its archive."""
    with pytest.raises(RefusedError):
        run_after(filled, 3_653).plan(NO_CASES)


def test_a_ledger_that_somebody_changed_on_the_disk_deletes_nothing(filled: DockSettings) -> None:
    ledger = filled.archive / "er-1" / "ledger.jws"
    ledger.write_bytes(ledger.read_bytes().replace(b"e", b"f", 1))
    with pytest.raises(StorageError):
        run_after(filled, 31).plan(NO_CASES)


def test_a_record_that_no_dock_signed_or_that_was_taken_out_is_noticed(filled: DockSettings) -> None:
    run = run_after(filled, 31)
    run.apply(run.plan(NO_CASES), NO_CASES)
    path = filled.archive / "er-1" / DELETIONS
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[1], lines[0].replace(b".", b"x", 1) + lines[1], lines[0] * 2):
        path.write_bytes(changed)
        with pytest.raises(StorageError):
            list(read_records(EvidenceFolder(filled.archive / "er-1"), trust_of(filled.credentials)))


def test_the_second_copy_follows_with_the_record_first(filled: DockSettings, tmp_path: Path) -> None:
    """And follows no record that no dock has signed."""
    root = tmp_path / "second"
    root.mkdir()
    prepare_copy(root, DOCK)
    copy = CopyFolder(root, DOCK, filled.archive, trust_of(filled.credentials))
    for device, name in list(copy.missing()):
        copy.bring_ledger(device)
        copy.bring_object(device, name)
    objects = root / "archive" / "er-1" / "objects"
    assert len(list(objects.glob("*.age"))) == 3
    run = run_after(filled, 31)
    run.apply(run.plan(NO_CASES), NO_CASES)
    copy.bring_ledger("er-1")
    assert not list(objects.glob("*.age"))
    assert (root / "archive" / "er-1" / DELETIONS).read_bytes() == (filled.archive / "er-1" / DELETIONS).read_bytes()


def test_the_list_of_closed_cases_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "closed.json"
    path.write_text('{"v":1,"closed":{"m-1":1700000000000000}}')
    assert read_cases(path).closed == {"m-1": 1_700_000_000_000_000}
    assert read_cases(None).closed == {}
    path.write_text('{"v":1,"closed":{"m-1":"yesterday"}}')
    with pytest.raises(UsageError):
        read_cases(path)


@pytest.mark.slow
def test_killed_at_any_moment_of_deleting_every_byte_that_is_gone_is_on_a_record_and_the_next_run_ends_it(
    filled: DockSettings,
) -> None:
    folder, trust = EvidenceFolder(filled.archive / "er-1"), trust_of(filled.credentials)
    kept = {path: path.read_bytes() for path in folder.objects.glob("*.age")}

    def prepare() -> None:
        (folder.path / DELETIONS).unlink(missing_ok=True)
        for path, data in kept.items():
            if not path.exists():
                path.write_bytes(data)

    def work() -> None:
        run = run_after(filled, 31)
        run.apply(run.plan(NO_CASES), NO_CASES)

    points = 0
    for _ in kill_points(prepare, work):
        points += 1
        recorded = {ref.digest for record in read_records(folder, trust) for ref in record.objects}
        assert {path.stem for path in kept if not path.exists()} <= recorded
        work()
        assert not sealed(filled)
        assert len({record.recording for record in read_records(folder, trust)}) == 2
    assert points > 5


def findings(settings: DockSettings) -> tuple[set[str], int]:
    report = verify(settings.archive, Question(trust_of(settings.credentials), ConductJudge))
    return {one.code for one in report.findings}, report.devices[0].objects_deleted


def test_verifying_the_archive_explains_what_was_deleted_and_no_more_than_that(filled: DockSettings) -> None:
    """A signed deletion is no loss; a record that does not verify, or covers another recording, explains nothing."""
    before, _ = findings(filled)
    run = run_after(filled, 31)
    run.apply(run.plan(NO_CASES), NO_CASES)
    assert findings(filled) == (before, 3)
    path = filled.archive / "er-1" / DELETIONS
    whole = path.read_bytes()
    path.write_bytes(whole.splitlines(keepends=True)[0])
    assert findings(filled)[0] == before | {"RECORDING_REMOVED"}
    path.write_bytes(whole.replace(b".", b"x", 1))
    assert findings(filled)[0] == before | {"RECORDING_REMOVED", "DELETION_INVALID"}
    path.unlink()
    assert findings(filled) == (before | {"RECORDING_REMOVED"}, 0)


def test_the_command_is_a_dry_run_unless_told_otherwise(
    filled: DockSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says in two languages what it would do, or did."""
    config = tmp_path / "dock.toml"
    fixed = f'[dock]\nid = "{DOCK}"\nfolder = "{filled.folder}"\ncredentials = "{filled.credentials}"\n'
    config.write_text(fixed)
    for words in ([], ["--dry-run"], ["--json"], ["--apply"]):
        assert main(["dock", "retention", "--config", str(config), *words]) == 0
        assert len(sealed(filled)) == 3
    text = capsys.readouterr().out
    assert "试运行" in text and "未到期" in text and '"verdict": "not_due"' in text
    assert main(["dock", "retention", "--config", str(config), "--list"]) == 0
    assert capsys.readouterr().out.strip() == "[]"
