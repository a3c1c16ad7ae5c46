"""The arguments of ``provision assignment`` (R12.2)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from agent.evidence.documents import ActionKind, RestrictedContent, Stage
from provisioning import assignment_commands
from provisioning.arguments import Parser, add_command, add_group

_EXAMPLE = (
    "assignment sign --device er-1 --matter matter-1 --action inspection --stage investigation \\\n"
    "    --party 样例企业 --site 样例地点 --officer 样例人员 --dock /srv/dock-1 --qr -"
)


def add_assignment(groups: argparse._SubParsersAction[Parser]) -> None:
    """``assignment sign``, ``withdraw``."""
    group = add_group(groups, "assignment", "执法任务 what a recorder is to work on (R12.2)")
    sign = add_command(
        group,
        "sign",
        assignment_commands.assignment_sign,
        "签发任务：经采集站下发，或打印二维码供镜头读取。\n"
        "Signs an assignment: sent by the dock, or shown to the camera as a code before it records.\n"
        "每台设备以最后签发的为准。 Of two for one device the later counts.",
        _EXAMPLE,
    )
    sign.add_argument("--device", required=True, metavar="ID", help="记录仪 the recorder it is for")
    sign.add_argument("--from", dest="source", type=Path, metavar="FILE", help="取自 JSON 文件 all below from a file")
    sign.add_argument("--matter", metavar="ID", help="案件编号 a-z 0-9 - the case system's number; opaque")
    sign.add_argument("--action", choices=get_args(ActionKind), help="许可 检查 处罚 强制")
    sign.add_argument("--stage", choices=get_args(Stage), help="启动 调查取证 审查决定 送达执行")
    sign.add_argument("--party", metavar="NAME", help="当事人 the party")
    sign.add_argument("--site", metavar="PLACE", help="地点 the place")
    sign.add_argument(
        "--officer", dest="officers", action="append", default=[], metavar="NAME", help="执法人员（可多次） repeatable"
    )
    sign.add_argument("--mandatory", action="store_true", help="须全程录像（第十条） must be filmed as a whole (R10)")
    sign.add_argument("--restricted", choices=get_args(RestrictedContent), help="不得录制的内容 (R13.2, R13.3)")
    sign.add_argument("--hazard", metavar="ZONE", help='现场防爆要求 what the place demands: "1 IIB T4" (R13.1)')
    _hand_over(sign)
    withdraw = add_command(
        group,
        "withdraw",
        assignment_commands.assignment_withdraw,
        "撤回已下发的任务；手工放入的不受影响。\nTakes back what was sent; what was put there by hand stays.",
        "assignment withdraw --device er-1 --dock /srv/dock-1",
    )
    withdraw.add_argument("--device", required=True, metavar="ID", help="记录仪 the recorder it is for")
    _hand_over(withdraw)


def _hand_over(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="写出已签名的任务 write the signed assignment here")
    parser.add_argument("--qr", type=Path, metavar="FILE", help="二维码 a code: FILE.png, FILE.svg, - 终端 terminal")
    parser.add_argument(
        "--dock",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="更新此采集站目录，由其下发（可多次） refresh this dock's folder, which sends it; repeatable",
    )
