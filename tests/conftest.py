"""For the whole suite: skipped lanes are printed, and in CI a lane that could have run but was skipped is a failure."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from lanes import CI_LANES_WITHOUT, lanes

RUN_BY_RIG = "test_rigs.py"
"""Starts other lanes inside their rigs; what it runs there is skipped outside, and rightly so."""


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
