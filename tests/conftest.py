"""For the whole suite: one small agency made by the real provisioning, and no lane skipped in silence.

In CI a lane that could have run but was skipped is a failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from lanes import CI_LANES_WITHOUT, lanes
from samples import Enrolled, enrol

settings.register_profile("suite", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

RUN_BY_RIG = "test_rigs.py"
"""Starts other lanes inside their rigs; what it runs there is skipped outside, and rightly so."""


SLOW = (
    "hardware/test_rigs",
    "custody/",
    "cluster/",
    "dock/",
    "provisioning/",
    "system/test_durable",
    "recorder/test_recorder_daemon",
    "recorder/test_recorder_disk_faults",
    "recorder/test_recorder_hazard",
    "recorder/test_recorder_kinds",
    "recorder/test_recorder_sounds",
    "recorder/test_recorder_tasked",
    "recorder/test_recorder_codes",
    "recorder/test_recorder_packets",
    "hardware/test_packet_camera_contract",
    "hardware/test_rtsp",
    "hardware/test_gpsd",
    "witness/test_witness_process",
)
"""Real processes, brokers, disks and rigs: everything that `make check` leaves to `make test`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow by where it stands."""
    for item in items:
        if any(f"tests/{place}" in item.nodeid for place in SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a CI run in which a lane that is present was skipped all the same."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    missed = _missed(reporter.stats.get("skipped", []), {report.nodeid for report in reporter.stats.get("passed", [])})
    if missed:
        reporter.write_line(f"lanes skipped in CI that should have run: {', '.join(sorted(missed))}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _missed(skipped: list[pytest.TestReport], passed: set[str]) -> set[str]:
    by_rig = {node.split("::")[1] for node in passed if Path(node.split("::")[0]).name == RUN_BY_RIG}
    found = set()
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        lane = re.search(r"lane ([a-z0-9-]+):", reason)
        name = lane[1] if lane else f"(no lane named: {report.nodeid})"
        inside = any(name.replace("-", "_") in test for test in by_rig)
        if name not in CI_LANES_WITHOUT and not inside and (name not in lanes() or lanes()[name] is None):
            found.add(name)
    return found


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolled]:
    """Agency ``sample``, devices er-1 and er-2, docks dock-1 and dock-2."""
    yield enrol(tmp_path_factory.mktemp("enrolled"))


@pytest.fixture(autouse=True)
def no_log_outlives_its_test() -> Iterator[None]:
    """A command run by a test sets up logging on a captured stream, which is closed when the next test logs."""
    yield
    structlog.reset_defaults()
