"""Twenty-five devices put into one dock at the same moment, each with as much to hand over: who waits how long.

A device's rate is its bytes over the seconds until its last receipt was entered. Fair means that the slowest has nearly
the mean. The archive is then verified, and every object looked for.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from agent.evidence.documents import TrustBundle
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge
from benchmarks.report import Row, Table
from benchmarks.station import DOCK, Station, Units, found_agency, peak_mib, station
from benchmarks.units import fill

DEVICES: Final = 25
PROCESSES: Final = 5
"""The devices share these: the machine has few cores, and a process of its own for each would be measured instead."""
OBJECTS, OBJECT_BYTES = 8, 3_400_000
_LOSSES: Final = ("OBJECT_MISSING", "OBJECT_ALTERED", "RECORDING_REMOVED", "OBJECT_UNLISTED", "LEDGER_CUT")
"""Codes that would say that something was lost."""


def _hand_over(dock: Station, pairs: list[tuple[Path, Path]], processes: int) -> list[float]:
    units = [Units(dock.port, pairs[number::processes]) for number in range(processes)]
    for one in units:
        one.go()
    found = [seconds for one in units for seconds in one.seconds()]
    for one in units:
        one.end()
    return found


def lost(archive: Path, trust: TrustBundle, pairs: list[tuple[Path, Path]]) -> int:
    """Objects that are not in the archive, and findings that would say the same."""
    report = verify(archive, Question(trust, ConductJudge, accept_simulated=True))
    missing = sum(
        not (archive / credentials.name / "objects" / path.name).exists()
        for credentials, evidence in pairs
        for path in (evidence / "objects").glob("*.age")
    )
    return missing + sum(report.counts[code] for code in _LOSSES)


def run(out: Path, quick: bool) -> Table:
    """All of them at once."""
    devices, count, size = (4, 2, 100_000) if quick else (DEVICES, OBJECTS, OBJECT_BYTES)
    with tempfile.TemporaryDirectory(dir=out) as place:
        base = Path(place).resolve()
        pairs = [(one, base / "evidence" / one.name) for one in found_agency(base, devices)]
        total = sum(fill(*pair, count, size, seed) for seed, pair in enumerate(pairs))
        os.sync()
        with station(base / "station", base / DOCK) as dock:
            seconds = _hand_over(dock, pairs, min(PROCESSES, devices))
            peaks = peak_mib(dock.broker.pid), peak_mib(dock.dock.pid)
        trust = TrustBundle.from_json((base / DOCK / "trust.json").read_bytes())
        gone = lost(dock.archive, trust, pairs)
    rates = [total / devices / one / 1e6 for one in seconds]
    conditions = {"devices": f"{devices}, each with {total / devices / 1e6:.0f} MB", "processes of devices": PROCESSES}
    rows = _rows(rates, total, seconds, peaks, gone)
    return Table("fairness", "many devices in one dock at once", rows, conditions, {"MB/s": rates})


def _rows(rates: list[float], total: int, seconds: list[float], peaks: tuple[float, float], gone: int) -> list[Row]:
    mean = sum(rates) / len(rates)
    return [
        Row("slowest device's rate against the mean", min(rates) / mean, "x", least=0.8),
        Row("fastest device's rate against the mean", max(rates) / mean, "x"),
        Row("all together", total / max(seconds) / 1e6, "MB/s"),
        Row("objects lost", gone, "objects", 0),
        Row("peak memory of the broker", peaks[0], "MiB"),
        Row("peak memory of the dock", peaks[1], "MiB"),
    ]
