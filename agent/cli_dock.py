"""Arguments of ``recorder dock``: what a custodian asks of the station."""

from __future__ import annotations

import argparse
from pathlib import Path

_TEXTS = {
    "run": "运行，直至 SIGTERM（默认）。 Runs the station until SIGTERM; the default.",
    "status": "各仓位进度、剩余时间、可否取走。 Bays, progress, minutes left, what may be taken out.",
    "quarantine": "隔离区：未通过验证的数据，全部保留。 What did not verify; all of it is kept.",
    "copies": "第二副本：查看，或准备一块磁盘。 The further copies: shows them, or prepares a disk.",
    "rebuild": "由档案重建目录与查找树；先停采集站。 Makes catalogue and tree anew; stop the dock first.",
    "timestamp": "向时间戳机构申请时间戳。 Asks for a timestamp over what was witnessed, now.",
    "retention": "保存期限：默认只列出，不删除。 What is due for deletion; a dry run unless --apply is given.",
}


def add_dock_arguments(dock: argparse.ArgumentParser, exits: str) -> None:
    """All of them. ``--config`` may stand before or after the word."""
    dock.add_argument("--config", type=Path, metavar="FILE", help="TOML: [dock] [log]")
    dock.add_argument("--json", action="store_true", help="以 JSON 输出 print JSON")
    whats = dock.add_subparsers(dest="what", metavar=" | ".join(_TEXTS))
    found = {}
    for name, text in _TEXTS.items():
        found[name] = whats.add_parser(
            name, help=text, description=text, epilog=exits, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        for flag, more in (("--config", {"type": Path, "metavar": "FILE"}), ("--json", {"action": "store_true"})):
            found[name].add_argument(flag, default=argparse.SUPPRESS, help="同上 as above", **more)
    _add_quarantine(found["quarantine"])
    found["copies"].add_argument(
        "--prepare", type=Path, metavar="DIR", help="把空磁盘标记为本站副本 marks an empty disk as a copy of this dock"
    )
    found["rebuild"].add_argument(
        "--check", action="store_true", help="只比较目录，不改动 only compares the catalogue and changes nothing"
    )
    _add_retention(found["retention"])


def _add_quarantine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("do", choices=["list", "show"], nargs="?", default="list", help="列出 | 查看一项 one item")
    parser.add_argument("item", nargs="?", metavar="DEVICE/FILE", help="list 所列编号 as list prints it")


def _add_retention(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--closed", type=Path, metavar="FILE", help="已结案件清单；未列者视为在办 closed cases; others are in progress"
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--dry-run", action="store_true", help="只列出（默认） only lists; the default")
    ways.add_argument("--apply", action="store_true", help="签署删除记录并删除 signs the record, then deletes")
    ways.add_argument("--list", action="store_true", dest="records", help="已签署的删除记录 deletions signed so far")
