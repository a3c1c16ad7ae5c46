"""Values of any shape of the format, made from the shape's own definition."""

from __future__ import annotations

import types
from dataclasses import fields, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from agent.evidence.entries import BODIES, ObjectRef


def shapes(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a dataclass of the format."""
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{one.name: _value(hints[one.name]) for one in fields(kind)})


def any_body() -> st.SearchStrategy[Any]:
    """A body of any type."""
    return st.one_of([bodies(kind) for kind in BODIES.values()])


def bodies(kind: type[Any]) -> st.SearchStrategy[Any]:
    """A body of this type; its object, if it names one, has the form that the type has."""
    return shapes(kind).map(_of_its_form)


def _of_its_form(body: Any) -> Any:
    form = "jws" if body.TYPE in ("adopted", "receipt") else "age"
    named = [one.name for one in fields(body) if isinstance(getattr(body, one.name), ObjectRef)]
    return replace(body, **{name: replace(getattr(body, name), form=form) for name in named})


def _value(hint: Any) -> st.SearchStrategy[Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        return _bounded(*get_args(hint))
    if origin in (Union, types.UnionType):
        return st.one_of([_value(one) for one in get_args(hint)])
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    if origin is list:
        return st.lists(_value(get_args(hint)[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(*map(_value, get_args(hint)), max_size=3)
    if hint is type(None):
        return st.none()
    return st.text(max_size=20) if hint is str else shapes(hint)


def _bounded(base: type[Any], *about: Any) -> st.SearchStrategy[Any]:
    rules: dict[str, Any] = {}
    for rule in [rule for one in about for rule in one.metadata]:
        for name in ("ge", "le", "max_length", "pattern"):
            if getattr(rule, name, None) is not None:
                rules[name] = getattr(rule, name)
    if base is bool:
        return st.booleans()
    if base is int:
        return st.integers(rules["ge"], rules["le"])
    if "pattern" in rules:
        return st.from_regex(rules["pattern"].replace(r"\z", r"\Z"))
    return st.text(max_size=min(rules["max_length"], 30))
