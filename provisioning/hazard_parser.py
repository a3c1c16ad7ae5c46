"""The arguments of ``provision zones`` and ``provision hazard`` (R13.1)."""

from __future__ import annotations

import argparse
from pathlib import Path

from provisioning import hazard_commands
from provisioning.arguments import Parser, add_command, add_group
from provisioning.hazard import LONGEST_HOURS

_HOURS = 12


def add_zones(groups: argparse._SubParsersAction[Parser]) -> None:
    """``zones check``, ``sign``, ``remove``."""
    group = add_group(groups, "zones", "爆炸危险区域图 zone map (R13.1)")
    for name, run, text in (
        ("check", hazard_commands.zones_check, "检查区域图。\nSays what a map holds, or what is wrong with it."),
        (
            "sign",
            hazard_commands.zones_sign,
            "启用区域图：其摘要写入新一版策略；随后 refresh 各记录仪目录。\n"
            "Puts a map into force: its digest goes into the next policy. Then refresh the recorders' folders.\n"
            "坐标须为 WGS 84；国内网络地图（GCJ-02、BD-09）偏移数百米，不可直接使用。\n"
            "Positions are WGS 84: maps drawn over Chinese web maps are shifted by some hundred metres.",
        ),
    ):
        parser = add_command(group, name, run, text, f"zones {name} zones.geojson", agency=name != "check")
        parser.add_argument("map", type=Path, metavar="FILE", help="GeoJSON (RFC 7946)")
        if name == "sign":
            _policy_out(parser)
    remove = add_command(
        group, "remove", hazard_commands.zones_remove, "停用区域图。\nPositions set no flag any more.", "zones remove"
    )
    _policy_out(remove)


def _policy_out(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="写出 policy.jws write the signed policy here")


def add_hazard(groups: argparse._SubParsersAction[Parser]) -> None:
    """``hazard set``, ``clear``, ``withdraw``."""
    group = add_group(groups, "hazard", "爆炸危险标志 hazard flag by MQTT (R13.1)")
    for name, run, text in (
        (
            "set",
            hazard_commands.hazard_set,
            "下达危险标志：禁止无防爆合格证的设备录制。\nSets it: unapproved units stop.",
        ),
        (
            "clear",
            hazard_commands.hazard_clear,
            "解除危险标志；到期后状态视为未知。\nClears it; once expired, the state is unknown, and counts as set.",
        ),
        (
            "withdraw",
            hazard_commands.hazard_withdraw,
            "不再使用该标志：直至下一次下达，它不参与判断。\nThe flag takes no part any more, until the next one.",
        ),
    ):
        parser = add_command(
            group, name, run, text, f"hazard {name} --devices er-1 --out hazard.jws --dock /srv/dock-1"
        )
        if name == "set":
            parser.add_argument("--zone", metavar="ZONE", help='区域要求 what it demands: "1 IIB T4", "21 IIIC 135"')
        parser.add_argument("--devices", nargs="+", default=[], metavar="ID", help="(default: 全部 all)")
        parser.add_argument(
            "--hours", type=int, default=_HOURS, metavar="N", help=f"有效小时 holds for (1-{LONGEST_HOURS}; {_HOURS})"
        )
        parser.add_argument("--out", type=Path, metavar="FILE", help="写出标志 write the flag here")
        parser.add_argument(
            "--dock",
            type=Path,
            action="append",
            default=[],
            metavar="DIR",
            help="更新此采集站目录，由其发布（可多次） refresh this dock's folder, which publishes it; repeatable",
        )
