"""From raw button edges to gestures: press (at once, on the way down), double press, hold. Pure; times are injected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.hardware.parts import Edge

BOUNCE_NS: Final = 20_000_000
DOUBLE_NS: Final = 500_000_000
HOLD_NS: Final = 2_000_000_000


class Gesture(StrEnum):
    """What the officer's hand means."""

    PRESS = "press"
    DOUBLE_PRESS = "double_press"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class GestureState:
    """What is remembered of one button; times are CLOCK_MONOTONIC ns."""

    down_since_ns: int | None = None
    last_edge_ns: int = -(10**18)
    last_press_ns: int = -(10**18)
    held: bool = False


def on_edge(state: GestureState, edge: Edge) -> tuple[GestureState, Gesture | None]:
    """Takes one edge. Contact bounce (an edge within 20 ms of the last one taken) is ignored."""
    if edge.active == (state.down_since_ns is not None) or edge.at_ns - state.last_edge_ns < BOUNCE_NS:
        return state, None
    if not edge.active:
        return GestureState(None, edge.at_ns, state.last_press_ns), None
    double = edge.at_ns - state.last_press_ns <= DOUBLE_NS
    # A third quick press must begin a new pair, so a double press forgets when it was.
    last_press = -(10**18) if double else edge.at_ns
    return GestureState(edge.at_ns, edge.at_ns, last_press), Gesture.DOUBLE_PRESS if double else Gesture.PRESS


def on_time(state: GestureState, now_ns: int, still_down: bool) -> tuple[GestureState, Gesture | None]:
    """Takes the passing of time: a button down for 2 s is a hold, reported once.

    ``still_down`` is the contact's level now; it heals a release edge that was lost as bounce.
    """
    if state.down_since_ns is None:
        return state, None
    if not still_down:
        return GestureState(None, now_ns, state.last_press_ns), None
    if state.held or now_ns - state.down_since_ns < HOLD_NS:
        return state, None
    return GestureState(state.down_since_ns, state.last_edge_ns, state.last_press_ns, held=True), Gesture.HOLD
