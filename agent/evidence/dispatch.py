"""R12.2: an assignment as dispatch sends it to a unit (JWS ``er-assignment+jws``). No part of a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict

from agent.errors import FormatError, TrustError
from agent.evidence import jws
from agent.evidence.documents import Assignment, TrustBundle
from agent.evidence.shapes import STRICT, FormatVersion, Micros, Name, dump_shape, load_shape

DISPATCH_TYPE: Final = "er-assignment+jws"
MAX_DISPATCH_BYTES: Final = 16_384
"""Of the token."""


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
