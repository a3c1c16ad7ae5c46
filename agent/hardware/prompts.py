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
TONE_FILE = _SOUNDS / "tone.wav"
"""The short tone that a policy may ask for while recording."""


class Prompt(Enum):
    """A short spoken prompt: what is said, and the same in English for whoever reads a screen."""

    RECORDING_STARTED = ("recording_started", "开始录音录像", "Recording has started")
    AUDIO_STARTED = ("audio_started", "开始录音", "Sound recording has started")
    RECORDING_STOPPED = ("recording_stopped", "已停止并封存", "Stopped and sealed")
    MARKED = ("marked", "已标记", "Marked")
    PHOTO_TAKEN = ("photo_taken", "已拍照", "Photo taken")
    SITE_ASKED = ("site_asked", "请拍摄场所标识，或说出地点", "Film the sign of the place, or say where you are")
    ASSIGNMENT_TAKEN = ("assignment_taken", "任务已载入", "Assignment taken")
    ASSIGNMENT_REFUSED = (
        "assignment_refused",
        "任务不是给本机的，或已过时，未载入",
        "The assignment is not for this unit, or no longer the newest: not taken",
    )

    NOTICE_FAILED = (
        "notice_failed",
        "告知未能播放，请当面口头告知后再按一次",
        "The notice could not be played: tell the party in person, then press again",
    )
    REFUSED_HAZARD = (
        "refused_hazard",
        "此处为爆炸危险场所，禁止录制，请关机或离开",
        "Explosion hazard here: recording is forbidden. Switch off or leave",
    )
    LEAVE_OR_SWITCH_OFF = (
        "leave_or_switch_off",
        "设备未关机，请立即关机，或离开此处",
        "The unit is still on: switch it off now, or leave this place",
    )
    REFUSED_RESTRICTED = (
        "refused_restricted",
        "内容涉及秘密或隐私，不得录制",
        "Secret or private content: it must not be recorded",
    )
    REFUSED_STORAGE = ("refused_storage", "存储空间已满，无法录制", "Storage is full: cannot record")
    REFUSED_BATTERY = ("refused_battery", "电量过低，无法录制", "The battery is too low to record")
    REFUSED_ASSIGNMENT = (
        "refused_assignment",
        "任务信息无法读取，无法录制",
        "The assignment cannot be read: cannot record",
    )
    OFFICER_UNASSIGNED = (
        "officer_unassigned",
        "本机未指派执法人员，请联系管理员",
        "No officer is assigned to this unit: call the administrator",
    )
    REFUSED_OTHER = ("refused_other", "无法录制", "Cannot record")
    RESTRICTED_DECLARED = (
        "restricted_declared",
        "已声明不宜录制，录制停止",
        "Restricted content declared: recording stops",
    )

    STORAGE_LOW = ("storage_low", "存储空间不足", "Storage is running low")
    STORAGE_4_HOURS = ("storage_4_hours", "存储空间还可录制四小时", "Storage for four more hours")
    STORAGE_2_HOURS = ("storage_2_hours", "存储空间还可录制两小时", "Storage for two more hours")
    STORAGE_1_HOUR = ("storage_1_hour", "存储空间还可录制一小时", "Storage for one more hour")
    STORAGE_30_MINUTES = ("storage_30_minutes", "存储空间还可录制三十分钟", "Storage for thirty more minutes")
    STORAGE_10_MINUTES = ("storage_10_minutes", "存储空间还可录制十分钟", "Storage for ten more minutes")
    BATTERY_LOW = ("battery_low", "电量不足", "Battery is running low")
    BATTERY_30_MINUTES = ("battery_30_minutes", "电量还可使用三十分钟", "Battery for thirty more minutes")
    BATTERY_20_MINUTES = ("battery_20_minutes", "电量还可使用二十分钟", "Battery for twenty more minutes")
    BATTERY_15_MINUTES = ("battery_15_minutes", "电量还可使用十五分钟", "Battery for fifteen more minutes")
    BATTERY_10_MINUTES = ("battery_10_minutes", "电量还可使用十分钟", "Battery for ten more minutes")
    BATTERY_5_MINUTES = ("battery_5_minutes", "电量还可使用五分钟", "Battery for five more minutes")
    CLOCK_UNTRUSTED = ("clock_untrusted", "时间未校准", "The clock has not been set")
    POSITION_UNKNOWN = ("position_unknown", "位置未知", "Position unknown")
    TEMPERATURE_HIGH = ("temperature_high", "设备温度过高", "The unit is too hot")
    CAMERA_LOST = ("camera_lost", "摄像头中断", "Camera lost")
    CAMERA_BACK = ("camera_back", "摄像头已恢复", "The camera is back")
    MICROPHONE_LOST = ("microphone_lost", "麦克风中断", "Microphone lost")
    MICROPHONE_BACK = ("microphone_back", "麦克风已恢复", "The microphone is back")
    FAULT = ("fault", "设备故障", "The device has a fault")

    DOCKED = ("docked", "已入站", "Docked")
    UPLOADING = ("uploading", "正在上传，请勿取走", "Uploading: do not take it out")
    MAY_BE_TAKEN = ("may_be_taken", "可以取走", "May be taken")

    def __init__(self, stem: str, chinese: str, english: str) -> None:
        self.file = _SOUNDS / f"{stem}.zh.wav"
        self.chinese = chinese
        self.english = english


_BATTERY_STEPS = (
    (30, Prompt.BATTERY_30_MINUTES),
    (20, Prompt.BATTERY_20_MINUTES),
    (15, Prompt.BATTERY_15_MINUTES),
    (10, Prompt.BATTERY_10_MINUTES),
    (5, Prompt.BATTERY_5_MINUTES),
)
_STORAGE_STEPS = (
    (240, Prompt.STORAGE_4_HOURS),
    (120, Prompt.STORAGE_2_HOURS),
    (60, Prompt.STORAGE_1_HOUR),
    (30, Prompt.STORAGE_30_MINUTES),
    (10, Prompt.STORAGE_10_MINUTES),
)
"""Whole sentences at fixed steps: numbers put together from pieces are harder to follow in a street."""


def battery_prompt(minutes_left: int) -> Prompt:
    """What to say of a battery for so many minutes: the step not above them, so that never too much is promised."""
    return _step(_BATTERY_STEPS, minutes_left, Prompt.BATTERY_LOW)


def storage_prompt(minutes_left: int) -> Prompt:
    """What to say of storage for so many minutes of recording: the step not above them."""
    return _step(_STORAGE_STEPS, minutes_left, Prompt.STORAGE_LOW)


def _step(steps: tuple[tuple[int, Prompt], ...], minutes_left: int, below: Prompt) -> Prompt:
    return next((prompt for minutes, prompt in steps if minutes <= minutes_left), below)


def print_list(out: TextIO) -> None:
    """One line for each sound: file name, samples per second, text; parted by tabs."""
    rows = [(NOTICE_FILE.name, _NOTICE_RATE, NOTICE_TEXT)]
    rows += [(prompt.file.name, _PROMPT_RATE, prompt.chinese) for prompt in Prompt]
    for name, rate, text in rows:
        out.write(f"{name}\t{rate}\t{text}\n")


if __name__ == "__main__":
    print_list(sys.stdout)
