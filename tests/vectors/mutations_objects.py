"""Mutations of objects: what is sealed, how it is sealed, signed documents. The ledger then names the changed object."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any

import pyrage

from tests.vectors import age
from tests.vectors.mutant import Device, Mutant, document_of, ring, written
from tests.vectors.mutations import left_over_bits, mutate_bytes, mutate_value, mutation, respell
from tests.vectors.mutations_lines import device_of
from tests.vectors.primitives import b64url, sha256, token, unb64url


def put(device: Device, ref: dict[str, Any], data: bytes) -> None:
    """The changed object in its old one's place, under its own name, named by the line whose reference this is."""
    m = device.mutant
    old = f"{device.folder}objects/{ref.get('digest')}.{ref.get('form')}"
    ref |= {"digest": sha256(data).hex(), "size": len(data)}
    m.files.pop(old, None)
    m.files[f"{device.folder}objects/{ref['digest']}.{ref['form']}"] = data
    device.write()


def pick(device: Device | None, rng: Random, form: str, kinds: tuple[str, ...] = ()) -> tuple[dict[str, Any], bytes]:
    """A reference in a line, and the object's bytes."""
    found = []
    for line in device.lines if device else []:
        for name in ("object", "particulars"):
            ref = line.body.get(name)
            if device and isinstance(ref, dict) and ref.get("form") == form and (not kinds or line.kind in kinds):
                data = device.mutant.data(f"{device.folder}objects/{ref.get('digest')}.{form}")
                found += [(ref, data)] if data else []
    return rng.choice(found) if found else ({}, b"")


def plain_of(m: Mutant, data: bytes) -> bytes | None:
    try:
        opened: bytes = pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(m.agency.archive.identity)])
    except pyrage.DecryptError:
        return None
    return opened


def resealed(m: Mutant, plain: bytes) -> bytes:
    m.identity = m.identity or m.agency.archive.identity
    return age.seal(f"mutant {sha256(plain).hex()}", plain, [m.agency.archive, m.agency.escrow])


@mutation("content-json")
def change_content(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    ref, data = pick(device, rng, "age", ("open", "telemetry"))
    plain = plain_of(m, data) if data else None
    if device is None or plain is None:
        return
    if rng.random() < 0.6:
        try:
            value = json.loads(plain)
        except ValueError:
            return
        mutate_value(value, rng)
        changed = written(value)
    else:
        changed = respell(plain, rng)
    put(device, ref, resealed(m, changed))


CONTAINERS = (b"moov", b"trak", b"mdia", b"moof", b"traf")


def boxes(data: bytes, start: int, end: int) -> list[tuple[int, int, bytes]]:
    """Beginning, end and type of each box, inner ones too; as far as it can be followed."""
    found, at = [], start
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if size < 8 or at + size > end:
            break
        found.append((at, at + size, kind))
        if kind in CONTAINERS:
            found += boxes(data, at + 8, at + size)
        at += size
    return found


def _resize(data: bytes, at: int, by: int) -> bytes:
    """Every box around a place, longer by so many bytes."""
    out = bytearray(data)
    for start, end, _ in boxes(data, 0, len(data)):
        if start < at < end:
            out[start : start + 4] = (end - start + by).to_bytes(4, "big")
    return bytes(out)


@mutation("film")
def change_film(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    ref, data = pick(device, rng, "age", ("segment",))
    plain = plain_of(m, data) if data else None
    if device is None or not plain:
        return
    all_boxes = boxes(plain, 0, len(plain))
    if not all_boxes:
        return
    start, end, kind = rng.choice(all_boxes)
    whole, body = plain[start:end], plain[start + 8 : end]
    wide = struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    free = struct.pack(">I4s", 8 + 4, rng.choice([b"free", b"styp", b"mfra", b"uuid", b"moof", b"mdat", kind])) + bytes(4)
    sizes = [struct.pack(">I", size) + whole[4:] for size in (0, 1, 7, 8, len(whole) + 1, len(whole) - 1, 2**28 + 1, 2**32 - 1)]
    pieces = [*sizes, wide, wide[:15], whole + free, free + whole, whole * 2, b"", whole[:8], mutate_bytes(whole, rng)]
    pieces += [struct.pack(">I4s", 8, kind), struct.pack(">I4sQ", 1, kind, 2**64 - 1) + body, struct.pack(">I4sQ", 1, kind, 15) + body]
    if kind in (b"tkhd", b"mdhd", b"tfdt", b"trun", b"tfhd") and len(body) > 16:
        at = rng.choice((0, 1, 2, 3, 4, 7, 8, 11, 12, 15))
        changed = body[:at] + bytes([rng.choice((0, 1, 2, 255, body[at] + 1 & 255))]) + body[at + 1 :]
        pieces += [whole[:8] + changed] * 6
    piece = rng.choice(pieces)
    resized = _resize(plain, start, len(piece) - len(whole)) if rng.random() < 0.8 else plain
    put(device, ref, resealed(m, resized[:start] + piece + resized[end:]))


@mutation("photo")
def change_photo(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    ref, data = pick(device, rng, "age", ("photo",))
    if device and data:
        put(device, ref, resealed(m, rng.choice([b"", b"\xff", b"\xff\xd8", b"\xff\xd9\xff\xd8", b"\x00\xff\xd8"])))


@mutation("seal-header")
def change_header(m: Mutant, rng: Random) -> None:
    """Stanzas of an age header, its lines and its end."""
    device = device_of(m, rng)
    ref, data = pick(device, rng, "age")
    end = data.find(b"\n--- ")
    if device is None or end < 0:
        return
    lines, rest = data[:end].split(b"\n"), data[end:]
    at = rng.randrange(len(lines))
    words = lines[at].split(b" ")
    bits = left_over_bits(words[-1].decode("ascii", "replace"), rng).encode()
    other = [
        b" ".join([*words[:-1], bits]),
        lines[at] + b" more",
        lines[at] + b" ",
        lines[at] + b"\r",
        b" ".join(words[:-1]),
        lines[at].replace(b"X25519", rng.choice([b"x25519", b"X25519-grease", b"ssh-ed25519", b"scrypt", b""])),
        lines[at].replace(b"-> ", rng.choice([b"->", b"->  ", b"--> ", b"-- "])),
        b"-> X25519 " + b"A" * 43,
        b"A" * rng.choice((0, 43, 63, 64, 65)),
        lines[at][: rng.randrange(len(lines[at]) + 1)],
        mutate_bytes(lines[at], rng),
    ]
    lines[at] = rng.choice(other)
    if rng.random() < 0.3:
        lines.insert(rng.randrange(1, len(lines) + 1), rng.choice([lines[at], b"", b"-> grease", b"-> X25519 " + b"B" * 43]))
    tail = [rest] * 4 + [rest.replace(b"\n--- ", b"\n---", 1), rest[:40] + rest[41:], rest[:48] + b"B" + rest[49:], rest[:20]]
    padding = b"\n".join([b"-> grease", *[b"A" * 64] * rng.choice((100, 118, 119, 120, 121, 122)), b""]) if rng.random() < 0.1 else b""
    put(device, ref, b"\n".join([*lines, *([padding.removesuffix(b"\n")] if padding else [])]) + rng.choice(tail))


@mutation("seal-again")
def seal_otherwise(m: Mutant, rng: Random) -> None:
    """The same content sealed for others, with other stanzas besides, or torn; its MAC is good."""
    device = device_of(m, rng)
    ref, data = pick(device, rng, "age")
    plain = plain_of(m, data) if data else None
    if device is None or plain is None:
        return
    m.identity = m.identity or m.agency.archive.identity
    keys = [m.agency.archive, m.agency.escrow, m.agency.stranger]
    chosen = [key for key in keys if rng.random() < 0.7] or keys[:1]
    share = rng.choice(["A" * 43, "A" * 42 + "B", "B" * 42 + "A", "", "C" * 20, "A" * 43 + " x"])
    grease = rng.choice([b"", b"", age.stanza("grease", "g"), age.stanza("scrypt", "s", "salt", "10", size=32)])
    odd = age.stanza("X25519", "odd", *([share] if share else []), size=rng.choice((31, 32, 33, 0, 48, 47, 49)))
    long = age.stanza("grease", "l", size=rng.choice((5600, 5700, 5750, 5800, 5850, 5900, 6100)))
    extra = rng.choice([b"", grease, odd, grease + odd, long])
    sealed = age.seal(f"mutant {rng.random()}", plain, chosen, extra)
    if rng.random() < 0.2:
        chosen_end = sealed.index(b"\n", sealed.index(b"\n--- ") + 1) + 1
        sealed = sealed[: chosen_end + rng.choice((0, 1, 15, 16, 17, 31, 32, len(sealed)))]
    if rng.random() < 0.1:
        sealed += rng.choice([b"\0", bytes(16), bytes(65_552)])
    put(device, ref, sealed)


@mutation("document")
def change_document(m: Mutant, rng: Random) -> None:
    """A profile, policy or receipt, changed and signed again."""
    device = device_of(m, rng)
    ref, data = pick(device, rng, "jws")
    one = document_of(data) if data else None
    if device is None or one is None:
        return
    header, shape = one
    signer = ring().get(str(header.get("kid")))
    kind = rng.randrange(4)
    payload = written(shape)
    if kind <= 1:
        mutate_value(shape, rng)
        payload = written(shape)
    elif kind == 2:
        payload = respell(payload, rng)
    else:
        mutate_value(header, rng)
    if signer is None:
        return
    changed = token(written(header), payload, lambda message: signer.sign(message).signature)
    if rng.random() < 0.2:
        parts = changed.split(b".")
        at = rng.randrange(3)
        parts[at] = left_over_bits(parts[at].decode(), rng).encode()
        changed = b".".join(parts) + rng.choice([b"", b"\n", b".", b" "])
    put(device, ref, changed)


@mutation("document-of-other")
def swap_document(m: Mutant, rng: Random) -> None:
    """A document where another one is meant."""
    device = device_of(m, rng)
    ref, _ = pick(device, rng, "jws")
    _, other = pick(device, rng, "jws")
    if device and ref and other:
        head, *rest = other.split(b".")
        spelt = b64url(unb64url(head).replace(b"policy", b"profile")).encode()
        put(device, ref, rng.choice([other, b".".join([spelt, *rest])]))


@mutation("object-file")
def change_object(m: Mutant, rng: Random) -> None:
    """Bytes of a file that the ledger names as it was."""
    paths = m.objects("age") + m.objects("jws")
    if not paths:
        return
    path = rng.choice(paths)
    kind = rng.randrange(4)
    if kind == 0:
        del m.files[path]
    elif kind == 1:
        m.files[path + rng.choice([".open", ".x", "\n", "é"])] = m.files.pop(path)
    elif kind == 2:
        m.files[path.replace(".age", ".jws") if rng.random() < 0.5 else path.upper()] = m.data(path)
    else:
        m.files[path] = mutate_bytes(m.data(path), rng)
