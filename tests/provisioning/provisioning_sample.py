"""What the tests of this folder share: a small sample agency."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from provisioning.agency import Agency


def tone(seconds: float = 1.0, value: int = 1) -> bytes:
    """A WAV file of a constant value."""
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(value.to_bytes(2, "little") * int(8000 * seconds))
    return held.getvalue()


class Clock:
    """The clock of a test's administrator: whole seconds apart, so that nothing depends on the speed of the machine."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class Sample:
    """An agency with dock-1 and devices er-1 and er-2, and officers officer-1 and officer-2."""

    folder: Path
    agency: Agency
    clock: Clock

    @property
    def root(self) -> Path:
        return self.folder / "agency"
