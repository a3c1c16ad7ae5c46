"""R12.2: where the unit was, at 1 Hz, sealed in pieces: what is lost in a cut is at most one piece of positions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, Protocol

from agent.evidence.documents import Position, Telemetry
from agent.evidence.encoding import dump_json
from agent.evidence.entries import TelemetryEntry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import seal
from agent.hardware.parts import Fix, Positioning
from agent.system.durable import write_atomic

PIECE_POSITIONS: Final = 15


class Recorded(Protocol):
    """What is known of the recording under way."""

    recording: str

    def media_us(self, now_us: int) -> int:
        """Media time of a monotonic moment; 0 before the first frame."""


class Track:
    """The positions of one recording. Belongs to the main loop."""

    def __init__(self, folder: EvidenceFolder, device: str, recording: str, recipients: list[bytes]) -> None:
        self._folder, self._device, self._recording, self._recipients = folder, device, recording, recipients
        self._positions: list[Position] = []
        self._last_ns = 0

    def take(self, fix: Fix | None, at_us: int) -> None:
        """One look at the receiver; ``at_us`` is the fix's media time. A fix that was taken before counts once."""
        if fix is None or fix.taken_ns <= self._last_ns or at_us < 0:
            return
        self._last_ns = fix.taken_ns
        self._positions.append(_position(fix, at_us))

    @property
    def due(self) -> bool:
        """A piece is full."""
        return len(self._positions) >= PIECE_POSITIONS

    def seal(self) -> TelemetryEntry | None:
        """Seals what there is, durably, and begins the next piece; None when there is nothing. Raises StorageError."""
        if not self._positions:
            return None
        positions, self._positions = self._positions, []
        content = Telemetry(1, "telemetry", self._device, self._recording, positions)
        ref, sealed = seal(dump_json(asdict(content)), self._recipients)
        write_atomic(self._folder.object_path(ref), sealed, 0o640)
        return TelemetryEntry(self._recording, ref, positions[0].at_us, positions[-1].at_us, len(positions))


class Tracker:
    """Looks at the receiver for whatever recording runs. Belongs to the main loop."""

    def __init__(self, folder: EvidenceFolder, device: str, positioning: Positioning | None) -> None:
        self._folder, self._device, self._positioning = folder, device, positioning
        self._track: Track | None = None

    def look(self, capture: Recorded, recipients: list[bytes]) -> None:
        """One look, into the track of this recording."""
        fix = self._positioning.fix() if self._positioning else None
        if self._track is None:
            self._track = Track(self._folder, self._device, capture.recording, recipients)
        at_us = capture.media_us(fix.taken_ns // 1000) if fix else 0
        if at_us > 0:
            self._track.take(fix, at_us)

    @property
    def due(self) -> bool:
        """A piece is full."""
        return self._track is not None and self._track.due

    def seal(self) -> TelemetryEntry | None:
        """As ``Track.seal``; None without a recording."""
        return self._track.seal() if self._track else None

    def end(self) -> None:
        """The recording is over."""
        self._track = None


def _position(fix: Fix, at_us: int) -> Position:
    return Position(
        at_us=at_us,
        latitude_e7=round(fix.latitude * 1e7),
        longitude_e7=round(fix.longitude * 1e7),
        altitude_mm=None if fix.altitude_metres is None else round(fix.altitude_metres * 1000),
        error_mm=round(fix.error_metres * 1000),
        source="gnss",
    )
