"""The state machine as a table, by asking the code: every phase, every event, and what follows.

``python tests/recorder/state_table.py docs/state-machine.md`` rewrites the generated part of the document.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent.evidence.documents import HazardPolicy
from agent.evidence.entries import Gap, HazardInput, Heard, Notice, ObjectRef, Photo, Segment, TelemetryEntry
from agent.recorder import machine
from agent.recorder.machine import (
    CaptureEnded,
    DockChanged,
    Enter,
    HazardChanged,
    MarkAsked,
    Measured,
    NoticeEnded,
    OffAsked,
    PartLost,
    Phase,
    PhotoSealed,
    Pressed,
    Reassigned,
    RestrictedDeclared,
    SegmentSealed,
    State,
    StopAsked,
    TelemetrySealed,
    Tell,
)
from agent.recorder.reducer import TABLE, reduce
from agent.rules.interlock import Situation
from agent.rules.reserves import Limits, Vitals

BEGIN, END = "<!-- generated: phases and events -->", "<!-- end of generated part -->"
MATRIX, MATRIX_END = "<!-- generated: every pair -->", "<!-- end of every pair -->"
ID = "00112233445566aa"
REF = ObjectRef("a" * 64, 10, "age")


def _situation(state: str) -> Situation:
    inputs = (HazardInput("switch", state, 0),)  # type: ignore[arg-type]
    return Situation(inputs, HazardPolicy(10_000_000, True, None, None, False), None, "SN-1", None, 10, 10, 1_000)


def _notice(outcome: str) -> NoticeEnded:
    heard = Heard("not_measured", None, None)
    proof = Notice(ID, "played", outcome, "b" * 64, 9, 9, 8000, 0, 1, 2, heard, None)  # type: ignore[arg-type]
    return NoticeEnded(ID, proof, False, REF, (), None, None, 2_000)


def _second(mono_us: int, **changes: int) -> Measured:
    return Measured(replace(FINE, **changes), LIMITS, mono_us)


FINE = Vitals(10_000, 600, 80, 300, 40_000)
LIMITS = Limits(15, 3, 30, 100, 78_000, 85_000)
PRESS = Pressed("video", ID, _situation("clear"), 1_000)
EVENTS: dict[str, machine.Event] = {
    "press, permitted": PRESS,
    "press, refused": Pressed("video", ID, _situation("set"), 1_000),
    "photo button": Pressed("photo", ID, _situation("clear"), 1_000),
    "a code is shown": Reassigned(_situation("clear"), "qr"),
    "a code is shown, refused": Reassigned(_situation("set"), "qr"),
    "double press": MarkAsked("moment", 5, 3_000),
    "double press of the photo button": MarkAsked("site_sign", 5, 3_000),
    "photo button held": RestrictedDeclared("privacy", None),
    "hold, or stop command": StopAsked("button"),
    "asked to end": OffAsked(),
    "notice ended, served": _notice("completed"),
    "notice ended, not served": _notice("failed"),
    "hazard set": HazardChanged("set", _situation("set"), 4_000),
    "hazard clear": HazardChanged("clear", _situation("clear"), 4_000),
    "a second later": _second(12_000_000),
    "battery low": _second(4_000, battery_minutes=9),
    "battery empty": _second(4_000, battery_minutes=1),
    "storage full": _second(4_000, free_bytes=1),
    "too hot": _second(4_000, millicelsius=86_000),
    "put into the dock": DockChanged(True),
    "taken out of the dock": DockChanged(False),
    "segment sealed": SegmentSealed(Segment(ID, 0, REF, 0, 0, None, 0, False)),
    "photo sealed": PhotoSealed(Photo(ID, REF, 0, 0)),
    "positions sealed": TelemetrySealed(TelemetryEntry(ID, REF, 0, 0, 1)),
    "microphone lost": PartLost(Gap("", "microphone", None, 0), False, ""),
    "microphone back": PartLost(Gap("", "microphone", 5, 0), False, ""),
    "storage full while writing": PartLost(Gap("", "storage", None, 0), True, "", full=True),
    "camera lost": PartLost(Gap("", "camera", None, 0), True, ""),
    "capture ended": CaptureEnded(ID, 1, 25, 0, 1),
}


def _after(*events: machine.Event) -> State:
    state = State()
    for event in events:
        state, _ = reduce(state, event)
    return state


PHASES: dict[str, State] = {
    "ready": State(),
    "notice": _after(PRESS),
    "notice, cut": _after(PRESS, StopAsked("button")),
    "recording": _after(PRESS, EVENTS["notice ended, served"]),
    "sealing": _after(PRESS, EVENTS["notice ended, served"], StopAsked("button")),
    "blocked, by a refusal": _after(EVENTS["press, refused"]),
    "blocked, by a failed notice": _after(PRESS, EVENTS["notice ended, not served"]),
    "fault": _after(PRESS, PartLost(Gap("", "camera", None, 0), True, ""), _notice("failed")),
    "docked": _after(DockChanged(True)),
    "off duty": _after(OffAsked()),
}


def table() -> str:
    """One row for each pair that has an effect."""
    rows = ["| Phase | Event | Then | Actions, in order |", "|---|---|---|---|"]
    for phase, state in PHASES.items():
        rows += [f"| {phase} | {event} | {row} |" for event, row in _rows(state)]
    return "\n".join(rows)


def _rows(state: State) -> Iterator[tuple[str, str]]:
    for name, event in EVENTS.items():
        then, actions = reduce(state, event)
        if (then, actions) != (state, []):
            yield name, f"{_name(then)} | {', '.join(map(_say, actions))}"


def _name(state: State) -> str:
    return "notice, cut" if state.recording and state.recording.cancelled else state.phase.value


def _say(action: machine.Action) -> str:
    match action:
        case Enter(body):
            return f"enter `{body.TYPE}`"
        case Tell(prompt):
            return f"say {prompt.name.lower().replace('_', ' ')}"
        case _:
            return "".join(f" {one.lower()}" if one.isupper() else one for one in type(action).__name__).strip()


def matrix() -> str:
    """One row for each event, one column for each phase: the handler that decides; a dash decides that nothing is."""
    rows = [f"| Event | {' | '.join(Phase)} |", "|---|" + "---|" * len(Phase)]
    for event, row in TABLE.items():
        names = (row[phase].__name__ for phase in Phase)
        cells = ("—" if name == "nothing" else f"`{name}`" for name in names)
        rows.append(f"| `{event.__name__}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def rewrite(text: str) -> str:
    """The document with its generated parts made anew."""
    for begin, end, part in ((BEGIN, END, table()), (MATRIX, MATRIX_END, matrix())):
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{part}\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(rewrite(document.read_text("utf-8")), "utf-8")
