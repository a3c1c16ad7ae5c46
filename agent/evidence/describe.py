"""The entry types as Markdown, from the shapes themselves, so that specification and code cannot drift apart.

``python -m agent.evidence.describe docs/evidence-format.md`` rewrites the generated part of the document.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

from agent.evidence import entries, shapes
from agent.evidence.documents import (
    ActionKind,
    Assignment,
    BatteryPolicy,
    ExApproval,
    HazardPolicy,
    HazardZone,
    NoticePolicy,
    Particulars,
    Policy,
    Position,
    Profile,
    Remark,
    RestrictedContent,
    Stage,
    Telemetry,
    TrustBundle,
    TrustedDock,
    TrustedWitness,
)
from agent.evidence.receipts import Receipt
from agent.evidence.verification.findings import MEANINGS

_GENERATED: Final = "<!-- generated: {} -->"
_ENDED: Final = "<!-- end of generated {} -->"
_END_OF_TEXT: Final = r"\z"
_PLAIN: Final = (
    ("Annotated[", ""),
    (", Field(", " ("),
    (")]", ")"),
    ("Literal[", "one of ["),
    ("None", "null"),
    (r"\\z", "$"),
)
_SMALL: Final = (
    *((shapes, name) for name in ("Digest", "Name", "Word", "RecordingId", "Text", "Key", "Base64url", "Recipient")),
    *((shapes, name) for name in ("Count", "Micros")),
    (entries, "Signed"),
    *((shapes, name) for name in ("Flag", "FormatVersion")),
)
_PARTS: Final = (
    entries.EntryTime,
    entries.ObjectRef,
    entries.Interlock,
    entries.HazardInput,
    entries.Heard,
    entries.VideoFormat,
    entries.SoundFormat,
)
_DOCUMENTS: Final = (
    Profile, ExApproval, Policy, NoticePolicy, HazardPolicy, HazardZone, BatteryPolicy, Receipt, Particulars,
    Assignment, Remark, Telemetry, Position, TrustBundle, TrustedDock, TrustedWitness,
)  # fmt: skip


def tables() -> str:
    """The small types, every entry type, the shapes inside them, and the signed documents."""
    blocks = ["### Small types", _small_types(), "### Entry types"]
    blocks += [_table(f"`{kind.TYPE}`", kind) for kind in entries.BODIES.values()]
    blocks += ["### Shapes inside entries", *(_table(f"`{kind.__name__}`", kind) for kind in _PARTS)]
    blocks += ["### Documents", *(_table(f"`{kind.__name__}`", kind) for kind in _DOCUMENTS)]
    return "\n\n".join(blocks)


def _small_types() -> str:
    rows = ["| Type | JSON | Allowed |", "|---|---|---|"]
    for module, name in _SMALL:
        base, about = get_args(getattr(module, name))
        json = {str: "string", int: "integer", bool: "true or false"}[base]
        allowed = ", ".join(_bounds(about.metadata)).replace("|", "\\|")
        rows.append(f"| `{name}` | {json} | {allowed} |")
    for name, words in (
        ("ActionKind", ActionKind),
        ("Stage", Stage),
        ("RestrictedContent", RestrictedContent),
        ("StopReason", entries.StopReason),
    ):
        rows.append(f"| `{name}` | string | one of {', '.join(f'`{word}`' for word in get_args(words))} |")
    return "\n".join(rows)


def _bounds(rules: Iterable[Any]) -> Iterator[str]:
    for rule in rules:
        if getattr(rule, "pattern", None):
            yield f"`{rule.pattern.removesuffix(_END_OF_TEXT)}$`"
        if getattr(rule, "max_length", None) is not None:
            yield f"at most {rule.max_length} characters"
        for sign, value in (("≥", getattr(rule, "ge", None)), ("≤", getattr(rule, "le", None))):
            if value is not None:
                yield f"{sign} {value}"


def _table(title: str, kind: type[Any]) -> str:
    doc, meanings = " ".join((kind.__doc__ or "").split()), _meanings(kind)
    rows = [f"| `{one.name}` | {_type(str(one.type))} | {meanings.get(one.name, '')} |" for one in fields(kind)]
    return "\n".join([f"**{title}** {doc}", "", "| Field | Type | Meaning |", "|---|---|---|", *rows])


def _type(written: str) -> str:
    """As it stands in the source; a bounded type that has no name of its own keeps its bound."""
    for word, plain in _PLAIN:
        written = written.replace(word, plain)
    return f"`{written}`".replace("|", "\\|")


def _meanings(kind: type[Any]) -> dict[str, str]:
    """The sentence that stands below a field in the source."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split()).replace("|", "\\|")
    return found


def findings() -> str:
    """Every code, in the order of the steps."""
    rows = ["| Step | Code | Axis | Rule | Meaning | 含义 |", "|---|---|---|---|---|---|"]
    for code, one in MEANINGS.items():
        rows.append(f"| {one.step} | `{code}` | {one.axis} | {one.rule or ''} | {one.english} | {one.chinese} |")
    return "\n".join(rows)


def rewrite(text: str) -> str:
    """The document with its generated parts made anew."""
    for name, make in (("findings", findings), ("entry types", tables)):
        begin, end = _GENERATED.format(name), _ENDED.format(name)
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewrite(target.read_text("utf-8")), "utf-8")
