"""``provision retention set``: its arguments and what it does."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path

from provisioning.arguments import Parser, add_command, add_group
from provisioning.credentials import refresh
from provisioning.outcome import Outcome, export, open_agency, said
from provisioning.retention import parse_rule, sign_table


def retention_set(arguments: Namespace) -> Outcome:
    """``retention set``."""
    rules = [parse_rule(text) for text in arguments.rule]
    with open_agency(arguments, writable=True) as agency:
        signed = sign_table(agency, arguments.default_days, rules)
        docks = [refresh(agency, folder) for folder in arguments.dock]
    export(arguments.out, signed.text.encode())
    text = f"保存期限表第 {signed.version} 版 retention table {signed.version}: {arguments.default_days} 天 days"
    return said(text, version=signed.version, default_days=arguments.default_days, docks=docks)


def add_retention(groups: argparse._SubParsersAction[Parser]) -> None:
    """``retention set``."""
    group = add_group(groups, "retention", "记录保存期限 how long recordings are kept")
    parser = add_command(
        group,
        "set",
        retention_set,
        "签发保存期限表；没有它，采集站不删除任何记录。\n"
        "Signs the table; without one no dock deletes anything. Where several rows fit, the longest counts.",
        "retention set --default-days 1095 --rule coercion:any:3650 --dock /srv/dock-1",
    )
    parser.add_argument("--default-days", type=int, required=True, metavar="N", help="至少保存天数 at least (1-36525)")
    parser.add_argument(
        "--rule", action="append", default=[], metavar="ACTION:KIND:DAYS", help="更长的期限，可多次 longer; repeatable"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="写出期限表 write the table here")
    parser.add_argument(
        "--dock", type=Path, action="append", default=[], metavar="DIR", help="更新采集站目录 refresh a dock's folder"
    )
