"""Parts that never get through become smaller, and are then withheld for a while; others stay as they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.custody.part_size import FAILURES, FAILURES_AT_THE_FLOOR, LEAST_PART_BYTES, WITHHELD_SECONDS, PartSize

BYTES = st.integers(0, 2_000_000)


def test_a_part_that_ends_three_connections_is_halved_and_the_smallest_is_withheld_only_after_more() -> None:
    size = PartSize(65_536)
    seen = []
    for _ in range(FAILURES * 2 + FAILURES_AT_THE_FLOOR):
        if size.ended(size.bytes, 800, 100.0):
            seen.append((size.bytes, size.withheld(100.0)))
    assert seen == [(32_768, False), (16_384, False), (16_384, True)]
    assert size.withheld(100.0 + WITHHELD_SECONDS - 1)
    assert not size.withheld(100.0 + WITHHELD_SECONDS)


def test_a_connection_that_carried_as_large_a_part_speaks_for_the_size() -> None:
    size = PartSize(65_536)
    for _ in range(FAILURES * 3):
        size.ended(65_536, 0, 0.0)
        size.ended(65_536, 0, 0.0)
        assert not size.ended(65_536, 65_536, 0.0)
    assert size.bytes == 65_536


def test_what_the_dock_has_gained_speaks_for_the_size_though_no_acknowledgement_came_back() -> None:
    size = PartSize(65_536)
    for _ in range(FAILURES * 3):
        assert not size.ended(65_536, 0, 0.0)
        size.gained()
    assert size.bytes == 65_536


def test_connections_that_carried_no_part_say_nothing_about_it() -> None:
    size = PartSize(65_536)
    for _ in range(100):
        assert not size.ended(700, 0, 0.0)
        assert not size.ended(0, 0, 0.0)


@given(st.integers(1_024, 1_048_576), st.lists(st.tuples(BYTES, BYTES), max_size=60))
def test_the_size_never_grows_and_never_falls_below_the_floor_or_what_was_configured(
    configured: int, ends: list[tuple[int, int]]
) -> None:
    size = PartSize(configured)
    last = configured
    for unacknowledged, acknowledged in ends:
        size.ended(unacknowledged, acknowledged, 0.0)
        assert min(configured, LEAST_PART_BYTES // 2) <= size.bytes <= last
        last = size.bytes
