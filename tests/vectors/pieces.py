"""Small parts of entries, and what a file in a vector can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Ref = dict[str, Any]
"""An object as entries name it."""


@dataclass(frozen=True)
class Link:
    """A symbolic link in the folder."""

    target: str


@dataclass(frozen=True)
class Folder:
    """An empty folder in the folder."""


Content = bytes | Link | Folder


def path_of(ref: Ref) -> str:
    return f"objects/{ref['digest']}.{ref['form']}"


def place_of(ref: Ref) -> str:
    return f"object {ref['digest']}"


def hazard_input(state: str, age_us: int = 0, source: str = "switch") -> dict[str, Any]:
    return {"source": source, "state": state, "age_us": age_us}


def interlock(**changes: Any) -> dict[str, Any]:
    return {
        "verdict": "permitted",
        "rule": None,
        "reason": "permitted",
        "hazard": "clear",
        "inputs": [hazard_input("clear")],
        "approval": None,
    } | changes


def heard(state: str = "heard") -> dict[str, Any]:
    measured = state != "not_measured"
    return {
        "state": state,
        "correlation_milli": 800 if measured else None,
        "level_centi_dbfs": -2000 if measured else None,
    }
