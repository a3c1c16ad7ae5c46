"""Fragmented MP4 (ISO/IEC 14496-12), as small as a demuxer still takes it: samples of a few bytes, and no pictures."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# One 16 x 16 picture, Constrained Baseline, level 1.0.
_SPS = bytes.fromhex("6742c00ada7880")
_PPS = bytes.fromhex("68ce3c80")
_IDR = bytes.fromhex("0000000265b8")
_SOUND = bytes.fromhex("210c")


def box(kind: str, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + kind.encode() + data


def full(kind: str, version: int, flags: int, *content: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


@dataclass(frozen=True)
class Track:
    """One track: its number, handler, timescale, and what a sample of it lasts and weighs."""

    number: int
    handler: str
    scale: int
    sample: int
    data: bytes

    def sample_at(self, media_us: int) -> int:
        """Number of the sample that begins at this media time, or the last that begins before."""
        return -(-media_us * self.scale // 1_000_000) // self.sample

    def trak(self) -> bytes:
        sound = self.handler == "soun"
        matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
        size = struct.pack(">2I", *(0, 0) if sound else (16 << 16, 16 << 16))
        tkhd = full("tkhd", 0, 3, struct.pack(">5I8x4H", 0, 0, self.number, 0, 0, 0, 0, 0, 0), matrix, size)
        mdhd = full("mdhd", 0, 0, struct.pack(">4I2H", 0, 0, self.scale, 0, 0x55C4, 0))
        hdlr = full("hdlr", 0, 0, bytes(4), self.handler.encode(), bytes(13))
        head = full("smhd", 0, 0, bytes(4)) if sound else full("vmhd", 0, 1, bytes(8))
        dinf = box("dinf", full("dref", 0, 0, struct.pack(">I", 1), full("url ", 0, 1)))
        stsd = full("stsd", 0, 0, struct.pack(">I", 1), self._sound() if sound else self._video())
        empty = [full(kind, 0, 0, bytes(8 if kind == "stsz" else 4)) for kind in ("stts", "stsc", "stsz", "stco")]
        return box("trak", tkhd, box("mdia", mdhd, hdlr, box("minf", head, dinf, box("stbl", stsd, *empty))))

    @staticmethod
    def _video() -> bytes:
        config = bytes([1, *_SPS[1:4], 0xFF, 0xE1]) + struct.pack(">H", len(_SPS)) + _SPS
        config += b"\1" + struct.pack(">H", len(_PPS)) + _PPS
        shape = struct.pack(">6xH16x2H2I4xH32x2H", 1, 16, 16, 0x480000, 0x480000, 1, 24, 0xFFFF)
        return box("avc1", shape, box("avcC", config))

    def _sound(self) -> bytes:
        config = bytes.fromhex("1208" if self.scale == 44_100 else "1588")
        decoder = b"\4" + bytes([15 + len(config), 0x40, 0x15]) + bytes(11) + b"\5" + bytes([len(config)]) + config
        stream = b"\3" + bytes([3 + len(decoder) + 3]) + bytes(3) + decoder + b"\6\1\2"
        return box("mp4a", struct.pack(">6xH8x2H4xI", 1, 1, 16, self.scale << 16), full("esds", 0, 0, stream))

    def trex(self) -> bytes:
        return full("trex", 0, 0, struct.pack(">5I", self.number, 1, 0, 0, 0))

    def traf(self, first: int, count: int, offset: int) -> bytes:
        """Samples from number ``first`` on; their bytes begin ``offset`` bytes after the beginning of the ``moof``."""
        tfhd = full("tfhd", 0, 0x020018, struct.pack(">3I", self.number, self.sample, len(self.data)))
        tfdt = full("tfdt", 1, 0, struct.pack(">Q", first * self.sample))
        return box("traf", tfhd, tfdt, full("trun", 0, 1, struct.pack(">2I", count, offset)))


def video_track(frames_per_second: int) -> Track:
    return Track(1, "vide", 90_000, 90_000 // frames_per_second, _IDR)


def sound_track(rate: int, number: int = 2) -> Track:
    return Track(number, "soun", rate, 1024, _SOUND)


def film(tracks: list[Track], fragments: list[list[tuple[int, int]]]) -> bytes:
    """``fragments``: for each, and in it for each track, the number of its first sample and how many there are."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    times = struct.pack(">4IIH10x", 0, 0, 1000, 0, 0x10000, 0x100)
    mvhd = full("mvhd", 0, 0, times, matrix, bytes(24), struct.pack(">I", 3))
    mvex = box("mvex", *(one.trex() for one in tracks))
    out = [box("ftyp", b"iso5", bytes(4), b"iso5mp41"), box("moov", mvhd, *(one.trak() for one in tracks), mvex)]
    out += [_fragment(number, tracks, runs) for number, runs in enumerate(fragments, 1)]
    return b"".join(out)


def _fragment(number: int, tracks: list[Track], runs: list[tuple[int, int]]) -> bytes:
    def moof(offsets: list[int]) -> bytes:
        trafs = [one.traf(*run, offset) for one, run, offset in zip(tracks, runs, offsets, strict=True)]
        return box("moof", full("mfhd", 0, 0, struct.pack(">I", number)), *trafs)

    offset = len(moof([0] * len(tracks))) + 8
    offsets, data = [], []
    for one, (_, count) in zip(tracks, runs, strict=True):
        offsets.append(offset)
        data.append(one.data * count)
        offset += len(data[-1])
    return moof(offsets) + box("mdat", *data)
