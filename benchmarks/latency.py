"""Medians over real recorder processes: press to first sound, notice end to first stored frame, start to ready.

Each round is a fresh process on fresh evidence, so the press is always the first after a start: the slowest one.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from agent.evidence.entries import Notice, Segment
from benchmarks.report import Row, Table
from benchmarks.rig import FRAMES_PER_SECOND, NOTICE_SECONDS, Process, Unit, enrol, footage, record

ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Round:
    """Of one process; milliseconds."""

    ready_ms: float
    answers_ms: float
    sound_ms: float
    frame_ms: float


def _round(unit: Unit) -> Round:
    with Process(unit) as process:
        ready_ns = process.await_ready()
        answers_ns = process.await_answer()
        pressed_ns = record(process, 0.3)
        bodies = [entry.body for entry in unit.entries()]
    notice = next(body for body in bodies if isinstance(body, Notice))
    first = next(body for body in bodies if isinstance(body, Segment))
    assert first.first_frame_us is not None  # only a recovered segment has none
    return Round(
        ready_ms=(ready_ns - process.started_ns) / 1e6,
        answers_ms=(answers_ns - process.started_ns) / 1e6,
        sound_ms=notice.started_us / 1e3 - pressed_ns / 1e6,
        frame_ms=(first.first_frame_us - notice.ended_us) / 1e3,
    )


def run(out: Path, quick: bool) -> Table:
    """The rounds, and their medians and worst."""
    count = 1 if quick else ROUNDS
    with tempfile.TemporaryDirectory(dir=out) as place:
        base = Path(place).resolve()
        unit = Unit(base, enrol(base), footage(base / "clip.mp4", 2.0 if quick else 10.0))
        rounds = [_round(unit.fresh(f"round-{number}")) for number in range(count)]
    sound, frame = [one.sound_ms for one in rounds], [one.frame_ms for one in rounds]
    rows = [
        Row("press to first sound of the notice, median", median(sound), "ms"),
        Row("press to first sound of the notice, worst", max(sound), "ms"),
        Row("notice end to first stored frame, median", median(frame), "ms"),
        Row("the same in frame intervals, median", median(frame) * FRAMES_PER_SECOND / 1e3, "frames"),
        Row("the same in frame intervals, worst", max(frame) * FRAMES_PER_SECOND / 1e3, "frames"),
        Row("process start to READY=1, median", median(one.ready_ms for one in rounds), "ms"),
        Row("process start to READY=1, worst", max(one.ready_ms for one in rounds), "ms"),
        Row("process start to control socket answering, median", median(one.answers_ms for one in rounds), "ms"),
    ]
    conditions = {
        "rounds": f"{count}, each a fresh process on fresh evidence",
        "camera": f"simulated, 768x576 at {FRAMES_PER_SECOND}/s",
        "notice": f"{NOTICE_SECONDS} s, simulated speaker: a sound card adds its own output latency",
        "press": "the control socket drives the button's mock pin",
    }
    return Table("latency", "what the officer waits for", rows, conditions, {"rounds": rounds})
