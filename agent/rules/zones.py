"""R13.1: a map of hazardous zones (GeoJSON, RFC 7946), and whether a position lies in one of them.

Small on purpose: point in polygon with a distance, in a plane around the position, and a strict reader. A map that can
be understood in two ways is refused as a whole; half a map would call a dangerous place clear.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from agent.errors import FormatError
from agent.evidence.documents import HazardZone
from agent.evidence.shapes import load_shape
from agent.rules.explosion import check_zone
from agent.rules.interlock import HazardState

MAX_MAP_BYTES: Final = 1_048_576
MAX_POSITIONS: Final = 5_000
"""Of all rings together: what one look may cost, once a second."""
MAX_NAME: Final = 100
_LONGITUDE, _LATITUDE = 179.0, 85.0
"""Beyond, a plane around the position would tear or stretch."""
_METRES_PER_DEGREE: Final = math.pi / 180 * 6_371_008.8
_LEAST_SQUARE_METRES: Final = 1.0
_WGS84: Final = ("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84")

Point = tuple[float, float]
"""Longitude and latitude (degrees), or east and north (metres)."""
Ring = tuple[Point, ...]
"""Closed: the last point is the first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the unit is: WGS 84 degrees, error radius in metres, age in microseconds."""

    longitude: float
    latitude: float
    error_metres: float
    age_us: int


@dataclass(frozen=True, slots=True)
class Area:
    """One polygon of a zone: its outline, then its holes; and the box around it (west, south, east, north)."""

    name: str
    zone: HazardZone
    rings: tuple[Ring, ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """All areas. Made by ``read_zone_map`` only, which checks them."""

    areas: tuple[Area, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """What the map says of a position. ``areas``: those that it lies in or touches, when set."""

    state: HazardState
    age_us: int
    areas: tuple[Area, ...] = ()


def locate(zones: ZoneMap, place: Place | None, max_age_us: int) -> Located:
    """Set when the position, widened by its error, touches an area; stale without a usable position; else clear."""
    if place is None or not _is_usable(place):
        return Located("stale", 0)
    if place.age_us > max_age_us:
        return Located("stale", place.age_us)
    touched = tuple(area for area in zones.areas if _touches(area, place))
    return Located("set" if touched else "clear", place.age_us, touched)


def _is_usable(place: Place) -> bool:
    numbers = (place.longitude, place.latitude, place.error_metres)
    in_range = abs(place.longitude) <= 180 and abs(place.latitude) <= 90
    return all(map(math.isfinite, numbers)) and in_range and place.error_metres >= 0 and place.age_us >= 0


def _touches(area: Area, place: Place) -> bool:
    (west, south), (east, north) = _plane(place, area.box[:2]), _plane(place, area.box[2:])
    reach = place.error_metres
    if west > reach or east < -reach or south > reach or north < -reach:
        return False
    rings = [[_plane(place, point) for point in ring] for ring in area.rings]
    return _contains_origin(rings) or any(
        _distance_to_origin(*edge) <= reach for ring in rings for edge in itertools.pairwise(ring)
    )


def _plane(place: Place, point: Sequence[float]) -> Point:
    """East and north of the position, in metres. Straight edges in degrees stay straight (RFC 7946, 3.1.1)."""
    east = (point[0] - place.longitude) * _METRES_PER_DEGREE * math.cos(math.radians(place.latitude))
    return east, (point[1] - place.latitude) * _METRES_PER_DEGREE


def _contains_origin(rings: Sequence[Sequence[Point]]) -> bool:
    """Even-odd over outline and holes: a ray to the east crosses an odd number of edges."""
    inside = False
    for ring in rings:
        for (x1, y1), (x2, y2) in itertools.pairwise(ring):
            if (y1 > 0) != (y2 > 0) and x1 - y1 * (x2 - x1) / (y2 - y1) > 0:
                inside = not inside
    return inside


def _distance_to_origin(a: Point, b: Point) -> float:
    across = (b[0] - a[0], b[1] - a[1])
    length2 = across[0] ** 2 + across[1] ** 2
    along = -(a[0] * across[0] + a[1] * across[1]) / length2 if length2 else 0.0
    along = min(1.0, max(0.0, along))
    return math.hypot(a[0] + along * across[0], a[1] + along * across[1])


# Reading


def read_zone_map(data: bytes) -> ZoneMap:
    """Reads and checks a map; raises FormatError naming the feature and what is wrong with it."""
    collection = _object(_load(data), "the map")
    if collection.get("type") != "FeatureCollection":
        raise FormatError("the map is not a GeoJSON FeatureCollection")
    _check_reference(collection.get("crs"))
    features = _list(collection.get("features"), "features")
    areas = [area for number, feature in enumerate(features) for area in _areas(feature, f"feature {number}")]
    if not areas:
        raise FormatError("the map has no zone; to use none, name no map in the policy")
    if sum(len(ring) for area in areas for ring in area.rings) > MAX_POSITIONS:
        raise FormatError(f"the map has more than {MAX_POSITIONS} positions; simplify its outlines")
    for area in areas:
        _check_rings(area)
    return ZoneMap(tuple(areas))


def _load(data: bytes) -> Any:
    # Not the strict JSON of evidence, which knows no fractions.
    if len(data) > MAX_MAP_BYTES:
        raise FormatError(f"the map has {len(data)} bytes; at most {MAX_MAP_BYTES}")
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the map is not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("the map has an object with the same key twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise FormatError(f"the map has {text} where a number stands")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{what}: an object is expected")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"{what}: a list is expected")
    return value


def _check_reference(crs: Any) -> None:
    """RFC 7946 knows WGS 84 only; older files could name any other system."""
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    if not isinstance(properties, dict) or properties.get("name") not in _WGS84:
        raise FormatError("the map names a coordinate system (crs) other than WGS 84; export it anew as RFC 7946")


def _areas(value: Any, where: str) -> Iterator[Area]:
    feature = _object(value, where)
    if feature.get("type") != "Feature":
        raise FormatError(f"{where} is not a GeoJSON Feature")
    name, zone = _properties(_object(feature.get("properties"), f"{where}: properties"), where)
    where = f"{where} ({name})"
    geometry = _object(feature.get("geometry"), f"{where}: geometry")
    match geometry.get("type"):
        case "Polygon":
            polygons = [geometry.get("coordinates")]
        case "MultiPolygon":
            polygons = _list(geometry.get("coordinates"), f"{where}: coordinates")
        case other:
            raise FormatError(f"{where}: a zone is a Polygon or a MultiPolygon, not {str(other)[:40]}")
    for polygon in polygons:
        yield _area(name, zone, polygon, where)


def _properties(found: dict[str, Any], where: str) -> tuple[str, HazardZone]:
    """Name and zone; whatever else a drawing program keeps there is left alone."""
    name = found.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_NAME:
        raise FormatError(f"{where}: properties need a name of 1 to {MAX_NAME} characters")
    words = ("zone", "group", "temperature_class", "surface_celsius")
    try:
        return name, check_zone(load_shape(HazardZone, {word: found.get(word) for word in words}))
    except FormatError as error:
        raise FormatError(f"{where} ({name}): {error}") from error


def _area(name: str, zone: HazardZone, value: Any, where: str) -> Area:
    rings = tuple(_ring(ring, where) for ring in _list(value, f"{where}: coordinates"))
    if not rings:
        raise FormatError(f"{where}: a polygon without an outline")
    east_west, north_south = zip(*rings[0], strict=True)
    box = (min(east_west), min(north_south), max(east_west), max(north_south))
    if box[2] - box[0] > 180:
        raise FormatError(f"{where} spans more than 180 degrees: zones across the date line are not taken")
    return Area(name, zone, rings, box)


def _ring(value: Any, where: str) -> Ring:
    points = _list(value, f"{where}: ring")
    if len(points) > MAX_POSITIONS:
        raise FormatError(f"{where}: a ring of more than {MAX_POSITIONS} positions")
    ring = tuple(_point(point, where) for point in points)
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise FormatError(f"{where}: a ring is closed: at least four positions, the last the same as the first")
    if any(a == b for a, b in itertools.pairwise(ring)):
        raise FormatError(f"{where}: a ring repeats a position")
    if _square_metres(ring) < _LEAST_SQUARE_METRES:
        raise FormatError(f"{where}: a ring encloses less than {_LEAST_SQUARE_METRES:g} m²")
    return ring


def _square_metres(ring: Ring) -> float:
    """What a ring encloses; only as exact as telling a line from an area needs."""
    x0, y0 = ring[0]
    twice = sum((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) for (x1, y1), (x2, y2) in itertools.pairwise(ring))
    return abs(twice) / 2 * _METRES_PER_DEGREE**2 * math.cos(math.radians(y0))


def _point(value: Any, where: str) -> Point:
    if not isinstance(value, list) or len(value) not in (2, 3) or not all(_is_number(one) for one in value):
        raise FormatError(f"{where}: a position is [longitude, latitude], in degrees")
    longitude, latitude = float(value[0]), float(value[1])
    if abs(latitude) > 90 >= abs(longitude):
        raise FormatError(f"{where}: latitude {latitude:g}: longitude and latitude have changed places")
    if abs(longitude) > _LONGITUDE or abs(latitude) > _LATITUDE:
        limits = f"±{_LONGITUDE:g}° and ±{_LATITUDE:g}°"
        raise FormatError(f"{where}: [{longitude:g}, {latitude:g}] is outside {limits}, or beside date line or pole")
    return longitude, latitude


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e6


# Crossing rings


@dataclass(frozen=True, slots=True)
class _Edge:
    a: Point
    b: Point
    ring: int
    number: int


def _check_rings(area: Area) -> None:
    """Raises FormatError when rings of a polygon cross or touch, themselves or each other, or a hole lies outside."""
    lengths = [len(ring) - 1 for ring in area.rings]
    edges = [
        _Edge(a, b, index, number)
        for index, ring in enumerate(area.rings)
        for number, (a, b) in enumerate(itertools.pairwise(ring))
    ]
    for one, other in _beside(edges):
        wrong = _folds_back(one, other) if _are_neighbours(one, other, lengths) else _meet(one, other)
        if wrong:
            raise FormatError(f"zone {area.name}: its rings cross or touch at [{one.a[0]:g}, {one.a[1]:g}]")
    for number, hole in enumerate(area.rings[1:], 1):
        around = [ring for other, ring in enumerate(area.rings) if other != number]
        if not _inside(hole[0], around[0]) or any(_inside(hole[0], ring) for ring in around[1:]):
            raise FormatError(f"zone {area.name}: hole {number} lies outside its outline, or in another hole")


def _beside(edges: list[_Edge]) -> Iterator[tuple[_Edge, _Edge]]:
    """Pairs of edges whose boxes overlap: a sweep along the axis on which the edges are the shorter."""
    along = min((0, 1), key=lambda axis: _crowding(edges, axis))
    across, live = 1 - along, list[_Edge]()
    for edge in sorted(edges, key=lambda one: min(one.a[along], one.b[along])):
        begin = min(edge.a[along], edge.b[along])
        live = [one for one in live if max(one.a[along], one.b[along]) >= begin]
        low, high = sorted((edge.a[across], edge.b[across]))
        for one in live:
            if max(one.a[across], one.b[across]) >= low and min(one.a[across], one.b[across]) <= high:
                yield one, edge
        live.append(edge)


def _crowding(edges: list[_Edge], axis: int) -> float:
    """How many edges lie side by side on an axis, on average."""
    ends = [end[axis] for edge in edges for end in (edge.a, edge.b)]
    return sum(abs(edge.a[axis] - edge.b[axis]) for edge in edges) / (max(ends) - min(ends))


def _are_neighbours(one: _Edge, other: _Edge, lengths: list[int]) -> bool:
    return one.ring == other.ring and (one.number - other.number) % lengths[one.ring] in (1, lengths[one.ring] - 1)


def _turn(a: Point, b: Point, c: Point) -> float:
    """Above zero when c lies to the left of the way from a to b; zero on it."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _folds_back(one: _Edge, other: _Edge) -> bool:
    """Two edges with a common end that run over one another."""
    shared, first, second = (one.b, one.a, other.b) if one.b == other.a else (one.a, one.b, other.a)
    ahead = (first[0] - shared[0]) * (second[0] - shared[0]) + (first[1] - shared[1]) * (second[1] - shared[1])
    return _turn(first, shared, second) == 0 and ahead > 0


def _meet(one: _Edge, other: _Edge) -> bool:
    """Whether two edges have a point in common (boxes that overlap are given)."""
    sides = _turn(one.a, one.b, other.a), _turn(one.a, one.b, other.b)
    across = _turn(other.a, other.b, one.a), _turn(other.a, other.b, one.b)
    return min(sides) <= 0 <= max(sides) and min(across) <= 0 <= max(across)


def _inside(point: Point, ring: Ring) -> bool:
    return _contains_origin([[(x - point[0], y - point[1]) for x, y in ring]])
