"""R13.1: the hazard flag over MQTT: from the agency's folder through a dock to each unit, retained, and to no other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import DOCK, Station, Unit, trust_of, wait_for

from agent.custody.events import HazardFlagArrived
from agent.dock.hazard import HazardFlags
from agent.evidence.hazard_flag import read_hazard_flag
from provisioning.agency import Agency
from provisioning.credentials import refresh
from provisioning.hazard import FlagOrder, sign_flag


@pytest.fixture
def own_agency(agency: Path, tmp_path: Path) -> Path:
    """A copy of the agency whose flags are this test's alone."""
    copied = tmp_path / "own"
    shutil.copytree(agency, copied)
    return copied


def order(folder: Path, state: str, *devices: str) -> int:
    """Signs a flag and brings the dock's folder up to date; gives its version."""
    with Agency(folder / "agency", writable=True, by="tester") as agency:
        signed = sign_flag(agency, FlagOrder(state, None, devices, 12))  # type: ignore[arg-type]
        refresh(agency, folder / DOCK)
    return signed.version


def flags_of(unit: Unit) -> list[tuple[int, str]]:
    """Version and state of what custody has handed over."""
    while not unit.events.empty():
        unit.seen.append(unit.events.get_nowait())
    tokens = [event.token for event in unit.seen if isinstance(event, HazardFlagArrived)]
    flags = [read_hazard_flag(token, unit.trust) for token in tokens]
    return [(flag.version, flag.state) for flag in flags]


def test_a_dock_publishes_a_flag_to_the_units_it_is_for_and_one_that_comes_later_gets_it_too(
    own_agency: Path, tmp_path: Path, lane: str
) -> None:
    """Retained; and a newer flag in the folder goes out without a restart."""
    station = Station(own_agency, tmp_path, lane)  # type: ignore[arg-type]
    first = Unit(own_agency / "er-1", tmp_path / "one")
    second = Unit(own_agency / "er-2", tmp_path / "two", "er-2")
    services = [unit.service(station.port) for unit in (first, second)]
    order(own_agency, "set", "er-1")
    try:
        station.start_broker()
        station.start_dock()
        services[0].start()
        wait_for(lambda: flags_of(first) == [(1, "set")], what="the flag at er-1")
        order(own_agency, "clear")
        wait_for(lambda: flags_of(first)[-1] == (2, "clear"), what="the newer flag at er-1")
        services[1].start()
        wait_for(lambda: flags_of(second) == [(2, "clear")], what="the retained flag at er-2")
    finally:
        for service in services:
            service.stop()
        station.close()


@pytest.mark.parametrize("lane", ["nats"], indirect=True)
def test_a_broker_that_starts_anew_gets_the_flag_again(own_agency: Path, tmp_path: Path, lane: str) -> None:
    """The broker keeps nothing; the dock does."""
    station = Station(own_agency, tmp_path, lane)  # type: ignore[arg-type]
    unit = Unit(own_agency / "er-1", tmp_path / "one")
    order(own_agency, "set")
    service = unit.service(station.port)
    try:
        station.start_broker()
        station.start_dock()
        service.start()
        wait_for(lambda: flags_of(unit))
        station.kill_broker()
        station.start_broker()
        wait_for(lambda: len(flags_of(unit)) >= 2, what="the flag after the broker's restart")
    finally:
        service.stop()
        station.close()


# The dock's folder


def test_each_unit_has_its_newest_flag_whatever_the_names_sort_like(own_agency: Path) -> None:
    """Version 10 is newer than version 9."""
    for _ in range(9):
        order(own_agency, "clear", "er-1")
    assert order(own_agency, "set", "er-1") == 10
    order(own_agency, "clear", "er-2")
    names = sorted(path.name for path in (own_agency / DOCK / "hazard").iterdir())
    assert names == ["10.jws", "11.jws"], "what is over has gone from the dock's folder"
    flags = HazardFlags(own_agency / DOCK, trust_of(own_agency / DOCK))
    newest = {device: flags.newest(device) for device in ("er-1", "er-2", "er-3")}
    held = {
        name: token and read_hazard_flag(token, trust_of(own_agency / DOCK)).version for name, token in newest.items()
    }
    assert held == {"er-1": 10, "er-2": 11, "er-3": None}


def test_the_folder_is_read_again_only_when_it_changed_and_what_is_not_a_flag_is_left_out(own_agency: Path) -> None:
    """A damaged file does not hide the others."""
    credentials = own_agency / DOCK
    flags = HazardFlags(credentials, trust_of(credentials))
    assert not flags.refresh()
    assert flags.newest("er-1") is None
    order(own_agency, "set")
    (credentials / "hazard" / "99.jws").write_bytes(b"nonsense")
    assert flags.refresh()
    assert not flags.refresh()
    assert flags.newest("er-1") == (credentials / "hazard" / "1.jws").read_bytes()


def test_flags_of_another_agency_are_left_out(own_agency: Path) -> None:
    """Only document keys of the trust file count."""
    order(own_agency, "set")
    trust = trust_of(own_agency / DOCK)
    assert HazardFlags(own_agency / DOCK, replace(trust, document_keys=[])).newest("er-1") is None


def test_a_history_entry_says_who_signed_which_flag(own_agency: Path) -> None:
    """R15: what was ordered can be traced back."""
    order(own_agency, "set")
    register = json.loads((own_agency / "agency" / "register.json").read_text())
    assert "hazard-signed" in json.dumps(register)
