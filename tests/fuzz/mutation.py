"""A mutator that keeps JSON well-formed: bytes flipped at random hardly ever get past the parser."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Mutate = Callable[[bytes, int, int], bytes]
ODD: tuple[Any, ...] = (
    *(0, 1, -1, 2**31, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 10**20, 0.5),
    *(None, True, False, "", "a" * 65, "0" * 64, "x-unknown", "\u0000", "名", "\U0010ffff", [], {}, [[]], {"": None}),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _change(value: Any, dice: random.Random) -> Any:
    """One change at one place: another value, another's value, a neighbour left out, repeated or moved."""
    places = _places(value)
    path = dice.choice(places)
    if not path:
        return value
    parent, key = _at(value, path[:-1]), path[-1]
    match dice.randrange(6):
        case 0:
            parent[key] = deepcopy(dice.choice(ODD))
        case 1:
            parent[key] = deepcopy(_at(value, dice.choice(places)))
        case 2:
            del parent[key]
        case 3 if isinstance(parent[key], int):
            parent[key] += dice.choice((-1, 1, 1000, -1000, 1_000_000, -1_000_000, 10**9, -(10**9)))
        case 4 if isinstance(parent, list):
            parent.insert(dice.randrange(len(parent) + 1), deepcopy(parent[key]))
        case 5 if isinstance(parent, list):
            parent.append(parent.pop(key))
        case _:
            parent[key] = str(parent[key])[: dice.randrange(80)]
    return value


def json_mutator(otherwise: Callable[[bytes, int], bytes]) -> Mutate:
    """Changes JSON in one to four places; what is no JSON, and one time in eight all else, ``otherwise`` changes."""

    def mutate(data: bytes, max_bytes: int, seed: int) -> bytes:
        dice = random.Random(seed)
        try:
            value = json.loads(data) if dice.randrange(8) else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict | list):
            return otherwise(data, max_bytes)
        for _ in range(dice.randint(1, 4)):
            value = _change(value, dice)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")[:max_bytes]

    return mutate
