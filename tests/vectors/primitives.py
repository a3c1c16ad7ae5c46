"""What evidence is made of: strict JSON, base64, JWS, the tree, signed notes. Written from the specification alone.

Nothing here comes from ``agent``: vectors that the product helped to make could not show where it is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from nacl.signing import SigningKey

LEDGER, PROFILE, POLICY, RECEIPT = (f"er-{name}+jws" for name in ("ledger", "profile", "policy", "receipt"))
ED25519, COSIGNATURE = 0x01, 0x04


class Dice:
    """Bytes that look random and are the same for the same label: SHA-256 in counter mode."""

    def __init__(self, label: str) -> None:
        self._seed = hashlib.sha256(b"enforcement-recorder test vectors\n" + label.encode()).digest()
        self._counter = 0
        self._pool = b""

    def bytes(self, count: int) -> bytes:
        while len(self._pool) < count:
            self._pool += hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        out, self._pool = self._pool[:count], self._pool[count:]
        return out

    def key(self) -> SigningKey:
        return SigningKey(self.bytes(32))

    def hex(self, digits: int) -> str:
        return self.bytes(digits // 2).hex()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_left_over_bits(text: str) -> str:
    """The same 32 bytes in base64url, spelled with a last letter whose two unused bits are not zero."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def unb64url(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def public(key: SigningKey) -> bytes:
    return bytes(key.verify_key)


def thumbprint(public_key: bytes) -> str:
    return b64url(sha256(b'{"crv":"Ed25519","kty":"OKP","x":"' + b64url(public_key).encode() + b'"}'))


def header_of(public_key: bytes, typ: str = LEDGER) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": thumbprint(public_key), "typ": typ}


def token(header: dict[str, Any] | bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A compact JWS; ``sign`` gives the signature of what is signed."""
    head = header if isinstance(header, bytes) else compact(header)
    signed = f"{b64url(head)}.{b64url(payload)}".encode()
    return signed + b"." + b64url(sign(signed)).encode()


def signer(key: SigningKey) -> Callable[[bytes], bytes]:
    return lambda message: key.sign(message).signature


def document(shape: dict[str, Any], typ: str, key: SigningKey) -> bytes:
    return token(header_of(public(key), typ), compact(shape), signer(key))


# The tree of RFC 6962


def leaf(line: bytes) -> bytes:
    return sha256(b"\0" + line)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right)


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def root_of(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(len(leaves))
    return node(root_of(leaves[:middle]), root_of(leaves[middle:]))


def audit_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*audit_path(index, leaves[:middle]), root_of(leaves[middle:])]
    return [*audit_path(index - middle, leaves[middle:]), root_of(leaves[:middle])]


class GrowingTree:
    """The root of more lines than one likes to keep."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, line: bytes) -> None:
        height, peak = 0, leaf(line)
        while self._peaks and self._peaks[-1][0] == height:
            peak, height = node(self._peaks.pop()[1], peak), height + 1
        self._peaks.append((height, peak))

    def root(self) -> bytes:
        root = self._peaks[-1][1]
        for _, peak in self._peaks[-2::-1]:
            root = node(peak, root)
        return root


# Signed notes


def origin(agency: str, device: str) -> str:
    return f"{agency}/enforcement-recorder/{device}"


def note_text(name: str, size: int, root: bytes) -> str:
    return f"{name}\n{size}\n{b64(root)}\n"


def signature_line(name: str, algorithm: int, public_key: bytes, blob: bytes) -> str:
    key_id = sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key)[:4]
    return f"— {name} {b64(key_id + blob)}\n"


def own_signature(text: str, key: SigningKey) -> str:
    name = text.split("\n", 1)[0]
    return signature_line(name, ED25519, public(key), key.sign(text.encode()).signature)


def cosignature(text: str, name: str, key: SigningKey, seconds: int) -> str:
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    blob = seconds.to_bytes(8, "big") + key.sign(message).signature
    return signature_line(name, COSIGNATURE, public(key), blob)
