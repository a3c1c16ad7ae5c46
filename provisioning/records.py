"""What the register holds: one frozen shape per table row. All times are microseconds of UTC since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from agent.evidence.documents import ExApproval
from agent.evidence.shapes import STRICT, Count, Digest, Key, KeyName, Micros, Name, Text

UNASSIGNED: Final = "unassigned"
"""Stands in a profile's ``officer`` while nobody holds the device; no officer may have this id."""

Serial = Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}\z")]
"""A certificate's serial number in lower-case hex (text: it is larger than JSON integers may be)."""
DeviceState = Literal["active", "lost", "retired"]
DockState = Literal["active", "lost", "retired"]
WitnessState = Literal["active", "removed"]
OfficerState = Literal["active", "left"]
DocumentKind = Literal["profile", "policy", "crl", "hazard", "assignment", "retention"]
CertificateUse = Literal["identity", "device-tls", "dock-tls"]
Ending = Literal["returned", "transferred", "withdrawn"]
"""How a holding ended; withdrawn: the device was lost or retired, or enrolled anew elsewhere."""
Reason = Literal["unspecified", "key_compromise", "superseded", "cessation_of_operation"]
"""Of a revocation, in the words of RFC 5280."""


@dataclass(frozen=True, slots=True)
class Officer:
    """A person who may hold a recorder. Ids are never used again."""

    id: Name
    name: Text
    section: Name
    state: OfficerState
    added_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Device:
    """A recorder. Its id is the CN of its certificates and is never used again, by a device or a dock."""

    id: Name
    serial: Text
    """On the plate; an Ex approval is bound to it."""
    section: Name
    state: DeviceState
    identity: Key
    """Thumbprint (RFC 7638) of the identity key now in force."""
    ex_approval: ExApproval | None
    enrolled_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Dock:
    """A docking station, with the public keys that its receipts and cosignatures are checked against."""

    id: Name
    names: list[Text]
    """DNS names and addresses in its TLS certificate."""
    receipt_key: Key
    witness_key: Key
    state: DockState
    added_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who is no dock and whose cosignatures count, inside the agency or not."""

    id: KeyName
    """The name in its signature lines."""
    key: Key
    state: WitnessState
    added_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Holding:
    """R16: an officer holds a device from ``since_us`` until ``until_us`` (None: still)."""

    device: Name
    officer: Name
    since_us: Micros
    until_us: Micros | None
    ending: Ending | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the root has issued. Entered before it is handed over, so that none is unknown."""

    serial: Serial
    subject: Name
    use: CertificateUse
    sha256: Digest
    """Of the DER."""
    not_before_us: Micros
    not_after_us: Micros
    revoked_us: Micros | None
    reason: Reason | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Document:
    """The newest signed document of its kind for its subject; kept here so that number and text change as one."""

    kind: DocumentKind
    subject: Name
    """A device for a profile or an assignment, otherwise the agency."""
    version: Count
    """Rises by one with every issue; for a CRL its number."""
    issued_us: Micros
    text: str
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of the history: who did what, when. Each names the digest of the one before it."""

    number: Count
    prev: Digest
    at_us: Micros
    by: Text
    action: Name
    subject: Text
    detail: dict[str, Text]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
