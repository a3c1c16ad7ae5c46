"""Why a press is refused, in one table: the stable word in the ledger, what is said, and what a screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.hardware.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the officer is told."""

    prompt: Prompt
    chinese: str
    english: str


_HAZARD = Prompt.REFUSED_HAZARD
REFUSALS: Final[dict[str, Refusal]] = {
    "no_approval": Refusal(_HAZARD, "危险场所，本机无防爆合格证", "hazardous place, and this unit has no Ex approval"),
    "zone_unknown": Refusal(_HAZARD, "危险场所，区域等级未知", "hazardous place of unknown zone"),
    "approval_of_another_unit": Refusal(_HAZARD, "防爆合格证不属于本机", "the Ex approval is another unit's"),
    "approval_expired": Refusal(_HAZARD, "防爆合格证已过期", "the Ex approval has expired"),
    "protection_level": Refusal(_HAZARD, "设备保护级别不适用于该区域", "the protection level does not suit the zone"),
    "equipment_group": Refusal(_HAZARD, "设备类别不适用于该区域", "the equipment group does not suit the zone"),
    "temperature": Refusal(_HAZARD, "温度组别不适用于该区域", "the temperature class does not suit the zone"),
    "approval_incomplete": Refusal(_HAZARD, "防爆合格证不全", "the Ex approval is incomplete"),
    "marking_unreadable": Refusal(_HAZARD, "防爆标志无法识别", "the Ex marking cannot be read"),
    "state_secret": Refusal(Prompt.REFUSED_RESTRICTED, "涉及国家秘密", "state secrets"),
    "commercial_secret": Refusal(Prompt.REFUSED_RESTRICTED, "涉及商业秘密", "commercial secrets"),
    "privacy": Refusal(Prompt.REFUSED_RESTRICTED, "涉及个人隐私", "personal privacy"),
    "other": Refusal(Prompt.REFUSED_RESTRICTED, "其他不宜录制的内容", "other content that must not be recorded"),
    "storage_full": Refusal(Prompt.REFUSED_STORAGE, "存储空间已满", "storage is full"),
    "battery_low": Refusal(Prompt.REFUSED_BATTERY, "电量过低", "the battery is too low"),
    "overheated": Refusal(Prompt.TEMPERATURE_HIGH, "设备过热", "the unit is too hot"),
    "officer_unassigned": Refusal(Prompt.OFFICER_UNASSIGNED, "本机未指派执法人员", "no officer holds this unit"),
    "assignment_unusable": Refusal(Prompt.REFUSED_ASSIGNMENT, "任务信息无法读取", "the assignment cannot be read"),
}
_OTHER: Final = Refusal(Prompt.REFUSED_OTHER, "其他原因", "another reason")
_BY_RULE: Final = {
    "R13.1": Refusal(_HAZARD, "爆炸危险场所", "explosion hazard"),
    "R13.2": Refusal(Prompt.REFUSED_RESTRICTED, "涉及秘密或隐私", "secret or private content"),
    "R13.3": Refusal(Prompt.REFUSED_RESTRICTED, "其他不宜录制的内容", "other content that must not be recorded"),
}


def refusal(reason: str, rule: str | None = None) -> Refusal:
    """What is told of a reason; of one that is not in the table, what its rule asks for."""
    return REFUSALS.get(reason) or _BY_RULE.get(rule or "", _OTHER)
