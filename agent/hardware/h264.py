"""H.264 in Annex B form (ISO/IEC 14496-10): only what stream copy needs, the parameter sets."""

from __future__ import annotations

import re
from typing import Final

_START_CODE: Final = re.compile(rb"\x00\x00\x01")
_PARAMETER_SETS: Final = (7, 8)
_PICTURE: Final = (1, 5)


def units(data: bytes) -> list[bytes]:
    """The NAL units up to and with the first slice of a picture, without start codes and trailing zeros.

    The slices themselves are long and need not be looked through.
    """
    found: list[bytes] = []
    begins = [match.end() for match in _heads(data)]
    for number, begin in enumerate(begins):
        end = begins[number + 1] - 3 if number + 1 < len(begins) else len(data)
        if end > begin:
            found.append(data[begin:end].rstrip(b"\x00"))
    return found


def _heads(data: bytes) -> list[re.Match[bytes]]:
    found = []
    for match in _START_CODE.finditer(data):
        found.append(match)
        if match.end() < len(data) and data[match.end()] & 31 in _PICTURE:
            break
    return found


def parameter_sets(data: bytes) -> bytes:
    """SPS and PPS in ``data``, in order, each behind a start code; empty when there are none."""
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units(data) if unit and unit[0] & 31 in _PARAMETER_SETS)


def with_parameter_sets(data: bytes, known: bytes) -> bytes:
    """A keyframe that decodes by itself: ``known`` sets are put before one that has none."""
    return data if parameter_sets(data) else known + data
