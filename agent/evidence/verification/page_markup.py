"""Markup that cannot be got wrong: whatever is not made here is text, and text is cleaned, bounded and escaped.

What is made is both HTML and XML, so that any strict parser can tell whether it is whole.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 2_000
"""Characters of one text; nothing that is worth reading here is longer."""
_MAX_MARKS: Final = 3
"""Combining marks on one character; more would run over the lines around it."""
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
_VOID: Final = frozenset({"meta", "br", "hr", "col"})


@dataclass(frozen=True, slots=True)
class Safe:
    """Finished markup. Not a ``str``, so that it cannot be mixed with text by accident."""

    text: str


Child = Safe | str | Iterable["Child"] | None
Attribute = str | int | float | None


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Text in which every character is seen: controls, direction overrides and the like become a visible mark.

    They are not dropped in silence: two names that differ only in what cannot be seen must not look the same.
    """
    text = text[: limit + 1]
    if not (text.isascii() and text.isprintable()):
        text = _visible(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        if not character.isprintable():
            character = " " if character.isspace() else _REPLACED
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def escaped(text: str) -> str:
    """Cleaned, and escaped for an element or a quoted attribute."""
    return html.escape(clean(text), quote=True)


def join(*children: Child) -> Safe:
    """Children one after the other: markup as it is, text escaped, nothing for None."""
    return Safe("".join(_parts(children)))


def _parts(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Safe):
            yield child.text
        elif isinstance(child, str):
            yield escaped(child)
        elif child is not None:
            yield from _parts(child)


def el(tag: str, *children: Child, **attributes: Attribute) -> Safe:
    """An element. ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``; None leaves an attribute out.

    Tags and the names of attributes come from this program only, never from what is shown.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Safe(f"<{tag}{named} />")
    return Safe(f"<{tag}{named}>{join(*children).text}</{tag}>")


def english(*children: Child) -> Safe:
    """English beside Chinese."""
    return el("span", *children, class_="en", lang="en")


def both(chinese: Child, other: Child) -> Safe:
    """The same thing twice, Chinese first."""
    return join(chinese, " ", english(other))


def said(text: str, limit: int = MAX_TEXT) -> Safe:
    """Words of the evidence, set apart from those of the report."""
    return el("span", clean(text, limit), class_="said")


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]], kind: str = "") -> Safe:
    """A table with a heading, or without one when ``head`` is empty."""
    heading = [el("th", one, scope="col") for one in head]
    body = el("tbody", [el("tr", [el("td", cell) for cell in row]) for row in rows])
    whole = el("table", el("thead", el("tr", heading)) if heading else None, body, class_=kind or None)
    return el("div", whole, class_="wide")
