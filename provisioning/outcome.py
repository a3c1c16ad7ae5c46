"""What every command of ``provision`` gives back, and how it opens the agency."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from agent.errors import UsageError
from agent.system import durable
from provisioning.agency import Agency

# Dates on certificates are days of the place where they count; China has one time zone and no summer time.
CHINA: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command gives: ``data`` for programs (JSON), ``shown`` for people (text and tables)."""

    data: Any
    shown: Sequence[str | Table | Text]


def who(arguments: Namespace) -> str:
    """Whose name the history gets."""
    if arguments.by:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in a container
        return "administrator"


def open_agency(arguments: Namespace, *, writable: bool) -> Agency:
    """The agency that the command is for; raises UsageError when none is named."""
    if arguments.agency is None:
        raise UsageError("which agency? give --agency DIR or set PROVISION_AGENCY")
    return Agency(Path(arguments.agency), writable=writable, by=who(arguments))


def export(path: Path | None, data: bytes) -> None:
    """Writes a file that was asked for, durably."""
    if path is not None:
        durable.write_atomic(path, data)


def said(text: str, **data: Any) -> Outcome:
    """One sentence for people, the same facts for programs."""
    return Outcome(data, [text])


def moment(at_us: int) -> str:
    """A time (UTC, us) as the agency's clocks show it."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S +08")


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for people."""
    made = Table(title=title, box=box.SIMPLE, title_justify="left")
    for head in heads:
        made.add_column(head, overflow="fold")
    for row in rows:
        # Text, not str: a name from the register must not be read as markup.
        made.add_row(*(Text(str(value)) for value in row))
    return made
