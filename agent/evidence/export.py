"""One recording out of the evidence: opened with the agency's key, each object held against the ledger first.

The film is the initialisation part once and then every fragment as it was recorded: nothing is encoded again. Positions
become one GPX track, which any map shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyrage

from agent.errors import FormatError
from agent.evidence.documents import Position, Telemetry
from agent.evidence.encoding import load_object, sha256_hex
from agent.evidence.entries import Entry, ObjectRef, Open, Photo, Restricted, Segment, TelemetryEntry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import FragmentReader
from agent.evidence.gpx import gpx
from agent.evidence.sealing import open_sealed
from agent.evidence.shapes import load_shape


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and what could not be."""

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def export_recording(
    folder: EvidenceFolder, entries: list[Entry], recording: str, identity: pyrage.x25519.Identity, out: Path
) -> Exported:
    """Writes RECORDING.mp4, photos, positions and particulars into ``out``.

    A film whose initialisation changes on the way goes on in RECORDING-2.mp4. Missing or altered objects are left out
    and named; what is left is still in its right order. Raises FormatError when the recording is not there.
    """
    mine = [entry for entry in entries if getattr(entry.body, "recording", None) == recording]
    if not any(isinstance(entry.body, Open) for entry in mine):
        raise FormatError(f"there is no recording {recording} in this ledger")
    out.mkdir(parents=True, exist_ok=True)
    source = _Source(folder, identity, [])
    files = [*_films(mine, source, out / recording), *_track(mine, source, out / f"{recording}.gpx")]
    for name, ref in _others(mine, recording):
        plain = source.open(ref)
        if plain is not None:
            (out / name).write_bytes(plain)
            files.append(out / name)
    return Exported(tuple(files), tuple(source.missing))


@dataclass(frozen=True, slots=True)
class _Source:
    """Where objects are opened, and which could not be."""

    folder: EvidenceFolder
    identity: pyrage.x25519.Identity
    missing: list[str]

    def open(self, ref: ObjectRef) -> bytes | None:
        path = self.folder.object_path(ref)
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if sha256_hex(data) != ref.digest:
            self.missing.append(ref.file_name)
            return None
        return open_sealed(data, self.identity)


def _others(mine: list[Entry], recording: str) -> Iterator[tuple[str, ObjectRef]]:
    for entry in mine:
        match entry.body:
            case Photo(at_us=at_us, object=ref):
                yield f"{recording}-{at_us // 1000:08d}ms.jpg", ref
            case Open(particulars=ObjectRef() as ref):
                yield f"{recording}-particulars.json", ref
            case Restricted(note=ObjectRef() as ref):
                yield f"{recording}-restricted.json", ref


def _films(mine: list[Entry], source: _Source, stem: Path) -> Iterator[Path]:
    film: IO[bytes] | None = None
    begun, count, torn, reader = b"", 0, False, FragmentReader()
    try:
        for segment in (entry.body for entry in mine if isinstance(entry.body, Segment)):
            plain = source.open(segment.object)
            if plain is None:
                continue
            if not (torn and segment.recovered):  # of two recovered pieces the second goes on where the first is torn
                reader = FragmentReader()
            fragments = reader.feed(plain)  # a torn end stays behind in the reader
            torn = segment.recovered
            if film is None or (reader.init and reader.init != begun):
                if film:
                    film.close()
                begun, count = reader.init, count + 1
                path = stem.with_name(f"{stem.name}.mp4" if count == 1 else f"{stem.name}-{count}.mp4")
                film = path.open("wb")
                film.write(begun)
                yield path
            for fragment in fragments:
                film.write(fragment.data)
    finally:
        if film:
            film.close()


def _track(mine: list[Entry], source: _Source, path: Path) -> Iterator[Path]:
    pieces = [source.open(entry.body.object) for entry in mine if isinstance(entry.body, TelemetryEntry)]
    positions: list[Position] = []
    for plain in pieces:
        if plain is not None:
            positions += load_shape(Telemetry, load_object(plain)).positions
    if positions:
        path.write_bytes(gpx(positions, _media_begins_us(mine), path.stem))
        yield path


def _media_begins_us(mine: list[Entry]) -> int:
    """Wall clock (UTC, us) of media time 0, as the device had it when it opened the recording."""
    opened = next(entry for entry in mine if isinstance(entry.body, Open))
    for entry in mine:
        if isinstance(entry.body, Segment) and entry.body.first_frame_us is not None:
            return opened.time.utc_us + entry.body.first_frame_us - entry.body.start_us - opened.time.mono_us
    return opened.time.utc_us
