"""Real processes, a real broker, and every way to cut them off: nothing is lost, and every receipt is true."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from custody_rig import (
    DOCK,
    SECOND_DOCK,
    Station,
    Unit,
    archived,
    archived_lines,
    check_everything,
    start_dock,
    wait_for,
)

from agent.custody.events import CheckpointCosigned, DockSeen, LinkChanged, ObjectRefused
from agent.custody.service import CustodyService
from agent.dock.broker import Broker, find_mosquitto, mosquitto_acl
from agent.dock.settings import DockSettings
from agent.dock.status import read_status
from agent.evidence.checkpoint import cosigned_at, open_note
from agent.evidence.encoding import from_b64url


def pump(unit: Unit, service: CustodyService, done: object, seconds: float = 30.0) -> None:
    """Lets the stand-in recorder work until the condition holds."""

    def step() -> bool:
        unit.serve(service)
        return bool(done())  # type: ignore[operator]

    wait_for(step, seconds)


def restart(station: Station) -> Broker:
    """mosquitto once more, with the files as they lie there."""
    folder = station.folder / "broker"
    with (folder / "mosquitto.log").open("ab") as log:
        command = [find_mosquitto() or "mosquitto", "-c", str(folder / "mosquitto.conf")]
        return Broker("mosquitto", subprocess.Popen(command, stdout=log, stderr=log), folder / "mosquitto.log")


def all_released(unit: Unit) -> bool:
    return unit.released >= set(unit.originals)


def test_all_objects_and_lines_arrive_and_space_is_freed_only_against_receipts(station: Station, unit: Unit) -> None:
    """A whole offload: every object and line is archived, receipted, entered, released; the checkpoint is cosigned."""
    unit.record([10, 100_000, 900_000])
    dock = station.start_dock()
    service = unit.service(station.port)
    service.announce({"state": "docked"})
    service.start()
    try:
        pump(unit, service, lambda: all_released(unit))
        unit.record([300_000])  # published while the link is up, without any new round
        service.notify()
        pump(unit, service, lambda: all_released(unit))
        pump(unit, service, lambda: any(isinstance(event, CheckpointCosigned) for event in unit.seen))
        pump(unit, service, lambda: service.progress().ledger_lines_pending == 0)
        wait_for(lambda: any(bay.may_be_taken for bay in read_status(dock.settings.console_socket).bays))
    finally:
        service.stop()
    check_everything(unit, dock.settings)
    assert not list(unit.folder.objects.glob("*.age"))
    assert {type(event) for event in unit.seen} >= {LinkChanged, DockSeen}
    note = next(event.note for event in unit.seen if isinstance(event, CheckpointCosigned))
    witness = unit.trust.docks[0]
    assert cosigned_at(open_note(note), witness.id, from_b64url(witness.witness_key))
    assert station.dock is not None and station.dock.stop() == 0


def test_a_dock_killed_in_the_middle_resumes_and_nothing_is_lost(station: Station, unit: Unit) -> None:
    """kill -9 of the dock, twice, while objects stream: the next dock takes up its staging; all receipts are true."""
    unit.record([2_000_000, 3_000_000, 50_000])
    unit.record([1_000_000] * 4)
    station.start_dock()
    service = unit.service(station.port)
    service.start()
    try:
        for limit in (300_000, 3_000_000):
            pump(unit, service, lambda limit=limit: service.progress().sent_bytes > limit)
            assert station.dock is not None
            station.dock.kill()
            station.start_dock()
        pump(unit, service, lambda: all_released(unit))
    finally:
        service.stop()
    check_everything(unit, station.dock.settings)


def test_a_broker_killed_in_the_middle_loses_nothing(station: Station, unit: Unit) -> None:
    """kill -9 of the broker while objects stream: both sides come back and go on from what is durably held."""
    unit.record([2_000_000] * 3)
    unit.record([500_000] * 6)
    dock = station.start_dock()
    service = unit.service(station.port)
    service.start()
    try:
        pump(unit, service, lambda: service.progress().sent_bytes > 500_000)
        station.kill_broker()
        wait_for(lambda: not service.progress().connected)
        station.start_broker()
        pump(unit, service, lambda: all_released(unit), 40.0)
    finally:
        service.stop()
    check_everything(unit, dock.settings)


def test_a_restarted_device_without_its_index_sends_no_object_twice(station: Station, unit: Unit) -> None:
    """The outbox index is gone after a restart: it is rebuilt, and receipts come again instead of objects."""
    unit.record([400_000] * 3)
    dock = station.start_dock()
    first = unit.service(station.port)
    first.start()
    wait_for(lambda: set(archived(dock.settings)) >= set(unit.originals))  # receipts are left unread
    first.stop()
    for path in unit.folder.path.glob("outbox.sqlite3*"):
        path.unlink()
    unit.events.queue.clear()
    second = unit.service(station.port)
    second.start()
    try:
        pump(unit, second, lambda: all_released(unit))
        assert second.progress().sent_bytes < 100_000  # receipts as objects, no media
    finally:
        second.stop()
    check_everything(unit, dock.settings)


def test_an_object_that_rotted_on_the_device_is_quarantined_refused_and_kept(station: Station, unit: Unit) -> None:
    """Bytes that are not what the ledger says are asked for once more, quarantined whole, never receipted."""
    damaged = unit.record([200_000, 200_000, 200_000], damage=1)[1]
    dock = station.start_dock()
    service = unit.service(station.port)
    service.start()
    try:
        good = set(unit.originals) - {damaged.digest}
        pump(unit, service, lambda: unit.released >= good and ObjectRefused(damaged.digest) in unit.seen)
    finally:
        service.stop()
    kept = [path for path in (dock.settings.quarantine / "er-1").iterdir() if path.suffix == ".age"]
    assert {path.read_bytes() for path in kept} == {unit.folder.object_path(damaged).read_bytes()}
    assert all(path.with_name(path.name + ".reason.json").exists() for path in kept)
    assert damaged.digest not in archived(dock.settings) and damaged.digest not in unit.released


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_where_two_receipts_are_needed_a_device_hands_over_to_two_docks_and_frees_space_then(
    station: Station, unit: Unit, agency: Path
) -> None:
    """One dock after the other, each with all of it; the first alone frees nothing, and lets the device go all the same."""
    unit.receipts_needed = 2
    unit.record([100_000, 300_000])
    first = station.start_dock()
    service = unit.service(station.port)
    service.start()
    wait_for(first.settings.console_socket.exists)
    pump(unit, service, lambda: any(bay.may_be_taken for bay in read_status(first.settings.console_socket).bays))
    service.stop()
    assert not unit.released
    folder = station.folder / "second"
    folder.mkdir()
    other = Station(agency, folder, "mosquitto", SECOND_DOCK)
    other.start_broker()
    second = other.start_dock()
    service = unit.service(other.port)
    service.start()
    try:
        pump(unit, service, lambda: all_released(unit))
    finally:
        service.stop()
        other.close()
    for dock in (first, second):
        check_everything(unit, dock.settings)


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_two_docks_at_one_broker_and_the_device_goes_on_with_the_other_when_one_is_killed(
    station: Station, unit: Unit, agency: Path
) -> None:
    """Both hear everything; the device follows one, and after kill -9 of it the other: all arrives, all receipts true."""
    acl = station.folder / "broker" / "acl"
    more = mosquitto_acl(SECOND_DOCK).split("\n\n")[1]
    acl.write_text(acl.read_text() + "\n" + more)
    station.kill_broker()
    station.broker = restart(station)
    unit.record([400_000] * 8)
    docks = {
        name: start_dock(station.folder / name, agency / name, station.port, 65_536) for name in (DOCK, SECOND_DOCK)
    }
    service = unit.service(station.port)
    service.start()
    try:
        pump(unit, service, lambda: service.progress().sent_bytes > 400_000)
        followed = next(event.dock for event in unit.seen if isinstance(event, DockSeen))
        docks.pop(followed).kill()
        pump(unit, service, lambda: all_released(unit), 60.0)
    finally:
        service.stop()
        (left,) = docks.values()
        left.stop()
    names = {event.dock for event in unit.seen if isinstance(event, DockSeen)}
    assert names == {DOCK, SECOND_DOCK}
    held = {name: archived(DockSettings(name, station.folder / name, agency / name)) for name in names}
    assert {**held[DOCK], **held[SECOND_DOCK]} == unit.originals


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_a_ledger_that_was_rewritten_is_refused_and_reported(station: Station, unit: Unit, agency: Path) -> None:
    """The same device comes back with another past: the dock takes no line of it, keeps its own, and says so."""
    unit.record([1_000])
    dock = station.start_dock()
    service = unit.service(station.port)
    service.start()
    pump(unit, service, lambda: all_released(unit))
    before = unit.folder.ledger.read_bytes().split(b"\n")[:-1]
    wait_for(lambda: archived_lines(dock.settings) == before)
    service.stop()
    other = Unit(agency / "er-1", station.folder / "other", seed=2)
    other.record([1_000] * 20)
    again = other.service(station.port)
    again.start()
    try:
        pump(other, again, lambda: any(type(event).__name__ == "LedgerRefused" for event in other.seen))
        wait_for(lambda: any(bay.refused for bay in read_status(dock.settings.console_socket).bays))
    finally:
        again.stop()
    assert archived_lines(dock.settings) == before
    assert list((dock.settings.quarantine / "er-1").iterdir())
    assert not other.released
