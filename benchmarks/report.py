"""What a measurement says, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value, rounded only for showing."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    """At most this much, where there is a goal."""
    least: float | None = None
    """At least this much, where the goal is such a one."""

    @property
    def verdict(self) -> str:
        """Whether the goal is met; empty without one."""
        if self.least is not None:
            return f"goal at least {self.least:g}: {'met' if self.value >= self.least else 'MISSED'}"
        if self.goal is None:
            return ""
        return f"goal at most {self.goal:g}: {'met' if self.value <= self.goal else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class Table:
    """All that one benchmark measured; ``conditions`` says under what, ``raw`` holds every single measurement."""

    name: str
    title: str
    rows: list[Row]
    conditions: dict[str, Any]
    raw: dict[str, Any] = field(default_factory=dict)


def machine() -> dict[str, Any]:
    """What matters of the machine, without its name."""
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "kernel": platform.system(),
        "python": platform.python_version(),
    }


def show(table: Table) -> None:
    """Prints the table."""
    print(f"\n{table.name}: {table.title}")
    width = max(len(row.what) for row in table.rows)
    for row in table.rows:
        print(f"  {row.what:<{width}}  {row.value:>10,.3f} {row.unit:<10} {row.verdict}".rstrip())
    for key, value in table.conditions.items():
        print(f"  ({key}: {value})")


def save(table: Table, folder: Path, *, quick: bool) -> None:
    """Writes ``folder/NAME.json``."""
    held = {"measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "quick": quick, "machine": machine()}
    text = json.dumps({**held, **asdict(table)}, ensure_ascii=False, indent=2)
    (folder / f"{table.name}.json").write_text(text + "\n", "utf-8")
