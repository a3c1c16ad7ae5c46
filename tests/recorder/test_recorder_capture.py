"""Capture of one recording: nothing before its time, everything after it, and an end whatever fails."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from capture_room import Room, warm
from samples import Enrolled, eventually

from agent.errors import HardwareError, StorageError, StorageFullError
<<<<<<< HEAD
from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import recipient_key
from agent.hardware.parts import AudioBlock
from agent.hardware.simulated.camera import SimulatedCamera
from agent.hardware.simulated.microphone import SimulatedMicrophone
from agent.hardware.simulated.stage import Stage, read_clip
from agent.recorder.capture import Capture, StillTaken, sealed_report
from agent.recorder.encoder import EncoderSettings
=======
from agent.recorder.capture import StillTaken
>>>>>>> 7887eed (Capture watches its parts: a silent one is a gap at once, is started again, and ends the recording only at a limit; sound alone can be recorded)
from agent.recorder.machine import CaptureEnded, PartLost, SegmentSealed
from agent.recorder.stills import jpeg
from agent.system import durable


<<<<<<< HEAD
class Room:
    """A camera, a microphone, an evidence folder and everything that the capture reported."""

    def __init__(self, folder: Path, footage: Path, enrolled: Enrolled) -> None:
        self.stage = Stage(read_clip(footage))
        self.folder = EvidenceFolder(folder)
        self.folder.objects.mkdir()
        self.enrolled = enrolled
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.reports: list[Any] = []
        self.camera, self.microphone = SimulatedCamera(self.stage), SimulatedMicrophone(self.stage)
        keys = [recipient_key(one) for one in enrolled.trust.recipients]
        self.sink = SegmentSink(self.folder, RECORDING, keys, 1_000_000, sealed_report(self.inbox.put))
        self.heard: list[AudioBlock] = []
        settings = EncoderSettings(preset="ultrafast")
        self.capture = Capture(
            RECORDING, self.camera, self.microphone, settings, self.sink, self.inbox.put, hears=self.heard.append
        )

    def until(self, kind: type[Any]) -> Any:
        while True:
            report = self.inbox.get(timeout=10)
            self.reports.append(report)
            if isinstance(report, kind):
                return report

    def of(self, kind: type[Any]) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]

    def film(self) -> bytes:
        text = self.enrolled.agekeys[0].read_text()
        secret = next(line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-1"))
        found = b""
        for report in self.of(SegmentSealed):
            place_segment(self.folder, report.segment)
            sealed = self.folder.object_path(report.segment.object).read_bytes()
            found += pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(secret)])
        return found

    def close(self) -> None:
        self.capture.abandon()
        self.camera.close()
        self.microphone.close()


=======
>>>>>>> 7887eed (Capture watches its parts: a silent one is a gap at once, is started again, and ends the recording only at a limit; sound alone can be recorded)
@pytest.fixture
def room(tmp_path: Path, footage: Path, enrolled: Enrolled) -> Iterator[Room]:
    room = Room(tmp_path, footage, enrolled)
    yield room
    room.close()


<<<<<<< HEAD
def warm(room: Room) -> None:
    room.capture.warm_up()
    eventually(lambda: room.capture.last_frame_ns, 5, "a frame")


def test_while_warming_up_nothing_is_kept_and_the_sound_only_passes_by_to_be_measured(room: Room) -> None:
=======
def test_while_warming_up_not_one_frame_is_kept_and_the_sound_only_for_measuring(room: Room) -> None:
>>>>>>> 7887eed (Capture watches its parts: a silent one is a gap at once, is started again, and ends the recording only at a limit; sound alone can be recorded)
    warm(room)
    eventually(lambda: room.heard, 5, "a block of sound")
    assert not room.capture._waiting.items
    assert room.capture.sound_level is not None
    room.capture.abandon()
    assert room.inbox.empty()
    assert not list(room.folder.objects.iterdir())


def test_frames_held_since_the_notice_are_stored_first_and_none_from_before_it(room: Room) -> None:
    warm(room)
    from_us = time.monotonic_ns() // 1000
    room.capture.hold_from(from_us)
    eventually(lambda: room.capture._waiting.frames >= 3, 5, "frames in hand")
    assert not list(room.folder.objects.iterdir()), "held in memory only"
    room.capture.store()
    first = room.until(SegmentSealed).segment
    assert from_us <= first.first_frame_us < from_us + 200_000
    room.capture.finish()
    ended = room.until(CaptureEnded)
    segments = [report.segment for report in room.of(SegmentSealed)]
    assert (ended.segments, ended.frames, ended.dropped) == (len(segments), sum(one.frames for one in segments), 0)
    with av.open(io.BytesIO(room.film())) as film:
        assert sum(1 for _ in film.decode(video=0)) == ended.frames
    assert room.capture.media_us(from_us) == 0


def test_a_still_is_the_running_picture_as_jpeg(room: Room) -> None:
    warm(room)
    room.capture.hold_from(0)
    room.capture.store()
    room.capture.want_still()
    still = room.until(StillTaken)
    with av.open(io.BytesIO(jpeg(still.frame))) as picture:
        decoded = next(picture.decode(video=0))
    assert (decoded.width, decoded.height) == (160, 120)


def test_a_full_disk_ends_the_recording_and_keeps_what_was_whole(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    append = durable.AppendFile.append
    written = 0

    def limited(self: durable.AppendFile, data: bytes) -> int:
        nonlocal written
        written += len(data)
        if written > 200_000:
            raise StorageFullError("no room")
        return append(self, data)

    monkeypatch.setattr(durable.AppendFile, "append", limited)
    warm(room)
    room.capture.hold_from(0)
    room.capture.store()
    lost = room.until(PartLost)
    assert (lost.gap.cause, lost.ends_recording) == ("storage", True)
    ended = room.until(CaptureEnded)
    assert ended.segments == len(room.of(SegmentSealed))


def test_a_disk_that_fails_altogether_still_lets_the_recording_end(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StorageError("gone")

    monkeypatch.setattr(durable.AppendFile, "append", broken)
    monkeypatch.setattr("agent.recorder.segments.keep_whole_chunks", broken)
    warm(room)
    room.capture.hold_from(0)
    room.capture.store()
    assert room.until(PartLost).gap.cause == "storage"
    assert room.until(CaptureEnded).segments == 0


def test_a_microphone_that_cannot_start_is_reported_and_the_picture_goes_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise HardwareError("no microphone")

    monkeypatch.setattr(room.microphone, "start", broken)
    warm(room)
    room.capture.hold_from(0)
    lost = room.until(PartLost)
    assert (lost.gap.cause, lost.ends_recording) == ("microphone", False)
    room.capture.store()
    assert room.until(SegmentSealed).segment.frames > 0


def test_frames_that_find_no_room_are_counted_and_memory_stays_bounded(room: Room) -> None:
    warm(room)
    room.capture.hold_from(0)
    eventually(lambda: room.capture.dropped >= 2, 8, "a full queue")
    assert room.capture._waiting.frames <= 24
