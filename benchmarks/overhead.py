"""What the format adds to an hour of 1080p30 video: bytes, by what they are for, and processor time.

A minute of real footage is encoded at the product's settings; its fragments are then written sixty times over, as fast
as the disk takes them: once to plain files, once through the recorder's own sink and journal. Nothing is extrapolated.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Final

from agent.evidence.entries import Heartbeat
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import Fragment
from agent.evidence.sealing import HEADER_LIMIT, header_bytes
from agent.recorder.credentials import load_credentials
from agent.recorder.daemon import HEARTBEAT_SECONDS
from benchmarks.report import Row, Table
from benchmarks.rig import FRAMES_PER_SECOND, enrol, sample_blocks, sample_pictures
from benchmarks.sealing_cost import SIZE, Cost, Evidence, Plain, film, measure

HOUR_SECONDS: Final = 3600
_KB: Final = 1e3
_TAG_BYTES: Final = 16
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Added:
    """Bytes that stand on the disk besides the media, and how many segments and lines there are."""

    init: int
    """Initialisation boxes of every segment but the first: a film in one file has them once."""
    headers: int
    tags: int
    ledger: int
    checkpoint: int
    segments: int
    lines: int

    @property
    def all(self) -> int:
        """In all."""
        return self.init + self.headers + self.tags + self.ledger + self.checkpoint


@dataclass(frozen=True, slots=True)
class Film:
    """What was encoded: the initialisation boxes, and fragments of about a second."""

    init: bytes
    fragments: list[Fragment]

    def last(self, seconds: int) -> Iterator[Fragment]:
        """The fragments over and over, as one film of this length."""
        at_us = 0
        for one in cycle(self.fragments):
            if at_us >= seconds * _SECOND_US:
                return
            yield replace(one, start_us=at_us)
            at_us += one.duration_us


def _encode(seconds: int) -> Film:
    found: list[Fragment] = []
    inits: list[bytes] = []

    def take(init: bytes, fragment: Fragment) -> None:
        inits[:] = [init]
        found.append(fragment)

    pictures = sample_pictures(min(150, seconds * FRAMES_PER_SECOND), *SIZE)
    film(pictures, sample_blocks(seconds, 0), seconds * FRAMES_PER_SECOND, take)
    return Film(inits[0], found)


def _added(folder: EvidenceFolder, shot: Film, media_bytes: int) -> Added:
    headers, size, segments = 0, 0, 0
    for path in folder.objects.iterdir():
        with path.open("rb") as file:
            headers += header_bytes(file.read(HEADER_LIMIT))
        size, segments = size + path.stat().st_size, segments + 1
    ledger, init = folder.ledger.read_bytes(), segments * len(shot.init)
    return Added(
        init=init - len(shot.init),
        headers=headers,
        tags=size - headers - init - media_bytes,
        ledger=len(ledger),
        checkpoint=folder.checkpoint.stat().st_size,
        segments=segments,
        lines=ledger.count(b"\n"),
    )


class Bench:
    """Writes the same hour in two ways; every run gets a folder of its own, removed after it."""

    def __init__(self, place: Path, shot: Film, seconds: int) -> None:
        self._place, self._shot, self._seconds = place, shot, seconds
        self._keys = enrol(place)
        self.credentials = load_credentials(self._keys)

    def plain(self) -> Cost:
        """Plain segment files, never synced."""
        folder = Path(tempfile.mkdtemp(dir=self._place))
        sink = Plain(folder, self.credentials.documents.policy.segment_us)

        def work() -> int:
            done = 0
            for fragment in self._shot.last(self._seconds):
                sink.add(self._shot.init, fragment)
                done += len(fragment.data)
            sink.finish()
            return done

        cost = measure(work)
        shutil.rmtree(folder)
        return cost

    def evidence(self) -> tuple[Cost, Added]:
        """As the recorder does it: sealed, hashed, synced every second, entered, with a heartbeat now and then."""
        folder = Path(tempfile.mkdtemp(dir=self._place))
        sink = Evidence(folder, self.credentials, self._keys)

        def work() -> int:
            done, beat_us = 0, int(HEARTBEAT_SECONDS * _SECOND_US)
            for fragment in self._shot.last(self._seconds):
                sink.add(self._shot.init, fragment)
                done += len(fragment.data)
                if fragment.start_us >= beat_us:
                    sink.enter(Heartbeat("recording"))
                    beat_us += int(HEARTBEAT_SECONDS * _SECOND_US)
            sink.finish()
            return done

        cost = measure(work)
        added = _added(sink.folder, self._shot, cost.media_bytes)
        shutil.rmtree(folder)
        return cost, added


def run(out: Path, quick: bool) -> Table:
    """Both ways in turns."""
    encoded, seconds, rounds = (2, 20, 1) if quick else (60, HOUR_SECONDS, 3)
    with tempfile.TemporaryDirectory(dir=out) as place:
        bench = Bench(Path(place), _encode(encoded), seconds)
        pairs = [(bench.plain(), *bench.evidence()) for _ in range(rounds)]
        policy = bench.credentials.documents.policy
    conditions = {
        "picture": f"{SIZE[0]}x{SIZE[1]} at {FRAMES_PER_SECOND}/s with sound, {encoded} s at the default settings",
        "length": f"{seconds} s of media, those fragments over and over, as fast as possible, {rounds} rounds in turns",
        "segments": f"{policy.segment_us / _SECOND_US:g} s, sealed for {len(policy.recipients)} recipients",
        "not in it": "the encoder; positions, photos, particulars; the notice and what stands around a recording",
    }
    return Table("overhead", "what the format adds to an hour of 1080p30", _rows(pairs, seconds), conditions)


def _rows(pairs: list[tuple[Cost, Cost, Added]], seconds: int) -> list[Row]:
    hours, added, media = seconds / HOUR_SECONDS, pairs[0][2], pairs[0][1].media_bytes
    plain = median(one.processor_seconds for one, _, _ in pairs) / hours
    evidence = median(two.processor_seconds for _, two, _ in pairs) / hours
    parts = {
        "initialisation boxes, again in every segment": added.init,
        "age headers": added.headers,
        "age tags, 16 bytes every 64 KiB": added.tags,
        "ledger lines": added.ledger,
        "the checkpoint": added.checkpoint,
    }
    return [
        Row("media an hour", media / 1e6 / hours, "MB"),
        Row("added to it", added.all / _KB / hours, "kB"),
        Row("the same, of the media", 100 * added.all / media, "%"),
        *(Row(f"of that: {what}", size / _KB / hours, "kB") for what, size in parts.items()),
        Row("segments an hour", added.segments / hours, ""),
        Row("ledger lines an hour", added.lines / hours, ""),
        Row("plain writing, processor time an hour", plain, "s"),
        Row("sealing, hashing, ledger and syncing, processor time an hour", evidence, "s"),
        Row("difference, of one core", 100 * (evidence - plain) / HOUR_SECONDS, "%"),
        Row("wall time of an hour's writing", median(two.wall_seconds for _, two, _ in pairs) / hours, "s"),
    ]
