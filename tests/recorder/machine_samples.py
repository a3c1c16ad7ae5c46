"""Events for the state machine's tests, each the plainest of its kind unless told otherwise."""

from __future__ import annotations

from dataclasses import replace

from agent.evidence.documents import Assignment, HazardPolicy
from agent.evidence.entries import HazardInput, Heard, Notice, ObjectRef
from agent.recorder import machine
from agent.recorder.machine import (
    CaptureEnded,
    Enter,
    HazardChanged,
    Measured,
    NoticeEnded,
    Pressed,
    State,
)
from agent.recorder.reducer import reduce
from agent.rules.interlock import Situation
from agent.rules.reserves import Limits, Vitals

ID = "00112233445566aa"
REF = ObjectRef("a" * 64, 10, "age")
POLICY = HazardPolicy(10_000_000, True, None, None, False)
MATTER = Assignment("matter-1", "inspection", "investigation", "样例", "样例", [], None, None, True)
FINE = Vitals(10_000, 600, 80, 300, 40_000)
LIMITS = Limits(15, 3, 30, 100, 78_000, 85_000)


def situation(
    hazard: str = "clear",
    restricted: str | None = None,
    free: int = 10,
    power_down: bool = False,
    officer: str = "officer-sample",
    assignment_usable: bool = True,
) -> Situation:
    inputs = (HazardInput("switch", hazard, 0),)  # type: ignore[arg-type]
    policy, matter = replace(POLICY, power_down=power_down), replace(MATTER, restricted=restricted)
    return Situation(
        inputs, policy, None, "SN-1", matter, free, 10, 1_000, officer=officer, assignment_usable=assignment_usable
    )


def pressed(recording: str = ID, at_us: int = 1_000, kind: str = "video", **about: object) -> Pressed:
    return Pressed(kind, recording, situation(**about), at_us)  # type: ignore[arg-type]


def ended(recording: str = ID, at_us: int = 2_000, must_be_heard: bool = False, **about: object) -> NoticeEnded:
    heard = Heard("not_measured", None, None)
    proof = Notice(recording, "played", "completed", "b" * 64, 9, 9, 8000, 0, at_us - 500, at_us, heard, None)
    return NoticeEnded(recording, replace(proof, **about), must_be_heard, REF, ("age1x",), None, None, at_us)


def hazard(state: str, power_down: bool = False, at_us: int = 5_000) -> HazardChanged:
    return HazardChanged(state, situation(state, power_down=power_down), at_us)  # type: ignore[arg-type]


def second(at_us: int = 3_000, **about: int | None) -> Measured:
    return Measured(replace(FINE, **about), LIMITS, at_us)


def run(*events: machine.Event, state: State | None = None) -> tuple[State, list[machine.Action]]:
    """The state after the events, and all their actions."""
    state, actions = state or State(), []
    for event in events:
        state, more = reduce(state, event)
        actions += more
    return state, actions


def kinds(actions: list[machine.Action]) -> list[type]:
    return [type(action.body) if isinstance(action, Enter) else type(action) for action in actions]


RECORDING = [pressed(), ended()]
END = CaptureEnded(ID, 3, 75, 0, 3_000_000)
