"""From findings to verdicts: step 10 and the table of findings, as the specification has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SPECIFICATION = Path(__file__).parents[2] / "docs" / "evidence-format.md"
AXES = ("integrity", "provenance", "completeness", "continuity", "time", "conduct", "confidentiality")
ALWAYS_UNKNOWN, WITHOUT_IDENTITY = ("R17", "R18"), ("R10", "R13.2", "R13.3")
BREAKING = {
    "LEDGER_UNREADABLE",
    "EXTRACT_MALFORMED",
    "PROOF_INVALID",
    "LINE_MALFORMED",
    "ALGORITHM_REFUSED",
    "TYPE_UNKNOWN",
    "LINE_OUT_OF_PLACE",
    "CERTIFICATE",
    "KEY_OUT_OF_SPAN",
    "SIGNATURE_INVALID",
}
"""Codes after which nothing more is looked at."""


@cache
def table() -> dict[str, tuple[str, str]]:
    """Axis and rule (or nothing) of each code, read from the specification."""
    row = re.compile(r"^\| \d+ \| `([A-Z_]+)` \| (\w+) \| ([R0-9.]*) ?\|", re.MULTILINE)
    text = SPECIFICATION.read_text(encoding="utf-8").split("<!-- generated: findings -->")[1]
    return {code: (axis, rule) for code, axis, rule in row.findall(text)}


@dataclass(frozen=True)
class Circumstances:
    """What step 10 asks besides the findings."""

    witnessed: bool
    unvouched: bool
    """An entry with source ``none`` is not witnessed."""
    extract: bool
    recordings: bool
    identity: bool
    lines: bool
    """Some line holds."""


def verdicts(codes: set[str], how: Circumstances) -> tuple[dict[str, str], dict[str, str]]:
    """Axes and rules."""
    meanings = table()
    unknown: set[str] = set(ALWAYS_UNKNOWN)
    if codes & BREAKING or not how.lines:
        unknown |= set(AXES)
    if not how.witnessed:
        unknown |= {"completeness"} | ({"integrity", "provenance"} if how.extract else set())
    if how.unvouched:
        unknown.add("time")
    if how.recordings and not how.identity:
        unknown |= set(WITHOUT_IDENTITY)
    found = {part for code in codes for part in meanings[code]}
    rules = sorted({rule for _, rule in meanings.values() if rule} | set(ALWAYS_UNKNOWN), key=_number)

    def verdict(about: str) -> str:
        return "finding" if about in found else "unknown" if about in unknown else "ok"

    return {axis: verdict(axis) for axis in AXES}, {rule: verdict(rule) for rule in rules}


def _number(rule: str) -> tuple[int, ...]:
    return tuple(int(part) for part in rule[1:].split("."))
