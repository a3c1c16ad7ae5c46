"""Cutting a film into thousands of segments loses nothing: every frame is there once, picture and sound stay together.

Each frame bears its number, and once a second it flashes while a tone sounds. The microphone's clock runs 100 ppm fast,
as cheap ones do. What is judged is what was stored: each segment is opened with the archive's key and decoded alone.
Nothing waits for the clock, so an hour takes a few minutes.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
import pyrage

from agent.evidence.entries import Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import recipient_key
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, VideoFrame
from agent.recorder.encoder import Encoder
from agent.recorder.pieces import place_segment
from agent.recorder.segments import SegmentSink
from agent.recorder.settings import EncoderSettings
from agent.system.durable import make_private_folder
from benchmarks.report import Row, Table

CUTS: Final = 3_000
WIDTH, HEIGHT, RATE = 160, 120, 25
SAMPLE_RATE, BLOCK = 48_000, 960
BITS, COLUMN = 18, 8
FLASH_FRAMES: Final = range(10, 15)
"""Of each second: from 0.4 s to 0.6 s."""
FAST_PPM: Final = 100
START_NS: Final = 1_000_000_000_000
SECOND_NS: Final = 1_000_000_000
GOAL_MS: Final = 40.0


@dataclass(slots=True)
class Found:
    """What the stored segments hold."""

    segments: int = 0
    frames: int = 0
    lost: int = 0
    repeated: int = 0
    offsets_ms: list[float] = field(default_factory=list)
    """Tone after flash, once a segment."""


def _picture(number: int) -> av.VideoFrame:
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[: HEIGHT // 2] = 235 if number % RATE in FLASH_FRAMES else 16
    for bit in range(BITS):
        planes[HEIGHT // 2 : HEIGHT, bit * COLUMN : (bit + 1) * COLUMN] = 235 if number >> bit & 1 else 16
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _number(luma: npt.NDArray[np.uint8]) -> int:
    band = luma[HEIGHT * 5 // 8 : HEIGHT * 7 // 8, : BITS * COLUMN].reshape(-1, BITS, COLUMN)[:, :, 2:-2]
    return sum(1 << bit for bit, light in enumerate(band.mean(axis=(0, 2))) if light > 128)


def _block(first_sample: int) -> AudioBlock:
    """Samples of a clock that runs fast: the second's tone begins and ends when it does in the room."""
    moments = (first_sample + np.arange(BLOCK)) / (SAMPLE_RATE * (1 + FAST_PPM / 1e6))
    loud = (moments % 1 >= FLASH_FRAMES[0] / RATE) & (moments % 1 < (FLASH_FRAMES[-1] + 1) / RATE)
    tone = np.where(loud, 12_000 * np.sin(2 * np.pi * 1_000 * moments), 0).astype(np.int16)
    return AudioBlock(tone[:, None], START_NS + int(moments[0] * SECOND_NS))


def film(seconds: int) -> Iterator[VideoFrame | AudioBlock]:
    """Pictures and sound in the order in which they would arrive."""
    first_sample = 0
    for number in range(seconds * RATE):
        captured_ns = START_NS + number * SECOND_NS // RATE
        yield VideoFrame(_picture(number), captured_ns)
        while (block := _block(first_sample)).captured_ns < captured_ns:
            yield block
            first_sample += BLOCK


class Judge:
    """Opens each segment once it is sealed, and removes it."""

    def __init__(self, folder: EvidenceFolder, identity: pyrage.x25519.Identity) -> None:
        self._folder, self._identity = folder, identity
        self._expected = 0
        self.found = Found()

    def sealed(self, segment: Segment) -> None:
        """Takes a sealed segment."""
        place_segment(self._folder, segment)
        path = self._folder.object_path(segment.object)
        data = pyrage.decrypt(path.read_bytes(), [self._identity])
        path.unlink()
        self.found.segments += 1
        flash_s, tone_s = self._look(data), _listen(data)
        if flash_s is not None and tone_s is not None:
            self.found.offsets_ms.append((tone_s - flash_s) * 1e3)

    def _look(self, data: bytes) -> float | None:
        """Counts the frames; returns when the first flash came."""
        flash_s = None
        with av.open(io.BytesIO(data)) as container:
            for picture in container.decode(video=0):
                luma = picture.to_ndarray()[:HEIGHT]
                self._count(_number(luma))
                if flash_s is None and luma[: HEIGHT // 2].mean() > 128:
                    flash_s = picture.time
        return flash_s

    def _count(self, number: int) -> None:
        self.found.frames += 1
        self.found.lost += max(0, number - self._expected)
        self.found.repeated += number < self._expected
        self._expected = max(self._expected, number + 1)


def _listen(data: bytes) -> float | None:
    """When the tone began."""
    with av.open(io.BytesIO(data)) as container:
        for heard in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(heard.to_ndarray().reshape(-1)) > 0.15)
            if len(loud):
                return float(heard.time or 0) + int(loud[0]) / heard.sample_rate
    return None


def measure(place: Path, cuts: int) -> Found:
    """Records ``cuts`` segments of one second into ``place`` and judges them."""
    identity = pyrage.x25519.Identity.generate()
    folder = EvidenceFolder(place / "evidence")
    make_private_folder(folder.path)
    make_private_folder(folder.objects)
    judge = Judge(folder, identity)
    sink = SegmentSink(folder, "0" * 16, [recipient_key(str(identity.to_public()))], SECOND_NS // 1000, judge.sealed)
    settings = EncoderSettings(preset="ultrafast")
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), AudioFormat(SAMPLE_RATE, 1), settings)
    for item in film(cuts):
        for init, fragment in encoder.add(item):
            sink.add(init, fragment)
    for init, fragment in encoder.end():
        sink.add(init, fragment)
    sink.finish()
    return judge.found


def run(out: Path, quick: bool) -> Table:
    """The cuts, and what is left of the film after them."""
    cuts = 5 if quick else CUTS
    with tempfile.TemporaryDirectory(dir=out) as place:
        found = measure(Path(place), cuts)
    worst = max(map(abs, found.offsets_ms))
    rows = [
        Row("frames lost", cuts * RATE - (found.frames - found.repeated), "frames", 0),
        Row("frames repeated", found.repeated, "frames", 0),
        Row("tone against flash, worst of all segments", worst, "ms", GOAL_MS),
        Row("tone against flash, median", float(np.median(found.offsets_ms)), "ms"),
        Row("segments", found.segments, ""),
        Row("frames", found.frames, ""),
    ]
    conditions = {
        "picture": f"{WIDTH}x{HEIGHT} at {RATE}/s, every frame numbered",
        "microphone": f"its clock {FAST_PPM} ppm fast",
        "stored": "sealed, synced, opened again and decoded alone, one by one",
    }
    return Table("segment_cuts", "what cutting does to a film", rows, conditions, {"offsets_ms": found.offsets_ms})
