"""The link is cut thousands of times at random bytes: nothing is lost, nothing stored twice, little sent in vain.

Real broker, real dock, each in a process of its own; before the broker a proxy that ends every connection after a
random number of bytes, of either direction, sometimes inside the TLS handshake. Stand-in recorders (their evidence is
real, their pictures are noise) go on recording and handing over meanwhile. After so many cuts the link is left alone,
everything must come to rest, and all that was promised is looked for. Seeded; an interrupted run goes on where it was.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from agent.custody.service import CustodyService
from agent.dock.broker import find_mosquitto
from agent.errors import RecorderError
from agent.evidence.encoding import sha256_hex
from agent.evidence.merkle import root_of_file
from agent.evidence.receipts import Receipt, read_receipt
from benchmarks.link_proxy import LinkProxy, Plan
from benchmarks.report import Row, Table
from tests.custody.custody_rig import DOCK, Station, Unit, archived, archived_lines, make_agency

BATCH: Final = 500
"""Cuts that one archive lives through before it is judged."""
DEVICES: Final = tuple(f"er-{number}" for number in range(1, 7))
PART_BYTES: Final = 16_384
MOST_BYTES: Final = 131_072
"""No connection lives for more bytes than this."""
DOWNWARDS: Final = 0.15
RESETS: Final = 0.1
SLACK_BYTES: Final = 8_192
"""Of a connection: for the handshake, the states and the framing of its messages."""
LIMIT_SECONDS: Final = 600.0
_TWICE, _DEVICE = re.compile(r"parts that came twice so far: (\d+)"), re.compile(r"device=\W*([a-z0-9-]+)")
SOUND: Final = ("integrity", "provenance", "completeness")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one archive looked like after its cuts."""

    last: int
    cuts: int
    connections: int
    objects: int
    bytes: int
    lost: int
    stored_twice: int
    false_receipts: int
    released_unheld: int
    unverified: list[str]
    up_bytes: int
    parts_twice: int
    """Whole parts that came to the dock though it held them."""
    most_parts_twice: int
    """Of any one connection."""
    seconds: float


class Cutter:
    """Plans connections; after the last cut the link is left alone."""

    def __init__(self, dice: random.Random) -> None:
        self._dice, self.calm = dice, False

    def __call__(self, _number: int) -> Plan:
        """The next connection's fate."""
        if self.calm:
            return Plan()
        after = int(self._dice.uniform(0, MOST_BYTES))
        if self._dice.random() < DOWNWARDS:
            return Plan(cut_down_after=after // 16)
        return Plan(cut_up_after=after, cut="reset" if self._dice.random() < RESETS else "close")


@dataclass(frozen=True, slots=True)
class Bay:
    """A device that records and hands over."""

    unit: Unit
    service: CustodyService

    def feed(self, dice: random.Random) -> None:
        """Records a little more when little is left."""
        self.unit.serve(self.service)
        if self.service.progress().pending_bytes < MOST_BYTES:
            self.unit.record([int(dice.expovariate(1 / 60_000)) for _ in range(3)])
            self.service.notify()

    @property
    def rests(self) -> bool:
        """Whether all is handed over and freed."""
        self.unit.serve(self.service)
        return self.unit.released >= set(self.unit.originals) and self.service.progress().ledger_lines_pending == 0


def batch(place: Path, first: int, cuts: int, seed: int) -> Batch:
    """So many cuts over one archive. Raises SystemExit when it does not come to rest."""
    dice = random.Random(f"{seed}/{first}")
    folder = place / "batch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    began = time.monotonic()
    station = Station(place / "agency", folder, "mosquitto" if find_mosquitto() else "nats")
    try:
        station.start_broker()
        dock = station.start_dock()
        cutter = Cutter(dice)
        with LinkProxy(station.port, cutter) as proxy:
            bays = [_bay(place, folder, name, proxy.port, first + index) for index, name in enumerate(DEVICES)]
            try:
                _until(lambda: [bay.feed(dice) for bay in bays], lambda: proxy.cuts >= cuts)
                cutter.calm = True
                _until(lambda: None, lambda: all([bay.rests for bay in bays]))
            finally:
                for bay in bays:
                    bay.service.stop()
            made = [proxy.cuts, proxy.connections, proxy.up_bytes]
        dock.stop()
    finally:
        station.close()
    return _judge(station, [bay.unit for bay in bays], first + cuts, made, time.monotonic() - began)


def _bay(place: Path, folder: Path, device: str, port: int, seed: int) -> Bay:
    unit = Unit(place / "agency" / device, folder / device, device, seed)
    service = unit.service(port, part_bytes=PART_BYTES, window_bytes=1_048_576)
    service.start()
    return Bay(unit, service)


def _until(work: object, done: object) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not done():  # type: ignore[operator]
        work()  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise SystemExit("the devices do not get there; what is left lies in the batch's folder")
        time.sleep(0.02)


def _judge(station: Station, units: list[Unit], last: int, made: list[int], seconds: float) -> Batch:
    assert station.dock is not None
    dock, folder = station.dock.settings, station.folder
    lost = twice = false = unheld = count = size = 0
    for unit in units:
        held = archived(dock, unit.device)
        lost += sum(held.get(digest) != data for digest, data in unit.originals.items())
        lost += archived_lines(dock, unit.device) != unit.folder.ledger.read_bytes().split(b"\n")[:-1]
        unheld += len(unit.released - set(held))
        receipts = sorted((dock.receipts / unit.device).rglob("*.jws"))
        listed: Counter[str] = Counter()
        for path in receipts:
            receipt = _true_receipt(path, unit, station)
            false += receipt is None
            listed.update(ref.digest for ref in receipt.objects if ref.form == "age") if receipt else None
        twice += sum(times > 1 for times in listed.values()) + len(set(held) - set(unit.originals))
        twice += sum(1 for path in (dock.staging / unit.device).iterdir())
        count, size = count + len(unit.originals), size + sum(map(len, unit.originals.values()))
        size += unit.folder.ledger.stat().st_size
    return Batch(last, *made[:2], count, size, lost, twice, false, unheld, _unsound(station), made[2],
                 *_parts_twice(folder / "dock.log"), seconds)  # fmt: skip


def _parts_twice(log: Path) -> tuple[int, int]:
    """By the dock's own word: in all, and most between two sessions of a device."""
    counted: dict[str, list[int]] = {}
    for line in log.read_text().splitlines():
        said, device = _TWICE.search(line), _DEVICE.search(line)
        if said and device:
            counted.setdefault(device[1], [0]).append(int(said[1]))
    steps = [after - before for row in counted.values() for before, after in itertools.pairwise(row)]
    return sum(steps), max(steps, default=0)


def _true_receipt(path: Path, unit: Unit, station: Station) -> Receipt | None:
    """The receipt, if its signature holds and the archive has what it lists, over the lines that it names."""
    assert station.dock is not None
    folder = station.dock.settings.archive / unit.device
    try:
        receipt = read_receipt(path.read_bytes(), unit.trust)
        for ref in receipt.objects:
            data = (folder / "objects" / ref.file_name).read_bytes()
            if (len(data), sha256_hex(data)) != (ref.size, ref.digest):
                return None
    except (RecorderError, OSError):
        return None
    root = root_of_file(folder / "ledger.jws", receipt.ledger_size)
    return receipt if root is not None and root.hex() == receipt.ledger_root else None


def _unsound(station: Station) -> list[str]:
    """What ``recorder verify`` finds about the archive on the axes that a hand-over answers for."""
    assert station.dock is not None
    trust = station.credentials / "trust.json"
    words = ["verify", str(station.dock.settings.archive), "--trust", str(trust), "--json", "--accept-simulated"]
    done = subprocess.run([sys.executable, "-m", "agent", *words], capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    return sorted({one["code"] for one in report["findings"] if one["axis"] in SOUND})


def run(out: Path, quick: bool, cuts: int = 10_000, seed: int = 1) -> Table:
    """So many cuts, and what they took."""
    cuts = 30 if quick else cuts
    place = (out / "link_cuts").resolve()
    if not (place / "agency" / DOCK).exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        make_agency(place / "agency", DEVICES)
    kept = place / f"batches-{seed}.jsonl"
    done = [Batch(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    while (number := max((one.last for one in done), default=0)) < cuts:
        done.append(batch(place, number, min(BATCH, cuts - number), seed))
        with kept.open("a") as file:
            file.write(json.dumps(asdict(done[-1])) + "\n")
        print(f"{done[-1].last} of {cuts} cuts, {done[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    if quick:
        shutil.rmtree(place)
    return _table(done, seed)


def _table(done: list[Batch], seed: int) -> Table:
    def total(name: str) -> int:
        return sum(getattr(one, name) for one in done)

    beyond = (total("up_bytes") - total("bytes")) / max(1, total("cuts"))
    rows = [
        Row("cuts", total("cuts"), ""),
        Row("objects handed over", total("objects"), ""),
        Row("bytes handed over", total("bytes") / 1e6, "MB"),
        Row("lost: objects, ledgers", total("lost"), "", 0),
        Row("stored twice, or receipted twice, or left behind", total("stored_twice"), "", 0),
        Row("receipts that are not true", total("false_receipts"), "", 0),
        Row("freed on the device and not in the archive", total("released_unheld"), "", 0),
        Row("archives with a finding of integrity, provenance or completeness", sum(bool(b.unverified) for b in done),
            f"of {len(done)}", 0),
        Row("whole parts that came twice, most after one cut", max(one.most_parts_twice for one in done), "", 1),
        Row("the same, of all cuts", total("parts_twice"), ""),
        Row("sent beyond what was handed over, mean of a cut, with handshake and framing", beyond / 1e3, "kB",
            (PART_BYTES + SLACK_BYTES) / 1e3),
    ]  # fmt: skip
    findings = sorted({code for one in done for code in one.unverified})
    conditions = {"seed": seed, "part": f"{PART_BYTES} bytes", "devices": len(DEVICES), "findings": findings or "none"}
    return Table("link_cuts", "what cutting the link takes", rows, conditions, {"batches": [asdict(b) for b in done]})
