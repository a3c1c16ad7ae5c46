"""One recording out of the evidence: opened with the agency's key, each object held against the ledger first.

The film is the initialisation part once and then every fragment as it was recorded: nothing is encoded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyrage

from agent.errors import FormatError
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import Entry, ObjectRef, Open, Photo, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import FragmentReader
from agent.evidence.sealing import open_sealed


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and what could not be."""

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def export_recording(
    folder: EvidenceFolder, entries: list[Entry], recording: str, identity: pyrage.x25519.Identity, out: Path
) -> Exported:
    """Writes RECORDING.mp4, photos and particulars into ``out``. Raises FormatError when the recording is not there.

    Missing or altered objects are left out and named; what is left is still in its right order.
    """
    mine = [entry for entry in entries if getattr(entry.body, "recording", None) == recording]
    if not any(isinstance(entry.body, Open) for entry in mine):
        raise FormatError(f"there is no recording {recording} in this ledger")
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    missing: list[str] = []
    film = [entry.body for entry in mine if isinstance(entry.body, Segment)]
    if film:
        files.append(_write_film(folder, film, identity, out / f"{recording}.mp4", missing))
    for name, ref in _others(mine, recording):
        plain = _open(folder, ref, identity, missing)
        if plain is not None:
            (out / name).write_bytes(plain)
            files.append(out / name)
    return Exported(tuple(files), tuple(missing))


def _others(mine: list[Entry], recording: str) -> Iterator[tuple[str, ObjectRef]]:
    for entry in mine:
        if isinstance(entry.body, Photo):
            yield f"{recording}-{entry.body.at_us // 1000:08d}ms.jpg", entry.body.object
        elif isinstance(entry.body, Open) and entry.body.particulars:
            yield f"{recording}-particulars.json", entry.body.particulars


def _write_film(
    folder: EvidenceFolder, segments: list[Segment], identity: pyrage.x25519.Identity, path: Path, missing: list[str]
) -> Path:
    with path.open("wb") as film:
        begun = torn = False
        reader = FragmentReader()
        for segment in segments:
            plain = _open(folder, segment.object, identity, missing)
            if plain is None:
                continue
            if not (torn and segment.recovered):  # of two recovered pieces the second goes on where the first is torn
                reader = FragmentReader()
            fragments = reader.feed(plain)  # a torn end stays behind in the reader
            torn = segment.recovered
            film.write(b"" if begun else reader.init)
            begun = begun or bool(reader.init)
            for fragment in fragments:
                film.write(fragment.data)
    return path


def _open(folder: EvidenceFolder, ref: ObjectRef, identity: pyrage.x25519.Identity, missing: list[str]) -> bytes | None:
    path = folder.object_path(ref)
    data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    if sha256_hex(data) != ref.digest:
        missing.append(ref.file_name)
        return None
    return open_sealed(data, identity)
