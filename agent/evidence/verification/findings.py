"""The findings: one row per stable code, with the step that finds it, its axis, its rule and its meaning.

The same table stands in the specification; a code is never given another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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
    "R6": ("记录形式", "kinds of capture"),
    "R10": ("必须全程录制", "mandatory recording"),
    "R12.1": ("先告知后录制", "notice first"),
    "R12.2": ("要素齐全", "particulars"),
    "R12.3": ("标明地点", "site identified"),
    "R12.4": ("不间断", "unbroken"),
    "R13.1": ("防爆联锁", "explosion interlock"),
    "R13.2": ("涉密与隐私", "restricted content"),
    "R13.3": ("其他不宜内容", "other unsuitable content"),
    "R16": ("一人一机", "one recorder per officer"),
    "R17": ("三十日内归档", "filed in 30 days"),
    "R18": ("查阅有据", "access"),
    "R22": ("不丢失不篡改", "nothing lost, nothing altered"),
}
"""The rules of the regulation reading, with their short names. Those that the evidence cannot answer are ``unknown``."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says: found in which step, counts against which axis and rule, in words."""

    step: int
    axis: Axis
    rule: str | None
    chinese: str
    english: str


_I, _P, _C, _K = Axis.INTEGRITY, Axis.PROVENANCE, Axis.COMPLETENESS, Axis.CONTINUITY
_T, _R, _S = Axis.TIME, Axis.CONDUCT, Axis.CONFIDENTIALITY

MEANINGS: Final[dict[str, Meaning]] = {
    "LEDGER_UNREADABLE": Meaning(1, _I, "R22", "账本不可读", "the ledger cannot be read"),
    "EXTRACT_MALFORMED": Meaning(1, _I, "R22", "单段移交包不合格式", "the extract is not one"),
    "PROOF_INVALID": Meaning(1, _I, "R22", "条目的包含证明不成立", "a line's proof does not lead to the checkpoint"),
    "EXTRACT_INCOMPLETE": Meaning(1, _C, "R22", "单段移交包缺少应有的条目", "the extract lacks lines that it must have"),
    "TORN_TAIL": Meaning(1, _K, "R22", "账本末行不完整", "the last line is torn"),
    "LINE_MALFORMED": Meaning(1, _I, "R22", "账本条目不合格式", "a ledger line is malformed"),
    "ALGORITHM_REFUSED": Meaning(1, _P, "R22", "条目的签名算法不被允许", "a line asks for an algorithm that is not allowed"),
    "TYPE_UNKNOWN": Meaning(1, _I, "R22", "未知的关键条目类型", "a line is of an unknown type that may not be skipped"),
    "LINE_OUT_OF_PLACE": Meaning(1, _I, "R22", "条目不在其位：此前有改动、删除、换位或重复", "a line does not stand where it stands: something before it was altered, removed, moved or repeated"),
    "CERTIFICATE": Meaning(1, _P, None, "设备证书不是本单位签发", "the device's certificate is not this agency's"),
    "KEY_OUT_OF_SPAN": Meaning(1, _P, "R22", "条目由此处无权签署的密钥签署", "a line is signed by a key that may not sign there"),
    "SIGNATURE_INVALID": Meaning(1, _P, "R22", "条目签名无效", "a line's signature does not verify"),
    "EPOCH_OVERDUE": Meaning(1, _P, None, "签名密钥未按规定更换", "the signing key was not replaced when it had to be"),
    "CHECKPOINT_INVALID": Meaning(2, _I, "R22", "检查点无效", "a checkpoint does not verify"),
    "LEDGER_CUT": Meaning(2, _C, "R22", "账本比检查点所示的短，末尾被删除", "the ledger is shorter than a checkpoint says: its end was cut off"),
    "HISTORY_FORKED": Meaning(2, _C, "R22", "账本与检查点所示的历史不同", "the ledger is not the history that a checkpoint shows"),
    "RECEIPT_INVALID": Meaning(3, _P, "R22", "收据无效", "a receipt does not verify"),
    "RELEASED_UNCOVERED": Meaning(3, _C, "R22", "释放了没有收据的对象", "an object was released without a receipt"),
    "OBJECT_ALTERED": Meaning(4, _I, "R22", "对象内容与账本不符", "an object is not the one in the ledger"),
    "OBJECT_MISSING": Meaning(4, _C, "R22", "缺少对象", "an object is missing"),
    "RECORDING_REMOVED": Meaning(4, _C, "R22", "整段记录缺失", "a whole recording is missing"),
    "DELETION_INVALID": Meaning(4, _C, "R22", "到期删除的记录无效", "a record of a deletion after retention does not verify"),
    "OBJECT_UNLISTED": Meaning(4, _I, "R12.4", "存在账本以外的文件", "a file that is not in the ledger"),
    "OBJECT_REPEATED": Meaning(4, _I, "R12.4", "同一对象登记了两次", "an object stands in the ledger twice"),
    "NOT_SEALED": Meaning(4, _S, None, "对象不是按规定接收人加密", "an object is not sealed for the recipients named"),
    "RECIPIENTS_DIFFER": Meaning(4, _S, None, "接收人与策略不符", "the recipients named are not the policy's"),
    "CONTENT_UNREADABLE": Meaning(4, _S, None, "用给定私钥无法打开", "the identity given does not open an object"),
    "CONTENT_MISMATCH": Meaning(4, _I, "R22", "内容与条目不符", "the content is not what its entry says"),
    "DOCUMENT_INVALID": Meaning(5, _P, None, "档案或策略不是本单位为此设备签发", "a profile or policy is not this agency's for this device"),
    "DOCUMENT_ROLLED_BACK": Meaning(5, _P, None, "采用了更旧的档案或策略", "an older profile or policy was adopted"),
    "CERTIFICATE_EXPIRED": Meaning(6, _P, None, "证书不在有效期内", "the certificate was not valid at its time"),
    "CERTIFICATE_REVOKED": Meaning(6, _P, None, "证书已吊销，且吊销前未经见证", "the certificate was revoked, and no witness saw this before"),
    "REVOCATION_LIST": Meaning(6, _P, None, "吊销列表不可用", "the revocation list cannot be used"),
    "SIMULATED_HARDWARE": Meaning(6, _P, None, "使用了模拟硬件，不是真实记录", "simulated hardware: not a real recording"),
    "RECORDING_UNFINISHED": Meaning(7, _K, "R12.4", "记录没有结束条目", "a recording has no end"),
    "RECORDING_REPEATED": Meaning(7, _K, "R12.4", "记录编号重复", "a recording's number was used again"),
    "ORPHAN_ENTRY": Meaning(7, _K, "R3", "条目不属于任何进行中的记录", "an entry outside any recording under way"),
    "SEGMENT_ORDER": Meaning(7, _K, "R12.4", "片段序号或时间有误", "segments are numbered or timed wrongly"),
    "GAP_HIDDEN": Meaning(7, _K, "R12.4", "有缺口而未登记", "a gap that was not entered"),
    "PAUSE_HIDDEN": Meaning(7, _K, "R12.4", "录制曾暂停而未登记", "the recording paused, and that was not entered"),
    "COUNT_MISMATCH": Meaning(7, _K, "R12.4", "数目与结束条目不符", "counts differ from the closing entry"),
    "GAP": Meaning(7, _K, "R12.4", "记录中有缺口（已如实登记）", "a gap, entered with its cause"),
    "CLOCK_STEP_HIDDEN": Meaning(8, _T, None, "时钟跳变未登记", "the clock stepped without an entry"),
    "CLOCK_STEPPED": Meaning(8, _T, None, "时钟跳变（已登记）", "the clock stepped, as entered"),
    "CLOCK_BEHIND": Meaning(8, _T, None, "重启后时间早于重启前", "after a restart the time was earlier than before it"),
    "TIME_AFTER_WITNESS": Meaning(8, _T, None, "条目时间晚于见证时间", "an entry's time is later than its witness"),
    "TIME_BEFORE_WITNESS": Meaning(8, _T, None, "条目时间早于其前的见证时间", "an entry's time is earlier than a witness before it"),
    "FORMAT_OF_KIND": Meaning(9, _R, "R6", "记录形式与其类别不符", "what was recorded is not of the kind entered"),
    "MANDATORY_INTERRUPTED": Meaning(9, _R, "R10", "必须全程录制的事项有缺口", "a matter that must be filmed as a whole has a gap"),
    "NOTICE_MISSING": Meaning(9, _R, "R12.1", "没有告知", "no notice was given"),
    "NOTICE_NOT_SERVED": Meaning(9, _R, "R12.1", "告知未播放完或未被听到", "the notice was not completed or not heard"),
    "FRAME_BEFORE_NOTICE": Meaning(9, _R, "R12.1", "告知结束前已有画面", "footage from before the notice ended"),
    "NOTICE_OTHER_SOUND": Meaning(9, _R, "R12.1", "播放的不是策略规定的告知", "what was played is not the policy's notice"),
    "PARTICULARS_MISSING": Meaning(9, _R, "R12.2", "缺少要素", "particulars are missing"),
    "PARTICULARS_DIFFER": Meaning(9, _R, "R12.2", "封存的要素与条目不符", "the sealed particulars are not those of the entry"),
    "SITE_NOT_IDENTIFIED": Meaning(9, _R, "R12.3", "未标明地点", "the site was not identified"),
    "RESTARTED": Meaning(9, _R, "R12.4", "同一事项停止后重新录制", "stopped and started again on the same matter"),
    "RECORDED_UNDER_HAZARD": Meaning(9, _R, "R13.1", "爆炸危险场所内录制且无有效防爆合格证", "recorded under the hazard flag without approval"),
    "RECORDED_THOUGH_REFUSED": Meaning(9, _R, "R13.1", "联锁拒绝后仍录制", "recorded though the interlock refused"),
    "RECORDED_RESTRICTED": Meaning(9, _R, "R13.2", "录制了涉密或隐私内容", "restricted content was recorded"),
    "RECORDED_UNSUITABLE": Meaning(9, _R, "R13.3", "录制了不宜录制的内容", "unsuitable content was recorded"),
    "OFFICER_UNASSIGNED": Meaning(9, _R, "R16", "设备未分配给执法人员即录制", "recorded while no officer held the device"),
    "OFFICER_TWO_DEVICES": Meaning(9, _R, "R16", "同一执法人员同时持有两台设备", "one officer held two devices at once"),
}  # fmt: skip
"""Every code, in the order of the steps."""

STEPS: Final = (
    ("账本逐行：格式、位置、签名", "lines: form, place, signature"),
    ("检查点与见证", "checkpoints and witnesses"),
    ("收据与释放", "receipts and releases"),
    ("对象：大小、摘要、封存、内容", "objects: size, digest, sealing, content"),
    ("档案与策略", "documents"),
    ("证书与硬件", "certificates and hardware"),
    ("记录是否连续", "recordings run on"),
    ("时钟", "clocks"),
    ("是否遵守规定", "the regulation"),
    ("无法判断的事项", "what could not be judged"),
)
"""The steps of verification, numbered from 1 as in the specification."""
