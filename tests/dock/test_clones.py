"""Unknown, revoked and cloned devices: refused, told, and both sides of a forked ledger kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import Unit
from dock_rig import begin, hand_over, kinds_of, lines_of, open_intake, settings_of, state_of
from hypothesis import given
from hypothesis import strategies as st

from agent.custody import wire
from agent.custody.wire import Have, Kind, Topic
from agent.dock.branches import Branch, Sessions
from agent.dock.intake import Intake
from agent.dock.quarantine import list_quarantine
from agent.dock.reports import Out, Publish, Report
from agent.dock.service import DockService
from agent.dock.settings import DockSettings
from agent.evidence.entries import Heartbeat


@pytest.fixture
def settings(agency: Path, tmp_path: Path) -> DockSettings:
    return settings_of(agency, tmp_path / "dock")


def twins(agency: Path, folder: Path) -> tuple[Unit, Unit]:
    """Two units with the same keys, whose ledgers part after three lines, as when a card was copied."""
    units = []
    for name in ("one", "other"):
        unit = Unit(agency / "er-1", folder / name)
        units.append(unit)
    first = units[0]
    first.enter(Heartbeat("ready"))
    return first, units[1]


def answer(outs: list[Out]) -> Have:
    found = [out.payload for out in outs if isinstance(out, Publish) and out.topic.kind is Kind.HAVE]
    return wire.load(Have, found[-1])


def run_rounds(intake: Intake, unit: Unit, session: int, rounds: int = 4) -> list[Out]:
    """A device that obeys: it sends from the line that it is asked for, and begins a round when asked to."""
    outs: list[Out] = []
    for number in range(rounds):
        heard = begin(intake, unit, session, number)
        have = answer(heard)
        outs += heard
        if have.ledger == "refused":
            return outs
        for seq, line in list(enumerate(lines_of(unit)))[have.next :]:
            said = intake.handle(Topic(Kind.LEDGER, "er-1", number=seq), line)
            outs += said
            if any(isinstance(out, Publish) and out.topic.kind is Kind.HAVE for out in said):
                break
        outs += intake.idle()
    return outs


@pytest.mark.parametrize("more", [0, 5, 400])
def test_a_second_ledger_of_the_same_device_raises_the_alarm_and_both_are_kept(
    agency: Path, tmp_path: Path, settings: DockSettings, more: int
) -> None:
    """Shorter or longer than the one held: where they part is found, and the other is in quarantine to its end."""
    first, other = twins(agency, tmp_path)
    first.record([1_000, 2_000])
    for number in range(more):
        other.enter(Heartbeat(f"other {number}"))
    intake = open_intake(settings)
    hand_over(intake, first)
    held = intake.archive.folder.ledger.read_bytes()
    outs = run_rounds(intake, other, session=2)
    assert "fork" in kinds_of(outs) and intake.ledger_refused and answer(outs).ledger == "refused"
    items = [item for item in list_quarantine(settings.quarantine) if item.reason and item.reason.what == "branch"]
    branch = b"".join(item.path.read_bytes() for item in items)
    assert branch == b"".join(line + b"\n" for line in lines_of(other))
    assert intake.archive.folder.ledger.read_bytes() == held == first.folder.ledger.read_bytes()
    intake.close()


def test_a_ledger_that_only_went_back_is_told_as_such_and_nothing_is_called_a_fork(
    agency: Path, tmp_path: Path, settings: DockSettings
) -> None:
    """A card restored from an old backup has the same lines, only fewer."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    shutil.copytree(unit.folder.path, tmp_path / "backup")
    unit.record([1_000])
    intake = open_intake(settings)
    hand_over(intake, unit)
    old = (tmp_path / "backup" / "ledger.jws").read_bytes()
    unit.folder.ledger.write_bytes(old)
    count = old.count(b"\n")
    outs = intake.handle(Topic(Kind.STATE, "er-1"), wire.dump(state_of(unit, 2, 0, count)))
    for seq, line in enumerate(lines_of(unit)):
        outs += intake.handle(Topic(Kind.LEDGER, "er-1", number=seq), line)
    assert "rollback" in kinds_of(outs) and "fork" not in kinds_of(outs)
    assert intake.ledger_refused and answer(outs).ledger == "refused"
    intake.close()


def test_a_line_that_is_merely_damaged_ends_as_damage_after_one_comparison(
    agency: Path, tmp_path: Path, settings: DockSettings
) -> None:
    """All lines before it are the same: it is no fork, and the two sides do not go round in circles."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    unit.record([10])
    lines = lines_of(unit)
    unit.folder.ledger.write_bytes(b"".join(line + b"\n" for line in [*lines[:-2], lines[-1]]))
    intake = open_intake(settings)
    outs = run_rounds(intake, unit, session=1, rounds=8)
    assert "fork" not in kinds_of(outs) and "refused" in kinds_of(outs) and intake.ledger_refused
    intake.close()


def test_the_same_id_from_two_places_at_once_is_refused_and_both_states_are_kept(
    agency: Path, tmp_path: Path, settings: DockSettings
) -> None:
    """A session that speaks again after another took its place belongs to a second unit."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    intake = open_intake(settings)
    begin(intake, unit, session=1)
    begin(intake, unit, session=2)
    outs = begin(intake, unit, session=1, round_=1)
    assert "cloned" in kinds_of(outs) and intake.ledger_refused
    (item,) = list_quarantine(settings.quarantine)
    assert item.reason is not None and item.reason.what == "clone"
    assert b'"session":1' in item.path.read_bytes() and b'"session":2' in item.path.read_bytes()
    assert answer(begin(intake, unit, session=2, round_=1)).ledger == "refused"
    intake.close()


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30, unique=True), st.integers(0, 5))
def test_a_device_that_reconnects_however_often_is_never_taken_for_two(sessions: list[int], rounds: int) -> None:
    """Each connection draws a new session; a doubled message of an old one proves nothing."""
    seen, unit_state = Sessions(), wire.DeviceState(1, 0, 0, True, 1, 0, 0, 1, {})
    for session in sessions:
        for number in range(rounds + 1):
            state = replace(unit_state, session=session, round=number)
            assert not seen.is_second(state)
            assert not seen.is_second(state)
    assert not any(seen.is_second(replace(unit_state, session=session, round=rounds)) for session in sessions)


@given(st.integers(0, 1000), st.lists(st.binary(max_size=5), max_size=600))
def test_a_branch_is_kept_whole_and_in_order(first: int, lines: list[bytes]) -> None:
    kept: list[bytes] = []
    branch = Branch(first, lambda _name, data: kept.append(data))
    for offset, line in enumerate(lines):
        branch.take(first + offset, line)
        branch.take(first + offset, b"again")
    branch.flush()
    assert b"".join(kept) == b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize("device", ["stranger", "er-lost"])
def test_nothing_of_an_unknown_or_revoked_device_is_taken_and_the_custodian_is_told_once(
    settings: DockSettings, device: str
) -> None:
    reports: list[Report] = []
    dock = DockService(settings, reports.append)
    for _ in range(3):
        dock._take(f"er/v1/{device}/up/checkpoint", b"rubbish")
    assert [(report.kind, report.device) for report in reports] == [("refused", device)]
    assert not (settings.archive / device).exists() and not (settings.quarantine / device).exists()
    dock._lock.release()
