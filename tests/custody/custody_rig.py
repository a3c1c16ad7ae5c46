"""What the tests of custody and dock share: an agency, a stand-in recorder, a dock in a process."""

from __future__ import annotations

import io
import os
import queue
import random
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.custody.events import CustodyEvent, ReceiptArrived
from agent.custody.service import CustodyService
from agent.custody.settings import CustodySettings
from agent.dock.broker import Broker, start_broker
from agent.dock.settings import DockSettings
from agent.errors import ReceiptError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url
from agent.evidence.entries import (
    Body,
    Close,
    EntryTime,
    Genesis,
    Interlock,
    ObjectRef,
    Open,
    ReceiptEntry,
    Segment,
)
from agent.evidence.folder import EvidenceFolder
from agent.evidence.keys import load_signing_key
from agent.evidence.ledger import ChainState
from agent.evidence.sealing import recipient_key, seal
from agent.recorder.journal import Journal, Past
from agent.recorder.release import ReceiptBook
from agent.system import durable
from provisioning.agency import Agency, Founding, found
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device, refresh

Lane = Literal["mosquitto", "nats"]
DOCK = "dock-1"
SECOND_DOCK = "dock-2"
DEVICES = ("er-1", "er-2", "er-lost")


def wait_for(condition: Callable[[], object], seconds: float = 20.0, what: str = "the condition") -> None:
    """Polls until the condition holds; fails the test after the limit."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_agency(folder: Path, devices: Sequence[str] = DEVICES) -> None:
    """An agency with two docks and devices; er-lost, if it is among them, is enrolled and then reported lost."""
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\1\0" * 8000)
    found(folder / "agency", Founding("sample", "样例单位", notice=held.getvalue()), by="tester")
    with Agency(folder / "agency", writable=True, by="tester") as agency:
        for dock in (DOCK, SECOND_DOCK):
            add_dock(agency, DockOrder(dock), folder / dock)
        for device in devices:
            enrol_device(agency, DeviceOrder(device, f"SN-{device}", "section-1"), folder / device)
        if "er-lost" in devices:
            agency.end_device("er-lost", "lost")
        for dock in (DOCK, SECOND_DOCK):
            refresh(agency, folder / dock)


def trust_of(credentials: Path) -> TrustBundle:
    return TrustBundle.from_json((credentials / "trust.json").read_bytes())


class Unit:
    """A recorder's evidence and the rules of handling it, without its hardware. The one writer of its ledger."""

    def __init__(self, credentials: Path, folder: Path, device: str = "er-1", seed: int = 1) -> None:
        self.device, self.credentials = device, credentials
        self.folder = EvidenceFolder(folder)
        self.folder.objects.mkdir(parents=True)
        self.trust = trust_of(credentials)
        self.random = random.Random(seed)
        self.mono_us = self.clock_offset_us = 0
        self.journal = Journal(self.folder, Past(), device, self.trust.agency, 64, self.now)
        self.book = ReceiptBook(self.folder, self.trust, device)
        self.originals: dict[str, bytes] = {}
        self.released: set[str] = set()
        self.events: queue.Queue[CustodyEvent] = queue.Queue()
        self.seen: list[CustodyEvent] = []
        self.lies = 0
        self.receipts_needed = 1
        self._begin()

    def now(self) -> EntryTime:
        self.mono_us += 1_000
        utc_us = max(0, time.time_ns() // 1000 + self.clock_offset_us)
        return EntryTime(utc_us, self.mono_us, "00000000-0000-0000", "ntp", 1_000)

    def _begin(self) -> None:
        certificate = x509.load_pem_x509_certificate((self.credentials / "identity.crt").read_bytes())
        identity = load_signing_key((self.credentials / "identity.key").read_bytes())
        der = b64url(certificate.public_bytes(Encoding.DER))
        self.journal.boot(identity, counter=0, certificate=der, software="test", hardware={}, tail_cut_bytes=0)
        agency = self.trust.agency
        fixed = ("enforcement-recorder/1", agency, self.device, "SN", "sha-256", "age-v1-x25519", {})
        self.journal.enter(Genesis(*fixed))  # type: ignore[arg-type]

    def enter(self, body: Body, *refs: ObjectRef) -> None:
        self.journal.enter(body)
        self.book.note(body, list(refs))

    def keep(self, data: bytes) -> ObjectRef:
        ref, sealed = seal(data, [recipient_key(self.trust.recipients[0])])
        durable.write_atomic(self.folder.object_path(ref), sealed)
        self.originals[ref.digest] = sealed
        return ref

    def record(self, sizes: list[int], damage: int | None = None) -> list[ObjectRef]:
        """One recording with a segment per size; ``damage``: the index of a segment whose file then rots."""
        name = f"{self.random.getrandbits(64):016x}"
        interlock = Interlock("permitted", None, "clear", "clear", [], None)
        self.enter(Open(name, "video", None, None, None, None, list(self.trust.recipients), interlock, None, None))
        refs = []
        for index, size in enumerate(sizes):
            ref = self.keep(self.random.randbytes(size))
            if index == damage:
                path = self.folder.object_path(ref)
                path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
            self.enter(Segment(name, index, ref, index * 5_000_000, 5_000_000, None, 150, False), ref)
            refs.append(ref)
        self.enter(Close(name, "button", len(sizes), 150 * len(sizes), 0, 5_000_000 * len(sizes)))
        self.journal.rotate("recording_end")
        return refs

    def serve(self, service: CustodyService) -> None:
        """Handles what custody delivered, as the recorder's main loop does."""
        while True:
            try:
                event = self.events.get_nowait()
            except queue.Empty:
                return
            self.seen.append(event)
            if isinstance(event, ReceiptArrived):
                self._on_receipt(event.token, service)

    def _on_receipt(self, token: bytes, service: CustodyService) -> None:
        try:
            receipt, ref = self.book.check(token)
        except ReceiptError:
            self.lies += 1
            return
        self.enter(ReceiptEntry(receipt.dock, ref, receipt.ledger_size))
        self.book.note_entry(_entry_of(self, ReceiptEntry(receipt.dock, ref, receipt.ledger_size)))
        for entry in self.book.releasable(self.receipts_needed):
            self.enter(entry)
            self.released.update(self.book.remove(entry))
        service.released(self.released)

    def service(self, port: int, **settings: object) -> CustodyService:
        given = {"host": "localhost", "port": port, "credentials": self.credentials, "part_bytes": 65_536}
        found = CustodySettings(**{**given, "stall_seconds": 1.0, **settings})  # type: ignore[arg-type]
        return CustodyService(found, self.folder, self.device, self.events.put, lambda: self.receipts_needed)


def _entry_of(unit: Unit, body: Body) -> object:
    from agent.evidence.entries import Entry

    return Entry(0, "0" * 64, unit.device, unit.now(), body)


@dataclass(slots=True)
class DockProcess:
    """A real dock in a process of its own."""

    settings: DockSettings
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


_PROGRAM = """
import sys
from pathlib import Path
from agent.dock.settings import DockSettings
from agent.dock.service import main
name, folder, credentials, port, window = sys.argv[1:]
sys.exit(main(DockSettings(name, Path(folder), Path(credentials), port=int(port), window_bytes=int(window))))
"""


def start_dock(folder: Path, credentials: Path, port: int, window_bytes: int = 1_048_576) -> DockProcess:
    name = credentials.name
    settings = DockSettings(name, folder, credentials, port=port, window_bytes=window_bytes)
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _PROGRAM, name, str(folder), str(credentials), str(port), str(window_bytes)]
    with (folder.parent / "dock.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    return DockProcess(settings, process)


def archived(settings: DockSettings, device: str = "er-1") -> dict[str, bytes]:
    """What the archive holds of a device, by digest."""
    objects = EvidenceFolder(settings.archive / device).objects
    return {path.stem: path.read_bytes() for path in objects.glob("*.age")}


def archived_lines(settings: DockSettings, device: str = "er-1") -> list[bytes]:
    ledger = EvidenceFolder(settings.archive / device).ledger
    return ledger.read_bytes().split(b"\n")[:-1] if ledger.exists() else []


def check_everything(unit: Unit, settings: DockSettings) -> None:
    """Nothing lost, and every receipt true: the archive verifies and holds each object that was ever sealed."""
    held = archived(settings, unit.device)
    assert {digest: held.get(digest) for digest in unit.originals} == unit.originals
    chain = ChainState(unit.trust, unit.device)
    lines = archived_lines(settings, unit.device)  # once: the dock may still be taking more
    for line in lines:
        chain.accept(line)
    own = unit.folder.ledger.read_bytes().split(b"\n")[:-1]
    assert lines == own[: len(lines)]


class Station:
    """A broker and a dock, each of which a test may kill and start again."""

    def __init__(self, agency: Path, folder: Path, lane: Lane, dock: str = DOCK) -> None:
        self.credentials, self.folder, self.lane, self.port = agency / dock, folder, lane, free_port()
        self.broker: Broker | None = None
        self.dock: DockProcess | None = None

    def start_broker(self) -> None:
        address = "127.0.0.1" if self.lane == "mosquitto" else None
        self.broker = start_broker(self.lane, self.folder / "broker", self.credentials, self.port, address)

    def start_dock(self) -> DockProcess:
        self.dock = start_dock(self.folder / "dock", self.credentials, self.port)
        return self.dock

    def kill_broker(self) -> None:
        assert self.broker is not None
        self.broker.process.kill()
        self.broker.process.wait(5)

    def close(self) -> None:
        if self.dock is not None and self.dock.process.poll() is None:
            self.dock.stop()
        if self.broker is not None:
            self.broker.stop()
