"""A recorder is killed (SIGKILL) at random instants: what it promised is there, and of what it filmed nearly all.

Each round starts the unit on the evidence that the last kill left, lets it record, perhaps stop, and kills it at a
random instant: while it starts and recovers, in the notice, while it records, while it seals. What was promised before
a kill (an entry that was logged as entered) is looked for once a later round is ready. Every so many rounds the
evidence is verified as a whole and a fresh one begun. Seeded; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import pyrage

from agent.errors import RecorderError
from agent.evidence.entries import Close, Notice, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import FragmentReader
from agent.evidence.sealing import open_sealed
from agent.recorder.control import ask
from benchmarks.report import Row, Table
from benchmarks.rig import Process, Unit, enrol, footage

ROUNDS_OF_ONE: Final = 25
"""Kills that one evidence folder lives through before it is verified."""
STARTING: Final = 0.15
STOPPING: Final = 0.3
LONGEST_SECONDS: Final = 5.0
START_SECONDS: Final = 1.2
SOUND: Final = ("integrity", "provenance", "continuity", "confidentiality")
EXPECTED: Final = {"GAP", "SITE_NOT_IDENTIFIED", "PARTICULARS_MISSING", "TORN_TAIL", "NOTICE_NOT_SERVED"}
"""What verification says of a recording without assignment that was cut; anything else is a fault."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What was known at the moment of a kill."""

    number: int
    promised: int
    """Lines of the ledger that were entered durably, by the unit's own log."""
    recording: str | None
    """That was being filmed."""
    filmed_until_us: int
    """Monotonic: the kill, or the stop before it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was left of it."""

    number: int
    entries_lost: int
    media_lost_us: int | None
    """None where nothing was being filmed."""


class Rounds:
    """One evidence folder and the kills that it has still to answer for."""

    def __init__(self, unit: Unit, identity: pyrage.x25519.Identity) -> None:
        self.unit, self._identity = unit, identity
        self.pending: list[Kill] = []

    def run(self, number: int, seed: int) -> list[Outcome]:
        """One start and one kill; the outcomes of earlier kills, when it got as far as being ready."""
        dice = random.Random(f"{seed}/{number}")
        for name in ("notify.sock", "control.sock"):
            (self.unit.folder / name).unlink(missing_ok=True)
        process = Process(self.unit)
        outcomes: list[Outcome] = []
        try:
            if dice.random() < STARTING:
                time.sleep(dice.uniform(0, START_SECONDS))
                self._killed(number, process, None, 0)
                return outcomes
            process.await_ready()
            outcomes = [self._judge(kill) for kill in self.pending]
            self.pending = []
            self._film(number, process, dice)
        finally:
            process.end()
        return outcomes

    def _film(self, number: int, process: Process, dice: random.Random) -> None:
        killed_at: list[int] = []

        def kill() -> None:
            killed_at.append(time.monotonic_ns() // 1000)
            process.kill()

        timer = threading.Timer(dice.uniform(0, LONGEST_SECONDS), kill)
        timer.start()
        stop_after = dice.uniform(0, 3) if dice.random() < STOPPING else LONGEST_SECONDS
        recording, stopped_us = self._drive(process, stop_after)
        timer.join(LONGEST_SECONDS + 5)
        until = min(killed_at[0], stopped_us or killed_at[0])
        self._killed(number, process, recording, until)

    def _drive(self, process: Process, stop_after: float) -> tuple[str | None, int | None]:
        """Presses, and stops after so many seconds of film; until the unit answers no more."""
        recording, stopped_us = None, None
        with suppress(RecorderError):
            ask(self.unit.control, "press")
            while True:
                status = process.status()
                if status["phase"] == "recording":
                    recording = status["recording"]
                if recording and stopped_us is None and status["media_seconds"] >= stop_after:
                    ask(self.unit.control, "stop")
                    stopped_us = time.monotonic_ns() // 1000
                time.sleep(0.02)
        return recording, stopped_us

    def _killed(self, number: int, process: Process, recording: str | None, until_us: int) -> None:
        process.kill()
        self.pending.append(Kill(number, _promised(self.unit), recording, until_us))

    def settle(self) -> list[Outcome]:
        """A last start, undisturbed, and the outcomes of what is pending."""
        for name in ("notify.sock", "control.sock"):
            (self.unit.folder / name).unlink(missing_ok=True)
        with Process(self.unit) as process:
            process.await_ready()
        outcomes, self.pending = [self._judge(kill) for kill in self.pending], []
        return outcomes

    def _judge(self, kill: Kill) -> Outcome:
        bodies = [entry.body for entry in self.unit.entries()]
        lost = None
        if kill.recording and not any(isinstance(b, Close) and b.recording == kill.recording and b.reason != "power_cut"
                                      for b in bodies):  # fmt: skip
            lost = max(0, kill.filmed_until_us - self._film_end_us(bodies, kill.recording))
        return Outcome(kill.number, max(0, kill.promised - len(bodies)), lost)

    def _film_end_us(self, bodies: list[object], recording: str) -> int:
        """Monotonic time of the end of the last fragment that the archive's key opens."""
        notice = next(b for b in bodies if isinstance(b, Notice) and b.recording == recording)
        film = [b for b in bodies if isinstance(b, Segment) and b.recording == recording]
        begun = next((b.first_frame_us - b.start_us for b in film if b.first_frame_us is not None), notice.ended_us)
        return begun + max((end for end in self._ends(film)), default=0)

    def _ends(self, film: list[Segment]) -> Iterator[int]:
        folder, reader, torn = EvidenceFolder(self.unit.folder / "evidence"), FragmentReader(), False
        for segment in film:
            if not (torn and segment.recovered):
                reader = FragmentReader()
            torn = segment.recovered
            plain = open_sealed(folder.object_path(segment.object).read_bytes(), self._identity)
            yield from (one.start_us + one.duration_us for one in reader.feed(plain))


def _promised(unit: Unit) -> int:
    """The highest size that the log of the killed process says was entered."""
    size = 0
    for line in (unit.folder / "log").read_bytes().splitlines():
        with suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and said.get("event") == "entered":
                size = max(size, int(said["size"]))
    return size


def _faults(unit: Unit, trust: Path) -> list[str]:
    """What verification finds beyond what a cut explains."""
    words = ["verify", str(unit.folder / "evidence"), "--trust", str(trust), "--json", "--accept-simulated"]
    done = subprocess.run([sys.executable, "-m", "agent", *words], capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    return sorted({one["code"] for one in report["findings"]} - EXPECTED)


def run(out: Path, quick: bool, count: int = 100, seed: int = 1) -> Table:
    """So many kills, and what was lost by them."""
    count = 4 if quick else count
    place = (out / "kills").resolve()
    if not (place / "unit").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        enrol(place)
        footage(place / "clip.mp4", 2.0 if quick else 6.0)
    kept = place / f"outcomes-{seed}.jsonl"
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    number = max((one["last"] for one in done), default=-1) + 1
    while number < count:
        last = min(number + ROUNDS_OF_ONE, count)
        outcomes, faults = _folder(place, range(number, last), seed)
        done.append({"last": last - 1, "outcomes": [asdict(one) for one in outcomes], "faults": faults})
        with kept.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(f"{last} of {count} kills", file=sys.stderr, flush=True)
        number = last
    shutil.rmtree(place)
    return _table(done, count, seed)


def _folder(place: Path, numbers: range, seed: int) -> tuple[list[Outcome], list[str]]:
    shutil.rmtree(place / "device", ignore_errors=True)
    unit = Unit(place, place / "unit", place / "clip.mp4").fresh("device")
    secret = (place / "agency" / "archive.agekey").read_text().splitlines()
    identity = pyrage.x25519.Identity.from_str(next(line for line in secret if line.startswith("AGE-SECRET-KEY")))
    rounds = Rounds(unit, identity)
    outcomes = [outcome for number in numbers for outcome in rounds.run(number, seed)]
    outcomes += rounds.settle()
    return outcomes, _faults(unit, place / "unit" / "trust.json")


def _table(done: list[dict[str, object]], count: int, seed: int) -> Table:
    outcomes = [Outcome(**one) for folder in done for one in folder["outcomes"]]  # type: ignore[attr-defined]
    faults = [code for folder in done for code in folder["faults"]]  # type: ignore[attr-defined]
    faulty = sum(bool(folder["faults"]) for folder in done)
    lost = sorted(one.media_lost_us / 1e6 for one in outcomes if one.media_lost_us is not None)
    cuts = quantiles(lost, n=100) if len(lost) > 1 else [0.0] * 99
    rows = [
        Row("kills", len(outcomes), ""),
        Row("ledgers with a finding that no cut explains", faulty, f"of {len(done)}", 0),
        Row("entries lost", sum(one.entries_lost for one in outcomes), "", 0),
        Row("kills while filming", len(lost), ""),
        Row("media lost, median", median(lost) if lost else 0.0, "s"),
        Row("media lost, 90 of 100", cuts[89], "s"),
        Row("media lost, most", max(lost, default=0.0), "s", 1.0),
    ]
    unexplained = ", ".join(sorted(set(faults))) or "none"
    conditions = {"seed": seed, "findings that no cut explains": unexplained, "asked": count}
    return Table("kills", "what SIGKILL at random instants takes", rows, conditions, {"lost_seconds": lost})
