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
from agent.evidence.documents import Assignment, ExApproval, HazardPolicy, HazardZone, NoticePolicy, Policy, Profile
from agent.evidence.receipts import Receipt

BEGIN: Final = "<!-- generated: entry types -->"
END: Final = "<!-- end of generated part -->"
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
    *((shapes, name) for name in ("Digest", "Name", "Word", "RecordingId", "Text", "Key", "Recipient")),
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
_DOCUMENTS: Final = (Profile, ExApproval, Policy, NoticePolicy, HazardPolicy, HazardZone, Assignment, Receipt)


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
        rows.append(f"| `{name}` | {json} | {', '.join(_bounds(about.metadata))} |")
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


def rewrite(text: str) -> str:
    """The document with its generated part made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewrite(target.read_text("utf-8")), "utf-8")
