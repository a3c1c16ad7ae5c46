"""JWS compact serialisation (RFC 7515) with Ed25519 (RFC 8037), and nothing else of JOSE.

One header is allowed: ``alg`` EdDSA, ``typ`` as expected by the caller, ``kid`` the RFC 7638 thumbprint of the key.
Signatures are checked by libsodium, which refuses small-order keys, non-canonical points and S >= L.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from agent.errors import AlgorithmError, FormatError, KeySpanError, SignatureError
from agent.evidence.encoding import Json, b64url, dump_json, from_b64url, load_object

MAX_JWS_BYTES: Final = 65_536
LEDGER_TYPE: Final = "er-ledger+jws"
RECEIPT_TYPE: Final = "er-receipt+jws"
PROFILE_TYPE: Final = "er-profile+jws"
POLICY_TYPE: Final = "er-policy+jws"
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed token; ``signed`` is the exact byte string that the signature covers."""

    kid: str
    typ: str
    payload: dict[str, Json]
    signed: bytes
    signature: bytes


def thumbprint(public_key: bytes) -> str:
    """Key id: the RFC 7638 thumbprint of an Ed25519 public key (32 bytes), base64url."""
    jwk = b'{"crv":"Ed25519","kty":"OKP","x":"' + b64url(public_key).encode() + b'"}'
    return b64url(hashlib.sha256(jwk).digest())


def signing_input(payload: bytes, typ: str, kid: str) -> bytes:
    """The exact bytes that a signature by the key ``kid`` covers."""
    return f"{b64url(dump_json({'alg': 'EdDSA', 'kid': kid, 'typ': typ}))}.{b64url(payload)}".encode()


def sign(payload: dict[str, Json], typ: str, key: SigningKey) -> bytes:
    """Signs the payload; returns the compact token, no newline."""
    signed = signing_input(dump_json(payload), typ, thumbprint(bytes(key.verify_key)))
    token = signed + b"." + b64url(key.sign(signed).signature).encode()
    if len(token) > MAX_JWS_BYTES:
        raise FormatError(f"a token of {len(token)} bytes is over the limit of {MAX_JWS_BYTES}")
    return token


def parse(token: bytes, typ: str) -> Jws:
    """Takes a compact token apart without judging its signature. Raises FormatError."""
    if len(token) > MAX_JWS_BYTES:
        raise FormatError(f"token over {MAX_JWS_BYTES} bytes")
    parts = token.split(b".")
    if len(parts) != 3:
        raise FormatError("not a JWS compact token")
    payload, signature = from_b64url(parts[1]), from_b64url(parts[2])
    kid = _read_header(parts[0], typ)
    if len(signature) != 64:
        raise FormatError("an Ed25519 signature has 64 bytes")
    return Jws(kid, typ, load_object(payload), parts[0] + b"." + parts[1], signature)


@lru_cache(maxsize=256)
def _read_header(part: bytes, typ: str) -> str:
    """The key id that a header names. A key signs many lines, and each has the same header to the byte."""
    header = load_object(from_b64url(part))
    if header.get("alg", "EdDSA") != "EdDSA":
        raise AlgorithmError(f"algorithm {str(header['alg'])[:40]!r} is not allowed, only EdDSA")
    if set(header) != {"alg", "kid", "typ"} or header["typ"] != typ:
        raise FormatError("the header must be alg EdDSA, typ " + typ + " and a kid, nothing else")
    kid = header["kid"]
    if not isinstance(kid, str) or not _THUMBPRINT.fullmatch(kid):
        raise FormatError("kid must be the thumbprint of a key")
    return kid


def check(token: Jws, public_key: bytes) -> None:
    """Raises KeySpanError unless the token names this key, SignatureError unless this key signed it."""
    if token.kid != _thumbprint(public_key):
        raise KeySpanError(f"signed by key {token.kid}, not by {thumbprint(public_key)}")
    check_detached(token.signed, token.signature, public_key)


@lru_cache(maxsize=64)
def _thumbprint(public_key: bytes) -> str:
    return thumbprint(public_key)


@lru_cache(maxsize=64)
def is_sound_key(public_key: bytes) -> bool:
    """Whether these bytes are the canonical encoding of a point of prime order: no small order, no mixed order."""
    return len(public_key) == 32 and crypto_core_ed25519_is_valid_point(public_key)


def check_detached(message: bytes, signature: bytes, public_key: bytes) -> None:
    """Raises SignatureError unless ``signature`` is a strict Ed25519 signature of ``message``."""
    # libsodium's verify refuses small-order and non-canonical points; asking first gives the reason a name.
    if not is_sound_key(public_key):
        raise SignatureError("not a valid Ed25519 public key")
    if len(signature) != 64:
        raise SignatureError("an Ed25519 signature has 64 bytes")
    try:
        VerifyKey(public_key).verify(message, signature)
    except BadSignatureError as error:
        raise SignatureError("the signature does not verify") from error


def verify(token: bytes, typ: str, key_of: Callable[[str], bytes | None]) -> Jws:
    """Parses and checks a token against the key that ``key_of(kid)`` gives; None means the key is not trusted."""
    parsed = parse(token, typ)
    key = key_of(parsed.kid)
    if key is None:
        raise SignatureError(f"key {parsed.kid} is not trusted for {typ}")
    check(parsed, key)
    return parsed
