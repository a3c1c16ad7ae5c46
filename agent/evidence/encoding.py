"""Strict base64url, hex and JSON: one spelling per value, everything else refused.

Evidence that can be spelled in two ways can be argued about in two ways, so duplicate keys, floats, big integers,
trailing bytes and non-minimal base64url are all errors (FormatError), not quirks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from agent.errors import FormatError

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 16

Json = Any
"""A value of the strict JSON subset: object, array, string, integer, boolean or null."""

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


def b64url(data: bytes) -> str:
    """Unpadded base64url (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64url(text: str | bytes) -> bytes:
    """Decodes unpadded base64url; refuses padding, foreign characters and left-over bits that are not zero."""
    raw = text.encode("ascii", "replace") if isinstance(text, str) else text
    if not _BASE64URL.fullmatch(raw) or len(raw) % 4 == 1:
        raise FormatError("not base64url")
    decoded = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    if b64url(decoded).encode() != raw:
        raise FormatError("base64url with left-over bits")
    return decoded


def from_pem(text: str, label: str) -> bytes:
    """The DER of one PEM block (RFC 7468) of this label, with nothing but white space around it. Raises FormatError."""
    found = re.fullmatch(rf"\s*-----BEGIN {label}-----\s([A-Za-z0-9+/=\s]+)-----END {label}-----\s*", text, re.ASCII)
    if found is None:
        raise FormatError(f"not one PEM block of a {label}")
    encoded = re.sub(r"\s", "", found[1], flags=re.ASCII)
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise FormatError(f"the PEM block of a {label} is not base64: {error}") from error
    if base64.b64encode(decoded).decode() != encoded:
        raise FormatError(f"the base64 of a {label} has left-over bits")
    return decoded


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits, as ``sha256sum`` prints it."""
    return hashlib.sha256(data).hexdigest()


def is_digest(value: object) -> bool:
    """Whether the value is a SHA-256 digest in lower-case hex."""
    return isinstance(value, str) and _HEX_DIGEST.fullmatch(value) is not None


def dump_json(value: Json) -> bytes:
    """Compact UTF-8 JSON, keys in the order given. The bytes written are the bytes signed; nobody re-canonicalises."""
    _check(value, 0)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def load_json(data: bytes) -> Json:
    """Parses the strict subset; raises FormatError for anything else."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_safe_int,
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not strict JSON: {error}") from error
    _check(value, 0)
    return value


def load_object(data: bytes) -> dict[str, Json]:
    """Parses a JSON object of the strict subset."""
    value = load_json(data)
    if not isinstance(value, dict):
        raise FormatError("a JSON object is expected")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("duplicate key in JSON object")
    return found


def _no_float(text: str) -> NoReturn:
    raise FormatError(f"number {text[:20]} is not an integer")


def _safe_int(text: str) -> int:
    # Length first: int() of a million digits would burn a core before being refused.
    if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER or text.startswith("-0"):
        raise FormatError(f"integer {text[:20]} is outside -(2^53-1)..2^53-1")
    return int(text)


def _check(value: Json, depth: int) -> None:
    if depth >= MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        raise FormatError(f"JSON nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_text(key)
            _check(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check(inner, depth + 1)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise FormatError("integer is outside -(2^53-1)..2^53-1")
    else:
        _check_text(value)


def _check_text(value: object) -> None:
    if not isinstance(value, str):
        raise FormatError(f"a {type(value).__name__} has no place in evidence JSON")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise FormatError("lone surrogate in a string")
