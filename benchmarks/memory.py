"""Peak memory of the recorder process while it records 1080p30, and how much of it is the encoder's."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.evidence.entries import Close
from agent.hardware.parts import AudioFormat, CameraFormat, VideoFrame
from agent.recorder.control import ask
from agent.recorder.encoder import Encoder
from agent.recorder.settings import EncoderSettings
from benchmarks.report import Row, Table
from benchmarks.rig import (
    FRAMES_PER_SECOND,
    LIMIT_SECONDS,
    Process,
    Unit,
    enrol,
    footage,
    sample_blocks,
    sample_pictures,
)

SIZE: Final = (1920, 1080)
MIB: Final = 1024.0
"""Of the kernel's kB in a MiB."""
POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Recorded:
    """Kilobytes as the kernel counts them, and what the recording's close says."""

    idle_rss: int
    peak_rss: int
    peak_pss: int
    frames: int
    dropped: int


def _field(path: Path, name: str) -> int:
    for line in path.read_text("ascii", "replace").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise SystemExit(f"{path} has no {name}")


def _rss(pid: int | str, name: str = "VmRSS") -> int:
    return _field(Path(f"/proc/{pid}/status"), name)


def _record(unit: Unit, seconds: float) -> Recorded:
    with Process(unit) as process:
        process.await_ready()
        idle = _rss(process.pid)
        ask(unit.control, "press")
        peak_pss = _watch(process, seconds)
        ask(unit.control, "stop")
        process.until(lambda: process.status()["phase"] == "ready")
        peak = _rss(process.pid, "VmHWM")
        close = next(entry.body for entry in unit.entries() if isinstance(entry.body, Close))
    return Recorded(idle, peak, peak_pss, close.frames, close.dropped)


def _watch(process: Process, seconds: float) -> int:
    """Follows the recording; returns the highest PSS seen. PSS has no high-water mark, so it is sampled."""
    peak, deadline = 0, time.monotonic() + seconds + LIMIT_SECONDS
    while process.status()["media_seconds"] < seconds:
        if time.monotonic() > deadline:
            raise SystemExit(f"the recording did not get there; its log:\n{process.log()}")
        peak = max(peak, _field(Path(f"/proc/{process.pid}/smaps_rollup"), "Pss"))
        time.sleep(POLL_SECONDS)
    return peak


def encoder_alone(seconds: int) -> dict[str, int]:
    """In this process: RSS with everything imported and the pictures made, and the peak after encoding (kB)."""
    pictures = sample_pictures(4, *SIZE)
    blocks = sample_blocks(seconds, 0)
    before = _rss("self", "VmRSS")
    encoder = Encoder(CameraFormat(*SIZE, FRAMES_PER_SECOND), AudioFormat(48000, 1), EncoderSettings())
    peak = before
    for number in range(seconds * FRAMES_PER_SECOND):
        encoder.add_frame(VideoFrame(pictures[number % 4], number * 1_000_000_000 // FRAMES_PER_SECOND))
        if number % FRAMES_PER_SECOND == 0:
            for block in blocks[number * 50 // FRAMES_PER_SECOND :][:50]:
                encoder.add_block(block)
            peak = max(peak, _rss("self", "VmRSS"))
    encoder.finish()
    return {"before": before, "peak": peak}


def _child(code: str) -> dict[str, int]:
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
    values: dict[str, int] = json.loads(found.stdout)
    return values


def run(out: Path, quick: bool) -> Table:
    """The recorder, then the encoder alone and an empty interpreter, each in a process of its own."""
    seconds = 1.0 if quick else 20.0
    with tempfile.TemporaryDirectory(dir=out) as place:
        base = Path(place).resolve()
        unit = Unit(base, enrol(base), footage(base / "clip.mp4", 2.0 if quick else 10.0), *SIZE).fresh("device")
        recorded = _record(unit, seconds)
    call = f"import json; from benchmarks.memory import encoder_alone; print(json.dumps(encoder_alone({int(seconds)})))"
    alone = _child(call)
    empty = _child("import json, benchmarks.memory as m; print(json.dumps({'rss': m._rss('self')}))")["rss"]
    rows = [
        Row("recorder process, peak RSS", recorded.peak_rss / MIB, "MiB"),
        Row("recorder process, peak PSS (sampled)", recorded.peak_pss / MIB, "MiB"),
        Row("recorder process, RSS when ready, nothing recorded", recorded.idle_rss / MIB, "MiB"),
        Row("encoder alone, peak RSS above its baseline", (alone["peak"] - alone["before"]) / MIB, "MiB"),
        Row("recorder without the encoder's share", (recorded.peak_rss - alone["peak"] + alone["before"]) / MIB, "MiB"),
        Row("interpreter with the imports alone, RSS", empty / MIB, "MiB"),
    ]
    conditions = {
        "picture": f"{SIZE[0]}x{SIZE[1]} at {FRAMES_PER_SECOND}/s for {seconds:g} s",
        "frames stored": f"{recorded.frames}, dropped {recorded.dropped}",
        "camera": "simulated: its decoding and scaling are in the numbers, as is the clip's sound held in memory",
    }
    return Table("memory", "peak memory while recording 1080p30", rows, conditions, {"kB": recorded, "alone": alone})
