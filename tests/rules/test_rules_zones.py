"""R13.1: the zone map: what is refused, and which positions lie in a zone."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.evidence.documents import HazardZone
from agent.rules.zones import MAX_MAP_BYTES, MAX_POSITIONS, Place, ZoneMap, locate, read_zone_map

GAS = {"zone": "1", "group": "IIB", "temperature_class": "T4"}
MAX_AGE_US = 10_000_000
LONGITUDE, LATITUDE = 120.0, 30.0
SQUARE = [[120.0, 30.0], [120.01, 30.0], [120.01, 30.01], [120.0, 30.01], [120.0, 30.0]]
HOLE = [[120.004, 30.004], [120.006, 30.004], [120.006, 30.006], [120.004, 30.006], [120.004, 30.004]]
METRES = math.pi / 180 * 6_371_008.8


def feature(*rings: Any, name: Any = "样例罐区", **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": list(rings)}
    return {"type": "Feature", "properties": {"name": name, **GAS, **properties}, "geometry": geometry}


def collection(*features: Any, **members: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features), **members}).encode()


def one(*rings: Any) -> ZoneMap:
    return read_zone_map(collection(feature(*rings)))


def at(longitude: float, latitude: float, error: float = 0.0, age_us: int = 0) -> Place:
    return Place(longitude, latitude, error, age_us)


def east_of(longitude: float, latitude: float, metres: float) -> float:
    return longitude + metres / (METRES * math.cos(math.radians(latitude)))


# Positions


def test_a_position_inside_is_set_and_names_the_zone() -> None:
    found = locate(one(SQUARE), at(120.005, 30.005, age_us=7), MAX_AGE_US)
    assert (found.state, found.age_us) == ("set", 7)
    assert [(area.name, area.zone) for area in found.areas] == [("样例罐区", HazardZone("1", "IIB", "T4", None))]


def test_a_position_in_a_hole_is_clear_until_its_error_reaches_the_rim() -> None:
    zones = one(SQUARE, HOLE)
    assert locate(zones, at(120.005, 30.005, 50), MAX_AGE_US).state == "clear"
    assert locate(zones, at(120.005, 30.005, 100), MAX_AGE_US).state == "set"
    assert locate(zones, at(120.002, 30.005), MAX_AGE_US).state == "set"


@pytest.mark.parametrize(("metres", "error", "state"), [(20, 19.9, "clear"), (20, 20.1, "set"), (0.5, 0, "clear")])
def test_a_position_outside_is_set_when_its_error_reaches_the_zone(metres: float, error: float, state: str) -> None:
    place = at(east_of(120.01, 30.005, metres), 30.005, error)
    assert locate(one(SQUARE), place, MAX_AGE_US).state == state


@given(
    st.floats(-0.02, 0.03),
    st.floats(-0.02, 0.03),
    st.floats(0, 2_000),
    st.sampled_from([-80.0, -33.0, 0.0, 30.0, 84.0]),
)
def test_a_rectangle_is_reached_exactly_from_within_its_distance(
    across: float, up: float, error: float, latitude: float
) -> None:
    """Held against the distance to a rectangle, which needs no polygons."""
    ring = [[x, y - 30 + latitude] for x, y in SQUARE]
    place = at(120 + across, latitude + up, error)
    east = max(0.0, -across, across - 0.01) * METRES * math.cos(math.radians(place.latitude))
    north = max(0.0, -up, up - 0.01) * METRES
    distance = math.hypot(east, north)
    if abs(distance - error) > 1e-3:
        assert locate(one(ring), place, MAX_AGE_US).state == ("set" if distance < error else "clear")


@given(st.integers(3, 40), st.randoms(use_true_random=False), st.floats(0, 2 * math.pi))
def test_of_any_star_the_middle_is_inside_and_what_lies_beyond_its_points_is_not(
    corners: int, random: Any, direction: float
) -> None:
    """Stars have every kind of concave corner and never cross themselves."""
    steps = [index + random.uniform(0.1, 0.9) for index in range(corners)]
    star = [
        [120 + reach * math.cos(angle), 30 + reach * math.sin(angle)]
        for step in steps
        for reach, angle in [(random.uniform(0.002, 0.01), 2 * math.pi * step / corners)]
    ]
    zones = one([*star, star[0]])
    beyond = at(120 + 0.0101 * math.cos(direction), 30 + 0.0101 * math.sin(direction))
    if all((steps[(i + 1) % corners] - steps[i]) % corners < corners / 2 for i in range(corners)):
        assert locate(zones, at(120, 30), MAX_AGE_US).state == "set"
    assert locate(zones, beyond, MAX_AGE_US).state == "clear"


def test_overlapping_zones_are_all_named_and_every_part_of_a_multipolygon_counts() -> None:
    far = [[x + 1, y] for x, y in SQUARE]
    both = feature(SQUARE, name="两处")
    both["geometry"] = {"type": "MultiPolygon", "coordinates": [[SQUARE], [far]]}
    dust = {"zone": "21", "group": "IIIB", "temperature_class": None, "surface_celsius": 135}
    zones = read_zone_map(collection(both, feature(SQUARE, name="粉尘", **dust)))
    assert [area.name for area in locate(zones, at(120.005, 30.005), MAX_AGE_US).areas] == ["两处", "粉尘"]
    assert [area.name for area in locate(zones, at(121.005, 30.005), MAX_AGE_US).areas] == ["两处"]


@pytest.mark.parametrize(
    ("place", "age_us"),
    [
        (None, 0),
        (at(0, 0, age_us=MAX_AGE_US + 1), MAX_AGE_US + 1),
        (at(120.005, 30.005, age_us=MAX_AGE_US + 1), MAX_AGE_US + 1),
        (at(0, 0, math.nan), 0),
        (at(0, 0, -1.0), 0),
        (at(0, 0, math.inf), 0),
        (at(math.nan, 0), 0),
        (at(0, 91), 0),
        (at(0, 0, age_us=-1), 0),
    ],
)
def test_without_a_usable_fresh_position_the_source_is_stale_and_never_clear(place: Place | None, age_us: int) -> None:
    found = locate(one(SQUARE), place, MAX_AGE_US)
    assert (found.state, found.age_us, found.areas) == ("stale", age_us, ())


def test_the_last_microsecond_of_the_greatest_age_is_fresh() -> None:
    assert locate(one(SQUARE), at(0, 0, age_us=MAX_AGE_US), MAX_AGE_US).state == "clear"


# Reading


def changed(change: Any) -> bytes:
    value = copy.deepcopy(json.loads(collection(feature(SQUARE, HOLE))))
    change(value)
    return json.dumps(value).encode()


def ring(*points: tuple[float, float]) -> list[list[float]]:
    return [[120 + x / 1000, 30 + y / 1000] for x, y in [*points, points[0]]]


@pytest.mark.parametrize(
    ("data", "about"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (MAX_MAP_BYTES + 1), "bytes; at most"),
        (b"[]", "an object is expected"),
        (b'{"type": "FeatureCollection", "features": [NaN]}', "NaN where a number stands"),
        (b'{"type": "FeatureCollection", "type": "FeatureCollection"}', "same key twice"),
        (b'{"type": "Feature"}', "not a GeoJSON FeatureCollection"),
        (b'{"type": "FeatureCollection"}', "features: a list"),
        (collection(), "has no zone"),
        (collection(7), "feature 0: an object"),
        (collection({"type": "Polygon"}), "feature 0 is not a GeoJSON Feature"),
        (collection(feature(SQUARE), crs={"properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}), "other than WGS 84"),
        (collection(feature(SQUARE), crs="x"), "other than WGS 84"),
        (collection(feature(SQUARE, name="")), "need a name"),
        (collection(feature(SQUARE, name=7)), "need a name"),
        (collection(feature(SQUARE, zone="3")), "样例罐区.*zone"),
        (collection(feature(SQUARE, zone=1)), "样例罐区.*zone"),
        (collection(feature(SQUARE, group="IIIB")), "mixes gas and dust"),
        (collection(feature(SQUARE, temperature_class=None)), "it states a temperature_class"),
        (collection(feature(SQUARE, surface_celsius=100)), "no surface_celsius"),
        (collection(feature()), "without an outline"),
        (changed(lambda v: v["features"][0].update(geometry=None)), "geometry: an object"),
        (changed(lambda v: v["features"][0]["geometry"].update(type="Point")), "not Point"),
        (changed(lambda v: v["features"][0]["geometry"].update(coordinates=7)), "coordinates: a list"),
        (collection(feature(SQUARE[:-1])), "a ring is closed"),
        (collection(feature(ring((0, 0), (1, 0)))), "a ring is closed"),
        (collection(feature([SQUARE[0], *SQUARE])), "repeats a position"),
        (collection(feature([["x", 30.0], *SQUARE])), "a position is"),
        (collection(feature([[True, 30.0], *SQUARE])), "a position is"),
        (collection(feature([[120.0], *SQUARE])), "a position is"),
        (collection(feature([[y, x] for x, y in SQUARE])), "have changed places"),
        (collection(feature([[181.0, 30.0], *SQUARE])), "outside"),
        (collection(feature([[179.5, 30.0], *SQUARE])), "beside date line or pole"),
        (collection(feature([[120.0, 86.0], *SQUARE])), "beside date line or pole"),
        (collection(feature([[-170.0, 0.0], [170.0, 0.0], [170.0, 1.0], [-170.0, 0.0]])), "across the date line"),
        (collection(feature(ring((0, 0), (2, 2), (2, 0), (0, 3)))), "cross or touch"),
        (collection(feature(ring((0, 0), (4, 0), (4, 4), (2, 0), (0, 4)))), "cross or touch"),
        (collection(feature(ring((0, 0), (2, 1), (4, 0), (4, 4), (2, 1), (0, 4)))), "cross or touch"),
        (collection(feature(ring((0, 0), (4, 0), (2, 0), (2, 4)))), "cross or touch"),
        (collection(feature(ring((0, 0), (1, 1), (2, 2)))), "encloses less than"),
        (collection(feature(SQUARE, ring((5, 5), (15, 5), (5, 6)))), "cross or touch"),
        (collection(feature(SQUARE, ring((0, 5), (2, 5), (2, 6)))), "cross or touch"),
        (collection(feature(SQUARE, ring((20, 20), (21, 20), (21, 21)))), "lies outside its outline"),
        (collection(feature(SQUARE, HOLE, ring((4.5, 4.5), (5, 4.5), (5, 5)))), "in another hole"),
    ],
)
def test_a_map_that_could_be_misunderstood_is_refused_with_what_is_wrong(data: bytes, about: str) -> None:
    with pytest.raises(FormatError, match=about):
        read_zone_map(data)


def circle(count: int) -> list[list[float]]:
    turns = [2 * math.pi * index / count for index in range(count)]
    points = [[120 + 0.01 * math.cos(turn), 30 + 0.01 * math.sin(turn)] for turn in turns]
    return [*points, points[0]]


def test_a_map_has_a_limited_number_of_positions() -> None:
    assert locate(one(circle(MAX_POSITIONS - 1)), at(120, 30), MAX_AGE_US).state == "set"
    with pytest.raises(FormatError, match="positions"):
        one(circle(MAX_POSITIONS))
    with pytest.raises(FormatError, match="positions"):
        read_zone_map(collection(*[feature(SQUARE)] * (MAX_POSITIONS // len(SQUARE) + 1)))


@pytest.mark.parametrize("turned", [False, True])
def test_crossings_are_found_whichever_way_a_comb_lies(turned: bool) -> None:
    """The sweep goes along either axis."""
    teeth = [(x, y) for tooth in range(20) for x, y in ((tooth, 0), (tooth + 0.4, 9))]
    closing = [(20, 0), (20, -1), (0, -1)]
    whole, crossed = [*teeth, *closing], [*teeth[:7], (1, 3), *teeth[7:], *closing]
    for points, sound in ((whole, True), (crossed, False)):
        outline = ring(*((y, x) if turned else (x, y) for x, y in points))
        if sound:
            one(outline)
        else:
            with pytest.raises(FormatError, match="cross or touch"):
                one(outline)


def test_what_a_drawing_program_adds_is_left_alone() -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    high = [[x, y, 12.5] for x, y in SQUARE]
    zones = read_zone_map(collection(feature(high, fill="#f00"), crs=crs, name="layer"))
    assert locate(zones, at(120.005, 30.005), MAX_AGE_US).state == "set"


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_zone_map(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=5), x, max_size=4),
    )
)
def test_whatever_stands_as_a_geometry_is_a_zone_or_a_clear_error(value: Any) -> None:
    for geometry in (value, {"type": "Polygon", "coordinates": value}, {"type": "MultiPolygon", "coordinates": value}):
        broken = {**feature(SQUARE), "geometry": geometry}
        with pytest.raises(FormatError):
            read_zone_map(json.dumps({"type": "FeatureCollection", "features": [broken]}).encode())
