"""How long docks keep recordings: a signed table, which goes to the docks' folders."""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

from agent.errors import FormatError, UsageError
from agent.evidence.documents import ActionKind
from agent.evidence.retention import RecordingKind, RetentionPolicy, RetentionRule, sign_retention
from agent.evidence.shapes import load_shape
from agent.system import durable
from provisioning.agency import Agency
from provisioning.records import Document
from provisioning.view import View

TABLE_NAME: Final = "retention.jws"
_ANY: Final = "any"


def sign_table(agency: Agency, default_days: int, rules: list[RetentionRule]) -> Document:
    """Signs the next table. Raises UsageError when a number is out of range."""
    with agency.change() as change:

        def text(version: int) -> str:
            table = RetentionPolicy(
                1, "retention", agency.info.id, version, change.at_us, default_days, rules
            )
            return sign_retention(table, agency.document_key()).decode()

        return change.publish("retention", agency.info.id, text)


def write_table(agency: Agency, view: View, folder: Path) -> None:
    """Brings the table of a dock's folder up to date; nothing before the first was signed. Durable."""
    found = view.document("retention", agency.info.id)
    if found is not None:
        durable.write_atomic(folder / TABLE_NAME, found.text.encode())


def parse_rule(text: str) -> RetentionRule:
    """``ACTION:KIND:DAYS``, ``any`` for either of the first two. Raises UsageError."""
    try:
        action, kind, days = text.split(":")
        value = {
            "action": None if action == _ANY else action,
            "kind": None if kind == _ANY else kind,
            "keep_days": int(days),
        }
        return load_shape(RetentionRule, value)
    except (ValueError, FormatError) as error:
        actions, kinds = ", ".join(get_args(ActionKind)), ", ".join(get_args(RecordingKind))
        raise UsageError(
            f"--rule {text[:100]}: 应为 ACTION:KIND:DAYS must be that; actions {actions}, any; kinds {kinds}, any"
        ) from error
