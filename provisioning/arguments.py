"""Building blocks of the arguments of ``provision``: groups of commands, and what every command has in common."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from agent.errors import UsageError
from provisioning.outcome import Outcome

AGENCY_VARIABLE = "PROVISION_AGENCY"

Run = Callable[[argparse.Namespace], Outcome]


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for arguments that do not parse."""
        raise UsageError(f"{self.prog}: {message}")


def add_group(groups: argparse._SubParsersAction[Parser], name: str, text: str) -> argparse._SubParsersAction[Parser]:
    """A group such as ``device``."""
    return groups.add_parser(name, help=text, description=text).add_subparsers(metavar="命令 COMMAND", required=True)


def add_command(
    groups: argparse._SubParsersAction[Parser], name: str, run: Run, text: str, example: str, *, agency: bool = True
) -> Parser:
    """One command with its help and the options that all have; ``agency`` False: it is for no agency in particular."""
    parser = groups.add_parser(
        name,
        help=text.split("\n")[0],
        description=text,
        epilog=f"示例 Example:\n  provision {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    common = parser.add_argument_group("通用 common")
    if agency:
        common.add_argument(
            "--agency",
            type=Path,
            metavar="DIR",
            default=os.environ.get(AGENCY_VARIABLE),
            help=f"单位目录 the agency's folder (default: ${AGENCY_VARIABLE})",
        )
    common.add_argument(
        "--by", metavar="NAME", help="经办人，记入历史 who does this, for the history (default: login name)"
    )
    common.add_argument("--json", action="store_true", help="输出 JSON print JSON for programs")
    return parser


def add_days(parser: Parser, option: str, default: int, text: str) -> None:
    """An option in days."""
    parser.add_argument(option, type=int, default=default, metavar="DAYS", help=f"{text} (default: {default})")
