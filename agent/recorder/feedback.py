"""What the officer sees and hears, in one table: lamp and buzzer per phase, buzzer per prompt."""

from __future__ import annotations

from typing import Final

from agent.hardware.parts import OFF, Pattern
from agent.hardware.prompts import Prompt
from agent.recorder.machine import Phase

LAMP: Final[dict[Phase, Pattern]] = {
    Phase.READY: Pattern(50, 2950),
    Phase.NOTICE: Pattern(200, 200),
    Phase.RECORDING: Pattern(1000),
    Phase.SEALING: Pattern(100, 100),
    Phase.BLOCKED: Pattern(100, 900),
    Phase.FAULT: Pattern(100, 300),
    Phase.DOCKED: OFF,
}
"""Steady is recording; a blink every 3 s is ready; everything else blinks."""

BUZZER: Final[dict[Prompt, Pattern]] = {
    Prompt.REFUSED_HAZARD: Pattern(500, 200, 3),
    Prompt.REFUSED_OTHER: Pattern(300, 200, 2),
    Prompt.NOTICE_FAILED: Pattern(300, 200, 2),
    Prompt.FAULT: Pattern(100, 100, 5),
    Prompt.STORAGE_LOW: Pattern(100, 100, 3),
    Prompt.BATTERY_LOW: Pattern(100, 100, 3),
    Prompt.MARKED: Pattern(50, 0, 1),
    Prompt.PHOTO_TAKEN: Pattern(50, 50, 2),
}
"""Heard even where speech is not understood; what is not listed is spoken only."""

PHASE_TEXT: Final[dict[Phase, tuple[str, str]]] = {
    Phase.READY: ("待命", "ready"),
    Phase.NOTICE: ("正在告知", "giving notice"),
    Phase.RECORDING: ("正在录音录像", "recording"),
    Phase.SEALING: ("正在封存", "sealing"),
    Phase.BLOCKED: ("已拒绝录制", "refused"),
    Phase.FAULT: ("故障", "fault"),
    Phase.DOCKED: ("在站", "docked"),
}
