"""The agency's certificate authority: one Ed25519 root, which issues identity and TLS certificates and the CRL.

Pure over keys and certificates; files and the register are ``agency.py``'s. A certificate is issued against a signing
request (CSR), so that a key can be made where it is used and never leave it. Of the request only the key counts; the
subject is what the administrator says. Subjects: CN = id, O = agency id, OU = what the certificate is for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.errors import TrustError, UsageError
from agent.evidence.keys import IDENTITY_UNIT
from provisioning.keys import PrivateKey
from provisioning.records import Reason

ROOT_UNIT: Final = "root"
DEVICE_UNIT: Final = "device"
DOCK_UNIT: Final = "dock"
LOCAL_NAMES: Final = ("localhost", "127.0.0.1")
# A device without a battery-backed clock wakes up in the past and must still be able to reach its dock.
BACKDATE: Final = timedelta(days=1)

_REASONS: Final[dict[Reason, x509.ReasonFlags]] = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation_of_operation": x509.ReasonFlags.cessation_of_operation,
}


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when (aware datetimes, whole seconds) a certificate holds."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def days(cls, now: datetime, days: int) -> Self:
        """``days`` from now, and a day back (see BACKDATE)."""
        if days < 1:
            raise UsageError(f"a certificate must hold for at least one day, not {days}")
        start = now.replace(microsecond=0)
        return cls(start - BACKDATE, start + timedelta(days=days))


@dataclass(frozen=True, slots=True)
class Revoked:
    """A line of the CRL. ``serial`` is lower-case hex, ``at`` an aware datetime."""

    serial: str
    at: datetime
    reason: Reason


def serial_text(certificate: x509.Certificate) -> str:
    """The serial number as the register keeps it: lower-case hex without leading zeros."""
    return format(certificate.serial_number, "x")


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """PEM, as every file here holds it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def make_request(key: PrivateKey, name: str) -> x509.CertificateSigningRequest:
    """A signing request: proof that whoever asks holds the private key. The device's part of an enrolment."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    return builder.sign(key, hashes.SHA256())


def make_root(key: ed25519.Ed25519PrivateKey, agency: str, validity: Validity) -> x509.Certificate:
    """The self-signed root: signs certificates and CRLs, and no further authority (path length 0)."""
    name = _subject(agency, agency, ROOT_UNIT)
    builder = _builder(name, name, key.public_key(), validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, None)


class Authority:
    """The root with its key, as long as it is needed. Holds no file and no register."""

    def __init__(self, key: ed25519.Ed25519PrivateKey, certificate: x509.Certificate) -> None:
        """Raises TrustError if the key is not the certificate's."""
        if certificate.public_key() != key.public_key():
            raise TrustError("the root key does not belong to the root certificate")
        self._key = key
        self.certificate = certificate
        self.agency = str(certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)

    def issue_identity(
        self, request: x509.CertificateSigningRequest, device: str, validity: Validity
    ) -> x509.Certificate:
        """An identity certificate: may sign, and is for no TLS. The key must be Ed25519; raises TrustError."""
        if not isinstance(request.public_key(), ed25519.Ed25519PublicKey):
            raise TrustError("an identity key must be Ed25519")
        return self._issue(request, device, IDENTITY_UNIT, validity, [])

    def issue_device_tls(
        self, request: x509.CertificateSigningRequest, device: str, validity: Validity
    ) -> x509.Certificate:
        """A TLS client certificate for a device. The key must be ECDSA P-256; raises TrustError."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(_require_p256(request), device, DEVICE_UNIT, validity, [usage])

    def issue_dock_tls(
        self, request: x509.CertificateSigningRequest, dock: str, names: Sequence[str], validity: Validity
    ) -> x509.Certificate:
        """A TLS server and client certificate for a dock, for localhost and ``names`` (DNS names or addresses)."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        places = x509.SubjectAlternativeName([_place(name) for name in dict.fromkeys([*LOCAL_NAMES, *names])])
        return self._issue(_require_p256(request), dock, DOCK_UNIT, validity, [usage, places])

    def _issue(
        self,
        request: x509.CertificateSigningRequest,
        name: str,
        unit: str,
        validity: Validity,
        extensions: Iterable[x509.ExtensionType],
    ) -> x509.Certificate:
        if not request.is_signature_valid:
            raise TrustError("the signing request is not signed by the key in it")
        public = request.public_key()
        assert isinstance(public, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey)  # callers checked
        builder = _builder(_subject(name, self.agency, unit), self.certificate.subject, public, self._within(validity))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, None)

    def _within(self, validity: Validity) -> Validity:
        root = self.certificate
        if validity.not_after > root.not_valid_after_utc:
            end = f"{root.not_valid_after_utc:%Y-%m-%d}"
            raise UsageError(f"the certificate would outlive the root, which ends {end}; ask for fewer days")
        return Validity(max(validity.not_before, root.not_valid_before_utc), validity.not_after)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)

    def sign_crl(
        self, revoked: Iterable[Revoked], number: int, now: datetime, days: int
    ) -> x509.CertificateRevocationList:
        """The whole CRL, signed; ``number`` must be higher than the last one's. It is overdue after ``days``."""
        start = now.replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(start - BACKDATE)
            .next_update(start + timedelta(days=days))
            .add_extension(self._key_identifier(), critical=False)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for line in revoked:
            builder = builder.add_revoked_certificate(_revoked(line))
        return builder.sign(self._key, None)


def check_issued(certificate: x509.Certificate, root: x509.Certificate) -> None:
    """Raises TrustError unless the root issued this certificate."""
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise TrustError(f"the certificate was not issued by this agency: {error}") from error


def _revoked(line: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(int(line.serial, 16))
    builder = builder.revocation_date(line.at.replace(microsecond=0))
    if line.reason != "unspecified":  # RFC 5280 5.3.1: then the extension should be left out
        builder = builder.add_extension(x509.CRLReason(_REASONS[line.reason]), critical=False)
    return builder.build()


def _require_p256(request: x509.CertificateSigningRequest) -> x509.CertificateSigningRequest:
    key = request.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError("a TLS key must be ECDSA P-256")
    return request


def _subject(name: str, agency: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, agency),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey,
    validity: Validity,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _place(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise UsageError(f"{name!r} is neither a DNS name nor an address: {error}") from error
