"""The cluster's tests: the rig of custody's, and an S3 server in a process of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lanes import lanes

sys.path.insert(0, str(Path(__file__).parent.parent / "custody"))
sys.path.insert(0, str(Path(__file__).parent))

S3_MISSING = lanes()["s3"]


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from custody_rig import make_agency

    folder = tmp_path_factory.mktemp("agency")
    make_agency(folder)
    return folder


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server."""
    if S3_MISSING:
        pytest.skip(f"lane s3: {S3_MISSING}")
    from cluster_rig import S3Server

    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server.endpoint
    server.kill()
