"""Sealed objects: age v1 files (C2SP age) for X25519 recipients, written as a stream; stock ``age -d`` opens them.

The device holds no decryption key, and the file key lives only while its file is open: what is sealed is sealed for the
agency alone. Data leaves in chunks of 64 KiB, each authenticated, so a torn file opens up to its last whole chunk.
Reading back uses ``pyrage``; only what a torn file still gives is read here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Final

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.errors import FormatError
from agent.evidence.entries import ObjectRef

CHUNK_BYTES: Final = 65_536
TAG_BYTES: Final = 16
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
HEADER_LIMIT: Final = 8_192
"""Bytes within which the header of a sealed object ends."""
_STANZA: Final = re.compile(rb"->(?: [\x21-\x7e]+)+")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*")
_WRAP_INFO: Final = b"age-encryption.org/v1/X25519"


def recipient_key(recipient: str) -> bytes:
    """The X25519 public key (32 bytes) of an ``age1...`` recipient; raises FormatError."""
    try:
        pyrage.x25519.Recipient.from_str(recipient)  # checks the Bech32 checksum for us
    except pyrage.RecipientError as error:
        raise FormatError(f"{recipient[:20]!r} is not an age recipient: {error}") from error
    return _bech32_bytes(recipient[4:-6])


def _bech32_bytes(letters: str) -> bytes:
    """The 32 bytes that 52 Bech32 letters carry (256 bits and 4 of padding); the checksum was checked before."""
    bits = 0
    for letter in letters:
        bits = bits << 5 | _BECH32.index(letter)
    return (bits >> 4).to_bytes(32, "big")


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt or None, info).derive(secret)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _stanza(file_key: bytes, recipient: bytes, secret_bytes: bytes) -> bytes:
    """An X25519 recipient stanza: the file key wrapped for one recipient, with a fresh secret of 32 bytes."""
    ephemeral = X25519PrivateKey.from_private_bytes(secret_bytes)
    share = ephemeral.public_key().public_bytes_raw()
    secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    wrap = _hkdf(secret, share + recipient, _WRAP_INFO)
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    return b"-> X25519 " + _b64(share) + b"\n" + _b64(body) + b"\n"


class SealedWriter:
    """Push writer of one age file. ``emit`` gets the bytes of the file in order; durability is the caller's."""

    def __init__(
        self,
        recipients: Iterable[bytes],
        emit: Callable[[bytes], object],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Writes the header at once. ``recipients`` are X25519 public keys, at least one.

        ``random`` gives that many unpredictable bytes; only test vectors use another source than the kernel's.
        """
        file_key, nonce = random(16), random(16)
        stanzas = [_stanza(file_key, recipient, random(32)) for recipient in recipients]
        if not stanzas:
            raise FormatError("nothing is sealed without a recipient")
        header = b"age-encryption.org/v1\n" + b"".join(stanzas) + b"---"
        mac = hmac.digest(_hkdf(file_key, b"", b"header"), header, "sha256")
        self._cipher = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
        self._counter = 0
        self._pending = bytearray()
        self._hash = hashlib.sha256()
        self._emit = emit
        self.size = 0
        self._out(header + b" " + _b64(mac) + b"\n" + nonce)

    def write(self, data: bytes) -> None:
        """Takes plaintext; every whole chunk that is surely not the last one goes out sealed."""
        self._pending += data
        whole = (len(self._pending) - 1) // CHUNK_BYTES if self._pending else 0
        with memoryview(self._pending) as view:
            for index in range(whole):
                self._chunk(view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES], last=False)
        del self._pending[: whole * CHUNK_BYTES]

    @property
    def chunks(self) -> int:
        """Whole chunks that have gone out."""
        return self._counter

    @property
    def unsealed(self) -> bytes:
        """What was taken and is in no chunk yet: at most 64 KiB."""
        return bytes(self._pending)

    def close(self) -> ObjectRef:
        """Writes the last chunk; returns digest and size of the whole file. The writer is then spent."""
        self._chunk(self._pending, last=True)
        self._pending = bytearray()
        return ObjectRef(self._hash.hexdigest(), self.size, "age")

    def _chunk(self, plain: bytes | bytearray | memoryview, last: bool) -> None:
        nonce = self._counter.to_bytes(11, "big") + bytes([last])
        self._counter += 1
        self._out(self._cipher.encrypt(nonce, plain, None))

    def _out(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        self._emit(data)


def seal(
    plain: bytes, recipients: Iterable[bytes], random: Callable[[int], bytes] = os.urandom
) -> tuple[ObjectRef, bytes]:
    """Seals small data (particulars, photo, telemetry) in one go; returns its reference and the file's bytes."""
    out: list[bytes] = []
    writer = SealedWriter(recipients, out.append, random)
    writer.write(plain)
    return writer.close(), b"".join(out)


def header_bytes(start: bytes) -> int:
    """Length of an age header and the payload nonce, given the file's first bytes. Raises FormatError."""
    end = start.find(b"\n--- ", 0, HEADER_LIMIT)
    newline = start.find(b"\n", end + 1) if end >= 0 else -1
    if not start.startswith(b"age-encryption.org/v1\n") or not 0 <= newline < HEADER_LIMIT:
        raise FormatError("not an age file, or its header is torn")
    return newline + 1 + 16


def whole_bytes(start: bytes, size: int) -> int:
    """How much of a torn file of ``size`` bytes to keep: header, nonce and whole chunks; 0 when not even those."""
    try:
        header = header_bytes(start)
    except FormatError:
        return 0
    if size < header:
        return 0
    return header + (size - header) // (CHUNK_BYTES + TAG_BYTES) * (CHUNK_BYTES + TAG_BYTES)


def stanza_types(start: bytes) -> list[bytes]:
    """Type of each recipient stanza in the header, given the file's first bytes. Raises FormatError.

    It says for how many keys a file is sealed; for which, only those keys can tell (axis confidentiality).
    """
    header = start[: header_bytes(start) - 16]  # without the nonce, which is random
    lines = iter(header.split(b"\n")[1:-1])
    found: list[bytes] = []
    for line in lines:
        if line.startswith(b"---"):
            if not found or len(_minimal(line.removeprefix(b"--- "))) != 32:
                break
            return found
        if not _STANZA.fullmatch(line):
            break
        found.append(_stanza_type(line.split(b" ")[1:], _stanza_body(lines)))
    raise FormatError("malformed age header")


def _stanza_body(lines: Iterator[bytes]) -> bytes:
    """Lines of 64 letters, and one that is shorter."""
    text = b""
    while len(line := next(lines, b"-")) == 64:
        text += line
    if len(line) > 64:
        raise FormatError("malformed age header")
    return _minimal(text + line)


def _stanza_type(words: list[bytes], body: bytes) -> bytes:
    """What only calls itself X25519 is none; stock tools refuse the whole file for it."""
    if words[0] == b"X25519" and (len(words) != 2 or len(_minimal(words[1])) != 32 or len(body) != 32):
        raise FormatError("a malformed X25519 stanza")
    return words[0]


def _minimal(text: bytes) -> bytes:
    """Base64 without padding and without left-over bits. Raises FormatError."""
    decoded = _from_b64(text) if _BASE64.fullmatch(text) else None
    if decoded is None or _b64(decoded) != text:
        raise FormatError("malformed age header")
    return decoded


def open_sealed(data: bytes, identity: pyrage.x25519.Identity) -> bytes:
    """Opens a sealed object, or as much of a torn one as is whole. Raises FormatError when nothing can be opened."""
    try:
        opened: bytes = pyrage.decrypt(data, [identity])
        return opened
    except pyrage.DecryptError:
        return _open_torn(data, identity)


def _open_torn(data: bytes, identity: pyrage.x25519.Identity) -> bytes:
    """Stock tools give a torn file's whole chunks and then an error; libraries give only the error, hence this."""
    length = header_bytes(data)
    secret = X25519PrivateKey.from_private_bytes(
        _bech32_bytes(str(identity).lower().removeprefix("age-secret-key-1")[:-6])
    )
    file_key = _unwrap(data[: length - 16], secret)
    cipher = ChaCha20Poly1305(_hkdf(file_key, data[length - 16 : length], b"payload"))
    plain = []
    for index, start in enumerate(range(length, len(data), CHUNK_BYTES + TAG_BYTES)):
        chunk = data[start : start + CHUNK_BYTES + TAG_BYTES]
        try:
            plain.append(cipher.decrypt(index.to_bytes(11, "big") + b"\0", chunk, None))
        except InvalidTag:
            break
    return b"".join(plain)


def _unwrap(header: bytes, secret: X25519PrivateKey) -> bytes:
    own = secret.public_key().public_bytes_raw()
    lines = header.split(b"\n")
    for line, body in pairwise(lines):
        if line.startswith(b"-> X25519 "):
            share = _from_b64(line[10:])
            try:
                wrap = _hkdf(secret.exchange(X25519PublicKey.from_public_bytes(share)), share + own, _WRAP_INFO)
                return ChaCha20Poly1305(wrap).decrypt(bytes(12), _from_b64(body), None)
            except (InvalidTag, ValueError):  # for another key; or no point of the curve, or one of small order
                continue
    raise FormatError("this identity is not among the recipients")


def _from_b64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise FormatError("malformed age header") from error
