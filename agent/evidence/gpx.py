"""Positions as a GPX 1.1 track (topografix.com/GPX/1/1), which maps and navigation programs read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from agent.evidence.documents import Position

_NAMESPACE = "http://www.topografix.com/GPX/1/1"


def gpx(positions: Sequence[Position], begins_us: int, name: str) -> bytes:
    """One track of one segment; ``begins_us`` is the wall clock (UTC, us) of media time 0."""
    root = ElementTree.Element("gpx", {"version": "1.1", "creator": "enforcement-recorder", "xmlns": _NAMESPACE})
    track = ElementTree.SubElement(root, "trk")
    ElementTree.SubElement(track, "name").text = name
    segment = ElementTree.SubElement(track, "trkseg")
    for one in positions:
        place = {"lat": f"{one.latitude_e7 / 1e7:.7f}", "lon": f"{one.longitude_e7 / 1e7:.7f}"}
        point = ElementTree.SubElement(segment, "trkpt", place)
        if one.altitude_mm is not None:
            ElementTree.SubElement(point, "ele").text = f"{one.altitude_mm / 1000:.3f}"
        moment = datetime.fromtimestamp((begins_us + one.at_us) / 1e6, UTC)
        ElementTree.SubElement(point, "time").text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)
