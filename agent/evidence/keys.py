"""Which key may sign which line: the identity key signs ``boot`` only, an epoch key only its own span of lines.

The span is given by the ledger itself, by sequence and never by a clock: a ``boot`` line names the first epoch key, an
``epoch`` line names the next one and is the last that the old key signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from nacl.signing import SigningKey

from agent.errors import FormatError, SignatureError, TrustError
from agent.evidence import jws
from agent.evidence.encoding import from_b64url, from_pem
from agent.evidence.entries import Boot, Epoch

_OID = x509.NameOID
IDENTITY_UNIT = "identity"
"""Organisational unit in an identity certificate's subject; TLS certificates carry another and cannot sign a boot."""
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InternalError, x509.InvalidVersion)
"""What the library raises for X.509 and keys that cannot be read, or are of a kind that it does not know."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A device's certified identity key: what its certificate says."""

    device: str
    agency: str
    public_key: bytes
    certificate: x509.Certificate


def read_identity(der: bytes, root: x509.Certificate) -> Identity:
    """Checks that the agency's root issued this identity certificate, and reads it. Raises TrustError.

    Validity in time is not judged here: it is judged at the witnessed time, by verification.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(root)
        _check_issued(certificate.tbs_certificate_bytes, certificate.signature, certificate.issuer, root)
        raw = _ed25519(certificate.public_key())
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc  # some years no datetime can hold
        agency, device = (_subject(certificate, oid) for oid in (_OID.ORGANIZATION_NAME, _OID.COMMON_NAME))
        wanted = subject_of(agency, IDENTITY_UNIT, device)
        # Bytes: two names that only read alike are not the same name.
        same = certificate.subject.public_bytes() == wanted.public_bytes()
    except (*_UNREADABLE, InvalidSignature, SignatureError) as error:
        raise TrustError(f"the identity certificate was not issued by this agency: {error}") from error
    if not same or certificate.version is not x509.Version.v3 or certificate.serial_number <= 0:
        raise TrustError("this certificate is not an identity certificate")
    return Identity(device, agency, raw, certificate)


def subject_of(agency: str, unit: str, name: str) -> x509.Name:
    """The subject of a certificate of the agency: organisation, unit and name, each a UTF8String. Raises ValueError."""
    words = ((_OID.ORGANIZATION_NAME, agency), (_OID.ORGANIZATIONAL_UNIT_NAME, unit), (_OID.COMMON_NAME, name))
    return x509.Name([x509.NameAttribute(oid, word) for oid, word in words])


def _check_issued(signed: bytes, signature: bytes, issuer: x509.Name, root: x509.Certificate) -> None:
    """As strictly as any other signature; raises SignatureError, TrustError."""
    if issuer.public_bytes() != root.subject.public_bytes():
        raise TrustError("the issuer is not the agency's root")
    jws.check_detached(signed, signature, _ed25519(root.public_key()))


def _ed25519(key: object) -> bytes:
    if not isinstance(key, ed25519.Ed25519PublicKey) or not jws.is_sound_key(key.public_bytes_raw()):
        raise TrustError("a certificate must hold a valid Ed25519 key")
    return key.public_bytes_raw()


def read_crl(pem: bytes, root: x509.Certificate) -> x509.CertificateRevocationList:
    """The agency's revocation list; raises TrustError unless it can be read, names the root and is signed by it."""
    try:
        listed = x509.load_der_x509_crl(from_pem(pem.decode("utf-8", "replace"), "X509 CRL"))
        signed = listed.is_signature_valid(root.public_key())  # type: ignore[arg-type]  # a root's key can sign a list
        _check_issued(listed.tbs_certlist_bytes, listed.signature, listed.issuer, root)
        # Rows and times are parsed when they are asked for, and only then refused.
        _ = listed.last_update_utc, listed.next_update_utc, [row.revocation_date_utc for row in listed]
    except (*_UNREADABLE, InvalidSignature, FormatError) as error:
        raise TrustError(f"the revocation list cannot be read: {error}") from error
    if not signed:
        raise TrustError("the revocation list is not signed by the agency's root")
    return listed


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    if len(found) != 1 or not isinstance(found[0].value, str):
        raise TrustError(f"the certificate's subject must have exactly one {oid._name}")
    return found[0].value


def load_signing_key(pem: bytes) -> SigningKey:
    """Reads an Ed25519 private key (PEM, PKCS #8, no passphrase); raises TrustError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except _UNREADABLE as error:
        raise TrustError(f"the private key cannot be read: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TrustError("an Ed25519 private key is expected")
    return SigningKey(key.private_bytes_raw())


def _sound(key: str) -> bytes:
    raw = from_b64url(key)
    if not jws.is_sound_key(raw):
        raise SignatureError("the next key is not a valid Ed25519 public key")
    return raw


@dataclass(frozen=True, slots=True)
class KeyState:
    """The epoch key in force after some line, with the number of lines it has signed; None before the first boot."""

    epoch_key: bytes | None = None
    signed_lines: int = 0

    def check_signer(self, token: jws.Jws, body: object, identity_key: bytes) -> None:
        """Raises SignatureError unless the key that may sign the next line, given its body, signed it."""
        if isinstance(body, Boot):
            jws.check(token, identity_key)
        elif self.epoch_key is None:
            raise SignatureError("the ledger must begin with a boot line")
        else:
            jws.check(token, self.epoch_key)

    def after(self, body: object) -> KeyState:
        """The state after a line with this body. Raises FormatError, SignatureError for a next key that is none."""
        if isinstance(body, Boot):
            return KeyState(_sound(body.epoch_key))
        if isinstance(body, Epoch):
            return KeyState(_sound(body.key))
        return KeyState(self.epoch_key, self.signed_lines + 1)
