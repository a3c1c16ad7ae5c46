"""One small agency for all the rooms' tests, made by the real provisioning; what a test changes it copies first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from samples import Enrolled, enrol

settings.register_profile("suite", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolled]:
    """Agency ``sample``, devices er-1 and er-2, docks dock-1 and dock-2."""
    yield enrol(tmp_path_factory.mktemp("enrolled"))
