"""What several commands print with; loads nothing of its own."""

from __future__ import annotations

import json
from typing import Any, Final

SIGNS: Final = {
    "ok": "[green]✓ 通过 ok[/]",
    "finding": "[bold red]✗ 发现 finding[/]",
    "unknown": "[yellow]? 未知 unknown[/]",
}


def print_json(value: Any) -> None:
    """Prints a value as JSON for machines."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))
