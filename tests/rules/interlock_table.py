"""docs/interlock.md's tables, by asking the code: what covers what, what each source demands, what speaks first.

``python tests/rules/interlock_table.py docs/interlock.md`` rewrites the generated parts of the document.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from agent.evidence.documents import Assignment, ExApproval, HazardPolicy, HazardZone
from agent.evidence.entries import HazardInput
from agent.rules.explosion import zone_text
from agent.rules.interlock import UNASSIGNED, NamedZone, Situation, demanded_zones, judge

MATTER = Assignment("matter-1", "inspection", "investigation", "样例", "样例", [], None, None, False)
ASSUMED, NAMED = HazardZone("1", "IIB", "T4", None), HazardZone("21", "IIIB", None, 135)
POLICY = HazardPolicy(
    max_age_us=10_000_000, stale_counts_as_set=True, assumed_zone=ASSUMED, zone_map=None, power_down=False
)
CLEAR = HazardInput("switch", "clear", 0)
CALM = Situation((CLEAR,), POLICY, None, "SN-1", MATTER, 100, 100, 1_000, officer="officer-1")
STRONGEST = ExApproval("Ex ia IIC T6 Ga / Ex ta IIIC T80°C Da", "CNEx00.0000", "样例机构", 2_000, "SN-1")

GAS_ZONES = [HazardZone(zone, group, "T4", None) for zone, group in product("012", ("IIA", "IIB", "IIC"))]  # type: ignore[arg-type]
DUST_ZONES = [
    HazardZone(zone, group, None, 135)  # type: ignore[arg-type]
    for zone, group in product(("20", "21", "22"), ("IIIA", "IIIB", "IIIC"))
]
GAS_PLATES = [
    "Ex ia IIC T6 Ga",
    "Ex ib IIC T4 Gb",
    "Ex ib IIB T4 Gb",
    "Ex ib IIC T3 Gb",
    "Ex ic IIC T4 Gc",
    "Ex ib IIC T4",
]
DUST_PLATES = [
    "Ex ta IIIC T80°C Da",
    "Ex ib IIIC T130°C Db",
    "Ex tb IIIA T130°C Db",
    "Ex tb IIIC T200°C Db",
    "Ex tc IIIC T130°C Dc",
]


def _verdict(situation: Situation) -> str:
    found = judge(situation)
    return "permitted" if found.rule is None else found.reason


def _grid(zones: list[HazardZone], plates: list[str]) -> Iterator[str]:
    yield "| Zone | " + " | ".join(f"`{plate}`" for plate in plates) + " |"
    yield "|---|" + "---|" * len(plates)
    for zone in zones:
        cells = [_verdict(_under(zone, replace(STRONGEST, marking=plate))) for plate in plates]
        yield f"| {zone_text(zone)} | " + " | ".join("✓" if cell == "permitted" else cell for cell in cells) + " |"


def _under(zone: HazardZone, approval: ExApproval | None) -> Situation:
    matter = replace(MATTER, hazard=zone)
    return replace(CALM, inputs=(HazardInput("matter", "set", 0),), assignment=matter, approval=approval)


def covers() -> Iterator[str]:
    """Zones against markings."""
    yield from _grid(GAS_ZONES, GAS_PLATES)
    yield ""
    yield from _grid(DUST_ZONES, DUST_PLATES)


def _demands(situation: Situation) -> str:
    zones = demanded_zones(situation)
    names = {
        ASSUMED: "the policy's assumed zone",
        NAMED: "the zone it names",
        None: "a zone nobody names: nothing covers it",
    }
    return ", and ".join(names[zone] for zone in zones) or "nothing"


def _lenient(situation: Situation) -> Situation:
    return replace(situation, policy=replace(situation.policy, stale_counts_as_set=False))


def _without_assumption(situation: Situation) -> Situation:
    return replace(situation, policy=replace(situation.policy, assumed_zone=None))


def _set(source: str) -> HazardInput:
    return HazardInput(source, "set", 0)  # type: ignore[arg-type]


_NAMES = replace(CALM, inputs=(_set("zone_map"),), zones=(NamedZone("zone_map", NAMED),))
SOURCES: dict[str, Situation] = {
    "all clear": CALM,
    "one set, naming a zone": _NAMES,
    "one set, naming none": replace(CALM, inputs=(_set("switch"),)),
    "two set, one of them naming a zone": replace(_NAMES, inputs=(_set("zone_map"), _set("switch"))),
    "one set, naming a zone, another stale": replace(
        _NAMES, inputs=(_set("zone_map"), HazardInput("command", "stale", 0))
    ),
    "one stale": replace(CALM, inputs=(HazardInput("zone_map", "stale", 0),)),
    "one clear, but older than the policy allows": replace(CALM, inputs=(replace(CLEAR, age_us=10_000_001),)),
    "no source at all": replace(CALM, inputs=()),
}


def demands() -> Iterator[str]:
    """What the approval must cover, by what the sources say."""
    columns: dict[str, Callable[[Situation], Situation]] = {
        "must be covered": lambda one: one,
        "if stale does not count as set": _lenient,
        "if the policy assumes no zone": _without_assumption,
    }
    yield "| Sources | " + " | ".join(columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for name, situation in SOURCES.items():
        yield f"| {name} | " + " | ".join(_demands(change(situation)) for change in columns.values()) + " |"


OBJECTIONS: list[tuple[str, dict[str, Any]]] = [
    ("the hazard flag is set and no approval covers it", {"inputs": (_set("switch"),)}),
    ("the matter is a secret, or private", {"assignment": replace(MATTER, restricted="privacy")}),
    ("the matter is otherwise unsuitable", {"assignment": replace(MATTER, restricted="other")}),
    ("the assignment cannot be read, and the policy lets an unknown hazard pass", {"assignment_usable": False}),
    ("nobody holds the unit", {"officer": UNASSIGNED}),
    ("too little room", {"free_bytes": 99}),
    ("too little charge", {"minutes_left": 4, "seal_minutes": 5}),
    ("too warm", {"temperature_millicelsius": 85_001, "temperature_limit_millicelsius": 85_000}),
]


def order() -> Iterator[str]:
    """The objections, the gravest first."""
    yield "| What speaks against it | Rule | Reason |"
    yield "|---|---|---|"
    for what, change in OBJECTIONS:
        found = judge(replace(CALM, **change))
        yield f"| {what} | {found.rule} | `{found.reason}` |"


PARTS = {"covers": covers, "demands": demands, "order": order}


def rewrite(text: str) -> str:
    """The document with its generated parts made anew."""
    for name, rows in PARTS.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n" + "\n".join(rows()) + f"\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(rewrite(document.read_text("utf-8")), "utf-8")
