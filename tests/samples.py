"""What the tests of several rooms share: an enrolled unit, a small ledger, waiting with a deadline."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from nacl.signing import SigningKey

from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url
from agent.evidence.entries import (
    Body,
    Close,
    EntryTime,
    Genesis,
    Heard,
    Heartbeat,
    Interlock,
    Mark,
    Notice,
    ObjectRef,
    Open,
    Segment,
)
from agent.evidence.keys import load_signing_key
from agent.evidence.ledger import LedgerWriter
from provisioning.agency import Agency, Founding, found
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device
from provisioning.policy import Settings

RECORDING = "00112233445566aa"
TIME = EntryTime(1_760_000_000_000_000, 5_000_000, "0a1b2c3d-0000", "ntp", 1_000)
PERMITTED = Interlock("permitted", None, "permitted", "clear", [], None)
PARTS = {"camera": "simulated"}


def chirp(seconds: float = 0.5, rate: int = 8000) -> bytes:
    """A short WAV file to stand for the notice."""
    at = np.arange(round(seconds * rate)) / rate
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes((9000 * np.sin(2 * np.pi * (300 + 600 * at) * at)).astype("<i2").tobytes())
    return held.getvalue()


def eventually(condition: Callable[[], object], seconds: float = 10.0, what: str = "") -> None:
    """Polls until ``condition`` holds; fails the test at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what or 'it'} did not come true within {seconds:g} s")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Folders of an agency: ``agency``, ``er-1``, ``er-2``, ``dock-1``, ``dock-2``."""

    folder: Path

    @property
    def trust(self) -> TrustBundle:
        return TrustBundle.from_json((self.folder / "er-1" / "trust.json").read_bytes())

    def key(self, owner: str, name: str = "identity.key") -> SigningKey:
        return load_signing_key((self.folder / owner / name).read_bytes())

    def certificate(self, owner: str = "er-1", name: str = "identity.crt") -> str:
        from cryptography import x509

        pem = (self.folder / owner / name).read_bytes()
        return b64url(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))

    @property
    def agekeys(self) -> list[Path]:
        """Secret keys that open what is sealed: archive and escrow."""
        return [self.folder / "agency" / "archive.agekey", self.folder / "agency" / "escrow.agekey"]


def enrol(folder: Path) -> Enrolled:
    """Founds the agency ``sample`` and enrols two devices and two docks; segments of one second."""
    found(folder / "agency", Founding("sample", "样例单位", escrow=True, notice=chirp()), by="tester")
    with Agency(folder / "agency", writable=True, by="tester") as agency:
        agency.sign_policy(Settings(segment_us=1_000_000, minimum_free_bytes=1 << 20))
        for dock in ("dock-1", "dock-2"):
            add_dock(agency, DockOrder(dock), folder / dock)
        for number in (1, 2):
            with agency.change() as change:
                change.add_officer(f"officer-{number}", "样例人员", "section-1")
            order = DeviceOrder(f"er-{number}", f"SN-er-{number}", "section-1", f"officer-{number}")
            enrol_device(agency, order, folder / order.id)
    return Enrolled(folder)


def boot_fields(enrolled: Enrolled, counter: int = 0, certificate: str | None = None) -> dict[str, object]:
    """What a ``boot`` line says besides its epoch key."""
    return {
        "counter": counter,
        "certificate": certificate or enrolled.certificate(),
        "software": "sample",
        "hardware": PARTS,
        "tail_cut_bytes": 0,
    }


def bodies(recording: str = RECORDING) -> list[Body]:
    """A whole short recording, as entries."""
    heard = Heard("not_measured", None, None)
    notice = Notice(recording, "played", "completed", "a" * 64, 10, 10, 8000, 0, 1, 2, heard, None)
    opened = Open(recording, "video", None, None, None, None, [], PERMITTED, None, None)
    segment = Segment(recording, 0, ObjectRef("b" * 64, 100, "age"), 0, 1_000_000, 5, 25, False)
    return [
        notice,
        opened,
        segment,
        Mark(recording, "moment", 400_000),
        Close(recording, "button", 1, 25, 0, 1_000_000),
    ]


GENESIS = Genesis("enforcement-recorder/1", "sample", "er-1", "SN-er-1", "sha-256", "age-v1-x25519", PARTS)


def ledger(enrolled: Enrolled) -> tuple[list[bytes], LedgerWriter]:
    """Lines of a small ledger with two boots and several epochs, and the writer that can go on."""
    writer = LedgerWriter("er-1")
    lines = [writer.boot(enrolled.key("er-1"), TIME, **boot_fields(enrolled)), writer.entry(GENESIS, TIME)]
    lines += [writer.entry(body, TIME) for body in bodies()]
    lines.append(writer.next_epoch("recording_end", TIME))
    lines += [writer.entry(Heartbeat("ready"), TIME) for _ in range(2)]
    lines.append(writer.boot(enrolled.key("er-1"), TIME, **boot_fields(enrolled, 1)))
    lines += [writer.entry(Heartbeat("ready"), TIME) for _ in range(3)]
    lines.append(writer.next_epoch("lines", TIME))
    lines.append(writer.entry(Heartbeat("ready"), TIME))
    return lines, writer
