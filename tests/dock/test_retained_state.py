"""What a broker has kept of a device's state is old: it says who is there, and nothing is concluded from the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, trust_of
from nacl.signing import SigningKey

from agent.custody import wire
from agent.custody.wire import DeviceState, Have, Kind, Topic
from agent.dock.archive import DeviceArchive
from agent.dock.intake import Intake
from agent.dock.reports import DockKeys, Out, Publish, Report
from agent.dock.settings import DockSettings
from agent.dock.verified import seal_key
from agent.dock.witness import Witness
from agent.evidence.keys import load_signing_key

STATE = Topic(Kind.STATE, "er-1")


@pytest.fixture
def intake(agency: Path, tmp_path: Path) -> Intake:
    """Of a dock that holds all the lines of a device with one recording."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    unit.record([])
    settings = DockSettings(DOCK, tmp_path / "dock", agency / DOCK)
    for folder in (settings.archive, settings.staging):
        folder.mkdir(parents=True)
    receipt = load_signing_key((agency / DOCK / "receipt.key").read_bytes())
    archive = DeviceArchive(settings, "er-1", trust_of(agency / DOCK), seal_key(receipt))
    for line in unit.folder.ledger.read_bytes().split(b"\n")[:-1]:
        archive.accept(line)
    archive.flush()
    witness = Witness(settings.witness, "sample", DOCK, SigningKey.generate(), archive)
    return Intake(archive, witness, DockKeys(DOCK, receipt, lambda: 1), 1_048_576)


def said(lines: int, number: int = 0) -> bytes:
    return wire.dump(DeviceState(1, 7, number, True, lines, 0, 0, 8_388_608, {}))


def haves(outs: list[Out]) -> list[Have]:
    published = [out for out in outs if isinstance(out, Publish) and out.topic.kind is Kind.HAVE]
    return [wire.load(Have, out.payload) for out in published]


def test_a_kept_state_with_fewer_lines_is_no_rollback_but_asked_anew(intake: Intake) -> None:
    """Its device has sent lines since, to a dock that was killed; what it says then is what counts."""
    outs = intake.handle(STATE, said(2), retained=True)
    assert not [out for out in outs if isinstance(out, Report) and out.kind == "rollback"]
    assert [have.resync for have in haves(outs)] == [True]
    assert not intake.may_be_taken
    size = intake.archive.chain.size
    (have,) = haves(intake.handle(STATE, said(size, number=1)))
    assert (have.ledger, have.next, have.resync) == ("open", size, False)
    assert intake.may_be_taken
    intake.close()


def test_fewer_lines_said_once_are_asked_about_and_said_twice_are_a_rollback(intake: Intake) -> None:
    """A state that came late, by another way than the one after it, does not get a device seized."""
    intake.handle(STATE, said(2), retained=True)
    outs = intake.handle(STATE, said(2, number=1))
    assert [have.resync for have in haves(outs)] == [True]
    assert not intake.ledger_refused
    intake.handle(STATE, said(intake.archive.chain.size, number=2))
    intake.handle(STATE, said(2, number=3))
    assert not intake.ledger_refused
    outs = intake.handle(STATE, said(2, number=4))
    assert [out.kind for out in outs if isinstance(out, Report) and out.kind == "rollback"]
    assert intake.ledger_refused
    intake.close()
