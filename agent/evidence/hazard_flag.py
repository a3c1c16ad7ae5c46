"""R13.1: the agency's hazard flag, as it is sent to units (JWS ``er-hazard+jws``). No part of a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict, Field

from agent.errors import FormatError, TrustError
from agent.evidence import jws
from agent.evidence.documents import HazardZone, TrustBundle
from agent.evidence.shapes import STRICT, Count, FormatVersion, Micros, Name, dump_shape, load_shape

HAZARD_TYPE: Final = "er-hazard+jws"
MAX_FLAG_BYTES: Final = 32_768
"""Of the token; room for some three hundred names."""
MAX_DEVICES: Final = 300


@dataclass(frozen=True, slots=True)
class HazardFlag:
    """What the agency says of the danger where these devices are, from ``issued_us`` until ``expires_us`` (UTC)."""

    v: FormatVersion
    type: Literal["hazard"]
    agency: Name
    version: Count
    """Rises with every flag of the agency, whomever it is for."""
    devices: Annotated[list[Name], Field(min_length=1, max_length=MAX_DEVICES)] | None
    """Null: all."""
    state: Literal["set", "clear", "withdrawn"]
    """Withdrawn: the agency no longer says anything; this source takes no part until the next flag."""
    zone: HazardZone | None
    """What the place demands; only with ``set``."""
    issued_us: Micros
    expires_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def concerns(self, device: str) -> bool:
        """Whether it is meant for this device."""
        return self.devices is None or device in self.devices


def sign_hazard_flag(flag: HazardFlag, key: SigningKey) -> bytes:
    """The flag as it is published. Raises FormatError when it contradicts itself."""
    token = jws.sign(dump_shape(_checked(flag)), HAZARD_TYPE, key)
    if len(token) > MAX_FLAG_BYTES:
        raise FormatError(f"a hazard flag of {len(token)} bytes; at most {MAX_FLAG_BYTES}: name fewer devices, or all")
    return token


def read_hazard_flag(token: bytes, trust: TrustBundle) -> HazardFlag:
    """Verifies and reads a flag; raises TrustError unless a document key of this very agency signed it."""
    try:
        if len(token) > MAX_FLAG_BYTES:
            raise FormatError(f"{len(token)} bytes; at most {MAX_FLAG_BYTES}")
        flag = load_shape(HazardFlag, jws.verify(token, HAZARD_TYPE, trust.document_key).payload)
        if flag.agency != trust.agency:
            raise FormatError(f"it is of {flag.agency}, not of {trust.agency}")
        return _checked(flag)
    except FormatError as error:
        raise TrustError(f"the hazard flag is not acceptable: {error}") from error


def _checked(flag: HazardFlag) -> HazardFlag:
    if flag.expires_us <= flag.issued_us:
        raise FormatError("it expires before it is issued")
    if flag.zone is not None and flag.state != "set":
        raise FormatError(f"a flag that is {flag.state} names no zone")
    return flag
