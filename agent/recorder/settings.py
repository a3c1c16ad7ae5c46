"""Where the recorder keeps what it has: the section ``[recorder]`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from agent.recorder.encoder import EncoderSettings


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
    """The matter being worked on (JSON); read anew at every press."""
    hazard_command: bool = False
    """R13.1: until the agency's flag has come, the hazard is unknown. Once one has come, it counts anyway."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
