"""One agency for all tests of custody; brokers by lane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from custody_rig import DOCK, DockProcess, Unit, free_port, make_agency, start_dock

from agent.dock.broker import Broker, find_mosquitto, find_nats, start_broker

Lane = Literal["mosquitto", "nats"]


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


class Station:
    """A broker and a dock, each of which a test may kill and start again."""

    def __init__(self, agency: Path, folder: Path, lane: Lane) -> None:
        self.credentials, self.folder, self.lane, self.port = agency / DOCK, folder, lane, free_port()
        self.broker: Broker | None = None
        self.dock: DockProcess | None = None

    def start_broker(self) -> None:
        address = "127.0.0.1" if self.lane == "mosquitto" else None
        self.broker = start_broker(self.lane, self.folder / "broker", self.credentials, self.port, address)

    def start_dock(self) -> DockProcess:
        self.dock = start_dock(self.folder / "dock", self.credentials, self.port)
        return self.dock

    def kill_broker(self) -> None:
        assert self.broker is not None
        self.broker.process.kill()
        self.broker.process.wait(5)

    def close(self) -> None:
        if self.dock is not None and self.dock.process.poll() is None:
            self.dock.stop()
        if self.broker is not None:
            self.broker.stop()


@pytest.fixture
def station(agency: Path, tmp_path: Path, lane: Lane) -> Iterator[Station]:
    station = Station(agency, tmp_path, lane)
    station.start_broker()
    yield station
    station.close()


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")
