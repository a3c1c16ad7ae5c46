"""One agency for all tests of custody; brokers by lane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_rig import Lane, Station, Unit, make_agency

from agent.dock.broker import find_mosquitto, find_nats


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agency")
    make_agency(folder)
    return folder


@pytest.fixture(params=["mosquitto", "nats"])
def lane(request: pytest.FixtureRequest) -> Lane:
    kind: Lane = request.param
    if (find_mosquitto() if kind == "mosquitto" else find_nats()) is None:
        pytest.skip(f"lane {kind}: the broker is not installed")
    return kind


@pytest.fixture
def station(agency: Path, tmp_path: Path, lane: Lane) -> Iterator[Station]:
    station = Station(agency, tmp_path, lane)
    station.start_broker()
    yield station
    station.close()


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")
