"""What the officer sees and hears, in one table: lamp, buzzer and words of every state, prompt and refusal.

``python -m agent.recorder.feedback docs/feedback.md`` writes the document anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.hardware.parts import OFF, Pattern
from agent.hardware.prompts import Prompt
from agent.recorder.announcer import Rank, Saying
from agent.recorder.machine import Phase
from agent.recorder.refusals import REFUSALS


class Signal(StrEnum):
    """What the lamp tells apart."""

    READY = "ready"
    NOTICE = "notice"
    RECORDING = "recording"
    TROUBLE = "trouble"
    SEALING = "sealing"
    BLOCKED = "blocked"
    HAZARD = "hazard"
    FAULT = "fault"
    UPLOADING = "uploading"
    DOCKED = "docked"
    OFF_DUTY = "off_duty"


@dataclass(frozen=True, slots=True)
class Shown:
    """Lamp and words of a signal."""

    lamp: Pattern
    chinese: str
    english: str


SIGNALS: Final[dict[Signal, Shown]] = {
    Signal.READY: Shown(Pattern(50, 2950), "待命", "ready"),
    Signal.NOTICE: Shown(Pattern(300, 100), "正在告知", "giving notice"),
    Signal.RECORDING: Shown(Pattern(1000), "正在录音录像", "recording"),
    Signal.TROUBLE: Shown(Pattern(900, 100), "正在录制，有部件中断", "recording, with a part lost"),
    Signal.SEALING: Shown(Pattern(100, 100), "正在封存", "sealing"),
    Signal.BLOCKED: Shown(Pattern(100, 900), "已拒绝录制", "refused"),
    Signal.HAZARD: Shown(Pattern(500, 500), "危险场所：请关机或离开", "hazard: switch off or leave"),
    Signal.FAULT: Shown(Pattern(100, 300), "故障", "fault"),
    Signal.UPLOADING: Shown(Pattern(2000, 2000), "在站，正在上传", "docked, uploading"),
    Signal.DOCKED: Shown(Pattern(50, 5950), "在站", "docked"),
    Signal.OFF_DUTY: Shown(OFF, "已停用", "off duty"),
}
"""Steady is recording; whatever else matters blinks, each in a way of its own (a test holds that)."""

PHASE_SIGNAL: Final[dict[Phase, Signal]] = {
    Phase.READY: Signal.READY,
    Phase.NOTICE: Signal.NOTICE,
    Phase.RECORDING: Signal.RECORDING,
    Phase.SEALING: Signal.SEALING,
    Phase.BLOCKED: Signal.BLOCKED,
    Phase.FAULT: Signal.FAULT,
    Phase.DOCKED: Signal.DOCKED,
    Phase.OFF_DUTY: Signal.OFF_DUTY,
}
PHASE_TEXT: Final = {phase: (SIGNALS[one].chinese, SIGNALS[one].english) for phase, one in PHASE_SIGNAL.items()}


def signal_of(phase: Phase, *, hazard: bool = False, part_lost: bool = False, uploading: bool = False) -> Signal:
    """The signal of a phase. A refusal by R13.1 (``hazard``) asks for more than not recording, and looks like it."""
    if hazard and phase is Phase.BLOCKED:
        return Signal.HAZARD
    if part_lost and phase is Phase.RECORDING:
        return Signal.TROUBLE
    if uploading and phase is Phase.DOCKED:
        return Signal.UPLOADING
    return PHASE_SIGNAL[phase]


@dataclass(frozen=True, slots=True)
class Told:
    """How a prompt is told: its rank among what is said, and the buzzer as it begins."""

    rank: Rank
    buzzer: Pattern = OFF
    name: str = ""
    """Prompts of one name: only the newest of those that wait is said. Empty: a name of its own."""


_SHORT, _LONG, _REFUSED = Pattern(50, 0, 1), Pattern(500, 200, 3), Pattern(300, 200, 2)
_ALARM, _LOW, _NOTE = Pattern(100, 100, 5), Pattern(100, 100, 3), Pattern(200, 0, 1)
_STORAGE = Told(Rank.WARNING, _LOW, "storage")
_BATTERY = Told(Rank.WARNING, _LOW, "battery")

PROMPTS: Final[dict[Prompt, Told]] = {
    Prompt.RECORDING_STARTED: Told(Rank.CONFIRMATION),
    Prompt.AUDIO_STARTED: Told(Rank.CONFIRMATION),
    Prompt.RECORDING_STOPPED: Told(Rank.CONFIRMATION),
    Prompt.MARKED: Told(Rank.CONFIRMATION, _SHORT),
    Prompt.PHOTO_TAKEN: Told(Rank.CONFIRMATION, Pattern(50, 50, 2)),
    Prompt.SITE_ASKED: Told(Rank.CONFIRMATION),
    Prompt.ASSIGNMENT_TAKEN: Told(Rank.CONFIRMATION, _SHORT),
    Prompt.ASSIGNMENT_REFUSED: Told(Rank.WARNING, _NOTE),
    Prompt.NOTICE_FAILED: Told(Rank.WARNING, _REFUSED),
    Prompt.REFUSED_HAZARD: Told(Rank.WARNING, _LONG, "hazard"),
    Prompt.LEAVE_OR_SWITCH_OFF: Told(Rank.WARNING, _LONG, "hazard"),
    Prompt.REFUSED_RESTRICTED: Told(Rank.WARNING, _REFUSED),
    Prompt.REFUSED_STORAGE: Told(Rank.WARNING, _REFUSED),
    Prompt.REFUSED_BATTERY: Told(Rank.WARNING, _REFUSED),
    Prompt.REFUSED_ASSIGNMENT: Told(Rank.WARNING, _REFUSED),
    Prompt.OFFICER_UNASSIGNED: Told(Rank.WARNING, _REFUSED),
    Prompt.REFUSED_OTHER: Told(Rank.WARNING, _REFUSED),
    Prompt.RESTRICTED_DECLARED: Told(Rank.WARNING, _NOTE),
    Prompt.STORAGE_LOW: _STORAGE,
    Prompt.STORAGE_4_HOURS: _STORAGE,
    Prompt.STORAGE_2_HOURS: _STORAGE,
    Prompt.STORAGE_1_HOUR: _STORAGE,
    Prompt.STORAGE_30_MINUTES: _STORAGE,
    Prompt.STORAGE_10_MINUTES: _STORAGE,
    Prompt.BATTERY_LOW: _BATTERY,
    Prompt.BATTERY_30_MINUTES: _BATTERY,
    Prompt.BATTERY_20_MINUTES: _BATTERY,
    Prompt.BATTERY_15_MINUTES: _BATTERY,
    Prompt.BATTERY_10_MINUTES: _BATTERY,
    Prompt.BATTERY_5_MINUTES: _BATTERY,
    Prompt.CLOCK_UNTRUSTED: Told(Rank.WARNING, _NOTE),
    Prompt.POSITION_UNKNOWN: Told(Rank.WARNING, _NOTE),
    Prompt.TEMPERATURE_HIGH: Told(Rank.WARNING, _LOW),
    Prompt.CAMERA_LOST: Told(Rank.WARNING, _ALARM),
    Prompt.CAMERA_BACK: Told(Rank.WARNING, _NOTE),
    Prompt.MICROPHONE_LOST: Told(Rank.WARNING, _ALARM),
    Prompt.MICROPHONE_BACK: Told(Rank.WARNING, _NOTE),
    Prompt.FAULT: Told(Rank.WARNING, _ALARM),
    Prompt.DOCKED: Told(Rank.CONFIRMATION),
    Prompt.UPLOADING: Told(Rank.CONFIRMATION),
    Prompt.MAY_BE_TAKEN: Told(Rank.CONFIRMATION),
}
"""The buzzer is heard even where speech is not understood; what is off is spoken only."""


def saying(prompt: Prompt) -> Saying:
    """The prompt as the announcer takes it."""
    told = PROMPTS[prompt]
    return Saying(told.name or prompt.name.lower(), told.rank, prompt.file, told.buzzer)


# The document

_HEAD: Final = """# What the officer sees and hears

Made from `agent/recorder/feedback.py` by `python -m agent.recorder.feedback docs/feedback.md`; a test compares them.

One sound at a time. The notice cuts everything short and is cut by nothing that is said. A warning cuts a confirmation
short, and is said again after the notice if the notice cut it. Of confirmations that wait only the newest is said. The
tone of a running recording, where the policy asks for one, sounds only into silence. What is left of battery and
storage is said at fixed steps, never more than there is."""
_RANKS: Final = {
    Rank.TONE: "提示音 tone",
    Rank.CONFIRMATION: "确认 confirmation",
    Rank.WARNING: "警告 warning",
    Rank.NOTICE: "告知 notice",
}


def document() -> str:
    """docs/feedback.md."""
    lamps = [(name.value, _pattern(one.lamp), one.chinese, one.english) for name, one in SIGNALS.items()]
    told = [
        (one.name, _RANKS[PROMPTS[one].rank], _pattern(PROMPTS[one].buzzer), one.chinese, one.english)
        for one in Prompt
    ]  # fmt: skip
    refused = [(f"`{word}`", one.prompt.name, one.chinese, one.english) for word, one in REFUSALS.items()]
    parts = (
        _HEAD,
        "## 指示灯 Lamp\n\n" + _table(("Signal", "Lamp", "含义", "Meaning"), lamps),
        "## 语音和蜂鸣 Prompts and buzzer\n\n" + _table(("Prompt", "Rank", "Buzzer", "语音", "In English"), told),
        "## 拒绝原因 Reasons of a refusal\n\n" + _table(("Reason", "Prompt", "含义", "Meaning"), refused),
    )
    return "\n\n".join(parts) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))
    return "\n".join(lines)


def _pattern(pattern: Pattern) -> str:
    if not pattern.on_ms:
        return "—"
    if not pattern.off_ms and not pattern.times:
        return "常亮 steady"
    times = f"{pattern.times} × " if pattern.times else ""
    return f"{times}{pattern.on_ms} ms" + (f" / {pattern.off_ms} ms" if pattern.off_ms else "")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), "utf-8")
