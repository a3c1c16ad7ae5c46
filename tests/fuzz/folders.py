"""Targets that need files: the verifier over whole folders, an index beside a ledger."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from agent.errors import FormatError
from agent.evidence.entries import BODIES
from agent.evidence.extract import EXTRACT_FILE, extract_recording
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import LedgerIndex, build_index
from agent.evidence.merkle import consistency_proof
from agent.evidence.verification.page import render
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge
from tests.fuzz import parts, seeds
from tests.fuzz.formats import identity, trust
from tests.fuzz.scratch import clean, scratch
from tests.vectors.agency import DEVICE, WITNESS, agency
from tests.vectors.device import Device
from tests.vectors.primitives import b64url, cosignature, public

FILES = ("ledger.jws", "checkpoint", "cosigned")
EXTRACT_FILES = ("lines.jws", "proofs", "cosigned", EXTRACT_FILE)
INDEX_FILES = ("offsets", "tree", "recordings", "keys")
_MAX_SECONDS = 2**64 - 1


@cache
def _objects() -> Path:
    """A device folder whose objects are those of the good vectors."""
    place = clean(DEVICE) / "objects"
    place.mkdir()
    for folder in seeds.folders():
        for path, data in folder.items():
            name = path.removeprefix("objects/")
            if name != path and "/" not in name and len(data) < 4096:
                (place / name).write_bytes(data)
    return place.parent


def _judge(path: Path, notes: tuple[bytes, ...] = ()) -> None:
    question = Question(trust(), ConductJudge, identity=identity(), notes=notes)
    report = verify(path, question)
    json.dumps(report.to_json())
    render(report, {"path": "x"})


def folder(data: bytes) -> None:
    """A device folder of any bytes, and a note that somebody kept."""
    place = _objects()
    *contents, note = parts.split(data, len(FILES) + 1)
    for name, content in zip(FILES, contents, strict=True):
        (place / name).write_bytes(content)
    _judge(place, (note,))


def folder_seeds() -> list[bytes]:
    found = seeds.folders()
    every = [parts.join(*(one.get(name, b"") for name in FILES), one.get("cosigned", b"")) for one in found]
    return [one for one in seeds.some(every) if len(one) < 40_000]


def extract(data: bytes) -> None:
    """An extract of any bytes."""
    place = clean("extract")
    (place / "objects").mkdir()
    for name, content in zip(EXTRACT_FILES, parts.split(data, len(EXTRACT_FILES)), strict=True):
        (place / name).write_bytes(content)
    (place / EXTRACT_FILE).touch()
    _judge(place)


def extract_seeds() -> list[bytes]:
    found = [one for one in seeds.folders() if EXTRACT_FILE in one]
    return seeds.some([parts.join(*(one.get(name, b"") for name in EXTRACT_FILES)) for one in found])


def _enter(device: Device, entry: dict[str, Any]) -> None:
    """One entry as the input says it, in its place in the chain and under the key in force."""
    kind, body, key = entry.get("type"), entry.get("body"), device.key
    said = {"time": entry["time"]} if "time" in entry else {}
    if kind == "boot" and isinstance(body, dict):
        certificate = b64url(device.certificate.public_bytes(Encoding.DER))
        body = body | {"epoch_key": b64url(public(device.next_key())), "certificate": certificate}
        key = device.identity
    elif kind == "epoch" and isinstance(body, dict):
        body = body | {"key": b64url(public(device.next_key()))}
    device.enter(kind, body, key=key, **said)  # type: ignore[arg-type]


def judged(data: bytes) -> None:
    """``{"entries": […], "seconds": N}``: chained, signed and cosigned as they should be, whatever the entries say."""
    try:
        value = json.loads(data)
        entries, seconds = value["entries"], int(value["seconds"])
        device = Device(agency())
        for one in entries[:60]:
            _enter(device, one)
        note = device.note(by=(), own=True).encode() if entries else b""
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return  # no input of this target
    text = device.text()
    stamp = cosignature(text, WITNESS, agency().witnesses[WITNESS], seconds % (_MAX_SECONDS + 1))
    place = _objects()
    (place / "ledger.jws").write_bytes(b"".join(line + b"\n" for line in device.lines))
    (place / "checkpoint").write_bytes(note)
    (place / "cosigned").write_bytes(note + stamp.encode())
    _judge(place)


def judged_seeds() -> list[bytes]:
    found = []
    for ledger in seeds.some(seeds.files("*ledger.jws")):
        payloads = [seeds.payload(line) for line in ledger.split(b"\n") if line]
        try:
            entries = [json.loads(one or b"") for one in payloads]
            shown = [{"type": one["type"], "time": one["time"], "body": one["body"]} for one in entries]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if all(one["type"] in BODIES for one in shown) and len(shown) < 60:
            seconds = (1_800_000_100, 0, 2**63 - 1, 2**63)[len(found) % 4]
            found.append(json.dumps({"entries": shown, "seconds": seconds}).encode())
    return seeds.some(found)


@cache
def _indexed() -> EvidenceFolder:
    """A device folder with one recording, its note and its index."""
    files = seeds.folders("good")[0]
    place = clean("indexed")
    for name in FILES:
        (place / name).write_bytes(files[name])
    build_index(place / "good", place / "ledger.jws")
    return EvidenceFolder(place)


def index(data: bytes) -> None:
    """An index of any bytes beside a good ledger: every line, every proof, an extract."""
    folder, place = _indexed(), clean("index")
    for name, content in zip(INDEX_FILES, parts.split(data, len(INDEX_FILES)), strict=True):
        (place / name).write_bytes(content)
    found = LedgerIndex(place, folder.ledger)
    try:
        for seq in range(min(found.size, 40)):
            with suppress(FormatError):
                found.line(seq)
        with suppress(FormatError):
            list(islice(found.key_lines(found.size), 40))
        with suppress(FormatError):
            consistency_proof(found.tree, min(3, found.size), found.size)
        recording = (place / "recordings").read_bytes()[:8].hex().rjust(16, "0")
        extract_recording(folder, found, recording, scratch() / "index" / "out")
    finally:
        found.close()


def index_seeds() -> list[bytes]:
    good = _indexed().path / "good"
    return [parts.join(*((good / name).read_bytes() for name in INDEX_FILES))]


def extracted_note(data: bytes) -> None:
    """A ``cosigned`` of any bytes beside a good ledger and its index."""
    folder, place = _indexed(), clean("noted")
    shutil.copy(folder.ledger, place / "ledger.jws")
    (place / "cosigned").write_bytes(data)
    found = LedgerIndex(folder.path / "good", place / "ledger.jws")
    try:
        recording = (folder.path / "good" / "recordings").read_bytes()[:8].hex()
        extract_recording(EvidenceFolder(place), found, recording, place / "out")
    finally:
        found.close()


def note_seeds() -> list[bytes]:
    """Notes of the vectors, and a good one in the name of what is no device."""
    good = seeds.folders("good")[0]["cosigned"]
    return [*seeds.of("*cosigned")(), good.replace(good.split(b"\n")[0], b"x", 1)]


def ledger_lines(data: bytes) -> None:
    """A ledger of any bytes, from which an index is made."""
    place = clean("lines")
    (place / "ledger.jws").write_bytes(data)
    build_index(place / "index", place / "ledger.jws")
