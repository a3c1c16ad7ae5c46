"""R13.1: does a unit's explosion-protection approval cover a zone (GB/T 3836 series, IEC 60079)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.errors import FormatError
from agent.evidence.documents import ExApproval, HazardZone

_MARKING: Final = re.compile(
    r"Ex (?P<protection>[a-z]{1,2}(?: [a-z]{1,2})*) (?P<group>II[ABC]|III[ABC]) "
    r"(?:(?P<class>T[1-6])|T(?P<celsius>\d{2,3}) ?°C) (?P<level>[GD][abc])"
)
_SUITABLE_LEVELS: Final = {
    "0": {"Ga"},
    "1": {"Ga", "Gb"},
    "2": {"Ga", "Gb", "Gc"},
    "20": {"Da"},
    "21": {"Da", "Db"},
    "22": {"Da", "Db", "Dc"},
}
CLASS_CELSIUS: Final = {"T1": 450, "T2": 300, "T3": 200, "T4": 135, "T5": 100, "T6": 85}
"""Highest surface temperature of each temperature class."""


@dataclass(frozen=True, slots=True)
class Marking:
    """A marking taken apart: equipment group, highest surface temperature (degrees C), equipment protection level."""

    group: str
    celsius: int
    level: str


def parse_marking(text: str) -> Marking:
    """Reads a marking such as ``Ex ib IIC T4 Gb`` or ``Ex ib IIIC T130°C Db``; raises FormatError."""
    found = _MARKING.fullmatch(text)
    if found is None:
        raise FormatError(f"{text!r} is not an Ex marking; such as: Ex ib IIC T4 Gb")
    dust, dust_level = found["group"].startswith("III"), found["level"].startswith("D")
    if dust != dust_level or dust != (found["celsius"] is not None):
        raise FormatError(f"{text!r} mixes gas and dust")
    return Marking(found["group"], int(found["celsius"] or CLASS_CELSIUS[found["class"] or "T1"]), found["level"])


def why_not_covered(approval: ExApproval | None, zone: HazardZone | None, serial: str, now_us: int) -> str | None:
    """None when the approval covers the zone for this unit at this time (UTC, us); else the reason, a stable word."""
    if approval is None:
        return "no_approval"
    if zone is None:
        return "zone_unknown"
    if approval.unit_serial != serial:
        return "approval_of_another_unit"
    if now_us >= approval.expires_us:
        return "approval_expired"
    try:
        return _shortcoming(parse_marking(approval.marking), zone)
    except FormatError:
        return "marking_unreadable"


def _shortcoming(marking: Marking, zone: HazardZone) -> str | None:
    if marking.level not in _SUITABLE_LEVELS[zone.zone]:
        return "protection_level"
    # IIA < IIB < IIC and IIIA < IIIB < IIIC: the last letter orders within gas and within dust.
    if len(marking.group) != len(zone.group) or marking.group < zone.group:
        return "equipment_group"
    limit = CLASS_CELSIUS[zone.temperature_class] if zone.temperature_class else zone.surface_celsius
    if limit is None or marking.celsius > limit:
        return "temperature"
    return None
