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
from agent.recorder.capture import StillTaken
from agent.recorder.machine import CaptureEnded, PartLost, SegmentSealed
from agent.recorder.stills import jpeg
from agent.system import durable


@pytest.fixture
def room(tmp_path: Path, footage: Path, enrolled: Enrolled) -> Iterator[Room]:
    room = Room(tmp_path, footage, enrolled)
    yield room
    room.close()


def test_while_warming_up_nothing_is_kept_and_the_sound_only_passes_by_to_be_measured(room: Room) -> None:
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
    monkeypatch.setattr("agent.recorder.segments.recover_open", broken)
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
