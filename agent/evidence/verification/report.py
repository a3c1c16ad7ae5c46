"""The verdict: seven axes, and findings with stable codes. Never one word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal


class Axis(StrEnum):
    """What is asked of evidence."""

    INTEGRITY = "integrity"
    PROVENANCE = "provenance"
    COMPLETENESS = "completeness"
    CONTINUITY = "continuity"
    TIME = "time"
    CONDUCT = "conduct"
    CONFIDENTIALITY = "confidentiality"


AXIS_TEXT: Final = {
    Axis.INTEGRITY: ("完整性", "nothing altered"),
    Axis.PROVENANCE: ("来源", "from this device of this agency"),
    Axis.COMPLETENESS: ("齐全", "nothing missing"),
    Axis.CONTINUITY: ("连续", "nothing interrupted"),
    Axis.TIME: ("时间", "the clocks can be believed"),
    Axis.CONDUCT: ("合规", "the regulation was obeyed"),
    Axis.CONFIDENTIALITY: ("保密", "only the agency can look inside"),
}

RULES: Final = {
    "R3": ("全程留痕", "traceable"),
    "R12.1": ("先告知后录制", "notice first"),
    "R12.2": ("要素齐全", "particulars"),
    "R12.3": ("标明地点", "site identified"),
    "R12.4": ("不间断", "unbroken"),
    "R13.1": ("防爆联锁", "explosion interlock"),
    "R22": ("不丢失不篡改", "nothing lost, nothing altered"),
}
"""Rules that verification judges, with their short names."""

_TEXTS: Final[dict[str, tuple[Axis, str | None, str, str]]] = {
    "LEDGER_UNREADABLE": (Axis.INTEGRITY, "R22", "账本不可读", "the ledger cannot be read"),
    "LEDGER_LINE": (Axis.INTEGRITY, "R22", "账本条目被改动或不合格式", "a ledger line was altered, moved or malformed"),
    "LEDGER_SIGNATURE": (Axis.PROVENANCE, "R22", "条目签名无效或密钥无权签署", "a line's signature is bad or its key may not sign"),
    "CERTIFICATE": (Axis.PROVENANCE, None, "设备证书不是本单位签发", "the device's certificate is not this agency's"),
    "CERTIFICATE_EXPIRED": (Axis.PROVENANCE, None, "启动时证书不在有效期内", "the certificate was not valid at this boot"),
    "CERTIFICATE_REVOKED": (Axis.PROVENANCE, None, "启动时证书已吊销", "the certificate was revoked at this boot"),
    "REVOCATION_LIST": (Axis.PROVENANCE, None, "吊销列表不可用", "the revocation list cannot be used"),
    "DOCUMENT_INVALID": (Axis.PROVENANCE, None, "档案或策略不是本单位签发", "a profile or policy is not this agency's"),
    "SIMULATED_HARDWARE": (Axis.PROVENANCE, None, "使用了模拟硬件，不是真实记录", "simulated hardware: not a real recording"),
    "TORN_TAIL": (Axis.CONTINUITY, "R22", "账本末行不完整", "the last line is torn"),
    "OBJECT_ALTERED": (Axis.INTEGRITY, "R22", "对象内容与账本不符", "an object is not the one in the ledger"),
    "OBJECT_MISSING": (Axis.COMPLETENESS, "R22", "缺少对象", "an object is missing"),
    "RECORDING_REMOVED": (Axis.COMPLETENESS, "R22", "整段记录缺失", "a whole recording is missing"),
    "OBJECT_UNLISTED": (Axis.INTEGRITY, "R12.4", "存在账本以外的文件", "a file that is not in the ledger"),
    "LEDGER_CUT": (Axis.COMPLETENESS, "R22", "账本比见证时短，末尾被删除", "the ledger is shorter than what was witnessed"),
    "HISTORY_FORKED": (Axis.COMPLETENESS, "R22", "账本与见证的历史不同", "the ledger is not the history that was witnessed"),
    "CHECKPOINT_INVALID": (Axis.INTEGRITY, "R22", "检查点无效", "a checkpoint does not verify"),
    "RECEIPT_INVALID": (Axis.PROVENANCE, "R22", "收据无效", "a receipt does not verify"),
    "RELEASED_UNCOVERED": (Axis.COMPLETENESS, "R22", "释放了没有收据的对象", "an object was released without a receipt"),
    "RECORDING_UNFINISHED": (Axis.CONTINUITY, "R12.4", "记录没有结束条目", "a recording has no end"),
    "SEGMENT_ORDER": (Axis.CONTINUITY, "R12.4", "片段序号或时间不连续", "segments do not run on"),
    "COUNT_MISMATCH": (Axis.CONTINUITY, "R12.4", "片段数与结束条目不符", "counts differ from the closing entry"),
    "ORPHAN_ENTRY": (Axis.CONTINUITY, "R3", "条目不属于任何进行中的记录", "an entry outside any recording under way"),
    "GAP": (Axis.CONTINUITY, "R12.4", "记录中有缺口（已如实登记）", "a gap, entered with its cause"),
    "CLOCK_STEP_HIDDEN": (Axis.TIME, None, "时钟跳变未登记", "the clock stepped without an entry"),
    "CLOCK_STEPPED": (Axis.TIME, None, "时钟跳变（已登记）", "the clock stepped, as entered"),
    "TIME_AFTER_WITNESS": (Axis.TIME, None, "条目时间晚于见证时间", "an entry's time is later than its witness"),
    "NOT_SEALED": (Axis.CONFIDENTIALITY, None, "对象不是按规定接收人加密", "an object is not sealed for the recipients named"),
    "CONTENT_UNREADABLE": (Axis.CONFIDENTIALITY, None, "用给定私钥无法打开", "the identity given does not open an object"),
    "CONTENT_MISMATCH": (Axis.INTEGRITY, "R22", "内容与条目不符", "the content is not what its entry says"),
    "NOTICE_MISSING": (Axis.CONDUCT, "R12.1", "没有告知", "no notice was given"),
    "NOTICE_NOT_SERVED": (Axis.CONDUCT, "R12.1", "告知未播放完或未被听到", "the notice was not completed or not heard"),
    "FRAME_BEFORE_NOTICE": (Axis.CONDUCT, "R12.1", "告知结束前已有画面", "footage from before the notice ended"),
    "NOTICE_OTHER_SOUND": (Axis.CONDUCT, "R12.1", "播放的不是策略规定的告知", "what was played is not the policy's notice"),
    "PARTICULARS_MISSING": (Axis.CONDUCT, "R12.2", "缺少要素", "particulars are missing"),
    "SITE_NOT_IDENTIFIED": (Axis.CONDUCT, "R12.3", "未标明地点", "the site was not identified"),
    "RESTARTED": (Axis.CONDUCT, "R12.4", "同一事项停止后重新录制", "stopped and started again on the same matter"),
    "RECORDED_UNDER_HAZARD": (Axis.CONDUCT, "R13.1", "爆炸危险场所内录制且无有效防爆合格证", "recorded under the hazard flag without approval"),
    "RECORDED_THOUGH_REFUSED": (Axis.CONDUCT, "R13.1", "联锁拒绝后仍录制", "recorded though the interlock refused"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: stable code, axis, rule, where it is and what it means."""

    code: str
    where: str
    detail: str = ""

    @property
    def axis(self) -> Axis:
        """The axis it counts against."""
        return _TEXTS[self.code][0]

    @property
    def rule(self) -> str | None:
        """The rule of the regulation it breaks, if one."""
        return _TEXTS[self.code][1]

    @property
    def what(self) -> str:
        """Meaning, Chinese first."""
        _, _, chinese, english = _TEXTS[self.code]
        detail = f" ({self.detail})" if self.detail else ""
        return f"{chinese}。 {english[0].upper()}{english[1:]}{detail}."

    def to_json(self) -> dict[str, str | None]:
        """As in the report."""
        return {"code": self.code, "axis": self.axis, "rule": self.rule, "where": self.where, "what": self.what}


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What was looked at, for one device."""

    device: str
    entries: int
    recordings: int
    refusals: int
    objects_checked: int
    objects_with_dock: int
    """Released against receipts: not here, and rightly so."""
    witnessed_entries: int
    unwitnessed_entries: int
    unwitnessed_seconds: int
    simulated: bool


@dataclass(slots=True)
class Report:
    """Findings, what could not be judged, and what was looked at."""

    findings: list[Finding] = field(default_factory=list)
    unknown: dict[Axis, str] = field(default_factory=dict)
    """Axes that could not be judged, and why."""
    devices: list[DeviceFacts] = field(default_factory=list)

    def add(self, code: str, where: str, detail: str = "") -> None:
        """One finding."""
        self.findings.append(Finding(code, where, detail))

    def cannot_judge(self, axis: Axis, why: str) -> None:
        """One axis that is not known; the first reason stays."""
        self.unknown.setdefault(axis, why)

    def merge(self, others: Iterable[Report]) -> None:
        """Takes in other devices' reports."""
        for other in others:
            self.findings += other.findings
            self.devices += other.devices
            for axis, why in other.unknown.items():
                self.cannot_judge(axis, why)

    def axes(self) -> dict[str, Literal["ok", "finding", "unknown"]]:
        """The verdict by axis."""
        found = {finding.axis for finding in self.findings}
        return {
            axis.value: "finding" if axis in found else "unknown" if axis in self.unknown else "ok" for axis in Axis
        }

    def rules(self) -> dict[str, Literal["ok", "finding"]]:
        """The verdict by rule of the regulation."""
        broken = {finding.rule for finding in self.findings}
        return {rule: "finding" if rule in broken else "ok" for rule in RULES}

    def exit_code(self) -> int:
        """0: every axis holds; 1: there are findings; 2: some axis could not be judged."""
        if self.findings:
            return 1
        return 2 if self.unknown else 0

    def to_json(self) -> dict[str, Any]:
        """The report for machines; ``axes`` and ``findings`` are a stable contract."""
        return {
            "v": 1,
            "axes": self.axes(),
            "rules": self.rules(),
            "findings": [finding.to_json() for finding in self.findings],
            "unknown": {axis.value: why for axis, why in self.unknown.items()},
            "devices": [asdict(device) for device in self.devices],
        }
