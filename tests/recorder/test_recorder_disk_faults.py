"""A disk that fails under a running recorder, by the kernel's own errors: nothing promised is lost, and it says so."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from recorder_process import Unit
from samples import Enrolled, eventually

from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge

pytestmark = pytest.mark.slow

CUT = {"GAP", "SITE_NOT_IDENTIFIED", "TORN_TAIL", "NOTICE_NOT_SERVED", "SIMULATED_HARDWARE", "RESTARTED"}
"""What a cut explains; nothing else may be found."""


@pytest.fixture
def unit(tmp_path: Path, enrolled: Enrolled, footage: Path) -> Unit:
    return Unit(tmp_path, enrolled, footage)


def faulty(call: str, error: str, after: int) -> tuple[str, ...]:
    """From its nth call on this system call fails in every thread."""
    inject = f"inject={call}:error={error}:when={after}+"
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


def the_recorder(unit: Unit) -> psutil.Process:
    assert unit.process is not None
    (child,) = psutil.Process(unit.process.pid).children()
    return child


def gone(recorder: psutil.Process) -> bool:
    return not recorder.is_running() or recorder.status() == psutil.STATUS_ZOMBIE


def error_text(name: str) -> str:
    return os.strerror(getattr(errno, name))


def judged(unit: Unit) -> set[str]:
    report = verify(unit.evidence.path, Question(unit.enrolled.trust, ConductJudge, accept_simulated=True))
    return {finding.code for finding in report.findings} - CUT


@pytest.mark.parametrize(
    ("call", "error", "after"),
    [
        ("fdatasync", "EIO", 45),
        ("fdatasync", "ENOSPC", 40),
        ("fsync", "EIO", 40),
        ("rename", "EROFS", 30),
    ],
)
def test_whatever_fails_the_next_start_finds_every_promised_line_and_the_ledger_verifies(
    unit: Unit, call: str, error: str, after: int
) -> None:
    """Writing fails from some call on, as when a card is pulled or dies; then the unit is started on a good disk."""
    if not shutil.which("strace"):
        pytest.skip("lane strace: strace not installed")
    unit.start(faulty(call, error, after))
    recorder = the_recorder(unit)
    unit.press()
    assert unit.process is not None
    try:
        eventually(lambda: gone(recorder) or "close" in unit.types(), 40, "an end of the process, or of the recording")
    finally:
        with suppress(ProcessLookupError):
            os.kill(recorder.pid, signal.SIGKILL)
        unit.process.wait(20)
    promised = unit.promised()
    assert "ER-3" in unit.log() or error_text(error) in unit.log(), "the log names the error"
    unit.start()
    try:
        eventually(lambda: unit.ask("status")["phase"] == "ready", 20, "ready again")
        assert len(unit.entries()) > promised
    finally:
        assert unit.end(signal.SIGTERM) == 0
    assert judged(unit) == set()
