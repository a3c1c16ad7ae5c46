"""Settings of a witness, table ``[witness]`` of the configuration, and the names in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from agent.evidence.shapes import KeyName


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """One witness: its name, its folder, where it listens, whose ledgers it watches."""

    id: KeyName
    """The name in its signature lines, such as ``witness.example/w1``. It never changes."""
    folder: Path
    """Holds the key, the memory and the alarms. Never restore an older copy of it."""
    trust: Annotated[list[Path], Field(min_length=1)]
    """Trust files, one for each agency; read again when they change."""
    listen: Annotated[str, Field(pattern=r"^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}\z")] = "127.0.0.1:8640"
    """Address and port. Plain HTTP: whoever listens beyond this computer puts TLS before it."""
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    @property
    def key(self) -> Path:
        """The private key, PEM, mode 0600."""
        return self.folder / "witness.key"

    @property
    def memory(self) -> Path:
        """What was cosigned last, one file for each ledger."""
        return self.folder / "memory"

    @property
    def alarms(self) -> Path:
        """What was refused as fork or rollback."""
        return self.folder / "alarms"
