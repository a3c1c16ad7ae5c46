"""What the dock's tests share: an intake fed with a unit's messages, without a broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from custody_rig import DOCK, DockProcess, Station, Unit, trust_of

from agent.custody import wire
from agent.custody.wire import DeviceState, Kind, ObjectClose, Topic
from agent.dock.archive import DeviceArchive
from agent.dock.intake import Intake
from agent.dock.reports import DockKeys, Out, Publish, Report
from agent.dock.settings import DockSettings
from agent.dock.verified import seal_key
from agent.dock.witness import Witness
from agent.evidence.entries import ObjectRef, ReceiptEntry
from agent.evidence.keys import load_signing_key

PART_BYTES = 65_536


def settings_of(agency: Path, folder: Path, **more: object) -> DockSettings:
    found = DockSettings(DOCK, folder, agency / DOCK)
    for one in (found.archive, found.staging, found.quarantine, found.receipts):
        one.mkdir(parents=True, exist_ok=True)
    return replace(found, **more)  # type: ignore[arg-type]


def open_intake(settings: DockSettings, device: str = "er-1") -> Intake:
    trust = trust_of(settings.credentials)
    receipt = load_signing_key((settings.credentials / "receipt.key").read_bytes())
    witness_key = load_signing_key((settings.credentials / "witness.key").read_bytes())
    archive = DeviceArchive(settings, device, trust, seal_key(receipt))
    witness = Witness(settings.witness, trust.agency, settings.id, witness_key, archive)
    return Intake(archive, witness, DockKeys(settings.id, receipt, lambda: 1), 8_388_608)


def state_of(unit: Unit, session: int = 1, round_: int = 0, lines: int | None = None) -> DeviceState:
    return DeviceState(1, session, round_, True, unit.journal.size if lines is None else lines, 0, 0, 8_388_608, {})


def begin(intake: Intake, unit: Unit, session: int = 1, round_: int = 0) -> list[Out]:
    topic = Topic(Kind.STATE, intake.device)
    return intake.handle(topic, wire.dump(state_of(unit, session, round_)))


def lines_of(unit: Unit) -> list[bytes]:
    return unit.folder.ledger.read_bytes().split(b"\n")[:-1]


def send_lines(intake: Intake, unit: Unit) -> list[Out]:
    outs: list[Out] = []
    for seq, line in list(enumerate(lines_of(unit)))[intake.archive.chain.size :]:
        outs += intake.handle(Topic(Kind.LEDGER, intake.device, number=seq), line)
    return outs


def messages_of(ref: ObjectRef, data: bytes, held: frozenset[int] = frozenset()) -> Iterator[tuple[Topic, bytes]]:
    """Open, the parts that are not held, close."""
    yield Topic(Kind.OPEN, "er-1", ref.digest), wire.open_of(ref, PART_BYTES)
    count = wire.part_count(ref.size, PART_BYTES)
    for number in sorted(set(range(count)) - held):
        part = data[number * PART_BYTES : (number + 1) * PART_BYTES]
        yield Topic(Kind.PART, "er-1", ref.digest, number), part
    yield Topic(Kind.CLOSE, "er-1", ref.digest), wire.dump(ObjectClose(1, count))


def send_objects(intake: Intake, unit: Unit) -> list[Out]:
    outs: list[Out] = []
    for ref in list(intake.archive.holdings.wanted.values()):
        staging = intake.archive.stagings.get(ref.digest)
        held = frozenset(staging.held) if staging else frozenset()
        for topic, payload in messages_of(ref, unit.folder.object_path(ref).read_bytes(), held):
            outs += intake.handle(topic, payload)
    return outs


def hand_over(intake: Intake, unit: Unit) -> list[Out]:
    """A whole round: state, lines, objects, and the silence after which receipts are signed."""
    outs = begin(intake, unit, round_=(intake.state.round + 1) if intake.state else 0)
    return outs + send_lines(intake, unit) + send_objects(intake, unit) + intake.idle()


def kinds_of(outs: list[Out]) -> list[str]:
    return [out.kind for out in outs if isinstance(out, Report)]


_PROGRAM = """
import sys
from pathlib import Path
from agent.config import DockConfig, load
from agent.dock.service import main
sys.exit(main(load(Path(sys.argv[1]), DockConfig).dock))
"""


def start_configured(station: Station, more: str) -> DockProcess:
    """A real dock with a configuration file; ``more``: further lines of its table."""
    folder = station.folder / "dock"
    folder.mkdir(exist_ok=True)
    path = station.folder / "dock.toml"
    fixed = f'[dock]\nid = "{DOCK}"\nfolder = "{folder}"\ncredentials = "{station.credentials}"\n'
    path.write_text(f"{fixed}port = {station.port}\n{more}")
    with (station.folder / "dock.log").open("ab") as log:
        command = [sys.executable, "-c", _PROGRAM, str(path)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    station.dock = DockProcess(DockSettings(DOCK, folder, station.credentials, port=station.port), process)
    return station.dock


def enter_receipts(unit: Unit, outs: list[Out]) -> None:
    """The unit verifies the receipts that were published and enters them, as its recorder does."""
    for out in outs:
        if isinstance(out, Publish) and out.topic.kind is Kind.RECEIPT:
            receipt, ref = unit.book.check(out.payload)
            unit.enter(ReceiptEntry(receipt.dock, ref, receipt.ledger_size))


def settle(intake: Intake, unit: Unit) -> None:
    """Hands over, enters the receipts, and hands that over too."""
    enter_receipts(unit, hand_over(intake, unit))
    hand_over(intake, unit)
