"""What the unit says aloud: the notice of R12.1 and the short prompts.

``sounds/make-sounds.sh`` speaks these texts into the WAV files; run as a module, this prints its list.
"""

from __future__ import annotations

import sys
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import TextIO

_SOUNDS = Path(str(files("agent.hardware") / "sounds"))
_NOTICE_RATE, _PROMPT_RATE = 48000, 16000

NOTICE_TEXT = "您好，我们是望花区应急管理局执法人员，现依法对执法过程进行全程录音录像，请您配合。"
"""The regulation's default notice; an agency may replace the sound file, whose digest is in its signed policy."""
NOTICE_FILE = _SOUNDS / "notice.zh.wav"


class Prompt(Enum):
    """A short spoken prompt: what is said, and the same in English for whoever reads a screen."""

    RECORDING_STARTED = ("recording_started", "开始录音录像", "Recording has started")
    RECORDING_STOPPED = ("recording_stopped", "已停止并封存", "Stopped and sealed")
    REFUSED_HAZARD = (
        "refused_hazard",
        "此处为爆炸危险场所，禁止录制，请关机或离开",
        "Explosion hazard here: recording is forbidden. Switch off or leave",
    )
    REFUSED_OTHER = ("refused_other", "无法录制", "Cannot record")
    NOTICE_FAILED = (
        "notice_failed",
        "告知未能播放，请当面口头告知后再按一次",
        "The notice could not be played: tell the party in person, then press again",
    )
    MARKED = ("marked", "已标记", "Marked")
    STORAGE_LOW = ("storage_low", "存储空间不足", "Storage is running low")
    BATTERY_LOW = ("battery_low", "电量不足", "Battery is running low")
    FAULT = ("fault", "设备故障", "The device has a fault")
    DOCKED = ("docked", "已入站", "Docked")
    MAY_BE_TAKEN = ("may_be_taken", "可以取走", "May be taken")
    PHOTO_TAKEN = ("photo_taken", "已拍照", "Photo taken")

    def __init__(self, stem: str, chinese: str, english: str) -> None:
        self.file = _SOUNDS / f"{stem}.zh.wav"
        self.chinese = chinese
        self.english = english


def print_list(out: TextIO) -> None:
    """One line for each sound: file name, samples per second, text; parted by tabs."""
    rows = [(NOTICE_FILE.name, _NOTICE_RATE, NOTICE_TEXT)]
    rows += [(prompt.file.name, _PROMPT_RATE, prompt.chinese) for prompt in Prompt]
    for name, rate, text in rows:
        out.write(f"{name}\t{rate}\t{text}\n")


if __name__ == "__main__":
    print_list(sys.stdout)
