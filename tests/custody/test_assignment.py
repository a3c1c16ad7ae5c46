"""R12.2: an assignment over MQTT: from the agency's register through a dock to its unit, retained, and to no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from custody_rig import DOCK, Station, Unit, trust_of, wait_for

from agent.custody.events import AssignmentArrived
from agent.dock.assignments import FOLDER_NAME, Assignments
from agent.errors import NotRunningError
from agent.evidence.dispatch import read_dispatch
from agent.evidence.documents import Assignment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import ChainState
from agent.recorder.control import ask
from provisioning.agency import Agency
from provisioning.assignments import sign_assignment
from provisioning.credentials import refresh

ROOT = Path(__file__).resolve().parents[2]
MATTER = Assignment(
    "matter-1", "inspection", "investigation", "样例企业", "样例地点", ["样例人员"], None, None, mandatory=False
)


@pytest.fixture
def own_agency(agency: Path, tmp_path: Path) -> Path:
    """A copy of the agency whose assignments are this test's alone."""
    copied = tmp_path / "own"
    shutil.copytree(agency, copied)
    return copied


def order(folder: Path, device: str, assignment: Assignment | None) -> None:
    """Signs an assignment and brings the dock's folder up to date."""
    with Agency(folder / "agency", writable=True, by="tester") as agency:
        sign_assignment(agency, device, assignment)
        refresh(agency, folder / DOCK)


def matters_of(unit: Unit) -> list[str | None]:
    """What custody has handed over."""
    while not unit.events.empty():
        unit.seen.append(unit.events.get_nowait())
    tokens = [event.token for event in unit.seen if isinstance(event, AssignmentArrived)]
    sent = [read_dispatch(token, unit.trust, unit.device) for token in tokens]
    return [one.assignment and one.assignment.matter for one in sent]


def test_a_dock_sends_each_unit_its_own_assignment_a_newer_one_without_a_restart_and_a_withdrawal_too(
    own_agency: Path, tmp_path: Path, lane: str
) -> None:
    station = Station(own_agency, tmp_path, lane)  # type: ignore[arg-type]
    first = Unit(own_agency / "er-1", tmp_path / "one")
    second = Unit(own_agency / "er-2", tmp_path / "two", "er-2")
    services = [unit.service(station.port) for unit in (first, second)]
    order(own_agency, "er-1", MATTER)
    try:
        station.start_broker()
        station.start_dock()
        services[0].start()
        wait_for(lambda: matters_of(first) == ["matter-1"], what="the assignment at er-1")
        order(own_agency, "er-1", replace(MATTER, matter="matter-2"))
        wait_for(lambda: matters_of(first)[-1] == "matter-2", what="the newer one at er-1")
        order(own_agency, "er-2", replace(MATTER, matter="matter-9"))
        services[1].start()
        wait_for(lambda: matters_of(second) == ["matter-9"], what="the retained one at er-2")
        order(own_agency, "er-1", None)
        wait_for(lambda: matters_of(first)[-1] is None, what="the withdrawal at er-1")
        assert "matter-9" not in matters_of(first)
    finally:
        for service in services:
            service.stop()
        station.close()


@pytest.mark.parametrize("lane", ["nats"], indirect=True)
def test_a_broker_that_starts_anew_gets_it_again_and_what_is_gone_from_the_folder_is_taken_from_the_broker(
    own_agency: Path, tmp_path: Path, lane: str
) -> None:
    """It names a party: it does not stay anywhere for longer than it is wanted."""
    station = Station(own_agency, tmp_path, lane)  # type: ignore[arg-type]
    unit, later = Unit(own_agency / "er-1", tmp_path / "one"), Unit(own_agency / "er-1", tmp_path / "two")
    order(own_agency, "er-1", MATTER)
    service = unit.service(station.port)
    try:
        station.start_broker()
        station.start_dock()
        service.start()
        wait_for(lambda: matters_of(unit))
        station.kill_broker()
        station.start_broker()
        wait_for(lambda: len(matters_of(unit)) >= 2, what="the assignment after the broker's restart")
        (own_agency / DOCK / FOLDER_NAME / "er-1.jws").unlink()
        order(own_agency, "er-2", MATTER)
        (own_agency / DOCK / FOLDER_NAME / "er-1.jws").unlink()
        wait_for(lambda: "assignment withdrawn from the broker" in (tmp_path / "dock.log").read_text())
        service.stop()
        again = later.service(station.port)
        again.start()
        try:
            later.record([1_000])
            again.notify()
            wait_for(lambda: any(type(event).__name__ == "DockSeen" for event in later.events.queue), what="the dock")
            assert matters_of(later) == []
        finally:
            again.stop()
    finally:
        service.stop()
        station.close()


# The dock's folder


def test_what_is_another_units_or_another_agencys_or_no_assignment_is_left_out(own_agency: Path) -> None:
    order(own_agency, "er-1", MATTER)
    order(own_agency, "er-2", replace(MATTER, matter="matter-2"))
    credentials = own_agency / DOCK
    folder, trust = credentials / FOLDER_NAME, trust_of(credentials)
    accepted = frozenset({"er-1", "er-2", "er-lost"})
    good = {path.stem: path.read_bytes() for path in folder.glob("*.jws")}
    assert Assignments(credentials, trust).retained(accepted) == good
    shutil.copy(folder / "er-1.jws", folder / "er-lost.jws")
    (folder / "er-2.jws").write_bytes(b"nonsense")
    assert Assignments(credentials, trust).retained(accepted) == {"er-1": good["er-1"]}
    assert Assignments(credentials, replace(trust, document_keys=[])).retained(accepted) == {}


def test_a_unit_that_is_not_accepted_gets_none_and_one_that_is_no_longer_has_its_own_taken_back(
    own_agency: Path,
) -> None:
    order(own_agency, "er-1", MATTER)
    credentials = own_agency / DOCK
    assignments = Assignments(credentials, trust_of(credentials))
    assert not assignments.refresh(), "nothing changed"
    assert assignments.retained(frozenset({"er-2"})) == {}
    assert set(assignments.retained(frozenset({"er-1"}))) == {"er-1"}
    assert assignments.retained(frozenset()) == {"er-1": b""}
    assert assignments.retained(frozenset()) == {}


# A whole recorder


CONFIG = """
[recorder]
evidence = "evidence"
credentials = "{credentials}"
control = "control"
assignment = "assignment"
[recorder.encoder]
preset = "ultrafast"
[hardware]
camera = "simulated"
microphone = "simulated"
speaker = "simulated"
controls = "simulated"
hazard_switch = "simulated"
power = "simulated"
[hardware.video]
width = 320
height = 180
[custody]
host = "localhost"
port = {port}
credentials = "{credentials}"
"""


def held_by_somebody(folder: Path) -> None:
    """R16: without an officer no unit records."""
    with Agency(folder / "agency", writable=True, by="tester") as agency:
        with agency.change() as change:
            change.add_officer("officer-1", "样例人员", "section-1")
            change.assign("er-1", "officer-1")
            agency.sign_profile(change, "er-1")
        refresh(agency, folder / "er-1")


def status(control: Path) -> dict[str, Any]:
    try:
        return ask(control, "status")
    except NotRunningError:
        return {"phase": "", "matter": None}


@pytest.mark.slow
def test_a_recorder_records_what_dispatch_sent_and_says_so_in_the_sealed_particulars(
    own_agency: Path, tmp_path: Path, lane: str
) -> None:
    held_by_somebody(own_agency)
    station = Station(own_agency, tmp_path, lane)  # type: ignore[arg-type]
    (tmp_path / "config.toml").write_text(CONFIG.format(credentials=own_agency / "er-1", port=station.port))
    control, evidence = tmp_path / "control", EvidenceFolder(tmp_path / "evidence")
    station.start_broker()
    station.start_dock()
    command = [sys.executable, "-m", "agent", "run", "--config", str(tmp_path / "config.toml")]
    with (tmp_path / "unit.log").open("wb") as log:
        unit = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
    try:
        wait_for(lambda: status(control)["phase"] == "ready", 40, "a ready recorder")
        order(own_agency, "er-1", MATTER)
        wait_for(lambda: (status(control)["matter"] or {}).get("number") == "matter-1", what="the matter")
        assert status(control)["matter"]["source"] == "dispatch"
        ask(control, "press", hold_ms=100)
        wait_for(lambda: status(control)["phase"] == "recording", 40, "a recording")
        ask(control, "stop")
        wait_for(lambda: status(control)["phase"] == "ready", 40, "its end")
        order(own_agency, "er-1", None)
        wait_for(lambda: status(control)["matter"]["number"] is None, what="the withdrawal")
    finally:
        unit.terminate()
        unit.wait(20)
        station.close()
    chain = ChainState(trust_of(own_agency / "er-1"), "er-1")
    lines = evidence.ledger.read_bytes().split(b"\n")[:-1]
    (opened,) = [entry.body for entry in map(chain.accept, lines) if entry.type == "open"]
    assert opened.matter == "matter-1"  # type: ignore[attr-defined]
    key = pyrage.x25519.Identity.from_str(_secret(own_agency / "agency" / "archive.agekey"))
    sealed = evidence.object_path(opened.particulars).read_bytes()  # type: ignore[attr-defined]
    said = json.loads(pyrage.decrypt(sealed, [key]))
    assert (said["source"], said["assignment"]) == ("dispatch", asdict(MATTER))


def _secret(path: Path) -> str:
    return next(line for line in path.read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))
