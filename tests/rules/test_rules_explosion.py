"""R13.1: what an explosion-protection approval covers: every zone with every marking, and what a plate may say."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.evidence.documents import ExApproval, HazardZone
from agent.rules.explosion import (
    MAX_MARKINGS,
    PROTECTION,
    Marking,
    check_zone,
    parse_marking,
    parse_plate,
    parse_zone,
    why_not_covered,
    zone_text,
)

GAS = HazardZone("1", "IIB", "T4", None)
DUST = HazardZone("21", "IIIB", None, 135)
NOW = 1_000


def approval(marking: str, **changes: object) -> ExApproval:
    return replace(ExApproval(marking, "CNEx00.0000", "样例机构", NOW + 1, "SN-1"), **changes)


def why(marking: str, zone: HazardZone | None, **changes: object) -> str | None:
    return why_not_covered(approval(marking, **changes), zone, "SN-1", NOW)


# The decision table, written from the regulation and not from the code: what may go where.
GAS_LEVELS = {"0": "Ga", "1": "Ga Gb", "2": "Ga Gb Gc"}
DUST_LEVELS = {"20": "Da", "21": "Da Db", "22": "Da Db Dc"}
GAS_STRONG_FIRST = ["IIC", "IIB", "IIA"]
DUST_STRONG_FIRST = ["IIIC", "IIIB", "IIIA"]
COOL_FIRST = ["T6", "T5", "T4", "T3", "T2", "T1"]
SURFACES = [85, 100, 135, 200, 300, 450]


def test_every_gas_marking_against_every_gas_zone() -> None:
    cases = product(GAS_LEVELS, ["Ga", "Gb", "Gc"], GAS_STRONG_FIRST, GAS_STRONG_FIRST, COOL_FIRST, COOL_FIRST)
    for zone, level, has, needs, runs, allows in cases:
        covers = (
            level in GAS_LEVELS[zone].split()
            and GAS_STRONG_FIRST.index(has) <= GAS_STRONG_FIRST.index(needs)
            and COOL_FIRST.index(runs) <= COOL_FIRST.index(allows)
        )
        found = why(f"Ex ia {has} {runs} {level}", HazardZone(zone, needs, allows, None))  # type: ignore[arg-type]
        assert (found is None) is covers, (zone, level, has, needs, runs, allows)


def test_every_dust_marking_against_every_dust_zone() -> None:
    groups = DUST_STRONG_FIRST
    for zone, level, has, needs, runs, allows in product(
        DUST_LEVELS, ["Da", "Db", "Dc"], groups, groups, SURFACES, SURFACES
    ):
        covers = level in DUST_LEVELS[zone].split() and groups.index(has) <= groups.index(needs) and runs <= allows
        found = why(f"Ex ta {has} T{runs}°C {level}", HazardZone(zone, needs, None, allows))  # type: ignore[arg-type]
        assert (found is None) is covers, (zone, level, has, needs, runs, allows)


def test_no_gas_marking_covers_dust_and_no_dust_marking_covers_gas() -> None:
    for zone, group in product(DUST_LEVELS, DUST_STRONG_FIRST):
        assert why("Ex ia IIC T6 Ga", HazardZone(zone, group, None, 450)) == "protection_level"  # type: ignore[arg-type]
    for zone, group in product(GAS_LEVELS, GAS_STRONG_FIRST):
        assert why("Ex ta IIIC T85°C Da", HazardZone(zone, group, "T1", None)) == "protection_level"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("marking", "reason"),
    [
        ("Ex ic IIA T1 Gc", "protection_level"),
        ("Ex ib IIA T1 Gb", "equipment_group"),
        ("Ex ib IIB T3 Gb", "temperature"),
        ("Ex ib IIB T4 Gb", None),
    ],
)
def test_the_reason_is_the_first_thing_that_is_lacking(marking: str, reason: str | None) -> None:
    assert why(marking, GAS) == reason


@pytest.mark.parametrize(
    ("text", "marking"),
    [
        ("Ex ib IIC T4 Gb", Marking("IIC", 135, "Gb")),
        ("Ex ia IIA T1 Ga", Marking("IIA", 450, "Ga")),
        ("Ex db eb IIB T6 Gc", Marking("IIB", 85, "Gc")),
        ("Ex op is IIC T6 Ga", Marking("IIC", 85, "Ga")),
        ("Ex db eb ib mb op pr IIC T5 Gb", Marking("IIC", 100, "Gb")),
        ("Ex nA IIC T4 Gc", Marking("IIC", 135, "Gc")),
        ("Ex h IIB T3 Gb", Marking("IIB", 200, "Gb")),
        ("Ex ib IIIC T130°C Db", Marking("IIIC", 130, "Db")),
        ("Ex ia IIIA T85 °C Da", Marking("IIIA", 85, "Da")),
        ("Ex tb IIIC T80℃ Db", Marking("IIIC", 80, "Db")),
    ],
)
def test_a_marking_as_on_the_plate_is_taken_apart(text: str, marking: Marking) -> None:
    assert parse_marking(text) == marking


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "not an Ex marking"),
        ("IP67", "not an Ex marking"),
        ("ib IIC T4 Gb", "not an Ex marking"),
        ("Ex", "not an Ex marking"),
        ("Ex  IIC T4 Gb", "not an Ex marking"),
        ("Ex ib IIC T7 Gb", "not an Ex marking"),
        ("Ex ib IID T4 Gb", "not an Ex marking"),
        ("Ex ib II T4 Gb", "not an Ex marking"),
        ("Ex ib I Mb", "not an Ex marking"),
        ("Ex ib IIC T4 Gd", "not an Ex marking"),
        ("Ex ib IIC T4 Gb X", "not an Ex marking"),
        ("Ex ib IIC T4  Gb", "not an Ex marking"),
        ("Ex iz IIC T4 Gb", "not an Ex marking"),
        ("Ex db [ia Ga] IIC T4 Gb", "not an Ex marking"),
        ("Ex ib IIB+H2 T4 Gb", "not an Ex marking"),
        ("Ex tb IIIC T080°C Db", "not an Ex marking"),
        ("Ex tb IIIC T1300°C Db", "not an Ex marking"),
        ("Ex tb IIIC T١٣٠°C Db", "not an Ex marking"),
        ("Ex d IIB T4", "no equipment protection level"),
        ("Ex ib IIC T4", "no equipment protection level"),
        ("Ex tb IIIC T130°C", "no equipment protection level"),
        ("Ex ib IIC T4 Db", "mixes gas and dust"),
        ("Ex ib IIIC T130°C Gb", "mixes gas and dust"),
        ("Ex ib IIIC T6 Db", "dust a temperature"),
        ("Ex ib IIC T130°C Gb", "gas states a class"),
        ("Ex ib IIC T4 Ga", "'ib' cannot give level Ga"),
        ("Ex ia db IIC T4 Ga", "'db' cannot give level Ga"),
        ("Ex tb IIC T4 Gb", "'tb' cannot give level Gb"),
        ("Ex db IIIC T130°C Db", "'db' cannot give level Db"),
    ],
)
def test_a_marking_that_is_none_or_contradicts_itself_is_refused_with_what_is_wrong(text: str, about: str) -> None:
    with pytest.raises(FormatError, match=about):
        parse_marking(text)
    assert why(text, GAS) == why(text, DUST) == "marking_unreadable"


@pytest.mark.parametrize("between", [" / ", "/", "\n", "，", ", ", "\n\n", " /\n"])
def test_one_marking_of_several_on_a_plate_suffices(between: str) -> None:
    plate = between.join(["Ex ib IIC T4 Gb", "Ex ib IIIC T130°C Db"])
    assert len(parse_plate(plate)) == 2
    assert why(plate, GAS) is None
    assert why(plate, DUST) is None
    assert why(plate, replace(GAS, zone="0")) == "protection_level"


def test_of_several_markings_the_nearest_one_says_what_is_lacking() -> None:
    assert why("Ex ib IIIC T130°C Db / Ex ib IIC T3 Gb", GAS) == "temperature"
    assert why("Ex ib IIA T6 Gb / Ex ib IIIC T130°C Db", GAS) == "equipment_group"


@pytest.mark.parametrize(
    "plate", ["Ex ia IIC T6 Ga/Gb", "Ex ib IIC T4 Gb / X", "Ex ib IIC T4 Gb /", "/Ex ib IIC T4 Gb"]
)
def test_a_plate_with_one_part_that_cannot_be_read_covers_nothing(plate: str) -> None:
    assert why(plate, GAS) == "marking_unreadable"


def test_a_plate_has_a_limited_number_of_markings() -> None:
    assert why("/".join(["Ex ib IIC T4 Gb"] * MAX_MARKINGS), GAS) is None
    assert why("/".join(["Ex ib IIC T4 Gb"] * (MAX_MARKINGS + 1)), GAS) == "marking_unreadable"


@st.composite
def markings(draw: st.DrawFn) -> tuple[str, Marking]:
    """A plate's text and what it says, put together from the words of the standard."""
    kind, letter = draw(st.sampled_from("GD")), draw(st.sampled_from("abc"))
    able = [name for name, (best, against) in PROTECTION.items() if kind in against and best <= letter]
    types = " ".join(draw(st.lists(st.sampled_from(sorted(able)), min_size=1, max_size=4)))
    size = draw(st.sampled_from("ABC"))
    if kind == "G":
        number = draw(st.integers(1, 6))
        celsius, said = [450, 300, 200, 135, 100, 85][number - 1], f"T{number}"
    else:
        celsius = draw(st.integers(10, 999))
        said = f"T{celsius}{draw(st.sampled_from(['°C', ' °C', '℃']))}"
    group = ("II" if kind == "G" else "III") + size
    return f"Ex {types} {group} {said} {kind}{letter}", Marking(group, celsius, kind + letter)


@given(markings())
def test_every_marking_of_the_standard_reads_as_what_it_says(case: tuple[str, Marking]) -> None:
    text, marking = case
    assert parse_marking(text) == marking


@given(markings(), st.integers(0, 40), st.characters(blacklist_characters="0123456789"))
def test_a_marking_with_one_foreign_character_never_covers_more(
    case: tuple[str, Marking], at: int, foreign: str
) -> None:
    text, marking = case
    with suppress(FormatError):
        # What still parts a plate into readable markings may only say less.
        found = parse_plate(text[:at] + foreign + text[at:])
        assert all(one.level >= marking.level and one.group <= marking.group for one in found)


@given(st.text(max_size=30))
def test_no_text_on_a_plate_covers_anything_by_accident(text: str) -> None:
    assert why(text, GAS) is not None


def test_a_zone_that_states_no_temperature_or_the_wrong_group_is_not_covered() -> None:
    assert why("Ex ib IIC T6 Gb", replace(GAS, temperature_class=None)) == "temperature"
    assert why("Ex ib IIC T6 Gb", replace(GAS, surface_celsius=200)) == "temperature"
    assert why("Ex ib IIC T6 Gb", replace(GAS, group="IIIA")) == "equipment_group"
    assert why("Ex ib IIIC T85°C Db", replace(DUST, temperature_class="T1")) == "temperature"


def test_an_approval_is_bound_to_its_unit_names_its_certificate_and_issuer_and_ends() -> None:
    assert why("Ex ib IIC T6 Gb", GAS) is None
    assert why("Ex ib IIC T6 Gb", GAS, unit_serial="SN-2") == "approval_of_another_unit"
    assert why("Ex ib IIC T6 Gb", GAS, certificate=" ") == "approval_incomplete"
    assert why("Ex ib IIC T6 Gb", GAS, issuer="") == "approval_incomplete"
    assert why("Ex ib IIC T6 Gb", None) == "zone_unknown"
    assert why_not_covered(None, GAS, "SN-1", NOW) == "no_approval"


@pytest.mark.parametrize(("left_us", "reason"), [(1, None), (0, "approval_expired"), (-1, "approval_expired")])
def test_the_microsecond_of_expiry_is_the_first_that_is_not_covered(left_us: int, reason: str | None) -> None:
    assert why("Ex ib IIC T6 Gb", GAS, expires_us=NOW + left_us) == reason


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("1 IIB T4", GAS),
        ("21 IIIB 135", DUST),
        ("21 IIIB T135 °C", DUST),
        ("0 IIC T6", HazardZone("0", "IIC", "T6", None)),
    ],
)
def test_a_zone_is_read_as_it_is_written(text: str, zone: HazardZone) -> None:
    assert parse_zone(text) == zone
    assert parse_zone(zone_text(zone)) == zone


@pytest.mark.parametrize(
    "text", ["", "3 IIB T4", "1 IIIB T4", "21 IIB 135", "1 IIB 135", "21 IIIB T4", "1 IIB T7", "1 IIB"]
)
def test_a_zone_that_mixes_gas_and_dust_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_zone(text)


def test_a_zone_states_its_temperature_in_the_one_way_of_its_kind() -> None:
    for wrong in (
        replace(GAS, surface_celsius=1),
        replace(GAS, temperature_class=None),
        replace(DUST, surface_celsius=None),
    ):
        with pytest.raises(FormatError, match="it states"):
            check_zone(wrong)
