"""What sealing, hashing, ledger and fsync cost: the recorder's pipeline against the bare one, same frames, in turns.

Bare: the recorder's own encoder and muxer, segments written to plain files. Evidence: the same, plus age sealing,
SHA-256, fdatasync after every fragment, and a signed, synced ledger line per segment. Both on one thread, as fast as
they can; processor time counts all threads (the encoder's too) and the kernel's share.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Final

import av

from agent.evidence.encoding import b64url
from agent.evidence.entries import Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import Fragment
from agent.evidence.sealing import SealedWriter
from agent.hardware.linux.clock import LinuxClock
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, VideoFrame
from agent.recorder.credentials import Credentials, load_credentials, load_identity_key
from agent.recorder.encoder import Encoder
from agent.recorder.journal import Journal, Past
from agent.recorder.pieces import place_segment
from agent.recorder.segments import SegmentSink
from agent.recorder.settings import EncoderSettings
from agent.recorder.start import entry_time
from agent.system.durable import make_private_folder
from benchmarks.report import Row, Table
from benchmarks.rig import FRAMES_PER_SECOND, enrol, sample_blocks, sample_pictures

SIZE: Final = (1920, 1080)
SOUND: Final = AudioFormat(48000, 1)
GOAL: Final = 1.15
GIGABYTE: Final = 1e9
Take = Callable[[bytes, Fragment], None]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: processor and wall seconds, and the media bytes that came out of the muxer."""

    processor_seconds: float
    wall_seconds: float
    media_bytes: int


class Plain:
    """Segments as plain files, never synced: what a recorder without evidence would do at the least."""

    def __init__(self, folder: Path, segment_us: int) -> None:
        self._folder, self._segment_us = folder, segment_us
        self._count = self._start_us = 0
        self._file = (folder / "0.mp4").open("wb")
        self._begun = False

    def add(self, init: bytes, fragment: Fragment) -> None:
        """As ``SegmentSink.add``."""
        if self._begun and fragment.start_us - self._start_us >= self._segment_us:
            self._file.close()
            self._count += 1
            self._file = (self._folder / f"{self._count}.mp4").open("wb")
            self._begun = False
        if not self._begun:
            self._file.write(init)
            self._begun, self._start_us = True, fragment.start_us
        self._file.write(fragment.data)

    def finish(self) -> None:
        """Closes the last file."""
        self._file.close()


class Evidence:
    """The recorder's own sink and journal on an evidence folder."""

    def __init__(self, folder: Path, credentials: Credentials, key_folder: Path) -> None:
        self.folder = EvidenceFolder(folder / "evidence")
        make_private_folder(self.folder.path)
        make_private_folder(self.folder.objects)
        policy, device = credentials.documents.policy, credentials.identity.device
        agency, clock = credentials.trust.agency, LinuxClock()
        self._journal = Journal(self.folder, Past(), device, agency, policy.epoch_lines, lambda: entry_time(clock))
        self._journal.boot(
            load_identity_key(key_folder),
            counter=0,
            certificate=b64url(credentials.certificate_der),
            software="benchmark",
            hardware={"camera": "simulated"},
            tail_cut_bytes=0,
        )
        recipients = credentials.documents.recipients
        self._sink = SegmentSink(self.folder, "0" * 16, recipients, policy.segment_us, self._sealed)
        self.add, self.enter = self._sink.add, self._journal.enter

    def _sealed(self, segment: Segment) -> None:
        self._journal.enter(segment)
        place_segment(self.folder, segment)

    def finish(self) -> None:
        """Seals the last segment and ends the recording as the recorder does: next key, checkpoint."""
        self._sink.finish()
        self._journal.rotate("recording_end")
        self._journal.close()


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(work: Callable[[], int]) -> Cost:
    """Runs ``work``, which returns its media bytes."""
    wall, processor = time.perf_counter(), _processor_seconds()
    done = work()
    return Cost(_processor_seconds() - processor, time.perf_counter() - wall, done)


def _to_and_fro(pictures: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """For ever, forwards and backwards, so that the motion has no jump."""
    return cycle([*pictures, *pictures[-2:0:-1]])


def film(pictures: list[av.VideoFrame], blocks: list[AudioBlock], frames: int, take: Take) -> int:
    """Encodes ``frames`` pictures with their sound, hands on every fragment; returns the media bytes."""
    encoder = Encoder(CameraFormat(*SIZE, FRAMES_PER_SECOND), SOUND, EncoderSettings())
    sound, media_bytes = iter(blocks), 0
    heard = next(sound, None)
    for number, picture in zip(range(frames), _to_and_fro(pictures), strict=False):
        captured_ns = number * 1_000_000_000 // FRAMES_PER_SECOND
        fragments = encoder.add_frame(VideoFrame(picture, captured_ns))
        while heard is not None and heard.captured_ns <= captured_ns:
            fragments += encoder.add_block(heard)
            heard = next(sound, None)
        media_bytes += _hand_on(encoder, fragments, take)
    return media_bytes + _hand_on(encoder, encoder.finish(), take)


def _hand_on(encoder: Encoder, fragments: list[Fragment], take: Take) -> int:
    for fragment in fragments:
        take(encoder.init, fragment)
    return sum(len(fragment.data) for fragment in fragments)


def _alone(fragments: list[Fragment], total: int, take: Take) -> int:
    """Feeds ready-made fragments, one a second of media time, until ``total`` bytes have gone."""
    done, second = 0, 0
    for fragment in cycle(fragments):
        if done >= total:
            return done
        take(b"", replace(fragment, start_us=second * 1_000_000, duration_us=1_000_000))
        done, second = done + len(fragment.data), second + 1
    return done


class Bench:
    """Holds frames and credentials; every run gets a folder of its own, removed after it."""

    def __init__(self, place: Path, quick: bool) -> None:
        self._place = place
        self._frames = 30 if quick else 900
        self._alone_bytes = 4_000_000 if quick else 512_000_000
        self._pictures = sample_pictures(15 if quick else 150, *SIZE)
        self._blocks = sample_blocks(self._frames / FRAMES_PER_SECOND, 0)
        self._keys = enrol(place)
        self._credentials = load_credentials(self._keys)
        self._fragments: list[Fragment] = []

    def bare(self) -> Cost:
        """One run without evidence. The fragments of the first are kept for ``sealing``."""
        folder = self._fresh()
        sink = Plain(folder, self._credentials.documents.policy.segment_us)

        def work() -> int:
            done = film(self._pictures, self._blocks, self._frames, sink.add)
            sink.finish()
            return done

        return self._run(folder, work)

    def evidence(self) -> Cost:
        """One run as the recorder does it."""
        folder = self._fresh()
        sink = Evidence(folder, self._credentials, self._keys)

        def work() -> int:
            done = film(self._pictures, self._blocks, self._frames, sink.add)
            sink.finish()
            return done

        return self._run(folder, work)

    def sealing(self) -> Cost:
        """The evidence part alone, on disk: seal, hash, sync, ledger."""
        folder = self._fresh()
        sink = Evidence(folder, self._credentials, self._keys)
        fragments = self._ready_made()

        def work() -> int:
            done = _alone(fragments, self._alone_bytes, sink.add)
            sink.finish()
            return done

        return self._run(folder, work)

    def in_memory(self) -> Cost:
        """Sealing and hashing without any file."""
        folder, fragments = self._fresh(), self._ready_made()
        writer = SealedWriter(self._credentials.documents.recipients, lambda _: None)

        def work() -> int:
            done = _alone(fragments, self._alone_bytes, lambda _, fragment: writer.write(fragment.data))
            writer.close()
            return done

        return self._run(folder, work)

    def plain_writing(self) -> Cost:
        """The same bytes to plain files, for comparison."""
        folder, fragments = self._fresh(), self._ready_made()
        sink = Plain(folder, self._credentials.documents.policy.segment_us)

        def work() -> int:
            done = _alone(fragments, self._alone_bytes, sink.add)
            sink.finish()
            return done

        return self._run(folder, work)

    def _ready_made(self) -> list[Fragment]:
        if not self._fragments:
            film(self._pictures, self._blocks, min(150, self._frames), lambda _, one: self._fragments.append(one))
        return self._fragments

    def _fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._place))

    def _run(self, folder: Path, work: Callable[[], int]) -> Cost:
        os.sync()  # what an earlier run left unwritten is not this one's to wait for
        try:
            return measure(work)
        finally:
            shutil.rmtree(folder)


def run(out: Path, quick: bool) -> Table:
    """Bare and evidence in turns, then the parts alone."""
    rounds = 1 if quick else 4
    with tempfile.TemporaryDirectory(dir=out) as place:
        bench = Bench(Path(place), quick)
        bench.bare()  # warms caches and clocks; not counted
        pairs = [(bench.bare(), bench.evidence()) for _ in range(rounds)]
        alone, in_memory, plain = bench.sealing(), bench.in_memory(), bench.plain_writing()
    conditions = {
        "picture": f"{SIZE[0]}x{SIZE[1]} at {FRAMES_PER_SECOND}/s, moving, fed as fast as possible",
        "rounds": f"{rounds} of each, in turns",
        "media per run": f"{pairs[0][0].media_bytes / 1e6:.1f} MB, {bench._frames / FRAMES_PER_SECOND:g} s",
        "media in 'alone'": f"{alone.media_bytes / 1e6:.0f} MB",
    }
    title = "sealing, hashing, ledger, fsync against the bare pipeline"
    raw = {"pairs": pairs, "alone": alone, "in_memory": in_memory, "plain_writing": plain}
    return Table("sealing_cost", title, _rows(pairs, alone, in_memory, plain), conditions, raw)


def _rows(pairs: list[tuple[Cost, Cost]], alone: Cost, in_memory: Cost, plain: Cost) -> list[Row]:
    bare = median(_per_gigabyte(one) for one, _ in pairs)
    evidence = median(_per_gigabyte(two) for _, two in pairs)
    wall = sum(two.wall_seconds for _, two in pairs) / sum(one.wall_seconds for one, _ in pairs)
    return [
        Row("bare pipeline, processor time", bare, "s/GB"),
        Row("with evidence, processor time", evidence, "s/GB"),
        Row("ratio of processor time", evidence / bare, "x", GOAL),
        Row("ratio of wall time", wall, "x"),
        Row("evidence part alone, to disk, processor", _per_gigabyte(alone), "s/GB"),
        Row("evidence part alone, to disk, wall", alone.wall_seconds / alone.media_bytes * GIGABYTE, "s/GB"),
        Row("sealing and hashing in memory, processor", _per_gigabyte(in_memory), "s/GB"),
        Row("plain writing of the same, processor", _per_gigabyte(plain), "s/GB"),
    ]


def _per_gigabyte(cost: Cost) -> float:
    return cost.processor_seconds / cost.media_bytes * GIGABYTE
