"""From edges to gestures, with injected times: no waiting, no doubt."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.hardware.parts import Edge
from agent.recorder.gestures import BOUNCE_NS, DOUBLE_NS, HOLD_NS, Gesture, GestureState, on_edge, on_time

MS = 1_000_000


def play(*edges: tuple[bool, int], until_ms: int = 0) -> list[Gesture]:
    """The gestures of edges (down?, at ms), with time passing every 50 ms in between and afterwards."""
    state, found, now = GestureState(), [], 0
    for down, at_ms in [*edges, (None, until_ms)]:
        level = state.down_since_ns is not None
        while now + 50 < at_ms:
            now += 50
            state, gesture = on_time(state, now * MS, level)
            found.append(gesture)
        if down is not None:
            state, gesture = on_edge(state, Edge(down, at_ms * MS))
            found.append(gesture)
            now = at_ms
    return [gesture for gesture in found if gesture]


def test_a_press_counts_at_once_on_the_way_down() -> None:
    assert play((True, 100)) == [Gesture.PRESS]


def test_bounce_after_an_edge_is_no_second_press() -> None:
    bounces = [(True, 100), (False, 103), (True, 105), (False, 112), (True, 119)]
    assert play(*bounces, (False, 300), (True, 302), (False, 305)) == [Gesture.PRESS]


def test_two_quick_presses_are_a_press_and_a_double_press() -> None:
    assert play((True, 100), (False, 200), (True, 400), (False, 450)) == [Gesture.PRESS, Gesture.DOUBLE_PRESS]


def test_two_slow_presses_are_two_presses() -> None:
    edge = 100 + DOUBLE_NS // MS
    assert play((True, 100), (False, 200), (True, edge), (False, edge + 90))[1] is Gesture.DOUBLE_PRESS
    assert play((True, 100), (False, 200), (True, edge + 1), (False, edge + 90))[1] is Gesture.PRESS


def test_three_quick_presses_are_one_pair_and_one_more() -> None:
    presses = [(down, at) for at in (100, 300, 500) for down, at in ((True, at), (False, at + 80))]
    assert play(*presses) == [Gesture.PRESS, Gesture.DOUBLE_PRESS, Gesture.PRESS]


def test_a_button_held_for_two_seconds_is_a_hold_reported_once_while_it_is_still_down() -> None:
    assert play((True, 100), until_ms=2050) == [Gesture.PRESS]
    assert play((True, 100), until_ms=9000) == [Gesture.PRESS, Gesture.HOLD]
    assert play((True, 100), (False, 1900), until_ms=9000) == [Gesture.PRESS]


def test_a_release_lost_as_bounce_is_healed_by_the_contacts_level() -> None:
    state, _ = on_edge(GestureState(), Edge(True, 100 * MS))
    state, _ = on_edge(state, Edge(False, 110 * MS))
    assert state.down_since_ns is not None
    state, gesture = on_time(state, 150 * MS, still_down=False)
    assert (state.down_since_ns, gesture) == (None, None)
    assert on_time(state, 99_000 * MS, still_down=False)[1] is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4_000)), max_size=30))
def test_whatever_the_contact_does_presses_stand_further_apart_than_bounce(steps: list[tuple[bool, int]]) -> None:
    state, now, presses, holds = GestureState(), 0, [], []
    for down, later_ms in steps:
        now += later_ms * MS
        state, gesture = on_edge(state, Edge(down, now))
        if gesture:
            presses.append(now)
        state, held = on_time(state, now, state.down_since_ns is not None)
        if held:
            holds.append(now)
    assert all(after - before >= BOUNCE_NS for before, after in pairwise(presses))
    assert all(any(hold - press >= HOLD_NS for press in presses) for hold in holds)
    assert len(holds) <= len(presses)
