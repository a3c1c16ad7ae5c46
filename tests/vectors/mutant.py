"""A vector while it is changed: its files, and whoever can sign them again.

Everybody who signs in a vector has a key that comes from a label, so that an attacker's change can be carried through
to the last signature: the lines after it, receipts, notes, the proofs of an extract.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from nacl.signing import SigningKey

from tests.vectors import runner
from tests.vectors.agency import AGENCY, DEVICE, SECOND, Agency, agency
from tests.vectors.pieces import Content, Folder, Link
from tests.vectors.primitives import (
    COSIGNATURE,
    ED25519,
    Dice,
    audit_path,
    b64,
    b64url,
    compact,
    leaf,
    public,
    root_of,
    sha256,
    signature_line,
    thumbprint,
    token,
    unb64url,
)

NOTHING_BEFORE = "0" * 64
EPOCHS = 24
"""Keys made for each label."""


@cache
def ring() -> dict[str, SigningKey]:
    """Every signing key of the sample devices and agencies, by thumbprint."""
    keys = []
    for name in (AGENCY, "other-agency"):
        keys += [agency(name).documents, *agency(name).receipts.values(), *agency(name).witnesses.values()]
        for device in (DEVICE, SECOND):
            keys += [Dice(f"{name} {device} identity").key()]
            keys += [Dice(f"{name} {device}{more} epoch {n}").key() for more in ("", " forged") for n in range(EPOCHS)]
    return {thumbprint(public(key)): key for key in keys}


def written(value: Any) -> bytes:
    """Compact JSON, or what comes nearest: with escapes where a text holds what UTF-8 does not."""
    try:
        return compact(value)
    except ValueError:
        return json.dumps(value, separators=(",", ":")).encode()


@cache
def by_public_key() -> dict[str, SigningKey]:
    return {b64url(public(key)): key for key in ring().values()}


def key_named(name: object) -> SigningKey | None:
    """The signing key of a public key as it stands in evidence."""
    return by_public_key().get(name) if isinstance(name, str) else None


@dataclass
class Line:
    """A line taken apart, or only its bytes when it is none."""

    raw: bytes
    header: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    spelt: bytes | None = None
    """The payload as it shall be written, when not compactly."""
    own: bool = True
    """Signed by the key in force, numbered and chained as it should be: made so again."""
    frozen: bool = False
    """Stays as its bytes are."""

    @classmethod
    def of(cls, raw: bytes) -> Line:
        try:
            header, payload = (json.loads(unb64url(part)) for part in raw.split(b".")[:2])
        except ValueError:
            return cls(raw)
        good = isinstance(header, dict) and isinstance(payload, dict) and isinstance(payload.get("body"), dict)
        return cls(raw, header, payload) if good else cls(raw)

    @property
    def kind(self) -> str:
        return str(self.payload.get("type")) if self.payload else ""

    @property
    def body(self) -> dict[str, Any]:
        found = self.payload.get("body") if self.payload else None
        return found if isinstance(found, dict) else {}

    def sign(self, key: SigningKey | None) -> None:
        """Anew, with this key, if it is the one that signed before or in whose name it is."""
        if self.frozen or self.payload is None or self.header is None:
            return
        signer = key if self.own and key else ring().get(str(self.header.get("kid")))
        if signer is None:
            return
        if "kid" in self.header:
            self.header["kid"] = thumbprint(public(signer))
        payload = written(self.payload) if self.spelt is None else self.spelt
        self.raw = token(written(self.header), payload, lambda message: signer.sign(message).signature)


@dataclass
class Mutant:
    """Files by path, and what the verifier is asked."""

    files: dict[str, Content]
    path: str
    identity: str | None
    notes: list[bytes]
    accept_simulated: bool
    agency: Agency = field(default_factory=agency)

    @classmethod
    def of(cls, name: str) -> Mutant:
        vector = runner.load(name)
        files = {path: _content(one) for path, one in runner.files_of(vector).items()}
        options = vector["options"]
        notes = [note.encode() for note in options["notes"]]
        return cls(files, vector["path"], options["identity"], notes, options["accept_simulated"])

    def folders(self) -> list[str]:
        """Device folders and extracts, each ending in a slash."""
        names = ("ledger.jws", "lines.jws")
        return sorted(
            {
                path[: -len(name)]
                for path in self.files
                for name in names
                if path.endswith(f"/{name}") and isinstance(self.files[path], bytes)
            }
        )

    def data(self, path: str) -> bytes:
        """A file's bytes; none when it is no file."""
        found = self.files.get(path)
        return found if isinstance(found, bytes) else b""

    def objects(self, form: str = "age") -> list[str]:
        """Paths of objects."""
        return sorted(path for path in self.files if path.endswith(f".{form}") and self.data(path))


def _content(one: dict[str, Any]) -> Content:
    if "link" in one:
        return Link(one["link"])
    if "folder" in one:
        return Folder()
    return b64decode(one["base64"]) if "base64" in one else str(one["text"]).encode()


class Device:
    """The lines of one folder of a mutant; ``write`` carries their changes through."""

    def __init__(self, mutant: Mutant, folder: str) -> None:
        self.mutant, self.folder = mutant, folder
        self.is_extract = f"{folder}lines.jws" in mutant.files
        self.name = f"{folder}{'lines' if self.is_extract else 'ledger'}.jws"
        self.before = [raw for raw in mutant.data(self.name).split(b"\n") if raw]
        self.lines = [Line.of(raw) for raw in self.before]
        self.indices = self._indices()
        self._mark_own()

    def _indices(self) -> list[int]:
        if not self.is_extract:
            return list(range(len(self.lines)))
        rows = self.mutant.data(f"{self.folder}proofs").split(b"\n")
        found = [int(row.split(b" ")[0]) if re.match(rb"\d{1,3} ", row) else -1 for row in rows]
        return (found + [-1] * len(self.lines))[: len(self.lines)]

    def _mark_own(self) -> None:
        """A line that a vector has signed, numbered or chained wrongly shall stay wrong."""
        key: SigningKey | None = None
        for place, line in enumerate(self.lines):
            if line.payload is None or line.header is None:
                continue
            key = self._signer(line, key)
            named = thumbprint(public(key)) if key else None
            chained = self.is_extract or line.payload.get("prev") == self._digest_before(place)
            line.own = line.header.get("kid") == named and line.payload.get("seq") == self.indices[place] and chained
            key = self._next(line, key)

    def _digest_before(self, place: int) -> str:
        return sha256(self.before[place - 1]).hex() if place else NOTHING_BEFORE

    def _signer(self, line: Line, key: SigningKey | None) -> SigningKey | None:
        if line.kind == "boot":
            return Dice(f"{self.mutant.agency.name} {line.payload and line.payload.get('device')} identity").key()
        return key or (ring().get(str(line.header and line.header.get("kid"))) if self.is_extract else None)

    @staticmethod
    def _next(line: Line, key: SigningKey | None) -> SigningKey | None:
        named = line.body.get("epoch_key") if line.kind == "boot" else line.body.get("key")
        return key_named(named) or key if line.kind in ("boot", "epoch") else key

    # Carrying a change through

    def write(self) -> None:
        """Signs, numbers and chains the lines again, and what stands on them."""
        key: SigningKey | None = None
        self.moved: dict[str, dict[str, Any]] = {}
        self.keys: list[SigningKey | None] = []
        if not self.is_extract:
            self.indices = list(range(len(self.lines)))
        for place, line in enumerate(self.lines):
            key = self._signer(line, key)
            self._renew(place, line)
            line.sign(key)
            key = self._next(line, key)
            self.keys.append(key)
        self.mutant.files[self.name] = b"".join(line.raw + b"\n" for line in self.lines)
        if self.is_extract:
            self._prove()
        else:
            self._renew_notes()

    def _renew(self, place: int, line: Line) -> None:
        if line.payload is None or line.frozen or line.spelt is not None:
            return
        if line.own:
            line.payload["seq"] = self.indices[place]
            follows = place > 0 and (not self.is_extract or self.indices[place] == self.indices[place - 1] + 1)
            if follows:
                line.payload["prev"] = sha256(self.lines[place - 1].raw).hex()
        if line.kind == "receipt" and not self.is_extract:
            self._renew_receipt(place, line)
        if line.kind == "released":
            self._renew_release(line)
        if line.kind == "witnessed" and isinstance(line.body.get("note"), str) and not self.is_extract:
            line.body["note"] = self.renewed(line.body["note"].encode("utf-8", "replace")).decode("utf-8", "replace")

    def roots(self) -> tuple[list[bytes], list[bytes]]:
        return [leaf(raw) for raw in self.before], [leaf(line.raw) for line in self.lines]

    def _renew_receipt(self, place: int, line: Line) -> None:
        ref = line.body.get("object")
        if not isinstance(ref, dict):
            return
        path = f"{self.folder}objects/{ref.get('digest')}.jws"
        one = document_of(self.mutant.data(path))
        if one is None:
            return
        header, shape = one
        size, signer = shape.get("ledger_size"), ring().get(str(header.get("kid")))
        old, new = self.roots()
        if signer is None or not isinstance(size, int) or not 0 <= size <= min(place, len(old)):
            return
        if shape.get("ledger_root") == root_of(old[:size]).hex():
            shape["ledger_root"] = root_of(new[:size]).hex()
        listed = shape.get("objects")
        if isinstance(listed, list):
            shape["objects"] = [self.moved.get(str(one.get("digest")), one) for one in listed if isinstance(one, dict)]
        del self.mutant.files[path]
        line.body["object"] = self.put(token(written(header), written(shape), lambda m: signer.sign(m).signature), ref)

    def put(self, data: bytes, old: dict[str, Any]) -> dict[str, Any]:
        """A document in the place of another: its reference, and every later mention of the old one follows."""
        ref = {"digest": sha256(data).hex(), "size": len(data), "form": old.get("form")}
        self.mutant.files[f"{self.folder}objects/{ref['digest']}.jws"] = data
        self.moved[str(old.get("digest"))] = ref
        return ref

    def _renew_release(self, line: Line) -> None:
        def moved(digest: object) -> object:
            found = self.moved.get(str(digest))
            return found["digest"] if found else digest

        body = line.body
        if "receipt" in body:
            body["receipt"] = moved(body["receipt"])
        if isinstance(body.get("objects"), list):
            body["objects"] = [moved(one) for one in body["objects"]]

    def _renew_notes(self) -> None:
        for name in ("checkpoint", "cosigned"):
            path = self.folder + name
            if self.mutant.data(path):
                self.mutant.files[path] = self.renewed(self.mutant.data(path))
        self.mutant.notes = [self.renewed(note) for note in self.mutant.notes]

    def renewed(self, note: bytes) -> bytes:
        """A note over the lines as they were, over them as they are now; any other note stays."""
        head, _, tail = note.decode("utf-8", "replace").partition("\n\n")
        parts = head.split("\n")
        old, new = self.roots()
        if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 15:
            return note
        size = int(parts[1])
        if size > len(old) or parts[2] != b64(root_of(old[:size])):
            return note
        grown = size + len(new) - len(old) if size == len(old) else min(size, len(new))
        text = f"{parts[0]}\n{grown}\n{b64(root_of(new[:grown]))}\n"
        key = self.keys[grown - 1] if 0 < grown <= len(self.keys) else None
        return f"{text}\n{signed_again(text, tail, key)}".encode()

    def _prove(self) -> None:
        """The lines that are not there are anything: nobody sees them."""
        head = self.mutant.data(f"{self.folder}extract.json")
        try:
            size = json.loads(head)["size"]
        except (ValueError, KeyError, TypeError):
            return
        if not isinstance(size, int) or not -1 < min(self.indices, default=-1) <= max(self.indices) < size < 1000:
            return
        leaves = [leaf(b"%d" % index) for index in range(size)]
        for index, line in zip(self.indices, self.lines, strict=True):
            leaves[index] = leaf(line.raw)
        rows = [" ".join([str(index), *map(b64, audit_path(index, leaves))]) + "\n" for index in self.indices]
        self.mutant.files[f"{self.folder}proofs"] = "".join(rows).encode()
        self.mutant.files[f"{self.folder}cosigned"] = self._over(self.mutant.data(f"{self.folder}cosigned"), leaves)
        self.mutant.notes = [self._over(note, leaves) for note in self.mutant.notes]

    def _over(self, note: bytes, leaves: list[bytes]) -> bytes:
        head, _, tail = note.decode("utf-8", "replace").partition("\n\n")
        parts = head.split("\n")
        if len(parts) != 3 or parts[1] != str(len(leaves)):
            return note
        text = f"{parts[0]}\n{parts[1]}\n{b64(root_of(leaves))}\n"
        return f"{text}\n{signed_again(text, tail, None)}".encode()


def document_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and payload of a signed document, if it is one."""
    try:
        header, shape = (json.loads(unb64url(part)) for part in data.split(b".")[:2])
    except ValueError:
        return None
    return (header, shape) if isinstance(header, dict) and isinstance(shape, dict) else None


@cache
def _witnesses() -> dict[tuple[str, bytes], SigningKey]:
    found = {}
    for name in (AGENCY, "other-agency"):
        for who, key in agency(name).witnesses.items():
            found[who, sha256(f"{who}\n".encode() + bytes([COSIGNATURE]) + public(key))[:4]] = key
    return found


def signed_again(text: str, tail: str, own: SigningKey | None) -> str:
    """The same signature lines over another text, where their keys are known."""
    out = ""
    for line in tail.split("\n")[:-1]:
        name, _, encoded = line.removeprefix("— ").partition(" ")
        try:
            blob = b64decode(encoded, validate=True)
        except ValueError:
            blob = b""
        witness = _witnesses().get((name, blob[:4]))
        if witness is not None and len(blob) == 76:
            seconds = blob[4:12]
            message = f"cosignature/v1\ntime {int.from_bytes(seconds, 'big')}\n{text}".encode()
            out += signature_line(name, COSIGNATURE, public(witness), seconds + witness.sign(message).signature)
        elif own is not None and name == text.split("\n", 1)[0]:
            out += signature_line(name, ED25519, public(own), own.sign(text.encode()).signature)
        else:
            out += line + "\n"
    return out
