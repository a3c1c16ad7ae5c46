"""What does not verify is kept whole, with its reason, within a limit, and a custodian finds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import Unit
from dock_rig import begin, kinds_of, lines_of, messages_of, open_intake, send_lines, settings_of
from kill_points import kill_points

from agent.custody.wire import Kind, Topic
from agent.dock.intake import Intake
from agent.dock.quarantine import Quarantine, count_quarantine, find_item, list_quarantine
from agent.dock.settings import DockSettings
from agent.errors import QuarantineFullError, UsageError
from agent.evidence.encoding import sha256_hex


@pytest.fixture
def settings(agency: Path, tmp_path: Path) -> DockSettings:
    return settings_of(agency, tmp_path / "dock")


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


def send_rotten(intake: Intake, unit: Unit) -> tuple[bytes, list[str]]:
    """The only object wanted, with its first byte turned."""
    (ref,) = intake.archive.holdings.wanted.values()
    data = unit.folder.object_path(ref).read_bytes()
    rotten = bytes([data[0] ^ 1]) + data[1:]
    outs = [out for topic, payload in messages_of(ref, rotten) for out in intake.handle(topic, payload)]
    outs += intake.idle()  # it is read back beside the intake
    return rotten, kinds_of(outs)


def test_an_object_that_does_not_verify_is_kept_whole_with_its_reason_in_two_languages(
    settings: DockSettings, unit: Unit
) -> None:
    unit.record([100_000])
    intake = open_intake(settings)
    begin(intake, unit)
    send_lines(intake, unit)
    rotten, kinds = send_rotten(intake, unit)
    (item,) = list_quarantine(settings.quarantine)
    assert item.path.read_bytes() == rotten and "quarantined" in kinds
    assert item.reason is not None and item.reason.digest == sha256_hex(rotten) and item.reason.size == len(rotten)
    assert item.reason.what == "object" and "摘要不符" in item.reason.reason and item.reason.reason_english
    assert find_item(settings.quarantine, item.id) == item and count_quarantine(settings.quarantine) == 1
    assert not list((settings.staging / "er-1").iterdir())
    intake.close()


def test_nothing_in_quarantine_is_removed_or_overwritten_later(settings: DockSettings, unit: Unit) -> None:
    """The same object twice gives two items; a restart leaves both."""
    unit.record([1_000])
    for _ in range(2):
        intake = open_intake(settings)
        begin(intake, unit)
        send_lines(intake, unit)
        send_rotten(intake, unit)
        intake.close()
    assert [item.path.name[:6] for item in list_quarantine(settings.quarantine)] == ["000000", "000001"]


def test_with_a_full_quarantine_an_object_stays_in_staging_and_the_custodian_is_told(
    settings: DockSettings, unit: Unit
) -> None:
    """Nothing is dropped: neither what is kept already nor what finds no room."""
    unit.record([2_000_000])
    intake = open_intake(replace(settings, quarantine_bytes=1_048_576))
    begin(intake, unit)
    send_lines(intake, unit)
    rotten, kinds = send_rotten(intake, unit)
    assert "quarantine_full" in kinds and "refused" in kinds
    (kept,) = [path for path in (settings.staging / "er-1").iterdir() if path.suffix == ".age"]
    assert kept.read_bytes() == rotten and not intake.archive.holdings.unreceipted
    intake.close()


def test_with_a_full_quarantine_a_bad_line_refuses_the_ledger_at_once(settings: DockSettings, unit: Unit) -> None:
    unit.record([1_000])
    quarantine = Quarantine(replace(settings, quarantine_bytes=1_048_576), "er-1", lambda: 1)
    for number in range(16):
        quarantine.keep("part", f"{number}", b"x", "a test")
    with pytest.raises(QuarantineFullError):
        quarantine.keep("part", "one-more", b"x", "a test")
    intake = open_intake(replace(settings, quarantine_bytes=1_048_576))
    begin(intake, unit)
    outs = intake.handle(Topic(Kind.LEDGER, "er-1", number=0), lines_of(unit)[0][:-8] + b"AAAAAAAA")
    assert kinds_of(outs) == ["quarantine_full", "resync"] and intake.ledger_refused
    assert len(list_quarantine(settings.quarantine)) == 16
    intake.close()


def test_each_device_has_a_limit_of_its_own(settings: DockSettings) -> None:
    """One device cannot use up the room of another."""
    small = replace(settings, quarantine_bytes=1_048_576)
    for number in range(16):
        Quarantine(small, "er-1", lambda: 1).keep("part", f"{number}", b"x", "a test")
    Quarantine(small, "er-2", lambda: 1).keep("part", "0", b"x", "a test")


def test_an_item_without_a_readable_reason_is_still_listed(settings: DockSettings) -> None:
    path = Quarantine(settings, "er-1", lambda: 1).keep("line", "line-3.jws", b"rubbish", "a test")
    path.with_name(path.name + ".reason.json").write_bytes(b"{")
    (item,) = list_quarantine(settings.quarantine)
    assert item.reason is None and item.size == 7
    with pytest.raises(UsageError):
        find_item(settings.quarantine, "er-1/none")


@pytest.mark.slow
def test_killed_at_any_moment_of_quarantining_the_bytes_are_in_staging_or_in_quarantine(
    settings: DockSettings, unit: Unit
) -> None:
    """Whole, in one of the two places, never in none, and never under an object's name."""
    unit.record([1_000])
    intake = open_intake(settings)
    begin(intake, unit)
    send_lines(intake, unit)
    intake.idle()
    intake.close()

    def prepare() -> None:
        for folder in (settings.quarantine / "er-1", settings.staging / "er-1"):
            for path in folder.iterdir() if folder.is_dir() else []:
                path.unlink()

    def work() -> None:
        again = open_intake(settings)
        begin(again, unit)
        send_rotten(again, unit)

    (ref,) = (one for one in unit.originals)
    points = 0
    for _ in kill_points(prepare, work):
        points += 1
        placed = [item.path for item in list_quarantine(settings.quarantine)]
        staged = [path for path in (settings.staging / "er-1").iterdir() if path.suffix == ".age"]
        assert len(placed) + len(staged) <= 1
        assert all(sha256_hex(path.read_bytes()) != ref and path.stat().st_size > 0 for path in placed)
        assert not list((settings.archive / "er-1" / "objects").iterdir())
    assert points > 10
    assert len(list_quarantine(settings.quarantine)) == 1
