"""The entry types as Markdown, from the shapes themselves, so that specification and code cannot drift apart.

``python -m agent.evidence.describe docs/evidence-format.md`` rewrites the generated part of the document.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from agent.evidence import entries
from agent.evidence.documents import Assignment, ExApproval, HazardPolicy, HazardZone, NoticePolicy, Policy, Profile
from agent.evidence.receipts import Receipt

BEGIN: Final = "<!-- generated: entry types -->"
END: Final = "<!-- end of generated part -->"
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
    """Every entry type, the shapes inside them, and the signed documents."""
    blocks = ["### Entry types"]
    blocks += [_table(f"`{kind.TYPE}`", kind) for kind in entries.BODIES.values()]
    blocks += ["### Shapes inside entries", *(_table(f"`{kind.__name__}`", kind) for kind in _PARTS)]
    blocks += ["### Documents", *(_table(f"`{kind.__name__}`", kind) for kind in _DOCUMENTS)]
    return "\n\n".join(blocks)


def _table(title: str, kind: type[Any]) -> str:
    doc = " ".join((kind.__doc__ or "").split())
    hints = get_type_hints(kind, include_extras=False)
    rows = [f"| `{one.name}` | {_type(hints[one.name])} |" for one in fields(kind)]
    return "\n".join([f"**{title}** {doc}", "", "| Field | Type |", "|---|---|", *rows])


def _type(hint: Any) -> str:
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    for word in ("typing.", "agent.evidence.entries.", "agent.evidence.documents.", "<class '", "'>"):
        text = text.replace(word, "")
    return f"`{text.replace('NoneType', 'null').replace('None', 'null')}`".replace("|", "\\|")


def rewrite(text: str) -> str:
    """The document with its generated part made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewrite(target.read_text("utf-8")), "utf-8")
