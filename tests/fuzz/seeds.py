"""Seed inputs: files of the test vectors, and what can be taken out of them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pyrage

from tests.vectors.agency import agency
from tests.vectors.primitives import unb64url

VECTORS = Path(__file__).parent.parent / "vectors"
MAX_SEEDS = 80
"""Of one target: more would spend its time on reading them."""


@cache
def _vectors() -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(VECTORS.glob("*.json"))]


def _content(file: dict[str, Any]) -> bytes | None:
    if "base64" in file:
        return b64decode(file["base64"])
    return file["text"].encode() if "text" in file else None


@cache
def files(pattern: str) -> tuple[bytes, ...]:
    """The different files of all vectors whose path fits the pattern, the smaller first."""
    found = {
        content
        for vector in _vectors()
        for path, file in vector["files"].items()
        if fnmatch(path, pattern) and (content := _content(file)) is not None
    }
    return tuple(sorted(found, key=lambda one: (len(one), one)))


def some(found: Iterator[bytes] | tuple[bytes, ...] | list[bytes]) -> list[bytes]:
    """At most ``MAX_SEEDS`` of different ones, spread over all of them."""
    every = list(dict.fromkeys(found))
    step = max(1, -(-len(every) // MAX_SEEDS))
    return every[::step]


def of(*patterns: str) -> Callable[[], list[bytes]]:
    """Files of the vectors, as a target's ``seeds``."""
    return lambda: some([one for pattern in patterns for one in files(pattern)])


def fixed(*texts: str | bytes) -> Callable[[], list[bytes]]:
    """Seeds written out."""
    return lambda: [one.encode() if isinstance(one, str) else one for one in texts]


def lines() -> list[bytes]:
    """Ledger lines of all vectors, the different kinds of entries well mixed."""
    return some(line for ledger in files("*ledger.jws") for line in ledger.split(b"\n"))


def payload(token: bytes) -> bytes | None:
    try:
        return unb64url(token.split(b".")[1])
    except (IndexError, ValueError):
        return None


def payloads() -> list[bytes]:
    """Payloads of one line of each type and each set of fields."""
    kinds: dict[tuple[str, ...], bytes] = {}
    for ledger in files("*ledger.jws"):
        for found in filter(None, map(payload, ledger.split(b"\n"))):
            try:
                value = json.loads(found)
                kinds.setdefault((value["type"], *sorted(value["body"])), found)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
    return some(list(kinds.values()))


def documents() -> list[bytes]:
    """Payloads of profiles, policies and receipts."""
    return some(found for one in files("*.jws") if b"\n" not in one and (found := payload(one)))


def opened() -> list[bytes]:
    """What lies in the sealed objects: films, photos, particulars, telemetry."""
    identity = pyrage.x25519.Identity.from_str(agency().archive.identity)

    def plain() -> Iterator[bytes]:
        for sealed in files("*.age"):
            try:
                yield pyrage.decrypt(sealed, [identity])
            except pyrage.DecryptError:
                continue

    return some(plain())


def films() -> list[bytes]:
    """Of those, what begins as a film."""
    return [one for one in opened() if one[4:8] == b"ftyp"]


def folders(name: str = "*") -> list[dict[str, bytes]]:
    """Device folders and extracts as they stand in the vectors so named: path within the folder, and content."""
    found = []
    for vector in (one for one in _vectors() if fnmatch(one["name"], name)):
        prefix = vector["path"] + "/"
        inside = {path.removeprefix(prefix): file for path, file in vector["files"].items() if path.startswith(prefix)}
        found.append({path: content for path, file in inside.items() if (content := _content(file)) is not None})
    return found
