"""What is asked for over the control socket: each request checked, then made the same as if by hand."""

from __future__ import annotations

from typing import Any, Final, Protocol, get_args

from agent.errors import RefusedError, UsageError
from agent.evidence.documents import RestrictedContent
from agent.hardware.parts import Drivable, Parts, Scriptable
from agent.recorder import machine
from agent.recorder.control import Request

MAX_HOLD_MS: Final = 60_000
MAX_TEXT: Final = 500


class Recorder(Protocol):
    """What the desk needs of the recorder; all on its main loop."""

    parts: Parts
    state: machine.State

    def touch(self, button: str, hold_ns: int) -> None:
        """Presses a button."""

    def press(self, kind: machine.Kind) -> None:
        """Asks for a recording of this kind."""

    def mark(self, kind: machine.MarkKind) -> None:
        """Marks this moment."""

    def stop(self) -> None:
        """Stops and seals."""

    def restrict(self, content: RestrictedContent, text: str | None) -> None:
        """Declares content that must not be recorded."""

    def assign(self, text: str | None) -> None:
        """Gives the matter, or (None) takes it away."""

    def reload(self) -> None:
        """Takes newer documents."""


class Desk:
    """Answers requests."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def answer(self, request: Request) -> None:
        """Does what is asked; the caller answers with the status. Raises any RecorderError."""
        recorder, fields = self._recorder, request.fields
        match request.do:
            case "press" | "photo":
                recorder.touch(request.do, _hold_ns(fields.get("hold_ms", 100)))
            case "audio":
                recorder.press("audio")
            case "stop":
                self._need_recording()
                recorder.stop()
            case "mark":
                self._need_recording()
                recorder.mark(_one_of(machine.MarkKind, fields.get("kind", "moment"), "kind"))
            case "restrict":
                recorder.restrict(
                    _one_of(RestrictedContent, fields.get("content", "privacy"), "content"), _text(fields.get("text"))
                )
            case "drive":
                self._drive(fields)
            case "status":
                pass
            case _:
                self._answer_papers(request)

    def _answer_papers(self, request: Request) -> None:
        recorder = self._recorder
        match request.do:
            case "assign":
                recorder.assign(_assignment(request.fields.get("assignment")))
            case "reload":
                if recorder.state.recording is not None:
                    raise RefusedError("录制中不能更新 not while recording")
                recorder.reload()
            case _:
                raise UsageError(f"unknown request {request.do!r}")

    def _need_recording(self) -> None:
        if self._recorder.state.recording is None:
            raise RefusedError("没有进行中的记录 no recording is under way")

    def _drive(self, fields: dict[str, Any]) -> None:
        """Moves a simulated switch or sets what a simulated part reads; a real one is moved by hand."""
        parts = self._recorder.parts
        by_name: dict[object, object] = {
            "hazard": parts.hazard_switch,
            "dock": parts.dock_contact,
            "position": parts.positioning,
            "power": parts.power,
            "temperature": parts.thermometer,
            "clock": parts.clock,
        }
        match by_name.get(fields.get("part")):
            case Drivable() as contact:
                contact.drive(bool(fields.get("active")))
            case Scriptable() as part:
                part.script(_words(fields.get("words")))
            case _:
                raise RefusedError("本部件不是模拟件，请手动操作 this part is not simulated: move it by hand")


def _words(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError("words is a list of words")
    return value


def _hold_ns(hold_ms: object) -> int:
    if not isinstance(hold_ms, int) or not 0 < hold_ms <= MAX_HOLD_MS:
        raise UsageError(f"hold_ms is a number of milliseconds from 1 to {MAX_HOLD_MS}")
    return hold_ms * 1_000_000


def _one_of(words: Any, value: object, name: str) -> Any:
    if value not in get_args(words):
        raise UsageError(f"{name} is one of {', '.join(get_args(words))}")
    return value


def _assignment(value: object) -> str | None:
    """None, said on purpose by the word alone, clears."""
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise UsageError("assignment is the text of an assignment, JSON or signed")
    return value


def _text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise UsageError(f"text has 1 to {MAX_TEXT} characters")
    return value
