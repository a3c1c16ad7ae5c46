"""The watch over a part: silent at once, started again with growing pauses, given up at its limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.recorder.watch import Change, Limits, Seen, Watch, limits_at, watch

SECOND = 1_000_000_000
LIMITS = Limits()


def follow(seen: list[Seen], times: list[int], limits: Limits = LIMITS) -> list[tuple[int, Change]]:
    """What a run of looks brings, with its times."""
    state, found = Watch(), []
    for now, one in zip(times, seen, strict=True):
        state, change = watch(state, now, one, limits)
        if change:
            found.append((now, change))
    return found


def silence(seconds: float, limits: Limits = LIMITS) -> list[tuple[float, Change]]:
    """A part that delivered at 0 and never again, looked at ten times a second."""
    times = [number * SECOND // 10 for number in range(round(seconds * 10) + 1)]
    return [(now / SECOND, change) for now, change in follow([Seen(0)] * len(times), times, limits)]


def test_a_part_that_delivers_brings_nothing() -> None:
    times = [number * SECOND for number in range(100)]
    assert follow([Seen(now - 40_000_000) for now in times], times) == []


def test_silence_is_told_within_a_second_and_restarts_follow_with_growing_pauses_until_the_limit() -> None:
    assert silence(20) == [
        (0.9, Change.SILENT),
        (1.5, Change.RESTART),
        (2.0, Change.RESTART),
        (3.0, Change.RESTART),
        (5.0, Change.RESTART),
        (7.0, Change.RESTART),
        (9.0, Change.RESTART),
        (10.1, Change.LOST),
    ]


def test_a_part_that_says_it_failed_is_started_again_at_once() -> None:
    times = [SECOND, SECOND + 1]
    assert [change for _, change in follow([Seen(SECOND - 1, failed=True)] * 2, times)] == [
        Change.SILENT,
        Change.RESTART,
    ]


def test_one_delivery_ends_the_silence_and_a_second_silence_is_told_anew() -> None:
    seen = [Seen(0), Seen(2 * SECOND, resumed=True), Seen(2 * SECOND)]
    found = follow(seen, [SECOND, 2 * SECOND + 1, 4 * SECOND])
    assert [change for _, change in found] == [Change.SILENT, Change.RESUMED, Change.SILENT]


def test_before_its_first_delivery_a_part_may_take_longer() -> None:
    unstarted = [Seen(0, delivered=False)] * 2
    assert [now for now, _ in follow(unstarted, [4 * SECOND, 6 * SECOND])] == [6 * SECOND]


def test_a_part_that_delivers_what_is_not_useful_yet_is_not_disturbed() -> None:
    times = [SECOND, *(SECOND + number * SECOND // 10 for number in range(1, 40))]
    seen = [Seen(0), *(Seen(now) for now in times[1:])]
    assert [change for _, change in follow(seen, times)] == [Change.SILENT]


def test_a_part_without_a_limit_is_never_given_up_but_tried_less_and_less_often() -> None:
    found = silence(120, Limits(lost_ns=None, pause_ns=10 * SECOND))
    assert {change for _, change in found} == {Change.SILENT, Change.RESTART}
    assert found[-1][0] - found[-2][0] == 10


def test_a_slow_camera_is_not_silent_between_two_of_its_pictures() -> None:
    assert silence(2.9, limits_at(1, 10 * SECOND)) == []
    assert silence(1.0, limits_at(30, 10 * SECOND)) == [(0.9, Change.SILENT)]


@given(st.lists(st.tuples(st.integers(0, 5 * SECOND), st.booleans(), st.booleans()), max_size=60))
def test_silence_and_return_always_alternate_and_nothing_follows_a_loss(
    steps: list[tuple[int, bool, bool]],
) -> None:
    state, now, last, told = Watch(), 0, 0, []
    for pause, delivers, fails in steps:
        now += pause
        resumed = delivers and state.silent_since_ns is not None
        last = now if delivers else last
        state, change = watch(state, now, Seen(last, failed=fails, resumed=resumed), LIMITS)
        told += [change] if change and change is not Change.RESTART else []
    turns = [Change.SILENT, Change.RESUMED] * len(told)
    kept = told[:-1] if told and told[-1] is Change.LOST else told
    assert kept == turns[: len(kept)]
