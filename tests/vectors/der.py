"""Just enough DER to sign again what of a certificate or list is signed, after it was changed."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x06\x03\x2b\x65\x70"
SEQUENCE, BIT_STRING = 0x30, 0x03


def element(tag: int, *content: bytes) -> bytes:
    """One element around its content."""
    body = b"".join(content)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes(-(-len(body).bit_length() // 8), "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def signed(body: bytes, key: Ed25519PrivateKey) -> bytes:
    """A certificate or list: what is signed, the algorithm, the signature."""
    return element(SEQUENCE, body, element(SEQUENCE, _ED25519), element(BIT_STRING, b"\0", key.sign(body)))
