"""Hours of work in minutes of attention: one recorder process records again and again, and nothing of it may grow.

Each cycle is a recording with marks and photos over several segments; between two of them, when the unit is ready, its
memory, open files and threads are counted. At the end the ledger is verified. A run that was interrupted goes on where
it stopped: the samples so far, and the evidence, are in ``build/bench/soak``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from agent.recorder.control import ask
from benchmarks.report import Row, Table
from benchmarks.rig import LIMIT_SECONDS, Process, Unit, enrol, footage

RECORDED_SECONDS: Final = 12.0
"""Of one cycle: two whole segments and a short one."""
MIB: Final = 1024.0
SETTLED: Final = 3
"""Cycles of a process before its memory counts: libraries and pools fill during the first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Of the ready unit after a cycle; ``run`` counts the processes."""

    run: int
    seconds: float
    """Since the run's start."""
    rss_kb: int
    files: int
    threads: int
    ledger_size: int


def _sample(process: Process, run: int, began: float) -> Sample:
    place = Path(f"/proc/{process.pid}")
    status = dict(line.split(":", 1) for line in (place / "status").read_text("ascii", "replace").splitlines())
    files = sum(1 for _ in (place / "fd").iterdir())
    size = int(process.status()["ledger_size"])
    memory, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
    return Sample(run, time.monotonic() - began, memory, files, threads, size)


def _cycle(process: Process, recorded_seconds: float) -> None:
    """One recording: marks and photos while it runs, then the stop. Raises RecorderError."""
    control = process.unit.control
    ask(control, "press")
    for share, deed in ((0.2, "mark"), (0.4, "photo"), (0.6, "mark"), (0.8, "photo"), (1.0, "stop")):
        due = share * recorded_seconds
        process.until(lambda due=due: process.status()["media_seconds"] >= due, LIMIT_SECONDS + due)  # type: ignore[misc]
        ask(control, deed)
    process.until(lambda: process.status()["phase"] == "ready")


def _work(unit: Unit, kept: Path, minutes: float, recorded_seconds: float) -> list[Sample]:
    """Runs until all runs together have lasted so long; every sample is on disk before the next cycle."""
    samples = [Sample(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    run = samples[-1].run + 1 if samples else 0
    done = sum(max(one.seconds for one in samples if one.run == number) for number in range(run))
    with Process(unit) as process, kept.open("a") as file:
        process.await_ready()
        began = time.monotonic()
        while not samples or done + time.monotonic() - began < minutes * 60:
            _cycle(process, recorded_seconds)
            samples.append(_sample(process, run, began))
            file.write(json.dumps(asdict(samples[-1])) + "\n")
            file.flush()
    return samples


def _verdict(unit: Unit, trust: Path) -> dict[str, str]:
    """Axis by axis, what verification says of all that was recorded."""
    words = ["verify", str(unit.folder / "evidence"), "--trust", str(trust), "--json", "--accept-simulated"]
    done = subprocess.run([sys.executable, "-m", "agent", *words], capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    return {name: axis if isinstance(axis, str) else axis["verdict"] for name, axis in report["axes"].items()}


def _thirds(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """First and last third of the longest run, without its first cycles; twice all of it when it is short."""
    longest = max((one.run for one in samples), key=lambda run: sum(one.run == run for one in samples))
    run = [one for one in samples if one.run == longest]
    settled = run[SETTLED:] or run
    third = len(settled) // 3
    return (settled[:third], settled[-third:]) if third else (settled, settled)


def _of(samples: list[Sample], name: str) -> float:
    return median(getattr(one, name) for one in samples)


def run(out: Path, quick: bool, minutes: float = 30.0) -> Table:
    """The cycles, and whether anything grew."""
    place = (out / "soak").resolve()
    if not (place / "device").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        Unit(place, enrol(place), footage(place / "clip.mp4", 2.0 if quick else 10.0)).fresh("device")
    unit = Unit(place / "device", place / "unit", place / "clip.mp4")
    samples = _work(unit, place / "samples.jsonl", 0.01 if quick else minutes, 2.0 if quick else RECORDED_SECONDS)
    verdict = _verdict(unit, place / "unit" / "trust.json")
    first, last = _thirds(samples)
    rows = [
        Row("RSS when ready, last third against first", _of(last, "rss_kb") / _of(first, "rss_kb"), "x", 1.05),
        Row("RSS when ready, median of the last third", _of(last, "rss_kb") / MIB, "MiB"),
        Row("open files when ready, last third less first", _of(last, "files") - _of(first, "files"), "files", 0),
        Row("threads when ready, last third less first", _of(last, "threads") - _of(first, "threads"), "threads", 0),
        Row("recordings", len(samples), ""),
        Row("ledger lines", samples[-1].ledger_size, ""),
    ]
    conditions = {
        "lasted": f"{samples[-1].seconds / 60:.1f} minutes in the last of {samples[-1].run + 1} processes",
        "cycle": f"{RECORDED_SECONDS:g} s of film, two marks, two photos; simulated parts in real time",
        "verification": ", ".join(f"{axis} {said}" for axis, said in verdict.items()),
    }
    shutil.rmtree(place)
    return Table("soak", "what grows while the recorder works", rows, conditions, {"samples": samples})
