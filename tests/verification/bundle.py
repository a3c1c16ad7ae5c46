"""Builds evidence for the verifier's tests: a good device folder, line by line, with every knob an attack needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyrage
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from nacl.signing import SigningKey

from agent.evidence.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from agent.evidence.documents import (
    BatteryPolicy,
    ExApproval,
    HazardPolicy,
    HazardZone,
    NoticePolicy,
    Policy,
    Profile,
    TrustBundle,
    TrustedDock,
    sign_policy,
    sign_profile,
)
from agent.evidence.encoding import b64url, sha256_hex
from agent.evidence.entries import (
    FORMAT,
    Adopted,
    Body,
    Close,
    EntryTime,
    Genesis,
    HazardInput,
    Heard,
    Interlock,
    Mark,
    Notice,
    ObjectRef,
    Open,
    ReceiptEntry,
    Segment,
    VideoFormat,
)
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import LedgerWriter
from agent.evidence.receipts import Receipt, sign_receipt
from agent.evidence.sealing import recipient_key, seal

AGENCY, DEVICE, SERIAL, DOCK = "sample-agency", "rec-sample", "SAMPLE-0001", "dock-sample"
START_US = 1_800_000_000_000_000
NOTICE = "a" * 64
YEAR = 365 * 24 * 3600 * 1_000_000


class Agency:
    """Keys and certificates of a sample agency."""

    def __init__(self) -> None:
        self.root_key = Ed25519PrivateKey.generate()
        self.root = self._certificate("root", "root", self.root_key.public_key(), None)
        self.documents, self.receipts, self.witness = (SigningKey.generate() for _ in range(3))
        self.identity = pyrage.x25519.Identity.generate()
        self.recipient = str(self.identity.to_public())
        self.revoked: dict[int, int] = {}
        """Serial number to POSIX seconds."""

    def _certificate(
        self, name: str, unit: str, key: Ed25519PublicKey, issuer: x509.Name | None, days: int = 3650
    ) -> x509.Certificate:
        words = ((x509.NameOID.ORGANIZATION_NAME, AGENCY), (x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
        subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in (*words, (x509.NameOID.COMMON_NAME, name))])
        start = dt.datetime.fromtimestamp(START_US / 1e6 - 86400, dt.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start)
        builder = builder.not_valid_after(start + dt.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        return builder.sign(self.root_key, None)

    def identity_certificate(self, key: SigningKey, unit: str = "identity", days: int = 3650) -> x509.Certificate:
        public = Ed25519PublicKey.from_public_bytes(bytes(key.verify_key))
        return self._certificate(DEVICE, unit, public, self.root.subject, days)

    def trust(self) -> TrustBundle:
        now = dt.datetime.fromtimestamp(START_US / 1e6, dt.UTC)
        crl = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject).last_update(now)
        crl = crl.next_update(now + dt.timedelta(days=30))
        for serial, seconds in self.revoked.items():
            when = dt.datetime.fromtimestamp(seconds, dt.UTC)
            crl = crl.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
            )
        dock = TrustedDock(DOCK, b64url(bytes(self.receipts.verify_key)), b64url(bytes(self.witness.verify_key)))
        return TrustBundle(
            v=1,
            type="trust",
            agency=AGENCY,
            agency_name="样例单位",
            root_certificate=self.root.public_bytes(Encoding.PEM).decode(),
            crl=crl.sign(self.root_key, None).public_bytes(Encoding.PEM).decode(),
            document_keys=[b64url(bytes(self.documents.verify_key))],
            docks=[dock],
            witnesses=[],
            recipients=[self.recipient],
        )


def interlock(**changes: Any) -> Interlock:
    """Permitted, switch clear."""
    good = Interlock("permitted", None, "permitted", "clear", [HazardInput("switch", "clear", 0)], None)
    return replace(good, **changes)


@dataclass
class Bundle:
    """One device folder in the making. Every entry is a second after the last, on both clocks."""

    path: Path
    agency: Agency = field(default_factory=Agency)
    hardware: str = "picamera2"
    source: str = "ntp"
    certificate_days: int = 3650
    certificate_unit: str = "identity"

    def __post_init__(self) -> None:
        self.folder = EvidenceFolder(self.path)
        self.folder.objects.mkdir(parents=True)
        self.identity = SigningKey.generate()
        self.certificate = self.agency.identity_certificate(self.identity, self.certificate_unit, self.certificate_days)
        self.writer = LedgerWriter(DEVICE)
        self.lines: list[bytes] = []
        self.clock_offset_us = 0
        self.mono_us = 1_000_000
        self.sealed: list[ObjectRef] = []
        self.noticed = ""
        self.film_us = 0

    def time(self) -> EntryTime:
        self.mono_us += 1_000_000
        utc = START_US + self.mono_us + self.clock_offset_us
        return EntryTime(utc, self.mono_us, "0" * 32, self.source, 1000 if self.source == "ntp" else None)

    def enter(self, body: Body) -> None:
        self.lines.append(self.writer.entry(body, self.time()))

    def boot(self, counter: int = 0) -> None:
        line = self.writer.boot(
            self.identity,
            self.time(),
            counter=counter,
            certificate=b64url(self.certificate.public_bytes(Encoding.DER)),
            software="test",
            hardware={"camera": self.hardware},
            tail_cut_bytes=0,
        )
        self.lines.append(line)

    def begin(self, approval: ExApproval | None = None) -> None:
        """boot, genesis, profile, policy."""
        self.boot()
        self.enter(Genesis(FORMAT, AGENCY, DEVICE, SERIAL, "sha-256", "age-v1-x25519", {"camera": self.hardware}))
        profile = Profile(
            1, "profile", 1, AGENCY, DEVICE, SERIAL, "officer-sample", "section-sample", START_US, approval
        )
        policy = Policy(
            v=1,
            type="policy",
            version=1,
            agency=AGENCY,
            issued_us=START_US,
            notice=NoticePolicy(NOTICE, "样例告知", must_be_heard=False, repeat=False, tone_interval_us=None),
            hazard=HazardPolicy(
                10_000_000,
                stale_counts_as_set=True,
                assumed_zone=HazardZone("1", "IIB", "T3", None),
                zone_map=None,
                power_down=False,
            ),
            battery=BatteryPolicy(15, 3),
            recipients=[self.agency.recipient],
            segment_us=5_000_000,
            epoch_lines=256,
            receipts_needed=1,
            minimum_free_bytes=0,
        )
        self.enter(Adopted("profile", 1, self.document(sign_profile(profile, self.agency.documents))))
        self.enter(Adopted("policy", 1, self.document(sign_policy(policy, self.agency.documents))))

    def document(self, token: bytes) -> ObjectRef:
        ref = ObjectRef(sha256_hex(token), len(token), "jws")
        self.folder.object_path(ref).write_bytes(token)
        return ref

    def put(self, plain: bytes, recipients: int = 1) -> ObjectRef:
        keys = [recipient_key(self.agency.recipient)] * recipients
        ref, data = seal(plain, keys)
        self.folder.object_path(ref).write_bytes(data)
        self.sealed.append(ref)
        return ref

    def notice(self, recording: str, **changes: Any) -> Notice:
        if recording != self.noticed:
            self.lines.append(self.writer.next_epoch("recording_begin", self.time()))
            self.noticed = recording
        self.mono_us += 5_000_000
        good = Notice(
            recording=recording,
            means="played",
            outcome="completed",
            asset=NOTICE,
            frames_total=100,
            frames_consumed=100,
            sample_rate=48000,
            underruns=0,
            started_us=self.mono_us - 4_000_000,
            ended_us=self.mono_us,
            heard=Heard("heard", 800, -2000),
            failure=None,
        )
        return replace(good, **changes)

    def open(self, recording: str, matter: str = "matter-1", **changes: Any) -> Open:
        self.film_us = self.mono_us + 2_000_000
        good = Open(
            recording=recording,
            kind="video",
            action="inspection",
            stage="investigation",
            matter=matter,
            particulars=self.put(b'{"v":1,"type":"particulars","device":"rec-sample"}'),
            recipients=[self.agency.recipient],
            interlock=interlock(),
            video=VideoFormat("h264", 640, 480, 30),
            sound=None,
        )
        return replace(good, **changes)

    def segment(self, recording: str, index: int, **changes: Any) -> Segment:
        good = Segment(
            recording=recording,
            index=index,
            object=self.put(b"film of segment %d" % index * 100),
            start_us=index * 5_000_000,
            duration_us=5_000_000,
            first_frame_us=self.film_us + index * 5_000_000,
            frames=150,
            recovered=False,
        )
        return replace(good, **changes)

    def record(self, recording: str, matter: str = "matter-1", segments: int = 2, **opened: Any) -> None:
        """A whole good recording."""
        self.enter(self.notice(recording))
        self.enter(self.open(recording, matter, **opened))
        self.enter(Mark(recording, "site_sign", 1000))
        for index in range(segments):
            self.enter(self.segment(recording, index))
        self.close(recording, segments)

    def close(self, recording: str, segments: int = 2, **changes: Any) -> None:
        good = Close(recording, "button", segments, 150 * segments, 0, 5_000_000 * segments)
        self.enter(replace(good, **changes))
        self.lines.append(self.writer.next_epoch("recording_end", self.time()))

    def receipt(
        self, objects: list[ObjectRef] | None = None, key: SigningKey | None = None, device: str = DEVICE
    ) -> ReceiptEntry:
        refs = self.sealed if objects is None else objects
        size, root = self.writer.size, self.writer.tree.root().hex()
        receipt = Receipt(1, "receipt", DOCK, device, refs, size, root, START_US + self.mono_us)
        return ReceiptEntry(DOCK, self.document(sign_receipt(receipt, key or self.agency.receipts)), size)

    def witness(self) -> None:
        """A checkpoint over everything so far, cosigned by the dock."""
        root = self.writer.tree.root()
        note = sign_checkpoint(Checkpoint(origin_of(AGENCY, DEVICE), self.writer.size, root), self.writer.epoch_key)
        self.folder.checkpoint.write_bytes(note)
        seconds = (START_US + self.mono_us) // 1_000_000 + 1
        self.folder.cosigned.write_bytes(cosign(note, DOCK, self.agency.witness, seconds))

    def write(self) -> None:
        self.folder.ledger.write_bytes(b"".join(line + b"\n" for line in self.lines))


def good(path: Path, change: Callable[[Bundle], None] = lambda bundle: None, **knobs: Any) -> Bundle:
    """A good bundle: two recordings of two matters, receipted and witnessed. ``change`` adds entries before the end."""
    bundle = Bundle(path, **knobs)
    bundle.begin()
    bundle.record("1" * 16, "matter-1")
    bundle.record("2" * 16, "matter-2")
    change(bundle)
    bundle.enter(bundle.receipt())
    bundle.witness()
    bundle.write()
    return bundle
