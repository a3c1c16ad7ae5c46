"""Mutations of ledgers and extracts: entries, their spelling, their order, the file that they stand in."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.vectors import runner
from tests.vectors.mutant import Device, Line, Mutant
from tests.vectors.mutations import left_over_bits, mutate_bytes, mutate_value, mutation, near, respell, vocabulary
from tests.vectors.primitives import b64url, unb64url


def device_of(m: Mutant, rng: Random) -> Device | None:
    folders = m.folders()
    return Device(m, rng.choice(folders)) if folders else None


def line_of(device: Device | None, rng: Random) -> Line | None:
    whole = [line for line in device.lines if line.payload] if device else []
    return rng.choice(whole) if whole else None


@mutation("body")
def change_body(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    line = line_of(device, rng)
    if device and line:
        mutate_value(line.body, rng)
        device.write()


@mutation("envelope")
def change_envelope(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    line = line_of(device, rng)
    if device and line and line.payload:
        name = rng.choice(sorted(line.payload))
        if name == "time":
            mutate_value(line.payload["time"], rng)
        else:
            line.own = line.own and name not in ("seq", "prev")
            mutate_value({name: line.payload[name]} if rng.random() < 0.1 else line.payload, rng)
        device.write()


@mutation("many-fields")
def change_many(m: Mutant, rng: Random) -> None:
    """Several values that keep the shape: what a device could have entered."""
    device = device_of(m, rng)
    for _ in range(rng.randrange(2, 8)):
        line = line_of(device, rng)
        if line and line.body:
            name = rng.choice(sorted(line.body))
            known = vocabulary().get(name, [])
            line.body[name] = deepcopy(rng.choice(known)) if known else near(line.body[name], rng)
    if device:
        device.write()


@mutation("times")
def change_times(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    for _ in range(rng.randrange(1, 4)):
        line = line_of(device, rng)
        if line and line.payload and isinstance(line.payload.get("time"), dict):
            time = line.payload["time"]
            name = rng.choice(["utc_us", "utc_us", "mono_us", "mono_us", "boot", "source"])
            known = vocabulary()[name]
            time[name] = near(time.get(name, 0), rng) if name.endswith("_us") else rng.choice(known)
    if device:
        device.write()


@mutation("spelling")
def change_spelling(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    line = line_of(device, rng)
    if device and line and line.payload:
        device.write()
        line.spelt = respell(unb64url(line.raw.split(b".")[1]), rng)
        device.write()


@mutation("header")
def change_header(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    line = line_of(device, rng)
    if device and line and line.header:
        mutate_value(line.header, rng)
        signature = line.raw.split(b".")[2]
        device.write()
        head, payload, renewed = line.raw.split(b".")
        spelt = respell(unb64url(head), rng) if rng.random() < 0.3 else unb64url(head)
        line.raw = b".".join([b64url(spelt).encode(), payload, rng.choice([signature, renewed])])
        line.frozen = True
        device.write()


@mutation("kid")
def change_kid(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    line = line_of(device, rng)
    if device and line and line.header:
        head, payload, signature = line.raw.split(b".")
        kid = str(line.header.get("kid"))
        other = [left_over_bits(kid, rng), kid[:-1] + "é", "é" * 43, "." * 43, kid.lower(), kid[:-1] + "="]
        head = b64url(json.dumps(line.header | {"kid": rng.choice(other)}, ensure_ascii=False).encode()).encode()
        line.raw, line.frozen = b".".join([head, payload, signature]), True
        device.write()


@mutation("part")
def change_part(m: Mutant, rng: Random) -> None:
    """Base64 of one part of a line, or of two."""
    device = device_of(m, rng)
    line = line_of(device, rng)
    if device and line:
        parts = line.raw.split(b".")
        for _ in range(rng.randrange(1, 3)):
            at = rng.randrange(len(parts))
            changed = left_over_bits(parts[at].decode("ascii", "replace"), rng).encode()
            parts[at] = rng.choice([changed, mutate_bytes(parts[at], rng), b"", parts[at] + b"\r"])
        line.raw, line.frozen = b".".join(parts), True
        device.write()


@mutation("key-spelling")
def change_key_spelling(m: Mutant, rng: Random) -> None:
    """A key, certificate or digest in a line, spelled otherwise."""
    device = device_of(m, rng)
    named = [(line, name) for line in (device.lines if device else []) for name in sorted(line.body)]
    keys = [(line, name) for line, name in named if name in ("key", "epoch_key", "certificate", "asset", "receipt")]
    if device and keys:
        line, name = rng.choice(keys)
        if isinstance(line.body[name], str):
            line.body[name] = left_over_bits(line.body[name], rng)
        device.write()


@mutation("order")
def change_order(m: Mutant, rng: Random) -> None:
    """Lines left out, doubled, moved; numbered, chained and signed anew."""
    device = device_of(m, rng)
    if device is None or not device.lines:
        return
    lines, at = device.lines, rng.randrange(len(device.lines))
    kind = rng.randrange(4)
    if kind == 0:
        del lines[at]
        del device.indices[at]
    elif kind == 1 and not device.is_extract:
        lines.insert(rng.randrange(len(lines) + 1), deepcopy(lines[at]))
    elif kind == 2:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif not device.is_extract:
        del lines[at : at + rng.randrange(1, 6)]
    device.write()


@mutation("foreign-line")
def insert_line(m: Mutant, rng: Random) -> None:
    """An entry as it stands in another vector, entered here by the device itself."""
    device = device_of(m, rng)
    bodies = [(kind, body) for kind in vocabulary()["type"] for body in [_body_of(kind, rng)] if body is not None]
    if device is None or device.is_extract or not bodies or not device.lines:
        return
    at = rng.randrange(1, len(device.lines) + 1)
    like = device.lines[at - 1]
    if like.payload and like.header:
        kind, body = rng.choice(bodies)
        fresh = Line(b"", dict(like.header), deepcopy(like.payload) | {"type": kind, "body": body})
        if isinstance(body, dict) and "recording" in body and rng.random() < 0.8:
            own = [line.body["recording"] for line in device.lines if "recording" in line.body]
            body["recording"] = rng.choice(own) if own else body["recording"]
        device.lines.insert(at, fresh)
        device.write()


def _body_of(kind: Any, rng: Random) -> Any:
    found = _bodies().get(str(kind), [])
    return deepcopy(rng.choice(found)) if found else None


_BODIES: dict[str, list[Any]] = {}


def _bodies() -> dict[str, list[Any]]:
    """A few bodies of each type, from the good vectors."""
    if not _BODIES:
        for name in [one for one in runner.names() if one.startswith("good")]:
            m = Mutant.of(name)
            for folder in m.folders():
                for line in Device(m, folder).lines:
                    if line.payload and len(_BODIES.setdefault(line.kind, [])) < 40:
                        _BODIES[line.kind].append(line.body)
    return _BODIES


@mutation("ledger-file")
def change_file(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    if device is None:
        return
    data = m.data(device.name)
    lines = data.split(b"\n")
    kinds = [
        data.removesuffix(b"\n"),
        data.replace(b"\n", b"\r\n"),
        data + b"\n",
        b"\n" + data,
        data + b"x" * rng.choice((1, 65_536, 65_537, 70_000)),
        b"\n".join([*lines[:3], b"", *lines[3:]]),
        data[: rng.randrange(len(data) + 1)],
        data.replace(b"\n", b"\r"),
        data.replace(b"\n", b"\r\n", 1),
        b"x" * rng.choice((65_536, 65_537, 65_538)) + b"\n" + data,
        b"",
        b"\xef\xbb\xbf" + data,
        mutate_bytes(data, rng),
    ]
    m.files[device.name] = rng.choice(kinds)


@mutation("extract-rows")
def change_rows(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    if device is None or not device.is_extract:
        return
    path = f"{device.folder}proofs"
    rows = m.data(path).split(b"\n")
    at = rng.randrange(len(rows))
    row = rows[at]
    parts = row.split(b" ")
    spot = rng.randrange(len(parts))
    parts[spot] = left_over_bits(parts[spot].decode("ascii", "replace"), rng).encode()
    other = [b" ".join(parts), b"0" + row, row + b" ", row + b"\r", b"", row + row[-45:], b"9" * 20 + row, row + b" A" * 2100]
    rows[at] = rng.choice(other)
    if rng.random() < 0.2:
        rows.insert(at, row)
    m.files[path] = b"\n".join(rows[: rng.choice((len(rows), len(rows), len(rows) - 1))])


@mutation("extract-head")
def change_head(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    if device is None or not device.is_extract:
        return
    path = f"{device.folder}extract.json"
    data = m.data(path)
    try:
        head = json.loads(data)
    except ValueError:
        return
    if rng.random() < 0.5:
        mutate_value(head, rng)
        m.files[path] = json.dumps(head).encode() + b" " * rng.choice((0, 0, 66_000))
    else:
        m.files[path] = respell(data, rng)


@mutation("extract-lines")
def change_extract(m: Mutant, rng: Random) -> None:
    """Another line in the preamble, or another type where the span begins; proved anew."""
    device = device_of(m, rng)
    if device is None or not device.is_extract or len(device.lines) < 2:
        return
    at = rng.randrange(min(5, len(device.lines)))
    bodies = {kind: body for kind in ("boot", "adopted", "epoch", "heartbeat", "notice", "genesis") if (body := _body_of(kind, rng))}
    kind = rng.choice(sorted(bodies))
    line = device.lines[at]
    free = [index for index in range(max(device.indices)) if index not in device.indices]
    if line.payload is None:
        return
    if free and rng.random() < 0.6:
        index = rng.choice(free)
        spot = sum(one < index for one in device.indices)
        model = next((one for one in device.lines if one.kind == kind), line)
        fresh = Line(b"", dict(model.header or {}), deepcopy(model.payload or {}), own=True)
        if model is line:
            fresh.payload = (fresh.payload or {}) | {"type": kind, "body": bodies[kind]}
        device.lines.insert(spot, fresh)
        device.indices.insert(spot, index)
    else:
        line.payload |= {"type": kind, "body": bodies[kind]}
    device.write()
