"""One part under its watch, with times given: what is passed on, what is told."""

from __future__ import annotations

import time
from typing import Any

from samples import eventually

from agent.hardware.parts import EncodedPicture
from agent.recorder.feed import Feed, Missing
from agent.recorder.watch import Limits

SECOND = 1_000_000_000


class Part:
    """Delivers what the test hands it."""

    def __init__(self) -> None:
        self.starts = 0
        self.deliver: Any = None

    def start(self, deliver: Any, fault: Any) -> None:
        self.starts += 1
        self.deliver = deliver

    def stop(self) -> None:
        self.deliver = None


def picture(captured_ns: int, keyframe: bool) -> EncodedPicture:
    return EncodedPicture(b"", captured_ns, keyframe)


def fallen_silent() -> tuple[Part, Feed[EncodedPicture], list[EncodedPicture], int]:
    """A feed whose part has delivered once, and has been called silent."""
    part, taken = Part(), []
    feed = Feed("camera", part, taken.append, Limits(), lambda one: one.keyframe)
    feed.start()
    part.deliver(picture(1, True))
    now = time.monotonic_ns() + SECOND
    assert feed.look(now, 1) == Missing("silent", None, "camera is silent")
    return part, feed, taken, now


def test_after_a_mere_pause_the_next_picture_counts_whatever_it_is() -> None:
    part, feed, taken, now = fallen_silent()
    part.deliver(picture(3 * SECOND, False))
    told = feed.look(now + 1, 1)
    assert told is not None and (told.state, told.missing_us) == ("resumed", 3_000_000 - 1)
    assert [one.keyframe for one in taken] == [True, False]


def test_after_a_restart_what_comes_before_the_next_keyframe_is_neither_passed_on_nor_counted() -> None:
    part, feed, taken, now = fallen_silent()
    feed.look(now + 2 * SECOND, 1)
    eventually(lambda: part.starts == 2 and part.deliver, 5, "a restart")
    feed.join()
    part.deliver(picture(4 * SECOND, False))
    assert feed.look(now + 2 * SECOND + 1, 1) is None
    part.deliver(picture(5 * SECOND, True))
    told = feed.look(now + 2 * SECOND + 2, 1)
    assert told is not None and told.missing_us == 5_000_000 - 1
    assert [one.captured_ns for one in taken] == [1, 5 * SECOND]


def test_what_stops_during_a_restart_stays_stopped() -> None:
    part, feed, taken, now = fallen_silent()
    feed.look(now + 2 * SECOND, 1)
    feed.stop()
    feed.join()
    assert part.deliver is None
    assert len(taken) == 1
