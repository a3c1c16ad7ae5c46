"""Parts that fail while recording: told at once, tried again, and the film keeps its true times."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest
from capture_room import Room, warm
from samples import Enrolled, eventually

from agent.recorder.capture import StillTaken
from agent.recorder.machine import CaptureEnded, PartLost, SegmentSealed


@pytest.fixture
def room(tmp_path: Path, footage: Path, enrolled: Enrolled) -> Iterator[Room]:
    room = Room(tmp_path, footage, enrolled)
    yield room
    room.close()


def times(film: bytes, kind: str) -> list[float]:
    with av.open(io.BytesIO(film)) as container:
        return [frame.time for frame in container.decode(**{kind: 0})]


def test_a_stalled_camera_is_told_within_a_second_started_again_and_its_hole_stays_visible(room: Room) -> None:
    room.begin()
    room.until(SegmentSealed)
    stalled_ns = time.monotonic_ns()
    room.camera.silent = True
    told = room.lost("silent")
    assert (told.gap.cause, told.gap.missing_us, told.ends_recording) == ("camera", None, False)
    assert time.monotonic_ns() - stalled_ns < 3_000_000_000, "a generous bound for a busy machine"
    eventually(lambda: room.camera.starts > 1, 10, "a restart")
    room.camera.silent = False
    back = room.lost("resumed")
    assert (back.gap.cause, back.ends_recording) == ("camera", False)
    room.until(SegmentSealed)
    room.end()
    seen = times(room.film(), "video")
    hole = max(after - before for before, after in pairwise(seen))
    assert hole == pytest.approx(back.gap.missing_us / 1e6, abs=0.05)
    heard = times(room.film(), "audio")
    assert max(after - before for before, after in pairwise(heard)) < 0.03, "the sound went on"


def test_a_camera_that_is_unplugged_and_plugged_in_again_records_on(room: Room) -> None:
    room.begin()
    room.until(SegmentSealed)
    room.camera.unplug()
    assert "device gone" in room.lost("silent").why
    eventually(lambda: room.camera.starts > 2, 10, "tries")
    room.camera.unplugged = False
    assert room.lost("resumed").gap.missing_us > 0
    room.until(SegmentSealed)
    room.end()
    assert not [one for one in room.of(PartLost) if one.ends_recording]


def test_a_camera_that_stays_away_ends_the_recording_at_the_limit(
    tmp_path: Path, footage: Path, enrolled: Enrolled
) -> None:
    room = Room(tmp_path, footage, enrolled)
    room.capture = room.make(room.camera, lost_ns=1_500_000_000)
    room.begin()
    room.until(SegmentSealed)
    room.camera.unplug()
    gone = room.lost("lost")
    assert (gone.gap.cause, gone.ends_recording) == ("camera", True)
    assert gone.gap.missing_us >= 1_000_000
    assert room.end().frames > 0
    room.close()


def test_a_camera_that_falters_during_the_notice_only_is_nobodys_gap(room: Room) -> None:
    warm(room)
    room.camera.unplug()
    eventually(lambda: room.camera.starts > 2, 10, "tries")
    room.camera.unplugged = False
    before = room.capture.last_frame_ns
    eventually(lambda: room.capture.last_frame_ns > before, 10, "a frame")
    room.capture.hold_from(time.monotonic_ns() // 1000)
    room.capture.store()
    room.until(SegmentSealed)
    room.end()
    assert not room.of(PartLost)


def test_without_its_microphone_the_film_goes_on_in_silence_and_takes_the_sound_up_again(room: Room) -> None:
    room.begin()
    room.until(SegmentSealed)
    room.microphone.unplug()
    assert (room.lost("silent").gap.cause, room.of(PartLost)[0].ends_recording) == ("microphone", False)
    for _ in range(3):
        room.until(SegmentSealed)
    room.microphone.unplugged = False
    back = room.lost("resumed")
    assert back.gap.missing_us > 1_000_000
    room.until(SegmentSealed)
    room.end()
    film = room.film()
    heard, seen = times(film, "audio"), times(film, "video")
    assert max(after - before for before, after in pairwise(heard)) < 0.03, "no hole: silence"
    assert heard[-1] == pytest.approx(seen[-1], abs=0.25)


def test_what_the_encoder_cannot_take_is_told_while_recording_once_in_ten_seconds_and_the_rest_at_the_end(
    room: Room,
) -> None:
    warm(room)
    room.capture.hold_from(0)
    eventually(lambda: room.capture.dropped >= 2, 8, "a full queue")
    first = room.until(PartLost)
    assert (first.gap.cause, first.gap.missing_us, first.ends_recording) == ("overload", None, False)
    told = room.capture.dropped
    eventually(lambda: room.capture.dropped > told + 2, 8, "more")
    assert len(room.of(PartLost)) == 1
    room.capture.store()
    ended = room.end()
    assert ended.dropped == sum(one.gap.dropped for one in room.of(PartLost)) > first.gap.dropped


def test_sound_alone_is_a_fragment_a_second_from_the_first_block_and_takes_no_photo(
    tmp_path: Path, footage: Path, enrolled: Enrolled
) -> None:
    room = Room(tmp_path, footage, enrolled, sound_alone=True)
    room.begin()
    room.capture.want_still()
    first = room.until(SegmentSealed).segment
    assert (first.start_us, first.frames) == (0, 0)
    assert first.first_frame_us is not None
    second = room.until(SegmentSealed).segment
    assert second.start_us == pytest.approx(1_000_000, abs=60_000)
    ended = room.end()
    heard = times(room.film(), "audio")
    assert room.camera.starts == 0
    assert not room.of(StillTaken)
    assert (ended.frames, ended.duration_us) == (0, pytest.approx(len(heard) * 1024 / 48_000 * 1e6, abs=60_000))
    room.close()


def test_sound_alone_ends_when_its_microphone_stays_away(tmp_path: Path, footage: Path, enrolled: Enrolled) -> None:
    room = Room(tmp_path, footage, enrolled, sound_alone=True)
    room.capture = room.make(None, lost_ns=1_500_000_000)
    room.begin()
    room.microphone.unplug()
    gone = room.lost("lost")
    assert (gone.gap.cause, gone.ends_recording) == ("microphone", True)
    assert isinstance(room.end(), CaptureEnded)
    room.close()


def test_the_watchdog_is_fed_unless_the_encoder_or_the_watch_stands_still(room: Room) -> None:
    warm(room)
    now = time.monotonic_ns()
    assert room.capture.flowing(now)
    room.camera.silent = True
    assert room.capture.flowing(now), "a silent camera is the watch's business"
    assert not room.capture.flowing(now + 60_000_000_000)
