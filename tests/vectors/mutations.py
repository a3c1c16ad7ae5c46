"""Mutations: the registry, and those of JSON values and of their spelling, which most others lean on."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from tests.vectors import runner
from tests.vectors.mutant import Mutant
from tests.vectors.primitives import unb64url

Mutation = Callable[[Mutant, Random], None]
MUTATIONS: dict[str, Mutation] = {}

LARGEST = 2**53 - 1
TOLERANCES = (60_000, 500_000, 1_500_000, 2_000_000, 120_000_000, 1_000_000)
DIGITS = "0123456789abcdef"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def mutation(name: str) -> Callable[[Mutation], Mutation]:
    def register(change: Mutation) -> Mutation:
        MUTATIONS[name] = change
        return change

    return register


@cache
def vocabulary() -> dict[str, list[Any]]:
    """What stands in the lines of all vectors under each name: a change to one of these keeps the shape."""
    found: dict[str, dict[str, Any]] = {}
    for name in runner.names():
        for path, one in runner.load(name)["files"].items():
            if path.endswith(".jws") and "text" in one:
                for line in one["text"].split("\n"):
                    _gather(_payload(line), found)
    return {key: [values[text] for text in sorted(values)][:200] for key, values in sorted(found.items())}


def _payload(line: str) -> Any:
    parts = line.split(".")
    try:
        return json.loads(unb64url(parts[1])) if len(parts) == 3 and len(line) < 8000 else None
    except ValueError:
        return None


def _gather(value: Any, found: dict[str, dict[str, Any]]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            found.setdefault(key, {})[json.dumps(inner)] = inner
            _gather(inner, found)
    elif isinstance(value, list):
        for inner in value:
            _gather(inner, found)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value, with each key or index in it."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [(value, key), *places(inner)]
    return found


def mutate_value(value: Any, rng: Random) -> None:
    """One change somewhere inside."""
    spots = places(value)
    if not spots:
        return
    inside, key = rng.choice(spots)
    rng.choices((_replace, _drop, _add, _other_type), (12, 1, 1, 1))[0](inside, key, rng)


def _replace(inside: Any, key: Any, rng: Random) -> None:
    known = vocabulary().get(key) if isinstance(key, str) else None
    if known and rng.random() < 0.5:
        inside[key] = json.loads(json.dumps(rng.choice(known)))
    else:
        inside[key] = near(inside[key], rng)


def _drop(inside: Any, key: Any, rng: Random) -> None:
    del inside[key]


def _add(inside: Any, key: Any, rng: Random) -> None:
    if isinstance(inside, dict):
        inside[rng.choice(["more", "", "__proto__", "constructor", str(key).upper(), f"{key} "])] = inside[key]
    else:
        inside.insert(rng.randrange(len(inside) + 1), json.loads(json.dumps(inside[key])))


def _other_type(inside: Any, key: Any, rng: Random) -> None:
    inside[key] = rng.choice([None, True, False, 0, 1, -1, "", "1", [], {}, [None], LARGEST, LARGEST + 1])


def near(value: Any, rng: Random) -> Any:
    """Another value of the same type, often one beside a limit."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        by = rng.choice(TOLERANCES)
        around = [value + 1, value - 1, value + by, value + by + 1, value - by, value - by - 1, value * 2, -value]
        return rng.choice([*around, 0, 1, LARGEST, LARGEST + 1, value + 3 * by])
    if isinstance(value, str):
        return _near_text(value, rng)
    if isinstance(value, list):
        return rng.choice([[], value * 2, value[::-1], value[:1]])
    return value


def _near_text(text: str, rng: Random) -> str:
    if not text:
        return rng.choice(["x", "\n", "é", " "])
    at = rng.randrange(len(text))
    last = LETTERS[(LETTERS.find(text[-1]) + 1) % len(LETTERS)]
    changed = text[:at] + rng.choice(DIGITS if re.fullmatch("[0-9a-f]+", text) else LETTERS) + text[at + 1 :]
    more = [text + "\n", text + " ", " " + text, text.upper(), text[:-1] + last, text[:-1], text + text[-1]]
    long = [rng.choice("a界𐀀") * rng.choice((500, 501, 1000)), text + rng.choice(["\u00a0", "\u0000", "\ufeff", "+", "\u0085"])]
    return rng.choice([changed, changed, *more, *long])


def respell(data: bytes, rng: Random) -> bytes:
    """The same JSON, or nearly, written otherwise."""
    tokens = [found.end() for found in re.finditer(rb"[{}\[\],:]", data)] or [0]
    numbers = [(found.start(1), found.end(1)) for found in re.finditer(rb"[:\[,](-?\d+)", data)]
    strings = [(found.start(), found.end()) for found in re.finditer(rb'"[^"\\]*"', data)]
    at = rng.choice(tokens)
    kind = rng.randrange(5)
    if kind == 0:
        space = rng.choice([b" ", b"\t", b"\n", b"\r", b"\r\n", b"\x0b", b"\x0c", "\u00a0".encode(), b"/**/", b"\xef\xbb\xbf", b"\0"])
        return data[:at] + space + data[at:]
    if kind == 1 and numbers:
        start, end = rng.choice(numbers)
        number = data[start:end]
        other = [number + b".0", number + b"e0", number + b"E+0", b"0" + number, b"-0", b"+" + number, number + b".", b"0x1", b"1_0"]
        return data[:start] + rng.choice([*other, b"-" + number, b"NaN", b"9007199254740992", b"00000000000000001"]) + data[end:]
    if kind == 2 and strings:
        start, end = rng.choice(strings)
        return data[:start] + _escaped(data[start:end], rng) + data[end:]
    if kind == 3:
        return rng.choice([b"\xef\xbb\xbf" + data, data + b"\n", b" " + data, data + b"\0", data + b"{}", data[:-1], data + b" "])
    pairs = re.findall(rb'"[a-z_]+":(?:"[^"]*"|\d+|null|true|false)', data)
    if not pairs:
        return data
    return data.replace(b"{", b"{" + rng.choice(pairs) + b",", 1)


def _escaped(text: bytes, rng: Random) -> bytes:
    inner = text[1:-1].decode("utf-8", "replace")
    spelt = "".join(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else letter for letter in inner)
    other = [spelt, spelt.upper(), inner.replace("a", "\\a"), inner + "\\ud800", inner + "\\ud83d\\ude00", inner + "\\/", inner + "\x01"]
    return b'"' + rng.choice(other).encode("utf-8", "surrogatepass") + b'"'


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """One small change to bytes of which nothing is known."""
    at, span = rng.randrange(len(data) + 1), rng.randrange(1, 40)
    flipped = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if at < len(data) else data + b"\0"
    inserted = data[:at] + rng.choice([b"\n", b"\r", b" ", b"\0", b"=", b".", b"\n\n", b"\xff"]) + data[at:]
    return rng.choice([flipped, flipped, inserted, data[:at], data[:at] + data[at + span :], data[: at + span] + data[at:]])


def left_over_bits(text: str, rng: Random) -> str:
    """Base64 whose last letter carries bits that no byte takes up, or padding that should or should not be there."""
    alphabet = LETTERS.replace("-_", "+/") if "+" in text or "/" in text else LETTERS
    bare = text.rstrip("=")
    if not bare or bare[-1] not in alphabet:
        return text + "="
    other = alphabet[alphabet.index(bare[-1]) ^ rng.choice((1, 2, 3))]
    return rng.choice([bare[:-1] + other + text[len(bare) :], bare, text + "=", bare + "==", bare[:-1], bare + "A"])


def decode64(text: str) -> bytes:
    try:
        return b64decode(text)
    except ValueError:
        return b""
