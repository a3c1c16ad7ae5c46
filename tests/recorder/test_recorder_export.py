"""A recording taken out with the key: film, positions and papers; torn pieces joined, another film kept apart."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pyrage
import pytest
from samples import PERMITTED, RECORDING, TIME, Enrolled

from agent.evidence.documents import Position, Remark, Telemetry
from agent.evidence.encoding import dump_json, sha256_hex
from agent.evidence.entries import Entry, Open, Restricted, Segment, TelemetryEntry
from agent.evidence.export import export_recording
from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import CHUNK_BYTES, header_bytes, recipient_key, seal
from agent.hardware.parts import CameraFormat, VideoFrame
from agent.recorder.encoder import Encoder
from agent.recorder.settings import EncoderSettings


@pytest.fixture
def folder(tmp_path: Path) -> EvidenceFolder:
    folder = EvidenceFolder(tmp_path / "evidence")
    folder.objects.mkdir(parents=True)
    return folder


@pytest.fixture
def identity(enrolled: Enrolled) -> pyrage.x25519.Identity:
    lines = enrolled.agekeys[0].read_text().splitlines()
    return pyrage.x25519.Identity.from_str(next(line for line in lines if line.startswith("AGE-SECRET")))


class Evidence:
    """Entries of one recording, and their objects."""

    def __init__(self, folder: EvidenceFolder, enrolled: Enrolled) -> None:
        self.folder, self.keys = folder, [recipient_key(one) for one in enrolled.trust.recipients]
        self.entries: list[Entry] = []
        self.add(Open(RECORDING, "video", None, None, None, None, [], PERMITTED, None, None))

    def add(self, body: object) -> None:
        self.entries.append(Entry(len(self.entries), "", "er-1", TIME, body))  # type: ignore[arg-type]

    def put(self, plain: bytes, cut: int | None = None):
        ref, sealed = seal(plain, self.keys)
        if cut is not None:
            sealed = sealed[: header_bytes(sealed) + cut * (CHUNK_BYTES + 16)]
            ref = type(ref)(sha256_hex(sealed), len(sealed), "age")
        self.folder.object_path(ref).write_bytes(sealed)
        return ref

    def segment(self, plain: bytes, recovered: bool = False, cut: int | None = None) -> None:
        index = sum(isinstance(entry.body, Segment) for entry in self.entries)
        first = None if recovered else TIME.mono_us + 1_000_000
        self.add(Segment(RECORDING, index, self.put(plain, cut), 0, 0, first, 0, recovered))


def films(seconds: int, width: int = 64) -> tuple[bytes, list[bytes]]:
    """A real initialisation part, and two fragments a second."""
    encoder = Encoder(CameraFormat(width, 64, 25), None, EncoderSettings(preset="ultrafast", quality=15))
    random = np.random.default_rng(1)
    found = []
    for number in range(25 * seconds):
        picture = av.VideoFrame.from_ndarray(random.integers(0, 255, (96, width), np.uint8), format="yuv420p")
        found += encoder.add_frame(VideoFrame(picture, number * 40_000_000))
    found += encoder.finish()
    return encoder.init, [one.data for one in found]


def test_two_recovered_pieces_are_read_as_one_and_no_fragment_is_lost(
    folder: EvidenceFolder, enrolled: Enrolled, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    init, fragments = films(4)
    whole = init + b"".join(fragments)
    chunks = len(whole) // CHUNK_BYTES
    assert chunks >= 1, "long enough to be torn"
    evidence = Evidence(folder, enrolled)
    evidence.segment(whole, recovered=True, cut=chunks)
    evidence.segment(whole[chunks * CHUNK_BYTES :], recovered=True)
    done = export_recording(folder, evidence.entries, RECORDING, identity, tmp_path / "out")
    assert [path.name for path in done.files] == [f"{RECORDING}.mp4"]
    assert done.files[0].read_bytes() == whole


def test_a_film_that_begins_anew_on_the_way_goes_on_in_a_second_file(
    folder: EvidenceFolder, enrolled: Enrolled, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    evidence, made = Evidence(folder, enrolled), []
    for width in (64, 96):
        init, fragments = films(1, width)
        made.append(init + b"".join(fragments))
        evidence.segment(made[-1])
    done = export_recording(folder, evidence.entries, RECORDING, identity, tmp_path / "out")
    assert [path.name for path in done.files] == [f"{RECORDING}.mp4", f"{RECORDING}-2.mp4"]
    assert [path.read_bytes() for path in done.files] == made


def test_positions_become_one_track_with_their_times_and_words_are_written_out(
    folder: EvidenceFolder, enrolled: Enrolled, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    evidence = Evidence(folder, enrolled)
    init, fragments = films(1)
    evidence.segment(init + fragments[0])
    for second in (0, 1):
        place = Position(second * 1_000_000, 418_000_000 + second, 1_238_000_000, 52_000, 4_000, "gnss")
        content = Telemetry(1, "telemetry", "er-1", RECORDING, [place])
        evidence.add(TelemetryEntry(RECORDING, evidence.put(dump_json(asdict(content))), place.at_us, place.at_us, 1))
    remark = dump_json(asdict(Remark(1, "remark", "er-1", "样例说明")))
    evidence.add(Restricted(RECORDING, "other", evidence.put(remark)))
    done = export_recording(folder, evidence.entries, RECORDING, identity, tmp_path / "out")
    assert [path.suffix for path in done.files] == [".mp4", ".gpx", ".json"]
    points = ElementTree.parse(done.files[1]).getroot().findall(".//{*}trkpt")
    assert [(one.get("lat"), one.get("lon")) for one in points] == [
        ("41.8000000", "123.8000000"),
        ("41.8000001", "123.8000000"),
    ]
    assert len({one.findtext("{*}time") for one in points}) == 2
    assert done.files[2].read_bytes() == remark


def test_what_is_missing_is_named_and_the_rest_is_written(
    folder: EvidenceFolder, enrolled: Enrolled, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    init, fragments = films(1)
    evidence = Evidence(folder, enrolled)
    for fragment in fragments[:2]:
        evidence.segment(init + fragment)
    gone = evidence.entries[1].body.object  # type: ignore[union-attr]
    folder.object_path(gone).unlink()
    done = export_recording(folder, evidence.entries, RECORDING, identity, tmp_path / "out")
    assert done.missing == (gone.file_name,)
    assert done.files[0].read_bytes() == init + fragments[1]

