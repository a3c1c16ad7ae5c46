"""What verifying costs: an archive of media against ``sha256sum`` over the same files, and a long ledger by itself.

Each verification is a whole process, ``recorder verify``, no key given; its peak memory is the operating system's word.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from agent.evidence.checkpoint import Checkpoint, origin_of, sign_checkpoint
from agent.evidence.encoding import b64url
from agent.evidence.entries import FORMAT, Body, EntryTime, Genesis, Heartbeat, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import LedgerIndex, build_index
from agent.evidence.ledger import LedgerWriter
from agent.evidence.merkle import inclusion_proof
from agent.evidence.sealing import SealedWriter
from agent.recorder.credentials import Credentials, load_credentials, load_identity_key
from benchmarks.report import Row, Table
from benchmarks.rig import enrol

GOAL_RATIO: Final = 1 / 0.8
GOAL_MEMORY_MIB: Final = 100.0
_BLOCK: Final = bytes(range(256)) * 4096
_EPOCH_LINES: Final = 200
_START_US: Final = 1_790_000_000_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """One process: wall and processor seconds, peak memory in MiB."""

    wall_seconds: float
    processor_seconds: float
    peak_mib: float


class Evidence:
    """A device folder made without waiting for a clock: one line a millisecond."""

    def __init__(self, path: Path, credentials: Credentials, keys: Path) -> None:
        self.folder = EvidenceFolder(path)
        self.folder.objects.mkdir(parents=True)
        self._credentials, self._time_us = credentials, _START_US
        device, agency = credentials.identity.device, credentials.trust.agency
        self._writer = LedgerWriter(device)
        self._file = self.folder.ledger.open("wb")
        parts = {"camera": "picamera2"}
        boot = {"counter": 0, "certificate": b64url(credentials.certificate_der), "software": "sample"}
        self._put(self._writer.boot(load_identity_key(keys), self._now(), **boot, hardware=parts, tail_cut_bytes=0))
        serial = credentials.documents.profile.serial
        self.enter(Genesis(FORMAT, agency, device, serial, "sha-256", "age-v1-x25519", parts))

    @property
    def size(self) -> int:
        """Lines so far."""
        return self._writer.size

    def enter(self, body: Body) -> None:
        """One entry; the key is replaced now and then."""
        self._put(self._writer.entry(body, self._now()))
        if self._writer.lines_by_key >= _EPOCH_LINES:
            self._put(self._writer.next_epoch("lines", self._now()))

    def seal(self, size: int, index: int) -> None:
        """A sealed object of this size (in whole MiB from 1 MiB on), named by a segment entry.

        It is of no recording: the cost is the same.
        """
        path = self.folder.objects / "new"
        with path.open("wb") as file:
            writer = SealedWriter(self._credentials.documents.recipients, file.write)
            for _ in range(max(1, size // len(_BLOCK))):
                writer.write(_BLOCK[:size])
            ref = writer.close()
        path.rename(self.folder.object_path(ref))
        self.enter(Segment("0" * 16, index, ref, 0, 0, None, 0, recovered=True))

    def close(self) -> int:
        """Ends the ledger with a checkpoint; the number of its lines."""
        origin = origin_of(self._credentials.trust.agency, self._writer.device)
        point = Checkpoint(origin, self._writer.size, self._writer.tree.root())
        self.folder.checkpoint.write_bytes(sign_checkpoint(point, self._writer.epoch_key))
        self._file.close()
        return self._writer.size

    def _put(self, line: bytes) -> None:
        self._file.write(line + b"\n")

    def _now(self) -> EntryTime:
        self._time_us += 1000
        return EntryTime(self._time_us, self._time_us - _START_US, "0" * 32, "ntp", 1000)


def _measure(command: list[str]) -> Run:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # The peak of one child must not hide behind a larger one before it: each is asked by a process of its own.
    script = "import resource,subprocess,sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(time.perf_counter() - began, spent, int(done.stdout) / 1024)


def verify_process(path: Path, trust: Path, jobs: int) -> Run:
    """``recorder verify --json`` without a key; a verdict of any kind will do."""
    words = ["verify", str(path), "--trust", str(trust), "--json", "--jobs", str(jobs)]
    return _measure([sys.executable, "-m", "agent", *words])


def run(out: Path, quick: bool) -> Table:
    """Media, then a long ledger, then one proof out of it."""
    objects, object_bytes, lines, rounds = (4, 1 << 20, 300, 1) if quick else (64, 16 << 20, 1_000_000, 3)
    place = Path(tempfile.mkdtemp(prefix="verification-", dir=out))
    try:
        unit = enrol(place)
        credentials = load_credentials(unit)
        media = Evidence(place / "media", credentials, unit)
        for index in range(objects):
            media.seal(object_bytes + index * len(_BLOCK), index)
        media.close()
        trust = unit / "trust.json"
        files = [str(path) for path in (media.folder.ledger, *media.folder.objects.iterdir())]
        hashed = [_measure(["sha256sum", *files]) for _ in range(rounds)]
        one = [verify_process(media.folder.path, trust, 1) for _ in range(rounds)]
        many = [verify_process(media.folder.path, trust, os.cpu_count() or 1) for _ in range(rounds)]
        ledger = Evidence(place / "ledger", credentials, unit)
        while ledger.size < lines:
            ledger.enter(Heartbeat("ready"))
        size = ledger.close()
        long = verify_process(ledger.folder.path, trust, 1)
        proof_seconds = _prove(place / "index", ledger.folder.ledger, size // 2)
        baseline = _median(hashed)
        rows = [
            Row("verify, one job, against sha256sum, wall time", _median(one) / baseline, "x", GOAL_RATIO),
            Row("verify, a job a core, against sha256sum, wall time", _median(many) / baseline, "x"),
            Row("peak memory, media", max(run.peak_mib for run in one), "MiB", GOAL_MEMORY_MIB),
            Row("a long ledger, wall time", long.wall_seconds, "s"),
            Row("a long ledger, peak memory", long.peak_mib, "MiB", GOAL_MEMORY_MIB),
            Row("one inclusion proof out of it, from its index", proof_seconds, "s", 1.0),
        ]
        conditions = {"media": f"{sum(Path(one).stat().st_size for one in files) / 1e6:.0f} MB", "lines": size}
        return Table("verification", "recorder verify, no key", rows, conditions, {"rounds": rounds})
    finally:
        shutil.rmtree(place)


def _median(runs: list[Run]) -> float:
    return median(one.wall_seconds for one in runs)


def _prove(place: Path, ledger: Path, seq: int) -> float:
    build_index(place, ledger)
    began = time.perf_counter()
    index = LedgerIndex(place, ledger)
    index.line(seq)
    inclusion_proof(index.tree, seq, index.size)
    index.close()
    return time.perf_counter() - began
