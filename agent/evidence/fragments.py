"""Fragmented MP4 (ISO/IEC 14496-12) as a stream of top-level boxes: one initialisation part, then whole fragments.

Only what evidence needs: where a fragment begins and ends, and how many samples of which track it carries from when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.errors import FormatError

MAX_BOX_BYTES: Final = 256 * 1024 * 1024
_NOT_SYNC: Final = 0x10000
"""Of a sample's flags: the sample needs others."""
_LARGE: Final = b"\0\0\0\1"
"""As a size: the size proper follows in 8 bytes."""


@dataclass(frozen=True, slots=True)
class TrackRun:
    """Samples of one track in one fragment; times in the track's own timescale."""

    start: int
    duration: int
    samples: int
    key: bool
    """Its first sample needs no other."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One ``moof`` and its ``mdat``, whole; runs by handler type (``vide``, ``soun``), times in microseconds."""

    data: bytes
    start_us: int
    duration_us: int
    frames: int
    key: bool = True
    """Begins with a picture that needs no other, or is sound alone: a segment may begin here."""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box in ``data``; raises FormatError when they do not fill it exactly."""
    position = 0
    while position < len(data):
        size, kind, header = _box_header(data, position)
        if position + size > len(data):
            raise FormatError("a box is cut")
        yield kind, data[position + header : position + size]
        position += size


def _box_header(data: bytes | bytearray, position: int) -> tuple[int, bytes, int]:
    """Size, type and header length of the box at ``position``; raises FormatError, also when 16 bytes are not there."""
    size = int.from_bytes(data[position : position + 4], "big")
    kind = bytes(data[position + 4 : position + 8])
    header = 8
    if size == 1:
        size, header = int.from_bytes(data[position + 8 : position + 16], "big"), 16
    if len(kind) < 4 or size < header or size > MAX_BOX_BYTES:
        raise FormatError("not an MP4 box")
    return size, kind, header


def _inner(data: bytes, *path: bytes, least: int = 0) -> bytes:
    """Content, of at least so many bytes, of the one box at this path."""
    for wanted in path:
        found = [content for kind, content in boxes(data) if kind == wanted]
        if len(found) != 1:
            raise FormatError(f"not one {b'/'.join(path).decode()} box")
        data = found[0]
    if len(data) < least:
        raise FormatError(f"the {path[-1].decode()} box is too short")
    return data


def read_tracks(init: bytes) -> dict[int, tuple[str, int]]:
    """Handler type and timescale of each track in the initialisation part."""
    found: dict[int, tuple[str, int]] = {}
    for kind, trak in boxes(_inner(init, b"moov")):
        if kind == b"trak":
            tkhd, mdhd = _inner(trak, b"tkhd", least=24), _inner(trak, b"mdia", b"mdhd", least=24)
            # Version 1 has two times of 8 bytes before these fields, version 0 of 4.
            track = _u32(tkhd, 20 if tkhd[0] == 1 else 12)
            scale = _u32(mdhd, 20 if mdhd[0] == 1 else 12)
            if scale == 0:
                raise FormatError("a track without a timescale")
            if track in found:
                raise FormatError("two tracks of one number")
            found[track] = (_inner(trak, b"mdia", b"hdlr", least=12)[8:12].decode("latin-1"), scale)
    return found


def _u32(data: bytes, offset: int) -> int:
    if offset + 4 > len(data):
        raise FormatError("a box is too short")
    return int.from_bytes(data[offset : offset + 4], "big")


def read_run(traf: bytes) -> tuple[int, TrackRun]:
    """Track number and run of a ``traf`` box."""
    tfhd, tfdt = _inner(traf, b"tfhd", least=8), _inner(traf, b"tfdt", least=8)
    flags = _u32(tfhd, 0) & 0xFFFFFF
    offset = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
    default_duration = _u32(tfhd, offset) if flags & 0x8 else 0
    offset += 4 * sum(bool(flags & bit) for bit in (0x8, 0x10))
    default_flags = _u32(tfhd, offset) if flags & 0x20 else 0
    start = _u32(tfdt, 4) << 32 | _u32(tfdt, 8) if tfdt[0] == 1 else _u32(tfdt, 4)
    samples = duration = 0
    key = not default_flags & _NOT_SYNC
    for kind, trun in boxes(traf):
        if kind == b"trun":
            count, length = _read_trun(trun, default_duration)
            if samples == 0 and count:
                key = not _first_flags(trun, default_flags) & _NOT_SYNC
            samples, duration = samples + count, duration + length
    return _u32(tfhd, 4), TrackRun(start, duration, samples, key)


def _first_flags(trun: bytes, default_flags: int) -> int:
    """Sample flags of the first sample of a run that has one."""
    flags = _u32(trun, 0) & 0xFFFFFF
    after_offset = 8 + (4 if flags & 0x1 else 0)
    if flags & 0x4:
        return _u32(trun, after_offset)
    if flags & 0x400:
        return _u32(trun, after_offset + 4 * sum(bool(flags & bit) for bit in (0x100, 0x200)))
    return default_flags


def _read_trun(trun: bytes, default_duration: int) -> tuple[int, int]:
    flags, count = _u32(trun, 0) & 0xFFFFFF, _u32(trun, 4)
    if not flags & 0x100:
        return count, count * default_duration
    first = 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    stride = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    if count and first + (count - 1) * stride + 4 > len(trun):
        raise FormatError("a run is longer than its box")
    return count, sum(_u32(trun, first + index * stride) for index in range(count))


def _joined(first: TrackRun, more: TrackRun) -> TrackRun:
    return TrackRun(first.start, first.duration + more.duration, first.samples + more.samples, first.key)


def check_segment(data: bytes) -> None:
    """Raises FormatError unless these are the boxes of one segment, in their order, and nothing else."""
    kinds = [kind for kind, _ in boxes(data)]
    if kinds != [b"ftyp", b"moov", *[b"moof", b"mdat"] * (len(kinds) // 2 - 1)]:
        raise FormatError("a segment is ftyp, moov, and then whole fragments")


class FragmentReader:
    """Push parser: takes the muxer's bytes as they come, gives the initialisation part once and each whole fragment."""

    def __init__(self) -> None:
        self.init = b""
        self._parts: list[bytes] = []
        """The boxes of the initialisation part."""
        self._tracks: dict[int, tuple[str, int]] = {}
        self._buffer = bytearray()
        self._moof = b""

    def feed(self, data: bytes) -> list[Fragment]:
        """The fragments that these bytes complete. Raises FormatError for bytes that are not fragmented MP4."""
        self._buffer += data
        found: list[Fragment] = []
        while box := self._next_box():
            kind, whole = box
            if kind == b"mdat":
                found.append(self._fragment(whole))
            else:
                self._other(kind, whole)
        return found

    @property
    def leftover(self) -> int:
        """Bytes of a box that has not come to its end."""
        return len(self._buffer) + len(self._moof)

    def _next_box(self) -> tuple[bytes, bytes] | None:
        if len(self._buffer) < (16 if self._buffer[:4] == _LARGE else 8):
            return None
        size, kind, _ = _box_header(self._buffer, 0)
        if len(self._buffer) < size:
            return None
        whole = bytes(self._buffer[:size])
        del self._buffer[:size]
        return kind, whole

    def _other(self, kind: bytes, whole: bytes) -> None:
        if kind == b"moof":
            if self._moof:
                raise FormatError("a description without its media data")
            self._moof = whole
        elif kind in (b"ftyp", b"moov"):
            # Plain concatenation of segments repeats the same initialisation part; another one would be another film.
            if whole not in self._parts:
                self._begin(kind, whole)
        elif kind not in (b"mfra", b"free", b"styp"):
            raise FormatError(f"box {kind!r} has no place in a segment")

    def _begin(self, kind: bytes, whole: bytes) -> None:
        if self._tracks or (kind == b"ftyp" and self._parts):
            raise FormatError("a second, different initialisation part")
        self._parts.append(whole)
        self.init += whole
        if kind == b"moov":
            self._tracks = read_tracks(self.init)

    def _fragment(self, mdat: bytes) -> Fragment:
        if not self._moof or not self._tracks:
            raise FormatError("media data before its description")
        runs: dict[str, tuple[TrackRun, int]] = {}
        for kind, traf in boxes(_inner(self._moof, b"moof")):
            if kind == b"traf":
                track, run = read_run(traf)
                if track not in self._tracks:
                    raise FormatError("samples of a track that does not exist")
                handler, scale = self._tracks[track]
                runs[handler] = (_joined(runs[handler][0], run) if handler in runs else run, scale)
        data, self._moof = self._moof + mdat, b""
        leading = runs.get("vide") or runs.get("soun")
        if leading is None:
            raise FormatError("a fragment of neither pictures nor sound")
        run, scale = leading
        frames = runs["vide"][0].samples if "vide" in runs else 0
        return Fragment(data, run.start * 1_000_000 // scale, run.duration * 1_000_000 // scale, frames, run.key)
