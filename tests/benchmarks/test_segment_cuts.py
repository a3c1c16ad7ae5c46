"""The benchmark of segment cuts, short: its claims are not about time, so they hold on any machine."""

from __future__ import annotations

from pathlib import Path

from benchmarks.segment_cuts import GOAL_MS, RATE, measure


def test_sixty_cuts_lose_and_repeat_no_frame_and_keep_picture_and_sound_together(tmp_path: Path) -> None:
    found = measure(tmp_path, 60)
    assert (found.segments, found.frames) == (60, 60 * RATE)
    assert (found.lost, found.repeated) == (0, 0)
    assert len(found.offsets_ms) == 60
    assert max(map(abs, found.offsets_ms)) <= GOAL_MS
