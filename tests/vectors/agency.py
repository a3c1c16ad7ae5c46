"""The sample agency: its keys, certificates, documents and trust file."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from nacl.signing import SigningKey

from tests.vectors.age import AgeKey
from tests.vectors.primitives import POLICY, PROFILE, Dice, b64url, document, public

AGENCY, DEVICE, SECOND, SERIAL = "sample-agency", "rec-sample", "rec-second", "SAMPLE-0001"
DOCK, OTHER_DOCK, WITNESS = "dock-sample", "dock-other", "witness.sample"
START_US = 1_800_000_000_000_000
"""The vectors' day begins: 2027-01-15T08:00:00Z."""
SECOND_US, HOUR_US, DAY_US = 1_000_000, 3_600_000_000, 86_400_000_000
NOTICE_SOUND = Dice("the notice as sound").hex(64)


def moment(utc_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(utc_us // SECOND_US, dt.UTC)


class Agency:
    """Everything that it holds, each from the label of what it is."""

    def __init__(self, name: str = AGENCY) -> None:
        self.name = name
        self.root_key = Ed25519PrivateKey.from_private_bytes(Dice(f"{name} root").bytes(32))
        self.root = self.certificate("root", self.root_key.public_key(), "root", authority=True)
        self.documents = Dice(f"{name} documents").key()
        self.receipts = {dock: Dice(f"{name} {dock} receipts").key() for dock in (DOCK, OTHER_DOCK)}
        self.witnesses = {one: Dice(f"{name} {one} witness").key() for one in (DOCK, OTHER_DOCK, WITNESS)}
        self.archive, self.escrow, self.stranger = (
            AgeKey(Dice(f"{name} {who} age").bytes(32)) for who in ("archive", "escrow", "stranger")
        )
        self.recipients = [self.archive.recipient, self.escrow.recipient]

    def certificate(
        self,
        device: str,
        key: SigningKey | Ed25519PublicKey | ec.EllipticCurvePublicKey,
        unit: str = "identity",
        *,
        organisation: str | None = None,
        more: tuple[tuple[x509.ObjectIdentifier, str], ...] = (),
        begin_us: int = START_US - DAY_US,
        end_us: int = START_US + 3650 * DAY_US,
        authority: bool = False,
        issuer: x509.Name | None = None,
        signed_by: Ed25519PrivateKey | None = None,
    ) -> x509.Certificate:
        """A certificate of the root, or of whoever is said to have issued or signed it."""
        oid = x509.NameOID
        words = (
            (oid.ORGANIZATION_NAME, organisation or self.name),
            (oid.ORGANIZATIONAL_UNIT_NAME, unit),
            (oid.COMMON_NAME, device),
            *more,
        )
        subject = x509.Name([x509.NameAttribute(kind, text) for kind, text in words])
        raw = Ed25519PublicKey.from_public_bytes(public(key)) if isinstance(key, SigningKey) else key
        label = f"{self.name} serial {device} {unit} {organisation} {begin_us} {end_us}"
        issued_by = issuer or (subject if unit == "root" else self.root.subject)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issued_by).public_key(raw)
        builder = builder.serial_number(int.from_bytes(Dice(label).bytes(16), "big") >> 1)
        builder = builder.not_valid_before(moment(begin_us)).not_valid_after(moment(end_us))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        return builder.sign(signed_by or self.root_key, None)

    def crl(
        self,
        revoked: list[tuple[int, int]] | None = None,
        issuer: x509.Name | None = None,
        signed_by: Ed25519PrivateKey | None = None,
    ) -> str:
        """The list, PEM: pairs of serial number and time of revocation in microseconds."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer or self.root.subject)
        builder = builder.last_update(moment(START_US)).next_update(moment(START_US + 30 * DAY_US))
        for serial, utc_us in revoked or []:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment(utc_us)).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(signed_by or self.root_key, None).public_bytes(Encoding.PEM).decode()

    def trust(self, **changes: Any) -> dict[str, Any]:
        """The trust file. The other dock is trusted too."""
        docks = [
            {
                "id": dock,
                "receipt_key": b64url(public(self.receipts[dock])),
                "witness_key": b64url(public(self.witnesses[dock])),
            }
            for dock in (DOCK, OTHER_DOCK)
        ]
        return {
            "v": 1,
            "type": "trust",
            "agency": self.name,
            "agency_name": "样例单位",
            "root_certificate": self.root.public_bytes(Encoding.PEM).decode(),
            "crl": self.crl(),
            "document_keys": [b64url(public(self.documents))],
            "docks": docks,
            "witnesses": [{"id": WITNESS, "key": b64url(public(self.witnesses[WITNESS]))}],
            "recipients": self.recipients,
        } | changes

    def profile(self, device: str = DEVICE, key: SigningKey | None = None, typ: str = PROFILE, **changes: Any) -> bytes:
        shape = {
            "v": 1,
            "type": "profile",
            "version": 1,
            "agency": self.name,
            "device": device,
            "serial": SERIAL,
            "officer": "officer-sample" if device == DEVICE else "officer-second",
            "section": "section-sample",
            "issued_us": START_US - DAY_US,
            "ex_approval": None,
        }
        return document(shape | changes, typ, key or self.documents)

    def policy(self, key: SigningKey | None = None, typ: str = POLICY, **changes: Any) -> bytes:
        shape = {
            "v": 1,
            "type": "policy",
            "version": 1,
            "agency": self.name,
            "issued_us": START_US - DAY_US,
            "notice": {
                "digest": NOTICE_SOUND,
                "text": "样例告知",
                "must_be_heard": False,
                "repeat": False,
                "tone_interval_us": None,
            },
            "hazard": {
                "max_age_us": 10_000_000,
                "stale_counts_as_set": True,
                "assumed_zone": {"zone": "1", "group": "IIB", "temperature_class": "T3", "surface_celsius": None},
                "zone_map": None,
                "power_down": False,
            },
            "battery": {"alarm_minutes": 15, "seal_minutes": 3},
            "recipients": self.recipients,
            "segment_us": 2_000_000,
            "epoch_lines": 64,
            "receipts_needed": 1,
            "release_after_us": 0,
            "minimum_free_bytes": 0,
        }
        return document(shape | changes, typ, key or self.documents)


@cache
def agency(name: str = AGENCY) -> Agency:
    return Agency(name)


def approval(**changes: Any) -> dict[str, Any]:
    return {
        "marking": "Ex ib IIC T4 Gb",
        "certificate": "SAMPLE-EX-1",
        "issuer": "sample issuer",
        "expires_us": START_US + 365 * DAY_US,
        "unit_serial": SERIAL,
    } | changes
