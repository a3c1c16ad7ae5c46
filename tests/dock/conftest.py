"""The dock's tests use the rig of custody's."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "custody"))


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from custody_rig import make_agency

    folder = tmp_path_factory.mktemp("agency")
    make_agency(folder)
    return folder
