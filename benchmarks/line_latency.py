"""How long a line of the ledger stands alone: from its entry to a checkpoint over it, cosigned, back in the ledger.

A real recorder, with broker and dock on the same machine, is pressed, marked and stopped. The ledger itself says
when: by the monotonic clock of a line and of the first ``witnessed`` entry whose note covers it.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from agent.evidence.checkpoint import open_note
from agent.evidence.entries import Entry, Epoch, Heartbeat, ReceiptEntry, Released, Witnessed
from agent.recorder.control import ask
from benchmarks.report import Row, Table
from benchmarks.rig import Process, Unit, enrol, footage
from benchmarks.station import DOCK, station
from provisioning.cli import main as provision

SECONDS: Final = 60.0
MARK_SECONDS: Final = 0.7
_ABOUT_HANDING_OVER: Final = (Heartbeat, ReceiptEntry, Released, Witnessed)
"""Cosignatures over these alone are not entered, or that would never end."""
_NO_NEWS: Final = (*_ABOUT_HANDING_OVER, Epoch)


def latencies_ms(entries: Iterable[Entry]) -> list[float]:
    """For each line that is not about handing over itself, until the first cosigned checkpoint over it is entered."""
    waiting: list[tuple[int, int]] = []
    found: list[float] = []
    for entry in entries:
        if isinstance(entry.body, Witnessed):
            size = open_note(entry.body.note.encode()).checkpoint.size
            found += [(entry.time.mono_us - since) / 1e3 for seq, since in waiting if seq < size]
            waiting = [one for one in waiting if one[0] >= size]
        elif not isinstance(entry.body, _ABOUT_HANDING_OVER):
            waiting.append((entry.seq, entry.time.mono_us))
    return found


def _film(process: Process, seconds: float) -> None:
    """Recordings of about 15 s with marks, until the time is over."""
    control, end = process.unit.control, time.monotonic() + seconds
    while time.monotonic() < end:
        ask(control, "press")
        process.until(lambda: process.status()["media_seconds"] > 0)
        stop = min(end, time.monotonic() + 15.0)
        while time.monotonic() < stop:
            ask(control, "mark")
            time.sleep(MARK_SECONDS)
        ask(control, "stop")
        process.until(lambda: process.status()["phase"] == "ready")


def _settled(unit: Unit, lines: int) -> bool:
    """Whether a cosigned checkpoint over this many lines has come back."""
    notes = [one.body.note for one in unit.entries() if isinstance(one.body, Witnessed)]
    return bool(notes) and open_note(notes[-1].encode()).checkpoint.size >= lines


def run(out: Path, quick: bool) -> Table:
    """Films, marks, and reads the ledger."""
    with tempfile.TemporaryDirectory(dir=out) as place:
        base = Path(place).resolve()
        credentials = enrol(base)
        dock_keys = str(base / DOCK)
        for words in (["dock", "add", DOCK, "--out", dock_keys], ["refresh", str(credentials), dock_keys]):
            with contextlib.redirect_stdout(io.StringIO()):
                if provision([*words, "--agency", str(base / "agency")]) != 0:
                    raise SystemExit(f"provision {words[0]} failed")
        with station(base / "station", base / DOCK) as dock:
            unit = Unit(base, credentials, footage(base / "clip.mp4", 2.0 if quick else 10.0)).fresh("filming")
            with unit.config.open("a") as file:
                file.write(f'[custody]\nhost = "localhost"\nport = {dock.port}\ncredentials = "{credentials}"\n')
            with Process(unit) as process:
                process.await_ready()
                process.await_answer()
                _film(process, 3.0 if quick else SECONDS)
                lines = max(one.seq for one in unit.entries() if not isinstance(one.body, _NO_NEWS)) + 1
                process.until(lambda: _settled(unit, lines))
                found = latencies_ms(unit.entries())
    rows = [
        Row("a line to its cosigned checkpoint back in the ledger, median", median(found), "ms"),
        Row("the same, 99 of 100", quantiles(found, n=100, method="inclusive")[98], "ms"),
        Row("the same, worst", max(found), "ms"),
        Row("lines", len(found), ""),
    ]
    conditions = {"network": "this machine's own", "camera": "simulated", "marks": f"every {MARK_SECONDS} s"}
    return Table("line_latency", "how long a line stands alone", rows, conditions, {"ms": found})
