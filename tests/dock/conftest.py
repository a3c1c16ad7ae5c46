"""The dock's tests use the rig of custody's."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from custody_rig import Station

sys.path.insert(0, str(Path(__file__).parent.parent / "custody"))


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from custody_rig import make_agency

    folder = tmp_path_factory.mktemp("agency")
    make_agency(folder)
    return folder


@pytest.fixture
def station(agency: Path, tmp_path: Path) -> "Iterator[Station]":
    """A broker, whichever there is; both kinds are custody's tests' business."""
    from custody_rig import Station

    from agent.dock.broker import find_mosquitto, find_nats

    if find_mosquitto() is None and find_nats() is None:
        pytest.skip("lanes mosquitto, nats: no broker is installed")
    found = Station(agency, tmp_path, "mosquitto" if find_mosquitto() else "nats")
    found.start_broker()
    yield found
    found.close()
