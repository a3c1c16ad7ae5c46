"""What the page says in its own words, Chinese and English: for somebody who has never seen the evidence format."""

from __future__ import annotations

from typing import Final

from agent.evidence.verification.findings import Axis

Pair = tuple[str, str]

TITLE: Final[Pair] = ("执法记录证据检验报告", "Verification report on recorded evidence")

AXIS_SENTENCES: Final[dict[Axis, Pair]] = {
    Axis.INTEGRITY: ("记录和账本写成以后，内容有没有被改动。", "Whether anything was altered since it was written."),
    Axis.PROVENANCE: ("是否确由本单位的这台设备写成，所用部件是否真实。", "Whether this device of this agency wrote it, with real parts."),
    Axis.COMPLETENESS: ("有没有记录、文件或账本末尾被拿走。", "Whether a recording, a file or the ledger's end was taken away."),
    Axis.CONTINUITY: ("每段记录从开始到结束是否没有中断。", "Whether every recording runs from its beginning to its end."),
    Axis.TIME: ("所记的时刻是否可信。", "Whether the times entered can be believed."),
    Axis.CONDUCT: ("录制时是否遵守了执法记录的规定，例如先告知后录制。", "Whether the regulation was obeyed, such as: notice first."),
    Axis.CONFIDENTIALITY: ("内容是否只有本单位能够打开。", "Whether only the agency can open the content."),
}  # fmt: skip

VERDICTS: Final[dict[str, tuple[str, str, str]]] = {
    "ok": ("✓", "未发现问题", "nothing found"),
    "finding": ("✗", "发现问题", "found"),
    "unknown": ("?", "无法判断", "cannot be judged"),
}
"""Sign, Chinese, English. Nobody says "passed": what was not looked for was not found either."""

KINDS: Final[dict[str, Pair]] = {
    "device": ("设备目录", "device folder"),
    "archive": ("档案库", "archive"),
    "extract": ("单段移交包（一段记录）", "extract: one recording"),
}

PLACES: Final = {
    "ledger": "账本",
    "entry": "条目",
    "recording": "记录",
    "object": "对象",
    "file": "文件",
    "checkpoint": "检查点",
    "cosigned": "见证检查点",
    "note": "另交的见证签名",
    "trust": "信任文件",
    "extract": "移交包",
}
"""The first word of a place."""

STEP_SENTENCES: Final[tuple[Pair, ...]] = (
    (
        "每行合乎格式，接在前一行之后，由当时有权签署的密钥签名。任何一行不成立，其后各行不再采信。",
        "Every line is well formed, follows the one before it and is signed by the key that could sign there. After a line that does not hold, nothing is relied on.",
    ),
    (
        "把账本与检查点、与设备以外的见证人签过名的检查点对照：末尾有没有被删，历史有没有被改写。",
        "The ledger is held against checkpoints, also those signed by witnesses outside the device: was its end cut off, was its past rewritten.",
    ),
    (
        "采集站的收据是否有效；设备只有拿到收据才可以释放已交接的文件。",
        "Whether the dock's receipts are valid; a device may free only what a receipt covers.",
    ),
    (
        "每个录像、照片和附件：是否在、大小和 SHA-256 摘要是否与账本一致、是否为规定的接收人加密；给出私钥时还打开核对内容。",
        "Every film, photo and attachment: present, of the size and SHA-256 in the ledger, sealed for the right recipients; with a key, its content too.",
    ),
    (
        "当时有效的设备档案（哪位执法人员、哪个科室）和策略是否由本单位签发，有没有退回旧版。",
        "Whether the profile (which officer, which section) and the policy in force were the agency's, and never went back to an older one.",
    ),
    (
        "设备证书是否有效、有没有被吊销；是否使用了模拟硬件。",
        "Whether the device's certificate was valid and not revoked; whether any hardware was simulated.",
    ),
    (
        "每段记录的片段是否前后相接、数目相符；缺口和暂停是否如实登记。",
        "Whether the pieces of each recording join and add up; whether gaps and pauses were entered.",
    ),
    (
        "设备时钟是否平稳，重启前后是否一致，与见证人的时间是否相符。",
        "Whether the device's clock ran evenly, also over restarts, and agrees with the witnesses' times.",
    ),
    (
        "是否遵守执法记录规定：先告知后录制、不间断、标明地点、防爆联锁、一人一机等。",
        "Whether the regulation was obeyed: notice first, unbroken, site identified, explosion interlock, one recorder per officer, and so on.",
    ),
    (
        "列出凭手中材料无法判断的事项及其原因。没有判断，不等于没有问题。",
        "What cannot be judged from what is at hand, and why. Not judged does not mean nothing wrong.",
    ),
)

NOT_PROVED: Final[tuple[Pair, ...]] = (
    (
        "画面所示是否真实、镜头是否对准了应拍之处。遮挡、摆拍、避开镜头的事，设备都会照样忠实记录。",
        "That the scene was genuine or the camera pointed the right way. A covered lens or a staged event is recorded faithfully.",
    ),
    (
        "最后一次见证之后的内容是否齐全。其后被删去的末尾，单看设备看不出来；本报告写明这部分有多少条目、多长时间。",
        "That nothing newer than the last witnessed checkpoint is missing. An end cut off after it would leave no trace on the device alone; this report says how much that is.",
    ),
    (
        "有人在设备运行时控制其内存期间设备做了什么：他在下一次换钥之前可以代签，但改不了此前的内容。",
        "What a device did while somebody held its running memory: they could sign in its name until the next key, though nothing of the past.",
    ),
    (
        "部件本身是否说谎：被调换的镜头、喂入影片的驱动程序，会和真实场景一样被签名。",
        "That the hardware did not lie: a replaced camera or a driver that feeds a film is signed like a scene.",
    ),
    (
        "单位自身的诚信：持有根密钥的人可以登记并不存在的设备，持有档案密钥的人可以查看全部内容。",
        "The agency's own honesty: whoever holds the root key can enrol a device that never existed; whoever holds the archive key can look at everything.",
    ),
    (
        "没有可信时间源时的准确时刻。账本写明时间来源，只有见证能够限定它。",
        "The exact time where nothing vouches for the clock. The ledger says so, and only a witness bounds it.",
    ),
    (
        "设备关机、损坏或根本没有使用期间发生了什么。",
        "What happened while a device was off, broken or not used at all.",
    ),
    (
        "已释放给采集站的文件是否仍在档案库中。那要检验档案库本身。",
        "That the archive still has what was released to a dock. Only verifying the archive shows that.",
    ),
)

EVENT_WORDS: Final = {
    "played": "播放", "oral": "口头", "posted": "张贴告示", "completed": "完成", "failed": "未完成",
    "video": "录像", "audio": "录音", "photo": "拍照", "fixed": "固定点位", "unfinished": "没有结束条目",
    "button": "按键结束", "command": "命令结束", "docked": "入座结束", "hazard": "因爆炸危险结束",
    "restricted": "因涉密或隐私结束", "storage_full": "存储已满", "battery": "电量不足", "overheated": "过热", "shutdown": "关机",
    "power_cut": "断电", "fault": "故障", "camera": "摄像头", "microphone": "麦克风", "storage": "存储",
    "overload": "过载", "encoder": "编码器", "clear": "解除", "set": "存在爆炸危险", "stale": "状态不明",
    "moment": "时刻", "site_sign": "拍摄标志牌", "site_spoken": "口述地点", "in": "入座", "out": "离座",
    "no_approval": "无防爆合格证", "zone_unknown": "区域不明", "approval_expired": "合格证过期",
    "approval_of_another_unit": "合格证属于另一台设备", "marking_unreadable": "防爆标志不可读",
    "protection_level": "防护级别不足", "equipment_group": "设备类别不符", "temperature": "温度组别不符",
    "state_secret": "国家秘密", "commercial_secret": "商业秘密", "privacy": "个人隐私", "other": "其他不宜内容",
    "declared": "执法人员申报", "officer_unassigned": "设备未分配", "battery_low": "电量不足", "assignment_unusable": "任务信息不可用",
}  # fmt: skip
"""The format's own terms that stand in an event's text."""

FACTS: Final[dict[str, Pair]] = {
    "kind": ("检验对象", "what it is"),
    "recording": ("记录编号", "recording"),
    "officer": ("执法人员", "officer"),
    "section": ("科室", "section"),
    "serial": ("设备编号", "serial number"),
    "entries": ("账本条目", "ledger entries"),
    "recordings": ("记录", "recordings"),
    "refusals": ("拒绝录制", "refusals"),
    "witnessed": ("已见证", "witnessed"),
    "unwitnessed": ("未经见证", "not witnessed"),
    "timestamps": ("时间戳", "timestamps"),
    "checked": ("核对的文件", "objects checked"),
    "dock": ("凭收据已释放", "released against receipts"),
    "deleted": ("到期已删除（采集站已签署）", "deleted after retention, signed by a dock"),
}

ABOUT: Final[dict[str, Pair]] = {
    "path": ("检验对象", "what was judged"),
    "judged_at": ("检验时间", "judged at"),
    "agency_name": ("执法单位", "agency"),
    "agency": ("单位代号", "agency id"),
    "trust_sha256": ("信任文件摘要", "SHA-256 of the trust file"),
    "crl_as_of": ("吊销列表截至", "revocation list as of"),
    "with_identity": ("档案私钥", "archive identity"),
    "accept_simulated": ("模拟硬件", "simulated hardware"),
    "notes": ("另交的见证签名", "further witness notes"),
    "software": ("软件", "software"),
    "seconds": ("用时", "time taken"),
}
"""What is said about the judging itself, in the order of the page."""
