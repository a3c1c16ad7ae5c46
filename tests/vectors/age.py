"""age v1 files (C2SP age), good and otherwise, from labelled dice instead of the kernel's."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.vectors.primitives import Dice

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CHUNK = 65_536


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mask if top >> bit & 1 else 0
    return check


def bech32(prefix: str, data: bytes) -> str:
    """BIP 173 without its limit on length."""
    count = -(-len(data) * 8 // 5)
    bits = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    words = [bits >> 5 * (count - 1 - place) & 31 for place in range(count)]
    spread = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    check = _polymod([*spread, *words, *[0] * 6]) ^ 1
    words += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(LETTERS[word] for word in words)


@dataclass(frozen=True)
class AgeKey:
    """A recipient and its identity."""

    secret: bytes

    @cached_property
    def raw(self) -> bytes:
        return X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()

    @cached_property
    def recipient(self) -> str:
        return bech32("age", self.raw)

    @cached_property
    def identity(self) -> str:
        return bech32("age-secret-key-", self.secret).upper()


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt or None, info).derive(secret)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _x25519_stanza(file_key: bytes, key: AgeKey, secret: bytes) -> bytes:
    mine = X25519PrivateKey.from_private_bytes(secret)
    share = mine.public_key().public_bytes_raw()
    shared = mine.exchange(X25519PublicKey.from_public_bytes(key.raw))
    wrap = _hkdf(shared, share + key.raw, b"age-encryption.org/v1/X25519")
    return b"-> X25519 " + _b64(share) + b"\n" + _b64(ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)) + b"\n"


def seal(label: str, plain: bytes, keys: list[AgeKey], extra: bytes = b"") -> bytes:
    """The file. ``extra``: stanzas of other types, as they stand in the header, after the X25519 ones."""
    dice = Dice(f"age file {label}")
    file_key, nonce = dice.bytes(16), dice.bytes(16)
    stanzas = b"".join(_x25519_stanza(file_key, key, dice.bytes(32)) for key in keys)
    header = b"age-encryption.org/v1\n" + stanzas + extra + b"---"
    mac = hmac.digest(_hkdf(file_key, b"", b"header"), header, "sha256")
    cipher = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
    pieces = [plain[start : start + CHUNK] for start in range(0, len(plain), CHUNK)] or [b""]
    sealed = [
        cipher.encrypt(number.to_bytes(11, "big") + bytes([number == len(pieces) - 1]), piece, None)
        for number, piece in enumerate(pieces)
    ]
    return header + b" " + _b64(mac) + b"\n" + nonce + b"".join(sealed)


def stanza(kind: str, label: str, *arguments: str, size: int = 32) -> bytes:
    """A stanza of another type, with a body of this many bytes."""
    body = _b64(Dice(f"stanza {label}").bytes(size))
    lines = [body[start : start + 64] for start in range(0, len(body) + 1, 64)]
    return " ".join(["->", kind, *arguments]).encode() + b"\n" + b"\n".join(lines) + b"\n"


def torn(sealed: bytes) -> bytes:
    """What is whole of a small file whose writing was cut: header and nonce."""
    return sealed[: sealed.index(b"\n", sealed.index(b"\n--- ") + 1) + 17]
