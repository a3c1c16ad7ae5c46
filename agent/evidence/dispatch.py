"""R12.2: an assignment as dispatch sends it to a unit (JWS ``er-assignment+jws``), and the same as a code to be shown.

No part of a ledger. ``docs/assignments.md`` specifies both.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict

from agent.errors import FormatError, SignatureError, TrustError
from agent.evidence import jws
from agent.evidence.documents import Assignment, TrustBundle
from agent.evidence.encoding import b64url, from_b64url, load_object
from agent.evidence.shapes import STRICT, FormatVersion, Micros, Name, dump_shape, load_shape

DISPATCH_TYPE: Final = "er-assignment+jws"
MAX_DISPATCH_BYTES: Final = 16_384
"""Of the token."""
MAX_CODE_CHARACTERS: Final = 4_296
"""The most that a QR code holds of anything but digits alone."""
_CODE_VERSION: Final = b"\x01"
_SIGNATURE_BYTES: Final = 64
# Belongs to the code's version: altered, no code that is in somebody's hands could be read any more.
CODE_WORDS: Final = (
    '"start""decision""execution""licensing""penalty""coercion""state_secret""commercial_secret""privacy""other"true'
    '{"zone":"2","group":"IIIC","temperature_class":"T3","surface_celsius":135}街道区镇村化工厂加油站仓库车间罐区'
    '{"zone":"1","group":"IIB","temperature_class":"T4","surface_celsius":null}'
    '{"v":1,"type":"assignment","agency":"sample","device":"er-1","issued_us":179,"assignment":null}'
    '"assignment":{"matter":"matter-2026-0001","action":"inspection","stage":"investigation","party":"有限公司"'
    ',"site":"路号","officers":["",""],"hazard":null,"restricted":null,"mandatory":false}}'
).encode()
"""What the payload of a code is likely to say: the dictionary that it is deflated with."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What one unit is to work on from now on."""

    v: FormatVersion
    type: Literal["assignment"]
    agency: Name
    device: Name
    issued_us: Micros
    """Of two for one device the later counts, in whatever order they come."""
    assignment: Assignment | None
    """Null: nothing any more."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def sign_dispatch(dispatch: Dispatch, key: SigningKey) -> bytes:
    """The assignment as it is sent. Raises FormatError when it is too large."""
    token = jws.sign(dump_shape(dispatch), DISPATCH_TYPE, key)
    if len(token) > MAX_DISPATCH_BYTES:
        raise FormatError(f"an assignment of {len(token)} bytes; at most {MAX_DISPATCH_BYTES}: shorten its texts")
    return token


def read_dispatch(token: bytes, trust: TrustBundle, device: str) -> Dispatch:
    """Verifies and reads; raises TrustError unless a document key of this agency signed it for this device."""
    try:
        if len(token) > MAX_DISPATCH_BYTES:
            raise FormatError(f"{len(token)} bytes; at most {MAX_DISPATCH_BYTES}")
        dispatch = load_shape(Dispatch, jws.verify(token, DISPATCH_TYPE, trust.document_key).payload)
    except FormatError as error:
        raise TrustError(f"the assignment is not acceptable: {error}") from error
    if (dispatch.agency, dispatch.device) != (trust.agency, device):
        raise TrustError(f"the assignment is for {dispatch.device} of {dispatch.agency}, this unit is {device}")
    return dispatch


def code_of(token: bytes) -> str:
    """A signed assignment as the digits of a code: so it needs half the squares that its token would need."""
    _, payload, signature = token.split(b".")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_DEFAULT_STRATEGY, CODE_WORDS)
    packed = deflate.compress(from_b64url(payload)) + deflate.flush()
    return str(int.from_bytes(_CODE_VERSION + from_b64url(signature) + packed, "big"))


def unpack_code(text: str) -> tuple[bytes, bytes]:
    """Payload and signature in a code, not judged. Raises FormatError for digits that are no code."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_CODE_CHARACTERS):
        raise FormatError("a code is a decimal number")
    number = int(text)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if data[:1] != _CODE_VERSION or len(data) <= 1 + _SIGNATURE_BYTES:
        raise FormatError("not a code of this version")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=CODE_WORDS)
    try:
        payload = inflate.decompress(data[1 + _SIGNATURE_BYTES :], MAX_DISPATCH_BYTES)
    except zlib.error as error:
        raise FormatError(f"not a code: {error}") from error
    if not inflate.eof or inflate.unused_data:
        raise FormatError("a code that is cut off, or too long")
    return payload, data[1 : 1 + _SIGNATURE_BYTES]


def token_of(code: str, trust: TrustBundle) -> bytes:
    """The token that a code was made of. Raises FormatError for no code, TrustError when nobody we trust signed it."""
    payload, signature = unpack_code(code)
    for key in map(from_b64url, trust.document_keys):
        signed = jws.signing_input(payload, DISPATCH_TYPE, jws.thumbprint(key))
        try:
            jws.check_detached(signed, signature, key)
        except SignatureError:
            continue
        return signed + b"." + b64url(signature).encode()
    raise TrustError("no document key of the agency signed this code")


def may_be_assignment(text: str) -> bool:
    """Whether a code's text has the shape of something of ours: digits, token, or a bare object. Judges nothing."""
    text = text.strip()
    try:
        if text.startswith("{"):
            return "matter" in load_object(text.encode("utf-8", "replace"))
        if text.isdigit():
            return load_object(unpack_code(text)[0]).get("type") == "assignment"
        jws.parse(text.encode("utf-8", "replace"), DISPATCH_TYPE)
    except FormatError:
        return False
    return True
