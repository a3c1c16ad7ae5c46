"""Units for the measurements of custody: evidence of a given size, and the device side of handing it over.

``python -m benchmarks.units PORT PART_BYTES CREDENTIALS=EVIDENCE...`` says ``ready``, waits for a line, then hands over
each unit's evidence as the recorder does and prints, for each, the seconds until every receipt was entered.
"""

from __future__ import annotations

import json
import queue
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.custody.events import CustodyEvent, ReceiptArrived
from agent.custody.service import CustodyService
from agent.custody.settings import CustodySettings
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url
from agent.evidence.entries import Body, Close, EntryTime, Genesis, Interlock, ObjectRef, Open, ReceiptEntry, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.keys import load_signing_key
from agent.evidence.ledger import unverified_entries
from agent.evidence.sealing import recipient_key, seal
from agent.recorder.journal import Journal, Past, read_past
from agent.recorder.release import ReceiptBook
from agent.system import durable

LIMIT_SECONDS: Final = 900.0
_PERMITTED: Final = Interlock("permitted", None, "clear", "clear", [], None)


def now() -> EntryTime:
    """Both clocks, as an entry states them."""
    return EntryTime(time.time_ns() // 1000, time.monotonic_ns() // 1000, "00000000-0000-0000", "ntp", 1_000)


@dataclass(slots=True)
class Unit:
    """One unit's evidence on disk and the one writer of its ledger."""

    credentials: Path
    folder: EvidenceFolder
    trust: TrustBundle
    device: str
    journal: Journal

    def keep(self, data: bytes) -> ObjectRef:
        """Seals one object, durably."""
        ref, sealed = seal(data, [recipient_key(self.trust.recipients[0])])
        durable.write_atomic(self.folder.object_path(ref), sealed)
        return ref

    def enter(self, body: Body) -> None:
        """One more line, durable."""
        self.journal.enter(body)


def _device(credentials: Path) -> tuple[x509.Certificate, str]:
    certificate = x509.load_pem_x509_certificate((credentials / "identity.crt").read_bytes())
    return certificate, str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def _trust(credentials: Path) -> TrustBundle:
    return TrustBundle.from_json((credentials / "trust.json").read_bytes())


def begin(credentials: Path, path: Path, past: Past | None = None) -> Unit:
    """A unit that starts: fresh, or on the evidence that an earlier process left."""
    certificate, device = _device(credentials)
    folder, trust = EvidenceFolder(path), _trust(credentials)
    folder.objects.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder, past or Past(), device, trust.agency, 64, now)
    identity = load_signing_key((credentials / "identity.key").read_bytes())
    der = b64url(certificate.public_bytes(Encoding.DER))
    journal.boot(identity, counter=0, certificate=der, software="benchmark", hardware={}, tail_cut_bytes=0)
    return Unit(credentials, folder, trust, device, journal)


def fill(credentials: Path, path: Path, count: int, size: int, seed: int) -> int:
    """One recording of ``count`` segments of ``size`` bytes each; returns the bytes of its objects."""
    unit, chance = begin(credentials, path), random.Random(seed)
    unit.enter(Genesis("enforcement-recorder/1", unit.trust.agency, unit.device, "SN", "sha-256", "age-v1-x25519", {}))
    name = f"{chance.getrandbits(64):016x}"
    unit.enter(Open(name, "video", None, None, None, None, list(unit.trust.recipients), _PERMITTED, None, None))
    total = 0
    for index in range(count):
        ref = unit.keep(chance.randbytes(size))
        total += ref.size
        unit.enter(Segment(name, index, ref, index * 5_000_000, 5_000_000, None, 150, False))
    unit.enter(Close(name, "button", count, 150 * count, 0, 5_000_000 * count))
    unit.journal.rotate("recording_end")
    unit.journal.close()
    return total


class Handing:
    """One unit's custody and what the recorder does about receipts."""

    def __init__(self, credentials: Path, path: Path, port: int, part_bytes: int) -> None:
        self._unit = begin(credentials, path, read_past(path / "ledger.jws"))
        self._book = ReceiptBook(self._unit.folder, self._unit.trust, self._unit.device)
        self._owed: set[str] = set()
        for entry in unverified_entries(self._unit.folder.ledger):
            self._book.note_entry(entry)
            if isinstance(entry.body, Segment):
                self._owed.add(entry.body.object.digest)
        self._events: queue.Queue[CustodyEvent] = queue.Queue()
        settings = CustodySettings(host="localhost", port=port, credentials=credentials, part_bytes=part_bytes)
        self._service = CustodyService(settings, self._unit.folder, self._unit.device, self._events.put)
        self.seconds = 0.0
        """From the start of all until the last receipt was entered."""

    def start(self) -> None:
        """The contact of the dock is felt."""
        self._service.start()

    def serve(self, begun: float) -> bool:
        """Handles what has come; whether everything is receipted."""
        while not self._events.empty():
            event = self._events.get_nowait()
            if isinstance(event, ReceiptArrived):
                receipt, ref = self._book.check(event.token)
                self._unit.enter(ReceiptEntry(receipt.dock, ref, receipt.ledger_size))
                self._service.notify()
                self._owed.difference_update(one.digest for one in receipt.objects)
        if not self._owed and not self.seconds:
            self.seconds = time.monotonic() - begun
        return not self._owed

    def stop(self) -> None:
        """Ends it."""
        self._service.stop()
        self._unit.journal.close()


def main(arguments: list[str]) -> int:
    """Hands over; 1 when it was not done in time."""
    port, part_bytes, *units = arguments
    handings = [Handing(*map(Path, one.split("=")), int(port), int(part_bytes)) for one in units]  # type: ignore[call-arg, arg-type]
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    for one in handings:
        one.start()
    while not all([one.serve(begun) for one in handings]):
        if time.monotonic() - begun > LIMIT_SECONDS:
            return 1
        time.sleep(0.005)
    print(json.dumps([one.seconds for one in handings]), flush=True)
    sys.stdin.readline()  # so that whoever measures can look at this process before it ends
    for one in handings:
        one.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
