"""A unit with a long ledger: how long a start takes and how much memory, with what was kept beside it and without.

The ledger is of heartbeats. Without: index and standing are made anew from all lines, as after they were lost. Evidence
is continued in a process of its own each time, with simulated parts; loading the program is not counted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from agent.config import RecorderConfig, load
from agent.evidence.entries import Heartbeat
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import INDEX
from agent.hardware.assembly import open_parts
from agent.recorder.credentials import load_credentials
from agent.recorder.start import open_evidence
from benchmarks.report import Row, Table
from benchmarks.rig import Unit, enrol, footage
from benchmarks.verification import Evidence

LINES: Final = 1_000_000
ROUNDS: Final = 5
GOAL_SECONDS: Final = 1.0
GOAL_MEMORY_MIB: Final = 100.0


@dataclass(frozen=True, slots=True)
class Start:
    """One process: seconds to continue the evidence, peak memory before and after, in MiB."""

    seconds: float
    before_mib: float
    peak_mib: float
    lines: int


def _start(unit: Unit) -> Start:
    command = [sys.executable, "-c", "import sys; from benchmarks.long_ledger import child; child(sys.argv[1])"]
    here = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [*command, str(unit.config)],
        env={**os.environ, "PYTHONPATH": here}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Start(**json.loads(done.stdout.splitlines()[-1]))


def child(config: str) -> None:
    """In the process that is measured: continues the evidence and ends as if killed: nothing is kept at the end."""
    found = load(Path(config), RecorderConfig)
    credentials = load_credentials(found.recorder.credentials)
    parts = open_parts(found.hardware, found.recorder.evidence)
    before, began = _peak_mib(), time.perf_counter()
    opened = open_evidence(found.recorder.evidence, credentials, parts, found.recorder.credentials)
    seconds = time.perf_counter() - began
    start = {"seconds": seconds, "before_mib": before, "peak_mib": _peak_mib(), "lines": opened.journal.size}
    print(json.dumps(start), flush=True)
    os._exit(0)


def _peak_mib() -> float:
    # Not getrusage: that counts what the parent was before this process became its own program.
    words = Path("/proc/self/status").read_text("ascii").split()
    return int(words[words.index("VmHWM:") + 1]) / 1024


def run(out: Path, quick: bool) -> Table:
    """One start from all lines, then some from what was kept; the same with an empty ledger for comparison."""
    lines = 300 if quick else LINES
    place = Path(tempfile.mkdtemp(prefix="long-ledger-", dir=out)).resolve()
    try:
        unit = Unit(place, enrol(place), footage(place / "clip.mp4", 2.0))
        short, long = unit.fresh("short"), unit.fresh("long")
        ledger = Evidence(long.folder / "evidence", load_credentials(unit.credentials), unit.credentials)
        while ledger.size < lines:
            ledger.enter(Heartbeat("ready"))
        ledger.close()
        whole = _start(long)
        kept = [_start(long) for _ in range(ROUNDS)]
        empty = [_start(short) for _ in range(ROUNDS)]
        index_bytes = sum(path.stat().st_size for path in (long.folder / "evidence" / INDEX).iterdir())
        ledger_bytes = EvidenceFolder(long.folder / "evidence").ledger.stat().st_size
        rows = [
            Row("continuing a long ledger, median", median(one.seconds for one in kept), "s", GOAL_SECONDS),
            Row("the same, peak memory of the process", max(one.peak_mib for one in kept), "MiB", GOAL_MEMORY_MIB),
            Row("continuing a short ledger, median", median(one.seconds for one in empty[1:]), "s"),
            Row("the same, peak memory of the process", max(one.peak_mib for one in empty), "MiB"),
            Row("making index and standing anew from the long one", whole.seconds, "s"),
            Row("the same, peak memory of the process", whole.peak_mib, "MiB", GOAL_MEMORY_MIB),
            Row("index and standing, against the ledger's bytes", index_bytes / ledger_bytes, "x"),
        ]
        return Table("long_ledger", "a start with a long ledger", rows, {"lines": whole.lines}, {"kept": kept})
    finally:
        shutil.rmtree(place)
