"""Settings of a dock, table ``[dock]`` of the configuration, and the names in its folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import ConfigDict, Field

from agent.errors import ConfigError
from agent.evidence.shapes import HashName, KeyName


@dataclass(frozen=True, slots=True)
class OtherWitness:
    """A witness that is asked after the dock has cosigned, table ``[[dock.witnesses]]``."""

    id: KeyName
    """As in the trust file, which holds its key."""
    url: Annotated[str, Field(pattern=r"^https?://[^\s]{1,500}\z")]
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """A timestamp authority (RFC 3161) that is asked once a day, table ``[dock.timestamps]``."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]{1,500}\z")]
    roots: Path
    """PEM file with the authority's root certificates: what it answers is verified before it is kept."""
    hash: HashName = "sha-256"
    """Some authorities ask for more than SHA-256."""
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class DockSettings:
    """One docking station: its name, its folders, its broker."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}\z")]
    """As in its certificate and in the trust bundle."""
    folder: Path
    """Holds ``archive/DEVICE/...`` and, on the same file system, staging, quarantine, receipts and the catalogue."""
    credentials: Path
    """As ``provision dock add`` wrote it: tls, receipt and witness keys, ca.crt, crl.pem, register.json, trust.json."""
    host: str = "localhost"
    port: Annotated[int, Ge(1), Le(65535)] = 8883
    broker: Literal["external", "auto", "mosquitto", "nats"] = "external"
    """External: runs as a service of its own. Otherwise the dock starts one for itself (demonstration)."""
    console: Path | None = None
    """Unix socket for the console's status; beside the archive when not given."""
    window_bytes: Annotated[int, Ge(65536)] = 8_388_608
    """Credit outstanding per device."""
    budget_bytes: Annotated[int, Ge(65536)] = 16_777_216
    """Credit outstanding over all devices, shared out evenly: as much as may wait in this process's memory."""
    witnesses: Annotated[list[OtherWitness], Field(max_length=8)] = field(default_factory=list)
    """Whoever else is to cosign. Taking evidence in never waits for them."""
    timestamps: TimestampSettings | None = None
    """Who else is to say when. Nothing waits for it either."""
    copies: Annotated[list[Path], Field(max_length=4)] = field(default_factory=list)
    """Further copies of the archive, each the root of another disk, prepared with ``recorder dock copies``."""
    receipt_after_copies: Annotated[int, Ge(0), Le(4)] = 0
    """A receipt waits until so many copies hold the object, read back. 0: they follow in the background."""
    copy_retry_seconds: Annotated[float, Ge(0.05), Le(3600)] = 10.0
    """A copy that cannot be reached is looked for this often."""
    utc_offset_minutes: Annotated[int, Ge(-720), Le(840)] = 480
    """Of the days and hours by which recordings are laid out; China: 480."""
    keep_days: Annotated[int, Ge(0), Le(36_525)] = 0
    """Recordings are kept at least so long, whatever shorter the agency's table says."""
    quarantine_bytes: Annotated[int, Ge(1_048_576)] = 1_073_741_824
    """What one device may have in quarantine."""
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.receipt_after_copies > len(self.copies):
            raise ConfigError(f"dock.receipt_after_copies = {self.receipt_after_copies}, of {len(self.copies)} copies")

    @property
    def archive(self) -> Path:
        """One evidence folder per device; what ``recorder verify`` reads."""
        return self.folder / "archive"

    @property
    def staging(self) -> Path:
        """Objects not yet whole."""
        return self.folder / "staging"

    @property
    def quarantine(self) -> Path:
        """What did not verify, whole, with the reason."""
        return self.folder / "quarantine"

    @property
    def receipts(self) -> Path:
        """Every receipt this dock has signed."""
        return self.folder / "receipts"

    @property
    def witness(self) -> Path:
        """What this dock has cosigned last, per device."""
        return self.folder / "witness"

    @property
    def timestamping(self) -> Path:
        """The lock of whoever asks for a timestamp."""
        return self.folder / "timestamping"

    @property
    def catalogue(self) -> Path:
        """The list of recordings; can be rebuilt from the archive."""
        return self.folder / "catalogue.json"

    @property
    def by_section(self) -> Path:
        """Where a person finds a recording by section, officer and day; can be made anew from the archive."""
        return self.folder / "by-section"

    @property
    def console_socket(self) -> Path:
        """Where the status is served."""
        return self.console or self.folder / "console.sock"
