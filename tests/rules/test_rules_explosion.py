"""R13.1: what an explosion-protection approval covers, dimension by dimension."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.evidence.documents import ExApproval, HazardZone
from agent.rules.explosion import Marking, parse_marking, why_not_covered

GAS = HazardZone("1", "IIB", "T4", None)
DUST = HazardZone("21", "IIIB", None, 135)
NOW = 1_000


def approval(marking: str, **changes: object) -> ExApproval:
    return replace(ExApproval(marking, "CNEx00.0000", "样例机构", NOW + 1, "SN-1"), **changes)


def why(marking: str, zone: HazardZone | None, **changes: object) -> str | None:
    return why_not_covered(approval(marking, **changes), zone, "SN-1", NOW)


@pytest.mark.parametrize(
    ("text", "marking"),
    [
        ("Ex ib IIC T4 Gb", Marking("IIC", 135, "Gb")),
        ("Ex ia IIA T1 Ga", Marking("IIA", 450, "Ga")),
        ("Ex db eb IIB T6 Gc", Marking("IIB", 85, "Gc")),
        ("Ex ib IIIC T130°C Db", Marking("IIIC", 130, "Db")),
        ("Ex ia IIIA T85 °C Da", Marking("IIIA", 85, "Da")),
    ],
)
def test_a_marking_as_on_the_plate_is_taken_apart(text: str, marking: Marking) -> None:
    assert parse_marking(text) == marking


@pytest.mark.parametrize(
    "text",
    ["", "IP67", "ib IIC T4 Gb", "Ex ib IIC T7 Gb", "Ex ib IID T4 Gb", "Ex ib IIC T4 Gd", "Ex ib IIC T4 Gb X",
     "Ex ib IIC T4 Db", "Ex ib IIIC T4 Db", "Ex ib IIC T130°C Gb", "Ex ib IIIC T130°C Gb", "Ex  IIC T4 Gb"],
)  # fmt: skip
def test_a_marking_that_is_none_or_mixes_gas_and_dust_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_marking(text)
    assert why(text, GAS) == "marking_unreadable"


@pytest.mark.parametrize("zone", ["0", "1", "2", "20", "21", "22"])
@pytest.mark.parametrize("level", ["Ga", "Gb", "Gc", "Da", "Db", "Dc"])
def test_the_protection_level_must_suit_the_zone(zone: str, level: str) -> None:
    suits = {"0": "Ga", "1": "Ga Gb", "2": "Ga Gb Gc", "20": "Da", "21": "Da Db", "22": "Da Db Dc"}[zone].split()
    dust = zone.startswith("2") and len(zone) == 2
    place = replace(DUST if dust else GAS, zone=zone)
    marking = f"Ex ib IIIC T85°C {level}" if level.startswith("D") else f"Ex ib IIC T6 {level}"
    assert why(marking, place) == (None if level in suits else "protection_level")


@pytest.mark.parametrize("needed", "ABC")
@pytest.mark.parametrize("has", "ABC")
def test_the_equipment_group_must_be_the_same_or_stronger(has: str, needed: str) -> None:
    expected = None if has >= needed else "equipment_group"
    assert why(f"Ex ib II{has} T6 Gb", replace(GAS, group=f"II{needed}")) == expected
    assert why(f"Ex ib III{has} T85°C Db", replace(DUST, group=f"III{needed}")) == expected


@pytest.mark.parametrize("needed", range(1, 7))
@pytest.mark.parametrize("has", range(1, 7))
def test_the_temperature_class_must_be_the_same_or_stronger(has: int, needed: int) -> None:
    expected = None if has >= needed else "temperature"
    assert why(f"Ex ib IIC T{has} Gb", replace(GAS, temperature_class=f"T{needed}")) == expected


@pytest.mark.parametrize(("celsius", "expected"), [(85, None), (135, None), (136, "temperature"), (400, "temperature")])
def test_the_surface_must_stay_as_cool_as_the_dust_demands(celsius: int, expected: str | None) -> None:
    assert why(f"Ex ib IIIC T{celsius}°C Db", DUST) == expected


def test_a_zone_that_states_no_temperature_or_the_wrong_group_is_not_covered() -> None:
    assert why("Ex ib IIC T6 Gb", replace(GAS, temperature_class=None)) == "temperature"
    assert why("Ex ib IIC T6 Gb", replace(GAS, group="IIIA")) == "equipment_group"


def test_an_approval_is_bound_to_its_unit_and_ends() -> None:
    assert why("Ex ib IIC T6 Gb", GAS) is None
    assert why("Ex ib IIC T6 Gb", GAS, unit_serial="SN-2") == "approval_of_another_unit"
    assert why("Ex ib IIC T6 Gb", GAS, expires_us=NOW) == "approval_expired"
    assert why("Ex ib IIC T6 Gb", None) == "zone_unknown"
    assert why_not_covered(None, GAS, "SN-1", NOW) == "no_approval"


@given(st.text(max_size=30))
def test_no_text_on_a_plate_covers_anything_by_accident(text: str) -> None:
    assert why(text, GAS) is not None
