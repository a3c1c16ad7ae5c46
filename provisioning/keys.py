"""Private keys as files: Ed25519 and ECDSA P-256 (PEM, PKCS #8) and age identities, as ``age-keygen`` writes them.

Private files have mode 0600 from their first byte. There is no passphrase: the folder belongs on an encrypted disk.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from agent.errors import TrustError
from agent.evidence.encoding import b64url
from agent.system import durable

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def new_signing_key() -> ed25519.Ed25519PrivateKey:
    """For documents, identities, receipts and cosignatures."""
    return ed25519.Ed25519PrivateKey.generate()


def new_tls_key() -> ec.EllipticCurvePrivateKey:
    """P-256: every broker and TLS library in use accepts it, which is not so of Ed25519."""
    return ec.generate_private_key(ec.SECP256R1())


def write_private_key(path: Path, key: PrivateKey) -> None:
    """Writes PEM, PKCS #8, mode 0600; returns after fsync."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    durable.write_atomic(path, pem, durable.PRIVATE_FILE)


def read_private_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """Reads an Ed25519 key; raises StorageError or TrustError."""
    try:
        key = serialization.load_pem_private_key(read_bytes(path), password=None)
    except (ValueError, TypeError) as error:
        raise TrustError(f"{path} is not a private key: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TrustError(f"{path} must hold an Ed25519 key")
    return key


def read_bytes(path: Path) -> bytes:
    """The whole file; raises StorageError."""
    with durable.storage_errors(path, "reading"):
        return path.read_bytes()


def public_text(key: ed25519.Ed25519PrivateKey) -> str:
    """The public key, 32 bytes, base64url."""
    return b64url(key.public_key().public_bytes_raw())


def write_age_identity(path: Path, now: datetime) -> str:
    """Makes an age X25519 identity and writes it as ``age-keygen`` would (mode 0600); returns its recipient."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    text = f"# created: {now.isoformat(timespec='seconds')}\n# public key: {recipient}\n{identity}\n"
    durable.write_atomic(path, text.encode(), durable.PRIVATE_FILE)
    return recipient


def check_recipient(text: str) -> str:
    """The recipient itself if it is a usable ``age1...`` one; raises TrustError."""
    try:
        return str(pyrage.x25519.Recipient.from_str(text))
    except (pyrage.RecipientError, ValueError) as error:
        raise TrustError(f"{text[:80]!r} is not an age X25519 recipient") from error
