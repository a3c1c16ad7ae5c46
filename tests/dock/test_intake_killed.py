"""kill -9 at every step of an object's life: what is claimed is there, what is there is whole, the rest comes again.

Twice: at every single system call that changes a file, in a forked process; and at each named step of a real dock
behind a real broker, with a real device that goes on offering what it has.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from custody_rig import DockProcess, Station, Unit, check_everything, trust_of, wait_for
from dock_rig import hand_over, kinds_of, open_intake, settings_of
from kill_points import kill_points

from agent.custody.wire import Kind, Topic
from agent.dock.settings import DockSettings
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import entry_objects
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import ChainState
from agent.evidence.receipts import read_receipt

STEPS = ("line", "write_line", "open", "part", "close", "read_back", "name", "receipt", "publish")
"""As an object goes: its line is judged and written, it is opened, its parts come, it is closed, read back, named,
receipted, and the receipt is published."""

pytestmark = pytest.mark.slow


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


def check_claims(settings: DockSettings, unit: Unit) -> None:
    """No half object under a name, no object without its line, no receipt for what is not there.

    Read in this order, because a dock that is alive goes on meanwhile.
    """
    folder = EvidenceFolder(settings.archive / "er-1")
    receipts = [
        read_receipt(path.read_bytes(), unit.trust) for path in (settings.receipts / "er-1").glob("[!.]*.jws")
    ]
    found = [path for path in folder.objects.glob("[!.]*")] if folder.objects.is_dir() else []
    lines = folder.ledger.read_bytes().split(b"\n")[:-1] if folder.ledger.exists() else []
    chain = ChainState(trust_of(settings.credentials), "er-1")
    named = {ref.digest for line in lines for ref in entry_objects(chain.accept(line))}
    assert all(sha256_hex(path.read_bytes()) == path.stem for path in found)
    held = {path.stem for path in found}
    assert held <= named
    for receipt in receipts:
        assert {ref.digest for ref in receipt.objects} <= held and receipt.ledger_size <= len(lines)


def test_killed_at_every_system_call_the_intake_claims_nothing_false_and_goes_on(
    agency: Path, tmp_path: Path, unit: Unit
) -> None:
    """A write is left half done each time; the next intake takes up what is there and ends with all receipted."""
    unit.record([100_000, 10])
    settings = settings_of(agency, tmp_path / "dock")

    def prepare() -> None:
        shutil.rmtree(settings.folder)
        settings_of(agency, settings.folder)

    def work() -> None:
        intake = open_intake(settings)
        hand_over(intake, unit)
        intake.handle(Topic(Kind.CHECKPOINT, "er-1"), unit.folder.checkpoint.read_bytes())
        intake.close()

    points = 0
    for _ in kill_points(prepare, work):
        points += 1
        check_claims(settings, unit)
        again = open_intake(settings)
        outs = hand_over(again, unit)
        assert "quarantined" not in kinds_of(outs) and again.archive.receipts.owed
        assert not again.archive.holdings.wanted and not again.archive.holdings.unreceipted
        again.close()
        check_claims(settings, unit)
    assert points > 60


_PROGRAM = """
import os, signal, sys
from pathlib import Path
from agent.custody.link import Link
from agent.dock.archive import DeviceArchive
from agent.dock.holdings import ReceiptBook
from agent.dock.intake import Intake
from agent.dock.service import main
from agent.dock.settings import DockSettings
from agent.dock.staging import Staging

folder, credentials, port, step, when = sys.argv[1:]
places = {
    "line": (DeviceArchive, "accept"), "write_line": (DeviceArchive, "flush"), "open": (DeviceArchive, "stage"),
    "part": (Staging, "write"), "close": (Intake, "_on_close"), "read_back": (Staging, "read_back"),
    "name": (DeviceArchive, "_give_name"), "receipt": (ReceiptBook, "enter"), "publish": (Link, "publish"),
}
kind, name = places[step]
real = getattr(kind, name)

def due(arguments):
    if step == "write_line":
        return bool(arguments[0]._unwritten)
    return step != "publish" or arguments[1].endswith("/receipt")

def killing(*arguments, **more):
    mine = due(arguments)
    if mine and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*arguments, **more)
    if mine:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(kind, name, killing)
main(DockSettings("dock-1", Path(folder), Path(credentials), port=int(port)))
"""


def start_doomed(station: Station, step: str, when: str) -> DockProcess:
    """A real dock that ends itself with SIGKILL at the step."""
    folder = station.folder / "dock"
    folder.mkdir(exist_ok=True)
    words = [str(folder), str(station.credentials), str(station.port), step, when]
    with (station.folder / "dock.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words], stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
    return DockProcess(DockSettings("dock-1", folder, station.credentials, port=station.port), process)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_real_dock_killed_at_a_step_loses_nothing_and_its_successor_ends_the_work(
    station: Station, unit: Unit, step: str, when: str
) -> None:
    """The device still has all that is not receipted; the next dock holds it all in the end, once."""
    unit.record([150_000, 10])
    doomed = start_doomed(station, step, when)
    service = unit.service(station.port)
    service.start()
    try:
        wait_for(lambda: doomed.process.poll() is not None, what=f"the dock dies {when} {step}")
        assert doomed.process.returncode == -signal.SIGKILL
        check_claims(doomed.settings, unit)
        unit.serve(service)
        assert unit.released <= {path.stem for path in (doomed.settings.archive / "er-1" / "objects").glob("*.age")}
        station.start_dock()
        wait_for(lambda: unit.serve(service) or unit.released >= set(unit.originals), what="all is released")
    finally:
        service.stop()
    station.dock.stop()  # type: ignore[union-attr]
    check_everything(unit, doomed.settings)
    check_claims(doomed.settings, unit)
