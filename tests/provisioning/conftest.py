"""A small sample agency, made with the real thing."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning.agency import Agency, Founding, found
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device


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


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    clock = Clock()
    found(tmp_path / "agency", Founding("sample", "样例单位", escrow=True, notice=tone()), by="tester", clock=clock)
    with Agency(tmp_path / "agency", writable=True, by="tester", clock=clock) as agency:
        add_dock(agency, DockOrder("dock-1", ["dock.example", "192.0.2.10"]), tmp_path / "dock-1")
        with agency.change() as change:
            change.add_officer("officer-1", "样例人员一", "section-1")
            change.add_officer("officer-2", "样例人员二", "section-2")
        for device in ("er-1", "er-2"):
            enrol_device(agency, DeviceOrder(device, f"SN-{device}", "section-9"), tmp_path / device)
        yield Sample(tmp_path, agency, clock)
