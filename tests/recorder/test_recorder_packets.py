"""Stream copy: what the camera coded is what is stored, from the first keyframe after the notice on."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from capture_room import Room, warm
from rtsp_server import RtspServer
from samples import Enrolled, eventually

from agent.evidence.fragments import FragmentReader
from agent.hardware.h264 import parameter_sets, units, with_parameter_sets
from agent.hardware.linux.rtsp import RtspCamera
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, EncodedPicture, PacketCamera
from agent.hardware.settings import StreamSettings
from agent.hardware.simulated.packets import SimulatedPacketCamera
from agent.recorder.capture import StillTaken
from agent.recorder.machine import PartLost, SegmentSealed
from agent.recorder.muxing import Piece
from agent.recorder.packets import StreamCopy
from agent.recorder.stills import jpeg

RATE = 25
START_NS = 7_000_000_000_000
AWAY_SECONDS = 1.5


def coded(seconds: float, size: tuple[int, int] = (160, 120), from_ns: int = START_NS) -> list[EncodedPicture]:
    """Pictures that brighten, a keyframe a second."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.framerate, encoder.time_base, encoder.gop_size = Fraction(RATE), Fraction(1, RATE), RATE
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "sliced-threads=0:threads=1"}
    found = []
    for number in range(round(seconds * RATE)):
        light = np.full((size[1] * 3 // 2, size[0]), 40 + number % 150, np.uint8)
        picture = av.VideoFrame.from_ndarray(light, format="yuv420p")
        picture.pts = number
        for packet in encoder.encode(picture):
            at_ns = from_ns + number * 1_000_000_000 // RATE
            found.append(EncodedPicture(bytes(packet), at_ns, bool(packet.is_keyframe)))
    return found


def film(pieces: list[Piece]) -> list[bytes]:
    """The pieces as whole films, one for each initialisation part."""
    found: list[bytes] = []
    before = None
    for init, fragment in pieces:
        if init != before:
            found.append(init)
        before, found[-1] = init, found[-1] + fragment.data
    return found


def times(data: bytes, kind: str = "video") -> list[float]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.time for frame in container.decode(**{kind: 0})]


def copy(pictures: list[EncodedPicture], sound: AudioFormat | None = None) -> list[Piece]:
    stream = StreamCopy(CameraFormat(160, 120, RATE), sound, 64_000)
    pieces: list[Piece] = []
    for picture in pictures:
        pieces += stream.add(picture)
        if sound:
            samples = np.zeros((sound.sample_rate // RATE, 1), np.int16)
            pieces += stream.add(AudioBlock(samples, picture.captured_ns))
    return pieces + stream.end()


def test_every_picture_is_stored_as_it_came_at_its_time_a_fragment_for_each_keyframe() -> None:
    pictures = coded(3)
    pieces = copy(pictures)
    assert [fragment.start_us for _, fragment in pieces] == [0, 1_000_000, 2_000_000]
    assert [fragment.frames for _, fragment in pieces] == [RATE] * 3
    assert times(film(pieces)[0]) == pytest.approx([number / RATE for number in range(3 * RATE)], abs=1e-4)
    stored = b"".join(fragment.data for _, fragment in pieces)
    for picture in pictures:
        assert units(picture.data)[-1] in stored, "not one byte of the picture is encoded anew"


def test_new_parameter_sets_begin_a_new_film_at_the_same_times() -> None:
    later = coded(2, (320, 240), START_NS + 2_500_000_000)
    pieces = copy([*coded(2), *later], AudioFormat(8000, 1))
    inits = {init for init, _ in pieces}
    assert len(inits) == 2
    starts = [fragment.start_us for _, fragment in pieces]
    assert starts == pytest.approx([0, 1_000_000, 2_500_000, 3_500_000], abs=20)
    for (begin, size), data in zip(((0.0, 160), (2.5, 320)), film(pieces), strict=True):
        with av.open(io.BytesIO(data)) as container:
            frames = [*container.decode(video=0)]
        assert (frames[0].time, frames[0].width) == (pytest.approx(begin, abs=1e-3), size)
        assert times(data, "audio")[0] == pytest.approx(begin, abs=0.15)


def test_films_under_two_parameter_sets_play_one_behind_the_other(tmp_path: Path) -> None:
    pieces = copy([*coded(2), *coded(2, (320, 240), START_NS + 2_000_000_000)])
    assert len({init for init, _ in pieces}) == 2
    path = tmp_path / "film.mp4"
    path.write_bytes(pieces[0][0] + b"".join(fragment.data for _, fragment in pieces))
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames",
         "-of", "csv=p=0", str(path)], capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert (done.stdout.strip().rstrip(","), done.stderr) == (str(4 * RATE), "")


def test_a_keyframe_without_parameter_sets_gets_those_that_are_known() -> None:
    whole = coded(0.1)[0].data
    sets = parameter_sets(whole)
    bare = b"\x00\x00\x00\x01" + units(whole)[-1]
    assert sets and not parameter_sets(bare)
    assert parameter_sets(with_parameter_sets(bare, sets)) == sets
    assert with_parameter_sets(whole, sets) == whole


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x00\x01", b"\x00\x00\x00\x01\x67", b"\xff" * 40, b"\x00\x00\x01\x00\x00\x01"]
)
def test_what_is_no_picture_has_no_parameter_sets_and_does_no_harm(data: bytes) -> None:
    assert parameter_sets(data) in (b"", b"\x00\x00\x00\x01\x67")


class FixedRoom(Room):
    """The room with a camera that encodes by itself."""

    def use(self, camera: PacketCamera, **more: Any) -> None:
        self.camera = camera  # type: ignore[assignment]
        self.capture = self.make(camera, **more)


@pytest.fixture
def room(tmp_path: Path, footage: Path, enrolled: Enrolled) -> Iterator[FixedRoom]:
    room = FixedRoom(tmp_path, footage, enrolled)
    yield room
    room.close()


def test_the_first_stored_picture_is_a_keyframe_of_after_the_notice_asked_for_at_its_end(room: FixedRoom) -> None:
    room.use(SimulatedPacketCamera(room.stage))
    warm(room)
    gate_us = time.monotonic_ns() // 1000
    room.capture.hold_from(gate_us)
    room.capture.store()
    first = room.until(SegmentSealed).segment
    room.capture.want_still()
    still = room.until(StillTaken)
    ended = room.end()
    assert first.first_frame_us is not None and gate_us <= first.first_frame_us
    assert first.first_frame_us - gate_us < 700_000, "sooner than the camera's own keyframes come, a second apart"
    reader = FragmentReader()
    assert sum(one.frames for one in reader.feed(room.film())) == ended.frames == len(times(room.film()))
    assert jpeg(still.frame).startswith(b"\xff\xd8")
    heard = times(room.film(), "audio")
    assert heard[0] == pytest.approx(0, abs=0.05), "the unit's own microphone beside it"


class Asked:
    """A camera that encodes by itself and counts how often it is asked for a keyframe."""

    format, sound = CameraFormat(160, 120, RATE), None
    asked = 0
    deliver: Any = None

    def start(self, deliver: Any, fault: Any) -> None:
        self.deliver = deliver

    def request_keyframe(self) -> None:
        self.asked += 1

    def stop(self) -> None:
        pass

    close = stop


def test_a_keyframe_exposed_just_before_the_end_of_the_notice_is_not_stored_and_another_is_asked_for(
    room: FixedRoom,
) -> None:
    camera = Asked()
    room.use(camera)
    room.capture.warm_up()
    room.capture.hold_from(START_NS // 1000)
    key, *others = coded(0.2, from_ns=START_NS - 1)
    camera.deliver(key)
    for picture in others:
        camera.deliver(picture)
    assert camera.asked == 2
    assert room.capture._waiting.packets == 0
    for picture in coded(0.2, from_ns=START_NS + 1_000_000_000):
        camera.deliver(picture)
    assert camera.asked == 2
    assert room.capture._waiting.packets == 5


def test_a_fixed_camera_that_goes_and_comes_back_is_recorded_on_with_its_hole(room: FixedRoom) -> None:
    server = RtspServer()
    try:
        room.use(RtspCamera(StreamSettings(url=server.url)), lost_ns=120_000_000_000)
        room.begin()
        for _ in range(2):
            room.until(SegmentSealed)
        server.kill()
        told = room.lost("silent")
        assert (told.gap.cause, told.gap.missing_us, told.ends_recording) == ("camera", None, False)
        time.sleep(AWAY_SECONDS)
        server.start("320x240")
        back = room.lost("resumed")
        for _ in range(2):
            room.until(SegmentSealed)
        ended = room.end()
    finally:
        server.kill()
    assert not [one for one in room.of(PartLost) if one.ends_recording]
    segments = [report.segment for report in room.of(SegmentSealed)]
    assert sum(one.frames for one in segments) == ended.frames > 50
    assert all(before.start_us < after.start_us for before, after in pairwise(segments))
    seen = times(room.film())
    assert (
        max(after - before for before, after in pairwise(seen)) >= back.gap.missing_us / 1e6 - 0.1 > AWAY_SECONDS - 0.2
    )
    heard = times(room.film(), "audio")
    assert abs(heard[-1] - seen[-1]) < 1.3
    assert room.capture.sound == AudioFormat(8000, 1)


def test_a_fixed_camera_that_comes_back_with_another_size_goes_on_in_a_segment_of_its_own(room: FixedRoom) -> None:
    server = RtspServer()
    try:
        room.use(RtspCamera(StreamSettings(url=server.url)), lost_ns=120_000_000_000)
        room.begin()
        room.until(SegmentSealed)
        server.kill()
        server.start("480x360")
        room.lost("resumed")
        eventually(lambda: room.until(SegmentSealed) and room.until(SegmentSealed), 20, "segments")
        room.end()
    finally:
        server.kill()
    widths = set()
    for data in room.films():
        with av.open(io.BytesIO(data)) as container:
            widths |= {frame.width for frame in container.decode(video=0)}
    assert widths == {320, 480}
