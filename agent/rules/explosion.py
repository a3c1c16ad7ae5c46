"""R13.1: does a unit's explosion-protection approval cover a zone (GB/T 3836 series, IEC 60079).

A marking that could be read in two ways is refused: an approval that covers too little keeps an officer out of a place,
one that covers too much does not keep a spark out of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.errors import FormatError
from agent.evidence.documents import ExApproval, HazardZone

MAX_MARKINGS: Final = 8
"""Most markings on one plate."""
CLASS_CELSIUS: Final = {"T1": 450, "T2": 300, "T3": 200, "T4": 135, "T5": 100, "T6": 85}
"""Highest surface temperature of each temperature class."""
SUITABLE_LEVELS: Final = {
    "0": ("Ga",),
    "1": ("Ga", "Gb"),
    "2": ("Ga", "Gb", "Gc"),
    "20": ("Da",),
    "21": ("Da", "Db"),
    "22": ("Da", "Db", "Dc"),
}
"""Equipment protection levels that suit a zone."""
_BOTH, _GAS, _DUST = "GD", "G", "D"
PROTECTION: Final[dict[str, tuple[str, str]]] = {
    "ia": ("a", _BOTH), "ib": ("b", _BOTH), "ic": ("c", _BOTH),
    "ma": ("a", _BOTH), "mb": ("b", _BOTH), "mc": ("c", _BOTH),
    "da": ("a", _GAS), "db": ("b", _GAS), "dc": ("c", _GAS), "d": ("b", _GAS),
    "eb": ("b", _GAS), "ec": ("c", _GAS), "e": ("b", _GAS),
    "ob": ("b", _GAS), "oc": ("c", _GAS), "qb": ("b", _GAS), "q": ("b", _GAS),
    "nA": ("c", _GAS), "nC": ("c", _GAS), "nR": ("c", _GAS),
    "pxb": ("b", _BOTH), "pyb": ("b", _BOTH), "pzc": ("c", _BOTH),
    "ta": ("a", _DUST), "tb": ("b", _DUST), "tc": ("c", _DUST),
    "op is": ("a", _BOTH), "op sh": ("a", _BOTH), "op pr": ("b", _BOTH),
    "sa": ("a", _BOTH), "sb": ("b", _BOTH), "sc": ("c", _BOTH), "h": ("a", _BOTH),
}  # fmt: skip
"""Types of protection: the highest level that each can give, and against what (G gas, D dust)."""

_TYPE: Final = "|".join(sorted(PROTECTION, key=len, reverse=True))
_MARKING: Final = re.compile(
    rf"Ex (?P<types>(?:{_TYPE})(?: (?:{_TYPE}))*) (?P<group>III?[ABC]) "
    r"(?:(?P<class>T[1-6])|T(?P<celsius>[1-9][0-9]{1,2}) ?(?:°C|℃))(?: (?P<level>[GD][abc]))?"
)
_PART: Final = re.compile(_TYPE)
_BETWEEN: Final = re.compile(r"\s*[/,，\n]\s*")


@dataclass(frozen=True, slots=True)
class Marking:
    """A marking taken apart: equipment group, highest surface temperature (degrees C), equipment protection level."""

    group: str
    celsius: int
    level: str


def parse_plate(text: str) -> tuple[Marking, ...]:
    """All markings on a plate, parted by ``/``, a comma or a line end. Raises FormatError if one cannot be read."""
    parts = _BETWEEN.split(text.strip())
    if len(parts) > MAX_MARKINGS:
        raise FormatError(f"a plate of more than {MAX_MARKINGS} Ex markings")
    return tuple(parse_marking(part) for part in parts)


def parse_marking(text: str) -> Marking:
    """Reads a marking such as ``Ex ib IIC T4 Gb`` or ``Ex ib IIIC T130°C Db``; raises FormatError saying what is wrong.

    A marking of before 2010 states no equipment protection level; which zones it was meant for is not guessed.
    """
    found = _MARKING.fullmatch(text)
    if found is None:
        raise FormatError(f"{text[:80]!r} is not an Ex marking; such as: Ex ib IIC T4 Gb, or Ex tb IIIC T130°C Db")
    level = found["level"]
    if level is None:
        raise FormatError(f"{text!r} states no equipment protection level (EPL), such as Gb: have the plate renewed")
    if (level[0] == "D") != found["group"].startswith("III"):
        raise FormatError(f"{text!r} mixes gas and dust: group {found['group']} with level {level}")
    if (level[0] == "D") == (found["class"] is not None):
        raise FormatError(f"{text!r}: gas states a class T1 to T6, dust a temperature such as T130°C")
    _check_types(text, _PART.findall(found["types"]), level)
    return Marking(found["group"], CLASS_CELSIUS[found["class"]] if found["class"] else int(found["celsius"]), level)


def _check_types(text: str, types: list[str], level: str) -> None:
    """No part can give a higher level than its type of protection allows, and the weakest part decides."""
    for one in types:
        highest, against = PROTECTION[one]
        if level[0] not in against or level[1] < highest:
            raise FormatError(f"{text!r}: type of protection {one!r} cannot give level {level}")


_REASONS: Final = ("protection_level", "equipment_group", "temperature")
"""Why a marking does not cover a zone, in the order of looking: the later, the nearer it came."""


def why_not_covered(approval: ExApproval | None, zone: HazardZone | None, serial: str, now_us: int) -> str | None:
    """None when the approval covers the zone for this unit at this time (UTC, us); else the reason, a stable word."""
    if approval is None:
        return "no_approval"
    if zone is None:
        return "zone_unknown"
    if not approval.certificate.strip() or not approval.issuer.strip():
        return "approval_incomplete"
    if approval.unit_serial != serial:
        return "approval_of_another_unit"
    if now_us >= approval.expires_us:
        return "approval_expired"
    try:
        return _nearest([_shortcoming(marking, zone) for marking in parse_plate(approval.marking)])
    except FormatError:
        return "marking_unreadable"


def _nearest(reasons: list[str | None]) -> str | None:
    """One marking that covers suffices; with none, what the nearest one lacks."""
    return None if None in reasons else max((one for one in reasons if one), key=_REASONS.index)


def _shortcoming(marking: Marking, zone: HazardZone) -> str | None:
    if marking.level not in SUITABLE_LEVELS[zone.zone]:
        return "protection_level"
    # IIA < IIB < IIC and IIIA < IIIB < IIIC: the last letter orders within gas and within dust.
    if len(marking.group) != len(zone.group) or marking.group < zone.group:
        return "equipment_group"
    limit = zone_celsius(zone)
    if limit is None or marking.celsius > limit:
        return "temperature"
    return None


def zone_celsius(zone: HazardZone) -> int | None:
    """The hottest surface that a zone allows (degrees C); None when it does not say so in the way of its kind."""
    if len(zone.zone) == 2:
        return zone.surface_celsius if zone.temperature_class is None else None
    return CLASS_CELSIUS[zone.temperature_class] if zone.temperature_class and zone.surface_celsius is None else None


def check_zone(zone: HazardZone) -> HazardZone:
    """The zone itself, if its number, group and temperature are all of gas or all of dust; raises FormatError."""
    dust = len(zone.zone) == 2
    if dust != zone.group.startswith("III"):
        raise FormatError(f"zone {zone.zone} with group {zone.group} mixes gas and dust")
    if zone_celsius(zone) is None:
        wanted = "surface_celsius and no temperature_class" if dust else "a temperature_class and no surface_celsius"
        raise FormatError(f"zone {zone.zone} is of {'dust' if dust else 'gas'}: it states {wanted}")
    return zone


_ZONE: Final = re.compile(r"(0|1|2|20|21|22) (III?[ABC]) (?:(T[1-6])|T?([1-9][0-9]{1,2})(?: ?(?:°C|℃))?)")


def parse_zone(text: str) -> HazardZone:
    """Reads a zone such as ``1 IIB T4`` or ``21 IIIC 135``; raises FormatError."""
    found = _ZONE.fullmatch(text.strip())
    if found is None:
        raise FormatError(f"{text[:80]!r} is not a zone; such as: 1 IIB T4, or 21 IIIC 135")
    number, group, temperature, celsius = found.groups()
    # The pattern allows the very words of HazardZone and no others.
    return check_zone(HazardZone(number, group, temperature, int(celsius) if celsius else None))  # type: ignore[arg-type]


def zone_text(zone: HazardZone) -> str:
    """The zone as ``parse_zone`` reads it."""
    return f"{zone.zone} {zone.group} {zone.temperature_class or zone.surface_celsius}"
