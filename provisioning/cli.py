"""The command ``provision``: reads its arguments, runs one command, prints a table or JSON, ends with a stable code."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from agent.errors import RecorderError, UsageError
from provisioning.parser import build_parser

_PIPE_COLUMNS: Final = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command (``argv`` without the program's name; default: the process's). Returns the exit code.

    0: done. Otherwise the exit code of the error, which stands on one line of standard error: code, message, advice.
    """
    try:
        arguments = build_parser().parse_args(argv)
        outcome = arguments.run(arguments)
    except SystemExit as leaving:  # argparse: after --help
        return leaving.code if isinstance(leaving.code, int) else 0
    except RecorderError as error:
        return _complain(error)
    except KeyboardInterrupt:
        return _complain(UsageError("已中断 interrupted"))
    if arguments.json:
        print(json.dumps(outcome.data, ensure_ascii=False, indent=2))
    else:
        # A file or a pipe has no width of its own; 80 columns would break every row.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
        for part in outcome.shown:
            console.print(part, soft_wrap=not isinstance(part, Table))
    return 0


def _complain(error: RecorderError) -> int:
    message = " ".join(str(error).split())
    print(f"{error.code} {message}  {error.advice}", file=sys.stderr)
    return error.exit_code
