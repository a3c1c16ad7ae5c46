"""The second copy: the archive again on another disk, read back before it counts, and never written to by mistake."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import DOCK, Station, Unit, check_everything, trust_of, wait_for
from dock_rig import begin, hand_over, kinds_of, open_intake, settings_of, start_configured
from kill_points import kill_points

from agent.dock import copier
from agent.dock.copier import Copied, Copiers, CopyNews, CopyTrouble
from agent.dock.copies import MARK, CopyFolder, prepare_copy
from agent.dock.settings import DockSettings
from agent.dock.status import read_status
from agent.errors import ConfigError, CopyDiffersError, CopyError
from agent.evidence.encoding import sha256_hex


@pytest.fixture
def second(tmp_path: Path) -> Path:
    root = tmp_path / "second"
    root.mkdir()
    prepare_copy(root, DOCK)
    return root


@pytest.fixture
def settings(agency: Path, tmp_path: Path, second: Path) -> DockSettings:
    return settings_of(agency, tmp_path / "dock", copies=[second], receipt_after_copies=1, copy_retry_seconds=0.05)


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


def content(archive: Path) -> dict[str, bytes]:
    """What of an archive is evidence, by name."""
    names = ("ledger.jws", "checkpoint", "cosigned")
    paths = [path for path in archive.rglob("*") if path.name in names or path.parent.name == "objects"]
    return {str(path.relative_to(archive)): path.read_bytes() for path in paths}


@pytest.fixture
def copiers(settings: DockSettings) -> Iterator[tuple[Copiers, queue.Queue[CopyNews]]]:
    news: queue.Queue[CopyNews] = queue.Queue()

    def post(one: CopyNews) -> bool:
        news.put(one)
        return True

    found = Copiers(settings, post, trust_of(settings.credentials))
    found.start()
    yield found, news
    found.stop()


def test_a_receipt_waits_until_the_second_copy_holds_the_object(settings: DockSettings, unit: Unit) -> None:
    """Written, synced and read back there; then the receipt lists it, and not before."""
    unit.record([100_000, 50])
    intake = open_intake(settings)
    assert "receipt" not in kinds_of(hand_over(intake, unit)) and not intake.may_be_taken
    copy = CopyFolder(settings.copies[0], DOCK, settings.archive)
    for digest, ref in list(intake.archive.holdings.uncopied.items()):
        assert copy.bring_object("er-1", ref.file_name)
        assert intake.archive.holdings.copied(digest, "second")
    assert "receipt" in kinds_of(intake.idle())
    assert not intake.archive.holdings.unreceipted and intake.archive.receipts.owed
    intake.close()


def test_what_waits_for_a_copy_still_waits_after_a_restart(settings: DockSettings, unit: Unit) -> None:
    unit.record([100])
    intake = open_intake(settings)
    hand_over(intake, unit)
    intake.close()
    again = open_intake(settings)
    begin(again, unit)
    assert len(again.archive.holdings.uncopied) == 1 and "receipt" not in kinds_of(again.idle())
    again.close()


def test_without_the_setting_a_receipt_does_not_wait(settings: DockSettings, unit: Unit) -> None:
    """The copy then follows in the background."""
    unit.record([100])
    intake = open_intake(replace(settings, receipt_after_copies=0))
    assert "receipt" in kinds_of(hand_over(intake, unit))
    intake.close()


def test_more_copies_than_there_are_cannot_be_waited_for(settings: DockSettings) -> None:
    with pytest.raises(ConfigError, match="receipt_after_copies"):
        replace(settings, receipt_after_copies=2)


def test_a_disk_that_is_not_mounted_is_told_and_not_written_to_and_caught_up_when_it_is_back(
    settings: DockSettings, unit: Unit, copiers: tuple[Copiers, queue.Queue[CopyNews]]
) -> None:
    """An empty mount point is not taken for the disk; nothing is forgotten meanwhile."""
    running, news = copiers
    root = settings.copies[0]
    away = root.with_name("away")
    root.rename(away)
    root.mkdir()
    lost = news.get(timeout=10)
    assert isinstance(lost, CopyTrouble) and lost.kind == "copy_lost" and running.states()[0].state == "unreachable"
    unit.record([100_000, 2_000, 30])
    intake = open_intake(settings)
    hand_over(intake, unit)
    running.want("er-1", intake.held)
    assert not list(root.iterdir())
    root.rmdir()
    away.rename(root)
    back = news.get(timeout=10)
    assert isinstance(back, CopyTrouble) and back.kind == "copy_back"
    told = {news.get(timeout=10) for _ in intake.held}
    assert told == {Copied(str(root), "er-1", ref.digest) for ref in intake.held}
    wait_for(lambda: running.states()[0].state == "current", what="the copy is current")
    assert content(root / "archive") == content(settings.archive)
    intake.close()


def test_a_copy_that_begins_late_gets_everything_that_was_there_before(
    settings: DockSettings, unit: Unit, copiers: tuple[Copiers, queue.Queue[CopyNews]]
) -> None:
    running, news = copiers
    running.stop()
    unit.record([100_000, 2_000, 30])
    intake = open_intake(settings)
    hand_over(intake, unit)
    intake.close()
    late = Copiers(settings, lambda one: news.put(one) is None, trust_of(settings.credentials))
    late.start()
    try:
        wait_for(lambda: content(settings.copies[0] / "archive") == content(settings.archive), what="caught up")
    finally:
        late.stop()


def test_a_ledger_of_the_copy_that_is_not_the_archives_is_told_and_kept(settings: DockSettings, unit: Unit) -> None:
    """Which of the two is the true one is not for a program to decide: neither is overwritten."""
    unit.record([100])
    intake = open_intake(settings)
    hand_over(intake, unit)
    intake.close()
    copy = CopyFolder(settings.copies[0], DOCK, settings.archive)
    copy.bring_ledger("er-1")
    ledger = settings.copies[0] / "archive" / "er-1" / "ledger.jws"
    whole = ledger.read_bytes()
    for other in (whole.replace(b"e", b"f", 1), whole + b"one line more\n"):
        ledger.write_bytes(other)
        with pytest.raises(CopyDiffersError):
            CopyFolder(settings.copies[0], DOCK, settings.archive).bring_ledger("er-1")
        assert ledger.read_bytes() == other
    ledger.write_bytes(whole[:-100] + b"\0" * 50)  # torn by a power cut: no whole line is lost by cutting it off
    CopyFolder(settings.copies[0], DOCK, settings.archive).bring_ledger("er-1")
    assert ledger.read_bytes() == whole


def test_bytes_that_rotted_in_the_archive_are_not_copied_and_are_told(settings: DockSettings, unit: Unit) -> None:
    unit.record([1_000])
    intake = open_intake(settings)
    hand_over(intake, unit)
    (ref,) = intake.held
    intake.close()
    path = settings.archive / "er-1" / "objects" / ref.file_name
    path.chmod(0o640)
    path.write_bytes(b"rot" + path.read_bytes()[3:])
    with pytest.raises(CopyDiffersError, match="damaged"):
        CopyFolder(settings.copies[0], DOCK, settings.archive).bring_object("er-1", ref.file_name)
    assert not list((settings.copies[0] / "archive" / "er-1" / "objects").iterdir())


def test_only_an_empty_folder_or_this_docks_own_copy_can_be_prepared(tmp_path: Path, second: Path) -> None:
    prepare_copy(second, DOCK)
    with pytest.raises(CopyError):
        prepare_copy(tmp_path, DOCK)
    with pytest.raises(CopyError, match=DOCK):
        CopyFolder(second, "dock-2", tmp_path).check()
    (second / MARK).write_bytes(b"{")
    with pytest.raises(CopyError):
        CopyFolder(second, DOCK, tmp_path).check()


@pytest.mark.slow
def test_killed_at_any_moment_of_copying_the_copy_holds_whole_objects_and_whole_lines_or_nothing(
    settings: DockSettings, unit: Unit
) -> None:
    """And goes on from there to the same as the archive."""
    unit.record([3_000, 10])
    intake = open_intake(settings)
    hand_over(intake, unit)
    names = [ref.file_name for ref in intake.held]
    intake.close()
    root = settings.copies[0] / "archive"

    def prepare() -> None:
        shutil.rmtree(root, ignore_errors=True)

    def work() -> None:
        copy = CopyFolder(settings.copies[0], DOCK, settings.archive)
        copy.bring_ledger("er-1")
        for name in names:
            copy.bring_object("er-1", name)

    points = 0
    for _ in kill_points(prepare, work):
        points += 1
        objects = root / "er-1" / "objects"
        found = [path for path in objects.iterdir() if path.name[0] != "."] if objects.is_dir() else []
        assert all(sha256_hex(path.read_bytes()) == path.stem for path in found)
        if points % 5 == 0:
            work()
            assert content(root) == content(settings.archive)
    assert points > 10 and content(root) == content(settings.archive)


@pytest.mark.slow
def test_a_real_dock_withholds_receipts_while_its_second_disk_is_away_and_catches_up_when_it_is_back(
    station: Station, unit: Unit, second: Path
) -> None:
    """Everything is taken in meanwhile; the device may not be taken out; a kill -9 in between changes nothing."""
    unit.record([400_000, 10, 90_000])
    away = second.with_name("away")
    second.rename(away)
    second.mkdir()
    more = f'copies = ["{second}"]\nreceipt_after_copies = 1\ncopy_retry_seconds = 0.2\n'
    dock = start_configured(station, more)
    service = unit.service(station.port)
    service.start()
    try:
        objects = dock.settings.archive / "er-1" / "objects"
        wait_for(lambda: len(list(objects.glob("*.age"))) == 3, what="all is in the archive")
        wait_for(lambda: read_status(dock.settings.console_socket).copies[0].state == "unreachable")
        status = read_status(dock.settings.console_socket)
        unit.serve(service)
        assert not unit.released and not any(bay.may_be_taken for bay in status.bays)
        assert not list((dock.settings.receipts / "er-1").glob("*.jws")) and not list(second.iterdir())
        dock.kill()
        dock = start_configured(station, more)
        wait_for(lambda: dock.settings.console_socket.exists() and dock.process.poll() is None)
        second.rmdir()
        away.rename(second)
        wait_for(lambda: unit.serve(service) or unit.released >= set(unit.originals), what="all is released")
        wait_for(lambda: content(second / "archive") == content(dock.settings.archive), what="the copy is the archive")
    finally:
        service.stop()
    check_everything(unit, dock.settings)


def test_a_disk_that_hangs_holds_up_nobody_and_is_told(
    settings: DockSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offering, asking for the state and stopping never wait for it."""
    entered, free = threading.Event(), threading.Event()

    class Hanging(CopyFolder):
        def bring_ledger(self, device: str) -> None:
            entered.set()
            free.wait(30)

    monkeypatch.setattr(copier, "STUCK_SECONDS", 0.05)
    monkeypatch.setattr(copier, "_STOP_SECONDS", 0.05)
    one = copier.Copier(Hanging(settings.copies[0], DOCK, settings.archive), lambda _news: True, 0.05)
    one.start()
    one.want([("er-1", "")])
    try:
        assert entered.wait(10)
        wait_for(lambda: one.state().state == "unreachable", what="it is called unreachable")
        one.want([("er-1", ""), ("er-2", "")])
        assert "no answer" in one.state().reason
        one.stop()
    finally:
        free.set()


def test_more_than_can_wait_is_caught_up_by_comparing_everything(settings: DockSettings, unit: Unit) -> None:
    """What is offered while a disk is away is bounded, and nothing of it is lost."""
    unit.record([1_000, 20])
    intake = open_intake(settings)
    hand_over(intake, unit)
    intake.close()
    one = copier.Copier(CopyFolder(settings.copies[0], DOCK, settings.archive), lambda _news: True, 0.05)
    one.want([("er-9", f"{number:064x}.age") for number in range(9_000)])
    assert one.state().waiting == 8_192
    one.start()
    try:
        wait_for(lambda: content(settings.copies[0] / "archive") == content(settings.archive), 60, "caught up")
    finally:
        one.stop()
