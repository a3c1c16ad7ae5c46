"""Names in an evidence folder. A device and an archive lay out one device's evidence alike, so one verifier reads both.

    ledger.jws                 one JWS per line, newline-ended
    checkpoint                 newest signed note over the ledger
    cosigned                   newest signed note that a witness has cosigned
    objects/<sha256>.age       sealed objects
    objects/<sha256>.jws       signed documents: profile, policy, receipts

An archive is a folder of such folders, each named by its device.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.evidence.entries import ObjectRef


@dataclass(frozen=True, slots=True)
class EvidenceFolder:
    """Paths of one device's evidence; makes nothing and reads nothing."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger file."""
        return self.path / "ledger.jws"

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint"

    @property
    def cosigned(self) -> Path:
        """The newest checkpoint that a witness has cosigned."""
        return self.path / "cosigned"

    @property
    def objects(self) -> Path:
        """The folder of objects."""
        return self.path / "objects"

    def object_path(self, ref: ObjectRef) -> Path:
        """Where an object lies."""
        return self.objects / ref.file_name


def devices_of(path: Path) -> list[Path]:
    """The device folders at a path: the path itself if it holds a ledger, else its sub-folders that do, by name."""
    if EvidenceFolder(path).ledger.is_file():
        return [path]
    return sorted(
        inner for inner in path.iterdir() if EvidenceFolder(inner).ledger.is_file() and not inner.is_symlink()
    )
