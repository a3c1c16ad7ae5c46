"""Where the recorder keeps what it has: the section ``[recorder]`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from agent.evidence.documents import RestrictedContent


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """What is asked of the encoders; bit rates in bits per second."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "superfast"
    quality: Annotated[int, Ge(15), Le(35)] = 23
    """Constant rate factor of x264: lower is better and larger."""
    maximum_bit_rate: Annotated[int, Ge(100_000), Le(50_000_000)] = 6_000_000
    sound_bit_rate: Annotated[int, Ge(16_000), Le(320_000)] = 64_000


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """Folders and files of one unit. A relative path counts from the configuration file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    evidence: Path
    """Folder of ledger and objects."""
    credentials: Path
    """Folder that enrolment made: identity and TLS keys, certificates, trust, profile, policy, notice."""
    control: Path
    """Local control socket; whoever may open it may press the button."""
    assignment: Path | None = None
    """The matter being worked on, by hand (JSON), from a code, or from dispatch (JWS); read anew at every press."""
    unsigned_codes: bool = False
    """R12.2: a code shown to the camera counts even if the agency did not sign it. Anybody can hang up such a code."""
    hazard_command: bool = False
    """R13.1: until the agency's flag has come, the hazard is unknown. Once one has come, it counts anyway."""
    record_kind: Literal["video", "audio", "fixed"] = "video"
    """R6: what the record button starts."""
    begin_at_start: bool = False
    """A fixed camera that nobody switches on: recording begins with the process, and again after every end."""
    restricted_content: RestrictedContent = "privacy"
    """R13.2: what the gesture without words declares (the photo button held)."""
    power_off: list[str] = field(default_factory=lambda: ["systemctl", "poweroff"])
    """Run when the policy has the unit switched off (R13.1); an empty list: never."""
    storage_alarm_minutes: Annotated[int, Ge(1), Le(1440)] = 30
    """Of recording that the free space still holds: below this the officer is told."""
    alarm_celsius: Annotated[int, Ge(30), Le(120)] = 78
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
