"""What the agency signs or publishes: device profile, policy and trust bundle; and the assignment of a matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.signing import SigningKey
from pydantic import ConfigDict, Field

from agent.errors import FormatError, TrustError
from agent.evidence import jws
from agent.evidence.encoding import from_b64url, from_pem, load_object
from agent.evidence.shapes import (
    STRICT,
    Count,
    Digest,
    Flag,
    FormatVersion,
    Key,
    Micros,
    Name,
    Recipient,
    RecordingId,
    Text,
    dump_shape,
    load_shape,
)

ActionKind = Literal["licensing", "inspection", "penalty", "coercion"]
"""R2: 行政许可, 行政检查, 行政处罚, 行政强制."""
Stage = Literal["start", "investigation", "decision", "execution"]
"""R7: 程序启动, 调查取证, 审查决定, 送达执行."""
RestrictedContent = Literal["state_secret", "commercial_secret", "privacy", "other"]
"""R13.2, and for ``other`` R13.3."""


@dataclass(frozen=True, slots=True)
class ExApproval:
    """R13.1: an explosion-protection approval, bound to one unit by its serial number."""

    marking: Text
    """As on the plate, such as ``Ex ib IIC T4 Gb``."""
    certificate: Text
    issuer: Text
    expires_us: Micros
    unit_serial: Text
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Profile:
    """What the agency says of one device (JWS ``er-profile+jws``). R16: one officer."""

    v: FormatVersion
    type: Literal["profile"]
    version: Count
    """Rises with every issue; a device never goes back."""
    agency: Name
    device: Name
    serial: Text
    officer: Name
    section: Name
    issued_us: Micros
    ex_approval: ExApproval | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class NoticePolicy:
    """R12.1: which sound must be heard, and whether a microphone must have heard it."""

    digest: Digest
    text: Text
    must_be_heard: Flag
    repeat: Flag
    """The notice is played once more as the first words of the recording itself."""
    tone_interval_us: Micros | None
    """While recording a short tone is played this often; null: none."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class HazardZone:
    """R13.1: what a place demands of a unit."""

    zone: Literal["0", "1", "2", "20", "21", "22"]
    group: Literal["IIA", "IIB", "IIC", "IIIA", "IIIB", "IIIC"]
    temperature_class: Literal["T1", "T2", "T3", "T4", "T5", "T6"] | None
    """Gas zones."""
    surface_celsius: Count | None
    """Dust zones: the highest surface temperature allowed."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class HazardPolicy:
    """R13.1: how old an input may be, and whether unknown or stale counts as set (fail closed)."""

    max_age_us: Micros
    stale_counts_as_set: Flag
    assumed_zone: HazardZone | None
    """Taken when the flag is set by a source that states no zone, such as a switch; with none, nothing can cover it."""
    zone_map: Digest | None
    """SHA-256 of the zone map (GeoJSON) in force; null: positions set no flag."""
    power_down: Flag
    """A unit that is refused, or stopped, by R13.1 switches itself off."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class BatteryPolicy:
    """When the officer is warned, and when the unit seals what it has, by the minutes that the battery still gives."""

    alarm_minutes: Count
    seal_minutes: Count
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings that are the agency's to decide (JWS ``er-policy+jws``), article 4."""

    v: FormatVersion
    type: Literal["policy"]
    version: Count
    agency: Name
    issued_us: Micros
    notice: NoticePolicy
    hazard: HazardPolicy
    battery: BatteryPolicy
    recipients: list[Recipient]
    """Everything is sealed for each of these: the archive key first, then escrow."""
    segment_us: Micros
    epoch_lines: Count
    """A key signs at most this many lines."""
    receipts_needed: Count
    """Space is released against this many receipts of different docks."""
    release_after_us: Micros
    """Space is released this long after the receipts came, at the earliest."""
    minimum_free_bytes: Count
    """Below this no recording starts."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class TrustedDock:
    """A dock whose receipts and cosignatures count."""

    id: Name
    receipt_key: Key
    witness_key: Key
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class TrustedWitness:
    """Somebody, inside the agency or not, whose cosignatures count."""

    id: Text
    """The name in the witness's signature lines; no spaces, no plus sign."""
    key: Key
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """What a verifier needs and may know: public, and handed over by a way that the verifier trusts."""

    v: FormatVersion
    type: Literal["trust"]
    agency: Name
    agency_name: Text
    root_certificate: str
    """PEM; issues the identity and TLS certificates of devices and docks."""
    crl: str
    """PEM; signed by the root."""
    document_keys: list[Key]
    """Keys that sign profiles and policies."""
    docks: list[TrustedDock]
    witnesses: list[TrustedWitness]
    """Witnesses that are no docks."""
    recipients: list[Recipient]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    @classmethod
    def from_json(cls, data: bytes) -> TrustBundle:
        """Reads a trust file; raises TrustError."""
        try:
            return load_shape(cls, load_object(data))
        except FormatError as error:
            raise TrustError(f"the trust file cannot be used: {error}") from error

    def root(self) -> x509.Certificate:
        """The agency's root certificate, of an Ed25519 key; raises TrustError."""
        try:
            root = x509.load_der_x509_certificate(from_pem(self.root_certificate, "CERTIFICATE"))
            key, _ = root.public_key(), root.subject  # both are taken apart only when they are asked for
        except (ValueError, TypeError, FormatError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise TrustError(f"the trust file's root certificate cannot be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey) or not jws.is_sound_key(key.public_bytes_raw()):
            raise TrustError("the trust file's root certificate does not hold an Ed25519 key")
        return root

    def witness_keys(self) -> list[tuple[str, bytes]]:
        """Name and public key of everybody whose cosignatures count: docks and other witnesses."""
        found = [(dock.id, dock.witness_key) for dock in self.docks] + [(one.id, one.key) for one in self.witnesses]
        return [(name, from_b64url(key)) for name, key in found]

    def document_key(self, kid: str) -> bytes | None:
        """The document key with this thumbprint, if it is trusted."""
        return {jws.thumbprint(raw): raw for raw in map(from_b64url, self.document_keys)}.get(kid)

    def receipt_key(self, kid: str, dock: str) -> bytes | None:
        """The receipt key with this thumbprint, if this dock holds it."""
        keys = [from_b64url(one.receipt_key) for one in self.docks if one.id == dock]
        return next((raw for raw in keys if jws.thumbprint(raw) == kid), None)


def sign_profile(profile: Profile, key: SigningKey) -> bytes:
    """The profile as the agency hands it to the device."""
    return jws.sign(dump_shape(profile), jws.PROFILE_TYPE, key)


def sign_policy(policy: Policy, key: SigningKey) -> bytes:
    """The policy as the agency hands it to every device and dock."""
    return jws.sign(dump_shape(policy), jws.POLICY_TYPE, key)


def read_profile(token: bytes, trust: TrustBundle) -> Profile:
    """Verifies and reads a profile; raises TrustError unless a trusted document key signed it."""
    try:
        return load_shape(Profile, jws.verify(token, jws.PROFILE_TYPE, trust.document_key).payload)
    except FormatError as error:
        raise TrustError(f"the device profile is not acceptable: {error}") from error


def read_policy(token: bytes, trust: TrustBundle) -> Policy:
    """Verifies and reads a policy; raises TrustError unless a trusted document key signed it."""
    try:
        return load_shape(Policy, jws.verify(token, jws.POLICY_TYPE, trust.document_key).payload)
    except FormatError as error:
        raise TrustError(f"the policy is not acceptable: {error}") from error


@dataclass(frozen=True, slots=True)
class Assignment:
    """R12.2: the matter that the officer is working on. Personal: stays outside the ledger, sealed as particulars."""

    matter: Name
    """An opaque number of the case system; the only field that also stands in the ledger."""
    action: ActionKind
    stage: Stage
    party: Text
    site: Text
    officers: list[Text]
    hazard: HazardZone | None
    restricted: RestrictedContent | None
    """R13.2, R13.3: content that must not be recorded."""
    mandatory: Flag
    """R10: must be filmed as a whole."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Particulars:
    """R12.2: who, what and where of one recording; sealed, named by its ``open`` entry."""

    v: FormatVersion
    type: Literal["particulars"]
    device: Name
    officer: Name
    section: Name
    source: Literal["file", "qr", "dispatch"] | None
    """Where the assignment came from: a local file, a code shown to the camera, or signed and sent; null: none."""
    assignment: Assignment | None
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Remark:
    """R13.3: the officer's own words on content that must not be recorded; sealed, named by a ``restricted`` entry."""

    v: FormatVersion
    type: Literal["remark"]
    device: Name
    text: Text
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Position:
    """One position: degrees times 10^7 (WGS 84), error radius (95 %) in millimetres."""

    at_us: Micros
    """Media time."""
    latitude_e7: Annotated[int, Field(strict=True, ge=-900_000_000, le=900_000_000)]
    longitude_e7: Annotated[int, Field(strict=True, ge=-1_800_000_000, le=1_800_000_000)]
    altitude_mm: Annotated[int, Field(strict=True, ge=-1_000_000, le=100_000_000)] | None
    error_mm: Count | None
    source: Literal["gnss", "fixed"]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Telemetry:
    """R12.2: where the unit was during a stretch of one recording; sealed, named by a ``telemetry`` entry."""

    v: FormatVersion
    type: Literal["telemetry"]
    device: Name
    recording: RecordingId
    positions: list[Position]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
