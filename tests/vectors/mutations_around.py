"""Mutations of what stands around the lines: notes, the trust file, certificates, the question itself."""

from __future__ import annotations

import datetime as dt
import json
import re
from base64 import b64encode
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.vectors.agency import DAY_US, START_US
from tests.vectors.mutant import Device, Mutant, ring, written
from tests.vectors.mutations import decode64, left_over_bits, mutate_bytes, mutate_value, mutation, respell
from tests.vectors.mutations_lines import device_of, line_of
from tests.vectors.primitives import Dice, b64, b64url, cosignature, own_signature, public, unb64url


def note_paths(m: Mutant) -> list[str]:
    return [folder + name for folder in m.folders() for name in ("checkpoint", "cosigned") if m.data(folder + name)]


def mutate_note(note: bytes, m: Mutant, rng: Random) -> bytes:
    lines = note.split(b"\n")
    at = rng.randrange(len(lines))
    words = lines[at].split(b" ")
    words[-1] = left_over_bits(words[-1].decode("utf-8", "replace"), rng).encode()
    odd = rng.choice(["+", "\t", "\u00a0", "\u2028", "\u0085", "\u3000", "\u180e", "\ufeff", "\x1f", "\x7f", "é", ""])
    stranger = f"— some{odd}body {b64(Dice('somebody').bytes(rng.choice((0, 3, 4, 5, 68, 76))))}".encode()
    kinds = [
        b"\n".join([*lines[:at], b" ".join(words), *lines[at + 1 :]]),
        b"\n".join([*lines[:3], b"extension", *lines[3:]]),
        b"\n".join([*lines[:-1], stranger, b""]),
        b"\n".join([*lines[:4], stranger, *lines[4:]]),
        b"\n".join([*lines[:at], lines[at], *lines[at:]]),
        b"\n".join(lines[:at] + lines[at + 1 :]),
        note.replace(b"\n", b"\r\n"),
        note.removesuffix(b"\n"),
        note + b"\n",
        note.replace("—".encode(), rng.choice([b"-", "–".encode(), "― ".encode()])),
        mutate_bytes(note, rng),
        note.replace(b"\n" + lines[1] + b"\n", b"\n" + rng.choice([b"0", b"00", b"+1", b"1_0", "١".encode(), b"9" * 17, b"9" * 400, b"9" * 5000, b"18446744073709551616"]) + b"\n")
        if len(lines) > 2
        else note,
    ]
    return rng.choice(kinds)


def _signed_note(note: bytes, m: Mutant, rng: Random) -> bytes:
    """More cosignatures on a note: of odd times, twice, with one of two that is false."""
    text = note.decode("utf-8", "replace").partition("\n\n")[0] + "\n"
    who = rng.choice(sorted(m.agency.witnesses))
    known = [0, 1, START_US // 1_000_000, START_US // 1_000_000 + 10_000, 9_007_199_254, 9_007_199_255]
    seconds = rng.choice([*known, 2**63 - 1, 2**63, 2**64 - 1])
    more = cosignature(text, who, m.agency.witnesses[who], seconds)
    blob = re.findall(r" (\S+)\n", more)[-1]
    false = more.replace(blob, b64(decode64(blob)[:-1] + b"\0"))
    own = own_signature(text, rng.choice(sorted(ring().values(), key=bytes)))
    lines = note.decode("utf-8", "replace").partition("\n\n")[2].split("\n")[:-1]
    repeated = [line + "\n" for line in lines]
    broken = [re.sub(r"(.{9})=?\n$", "AAAAAAAA=\n", line) for line in repeated]
    added = rng.choice([more, false, own, *repeated, *broken, more + false, more * 16])
    joined = [line + "\n" for line in lines]
    joined.insert(rng.randrange(len(joined) + 1), added)
    return f"{text}\n{''.join(joined)}".encode()


@mutation("note")
def change_note(m: Mutant, rng: Random) -> None:
    paths = note_paths(m)
    change = rng.choice([mutate_note, _signed_note])
    if paths and (not m.notes or rng.random() < 0.7):
        path = rng.choice(paths)
        m.files[path] = change(m.data(path), m, rng)
    elif m.notes:
        m.notes[0] = change(m.notes[0], m, rng)


@mutation("note-given")
def give_note(m: Mutant, rng: Random) -> None:
    """One of the notes in the folder, or one over fewer lines, given by the reader; perhaps changed."""
    device = device_of(m, rng)
    paths = note_paths(m)
    if not paths:
        return
    note = m.data(rng.choice(paths))
    if device is not None and not device.is_extract and rng.random() < 0.4:
        note = _note_over(device, rng)
    elif rng.random() < 0.3:
        parts = note.split(b"\n")
        size = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() and len(parts[1]) < 9 else 1
        grown = max(0, size + rng.choice((-1, 1, 5, -size)))
        text = f"{parts[0].decode('utf-8', 'replace')}\n{grown}\n{parts[2].decode('utf-8', 'replace')}\n" if len(parts) > 2 else ""
        who = rng.choice(sorted(m.agency.witnesses))
        note = f"{text}\n{cosignature(text, who, m.agency.witnesses[who], START_US // 1_000_000 + 500)}".encode()
    for change in (mutate_note, _signed_note):
        if rng.random() < 0.3:
            note = change(note, m, rng)
    m.notes.insert(0, note)


def _note_over(device: Device, rng: Random) -> bytes:
    from tests.vectors.primitives import leaf, note_text, origin, root_of

    m, size = device.mutant, rng.randrange(len(device.before) + 1)
    name = str(device.lines[0].payload.get("device")) if device.lines and device.lines[0].payload else "x"
    text = note_text(origin(m.agency.name, name), size, root_of([leaf(raw) for raw in device.before[:size]]))
    who = rng.choice(sorted(m.agency.witnesses))
    seconds = START_US // 1_000_000 + rng.choice((0, 60, 119, 120, 121, 3600))
    return f"{text}\n{cosignature(text, who, m.agency.witnesses[who], seconds)}".encode()


@mutation("witnessed-entry")
def change_witnessed(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    if device is None or device.is_extract or not device.lines:
        return
    at = rng.randrange(1, len(device.lines) + 1)
    note = _note_over(device, rng)
    if rng.random() < 0.5:
        note = rng.choice([mutate_note, _signed_note])(note, m, rng)
    like = device.lines[at - 1]
    if like.payload and like.header:
        from tests.vectors.mutant import Line

        body = {"note": note.decode("utf-8", "replace")}
        device.lines.insert(at, Line(b"", dict(like.header), like.payload | {"type": "witnessed", "body": body}))
        device.write()


# The trust file


def trust_of(m: Mutant) -> dict[str, Any] | None:
    try:
        value = json.loads(m.data("trust.json"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@mutation("trust")
def change_trust(m: Mutant, rng: Random) -> None:
    value = trust_of(m)
    if value is None:
        return
    kind = rng.randrange(5)
    if kind == 0:
        m.files["trust.json"] = respell(m.data("trust.json"), rng)
        return
    if kind == 1:
        mutate_value(value, rng)
    elif kind == 2:
        name = rng.choice(["root_certificate", "crl"])
        value[name] = _other_pem(str(value.get(name)), rng)
    elif kind == 3:
        value["docks"] = _listed(value.get("docks"), rng)
    else:
        value["witnesses"] = _listed(value.get("witnesses"), rng)
    m.files["trust.json"] = written(value)


def _listed(found: Any, rng: Random) -> Any:
    """A dock or witness twice, with another key, or in another order."""
    if not isinstance(found, list) or not found:
        return found
    one = dict(rng.choice(found))
    name = rng.choice([name for name in one if name != "id"])
    other = b64url(public(Dice(f"another {name}").key()))
    bits = left_over_bits(str(one[name]), rng)
    one[name] = rng.choice([other, bits, b64url(bytes(32)), b64url(b"\1" + bytes(31)), one[name]])
    return rng.choice([[one, *found], [*found, one], found[::-1], [one]])


def _other_pem(pem: str, rng: Random) -> str:
    body = "".join(pem.split("\n")[1:-2])
    kinds = [
        pem * 2,
        "text\n" + pem,
        pem + "text",
        "\n" + pem + "\n",
        pem.replace("\n", "\r\n"),
        pem.replace("-----BEGIN", "----BEGIN"),
        pem.replace(body[:64] + "\n", body[:64]),
        pem.replace(body[-10:], left_over_bits(body[-10:].replace("\n", ""), rng)),
        pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        pem.replace("-----\n", "-----\nX: y\n\n", 1),
        pem.rstrip("\n"),
        pem.replace("\n", " "),
        "",
        mutate_bytes(pem.encode(), rng).decode("utf-8", "replace"),
    ]
    return rng.choice(kinds)


def _signed_der(m: Mutant, tbs: bytes) -> bytes:
    """A certificate or list of these bytes, signed by the root."""
    algorithm = bytes.fromhex("300506032b6570")
    inner = tbs + algorithm + b"\x03\x41\x00" + m.agency.root_key.sign(tbs)
    return _der(0x30, inner)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _parts(content: bytes) -> list[bytes]:
    """DER elements one after another; the content is good."""
    found, at = [], 0
    while at < len(content):
        head, size = 2, content[at + 1]
        if size > 127:
            head, size = 2 + size - 128, int.from_bytes(content[at + 2 : at + 2 + size - 128], "big")
        found.append(content[at : at + head + size])
        at += head + size
    return found


def _content(element: bytes) -> bytes:
    return element[2 if element[1] < 128 else 2 + element[1] - 128 :]


def _time(text: str, long: bool = False) -> bytes:
    return _der(0x18 if long else 0x17, text.encode())


def _odd_times(rng: Random) -> bytes:
    short = ["270101000000Z", "491231235959Z", "500101000000Z", "271301000000Z", "270230000000Z", "2701010000Z", "270101000000+0000", "270101240000Z", "270101000060Z"]
    long = ["20270101000000Z", "20500101000000Z", "99991231235959Z", "20270101000000.5Z", "20271301000000Z", "00000101000000Z", "202701010000Z", "00010101000000Z", "19500101000000Z"]
    return _time(rng.choice(short)) if rng.random() < 0.5 else _time(rng.choice(long), long=True)


def _attribute(oid: str, tag: int, text: bytes) -> bytes:
    return _der(0x30, _der(0x06, bytes.fromhex(oid)) + _der(tag, text))


def _odd_subject(subject: bytes, rng: Random) -> bytes:
    sets = _parts(_content(subject))
    more = [
        _attribute("550406", 0x13, b"CN"),
        _attribute("550405", 0x13, b"1"),
        _attribute("550403", 0x0C, b"x"),
        _attribute("55040a", 0x13, b"sample-agency"),
        _attribute("2a864886f70d010901", 0x16, b"a@example.org"),
    ]
    kind = rng.randrange(6)
    at = rng.randrange(len(sets))
    if kind == 0:
        sets.insert(rng.randrange(len(sets) + 1), _der(0x31, rng.choice(more)))
    elif kind == 1:
        sets[at] = _der(0x31, _content(sets[at]) + rng.choice(more))
    elif kind == 2:
        sets = sets[::-1]
    elif kind == 3:
        sets = [_der(0x31, b"".join(sorted(_content(one) for one in sets)))]
    else:
        oid, text = _parts(_content(_parts(_content(sets[at]))[0]))
        value = _content(text)
        wide = value.decode("utf-8", "replace").encode("utf-16-be")
        tags = [(0x13, value), (0x16, value), (0x14, value), (0x1A, value), (0x1E, wide), (0x0C, value + b"\xff"), (0x04, value), (0x0C, b""), (0x0C, value + b"\0"), (0x13, value + b"*"), (0x0C, value.upper())]
        sets[at] = _der(0x31, _der(0x30, oid + _der(*rng.choice(tags))))
    return _der(0x30, b"".join(sets))


@mutation("certificate")
def change_certificate(m: Mutant, rng: Random) -> None:
    device = device_of(m, rng)
    boots = [line for line in (device.lines if device else []) if line.kind == "boot"]
    if device is None or not boots:
        return
    line = rng.choice(boots)
    try:
        der = unb64url(str(line.body.get("certificate")))
        tbs = _parts(_content(x509.load_der_x509_certificate(der).public_bytes(Encoding.DER)))[0]
    except (ValueError, x509.InvalidVersion):
        return
    parts = _parts(_content(tbs))
    if len(parts) != 8:
        return
    kind = rng.randrange(8)
    validity = _parts(_content(parts[4]))
    if kind == 0:
        validity[rng.randrange(2)] = _odd_times(rng)
        parts[4] = _der(0x30, b"".join(validity))
    elif kind <= 3:
        parts[5] = _odd_subject(parts[5], rng)
    elif kind == 4:
        parts[0] = rng.choice([b"", bytes.fromhex("a003020100"), bytes.fromhex("a003020101"), bytes.fromhex("a003020103")])
    elif kind == 5:
        keys = [bytes(32), b"\1" + bytes(31), b"\xff" * 32, Dice("odd").bytes(31), bytes(33), Dice("x").bytes(32)]
        algorithms = ["300506032b6570", "300506032b656e", "300706032b65700500", "300506032b6571", "300406022a03"]
        key = rng.choice([_parts(_content(parts[6]))[1], _der(0x03, b"\0" + rng.choice(keys))])
        parts[6] = _der(0x30, bytes.fromhex(rng.choice(algorithms)) + key)
    elif kind == 6:
        parts[1] = rng.choice([b"\x02\x01\x00", b"\x02\x01\x81", b"\x02\x02\x00\x01", b"\x02\x15" + b"\x7f" * 21, b"\x02\x00"])
    else:
        parts[rng.randrange(2, 8)] = mutate_bytes(parts[rng.randrange(2, 8)], rng)
    certificate = _signed_der(m, _der(0x30, b"".join(parts)))
    if rng.random() < 0.1:
        certificate = rng.choice([certificate + b"\0", mutate_bytes(certificate, rng)])
    line.body["certificate"] = b64url(certificate)
    device.write()


@mutation("revocation-list")
def change_list(m: Mutant, rng: Random) -> None:
    value = trust_of(m)
    line = line_of(device_of(m, rng), rng)
    if value is None or line is None:
        return
    serial = m.agency.certificate("x", Dice("x").key()).serial_number
    boots = [one for folder in m.folders() for one in Device(m, folder).lines if one.kind == "boot"]
    try:
        der = unb64url(str(boots[0].body.get("certificate")))
        serial = x509.load_der_x509_certificate(der).serial_number
    except (ValueError, IndexError, x509.InvalidVersion):
        pass
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
    entries = b""
    for _ in range(rng.randrange(3)):
        when = _time(_utc(START_US + rng.choice((-DAY_US, 0, 60_000_000, DAY_US))))
        when = _odd_times(rng) if rng.random() < 0.3 else when
        entries += _der(0x30, _der(0x02, rng.choice([number, number, b"\0" + number, b"\1"])) + when)
    issuer = m.agency.root.subject.public_bytes()
    upright = rng.choice([b"", b"\x02\x01\x01", b"\x02\x01\x01", b"\x02\x01\x01", b"\x02\x01\x00", b"\x02\x01\x02"])
    dates = _time("270115080000Z") + rng.choice([b"", _time("270214080000Z"), _odd_times(rng)])
    tail = rng.choice([b"", b"", _der(0xA0, _der(0x30, _der(0x30, bytes.fromhex("0603551d14") + b"\x04\x03\x02\x01\x01")))])
    listed = _der(0x30, entries) if entries or rng.random() < 0.2 else b""
    algorithm = bytes.fromhex(rng.choice(["300506032b6570"] * 6 + ["300706032b65700500"]))
    tbs = _der(0x30, upright + algorithm + issuer + dates + listed + tail)
    body = b64encode(_signed_der(m, tbs)).decode()
    rows = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    value["crl"] = f"-----BEGIN X509 CRL-----\n{rows}\n-----END X509 CRL-----\n"
    m.files["trust.json"] = written(value)


def _utc(us: int) -> str:
    return dt.datetime.fromtimestamp(us // 1_000_000, dt.UTC).strftime("%y%m%d%H%M%SZ")


# The question and the folder


@mutation("question")
def change_question(m: Mutant, rng: Random) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        m.accept_simulated = not m.accept_simulated
    elif kind == 1:
        m.identity = rng.choice([None, m.agency.archive.identity, m.agency.escrow.identity, m.agency.stranger.identity])
    elif kind == 2:
        m.notes = m.notes[1:] + m.notes[:1]
    else:
        m.notes = [*m.notes, *[m.data(path) for path in note_paths(m)[:1]]]


@mutation("folder-name")
def rename_folder(m: Mutant, rng: Random) -> None:
    """The folder of a device has another name than the device."""
    folders = m.folders()
    if folders:
        old = rng.choice(folders)
        new = rng.choice(["other/", "rec-second/", "é/", "x" * rng.choice((64, 65, 200)) + "/"])
        m.files = {new + path.removeprefix(old) if path.startswith(old) else path: one for path, one in m.files.items()}
        m.path = new.rstrip("/") if m.path == old.rstrip("/") else m.path


@mutation("archive")
def make_archive(m: Mutant, rng: Random) -> None:
    """A device folder as the only one of an archive, or twice in it."""
    folders = m.folders()
    if len(folders) == 1 and folders[0].count("/") == 1 and not Device(m, folders[0]).is_extract:
        m.path = "."
        if rng.random() < 0.5:
            copy = {"copy/" + path.removeprefix(folders[0]): one for path, one in m.files.items() if path.startswith(folders[0])}
            m.files |= copy


@mutation("bytes")
def change_bytes(m: Mutant, rng: Random) -> None:
    path = rng.choice(sorted(path for path, one in m.files.items() if isinstance(one, bytes)))
    m.files[path] = mutate_bytes(m.data(path), rng)
