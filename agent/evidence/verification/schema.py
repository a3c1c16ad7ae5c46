"""The report for machines as a JSON Schema, from the data model itself, so that the two cannot drift apart.

``python -m agent.evidence.verification.schema docs/report.schema.json`` writes it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from agent.evidence.verification.findings import MEANINGS, RULES, STEPS, Axis
from agent.evidence.verification.report import DeviceFacts, Event, Verdict

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_FLAG: Final = {"type": "boolean"}
_DIGEST: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SIMPLE: Final[dict[Any, dict[str, Any]]] = {str: _TEXT, int: _COUNT, bool: _FLAG, NoneType: {"type": "null"}}

PROFILE: Final = {"officer": _TEXT, "section": _TEXT, "serial": _TEXT, "version": _COUNT}
"""The profile of a device, as far as the report tells of it."""
_ALWAYS: Final = {
    "path": _TEXT,
    "software": _TEXT,
    "agency": _TEXT,
    "agency_name": _TEXT,
    "trust_sha256": _DIGEST,
    "with_identity": _FLAG,
    "accept_simulated": _FLAG,
    "notes": _COUNT,
}
_PERHAPS: Final = {
    "tsa_roots_sha256": {"anyOf": [_DIGEST, {"type": "null"}]},
    "judged_at": {"type": "string", "format": "date-time"},
    "crl_as_of": {"type": ["string", "null"], "format": "date-time"},
    "seconds": {"type": "number", "minimum": 0},
}


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of ``Report.to_json()``."""
    axes, rules = [axis.value for axis in Axis], list(RULES)
    verdict = {"enum": list(get_args(Verdict))}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:enforcement-recorder:report:1",
        "title": "Verification report",
        "description": "Findings, what could not be judged, and what was looked at. There is no verdict in one word.",
        **_object(
            {
                "v": {"const": 1},
                "type": {"const": "report"},
                "about": {"$ref": "#/$defs/about"},
                "axes": _object(dict.fromkeys(axes, verdict)),
                "rules": _object(dict.fromkeys(rules, verdict)),
                "findings": _array({"$ref": "#/$defs/finding"}),
                "counts": _counts(),
                "unknown": _array({"$ref": "#/$defs/unknown"}),
                "devices": _array({"$ref": "#/$defs/device"}),
                "timelines": _array({"$ref": "#/$defs/timeline"}),
            }
        ),
        "$defs": {
            "about": _about(),
            "finding": _finding(axes, rules),
            "unknown": _object({"device": _TEXT, "about": {"enum": axes + rules}, "zh": _TEXT, "en": _TEXT}),
            "device": _shape(DeviceFacts, profile={"anyOf": [_object(PROFILE), {"type": "null"}]}),
            "timeline": _object({"device": _TEXT, "left_out": _COUNT, "events": _array({"$ref": "#/$defs/event"})}),
            "event": _shape(Event),
        },
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """All of these, and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _about() -> dict[str, Any]:
    """Said by the command line; a report that a program made may say nothing."""
    said = {
        "type": "object",
        "properties": _ALWAYS | _PERHAPS,
        "required": list(_ALWAYS),
        "additionalProperties": False,
    }
    return {
        "description": "What was judged, and with what. Empty when nobody said.",
        "anyOf": [said, {"type": "object", "maxProperties": 0}],
    }


def _counts() -> dict[str, Any]:
    return {
        "description": "How many findings of each code there are, also those that are not listed.",
        "type": "object",
        "properties": {code: {"type": "integer", "minimum": 1} for code in MEANINGS},
        "additionalProperties": False,
    }


def _finding(axes: list[str], rules: list[str]) -> dict[str, Any]:
    return _object(
        {
            "code": {"enum": list(MEANINGS)},
            "step": {"enum": list(range(1, len(STEPS) + 1))},
            "axis": {"enum": axes},
            "rule": {"enum": [*rules, None]},
            "device": _TEXT,
            "where": _TEXT,
            "zh": _TEXT,
            "en": _TEXT,
            "detail": _TEXT,
        }
    )


def _shape(kind: type[Any], **known: dict[str, Any]) -> dict[str, Any]:
    """A data class: every field by its type, unless it is known better."""
    hints = get_type_hints(kind)
    return _object({one.name: known.get(one.name) or _typed(hints[one.name]) for one in fields(kind)})


def _typed(hint: Any) -> dict[str, Any]:
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return {"enum": list(arguments)}
    if get_origin(hint) is list:
        return _array(_typed(arguments[0]))
    if get_origin(hint) is UnionType:
        return {"anyOf": [_typed(one) for one in arguments]}
    raise TypeError(f"no schema for {hint}")


def text() -> str:
    """As it stands in the file."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), "utf-8")
