"""A ledger as long as one likes, made on demand: good lines of a device that recorded and was docked, over and over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.vectors.agency import DOCK, WITNESS, agency
from tests.vectors.pieces import Ref, path_of
from tests.vectors.primitives import (
    RECEIPT,
    GrowingTree,
    b64url,
    compact,
    cosignature,
    document,
    header_of,
    note_text,
    origin,
    own_signature,
    public,
)
from tests.vectors.recorder import Recorder

EVERY = 50
"""A recording every so many lines, a receipt and a release for every ``BATCH`` of them."""
BATCH = 50


class _LongRecorder(Recorder):
    """Writes each line at once and keeps only what the next one needs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(agency())
        self._folder = folder
        (folder / "objects").mkdir(parents=True)
        self._out = (folder / "ledger.jws").open("wb")
        self._count, self._head, self._tree = 0, "0" * 64, GrowingTree()
        self._header: tuple[bytes, bytes] = (b"", b"")

    @property
    def size(self) -> int:
        return self._count

    def enter(self, kind: str, body: Any, *, key: Any = None, wait_us: int = 1_000_000, **unused: Any) -> int:
        self.mono_us += wait_us
        by = key or self.key
        payload = {
            "v": 1,
            "seq": self._count,
            "prev": self._head,
            "device": self.name,
            "type": kind,
            "time": self.time(),
            "body": body,
        }
        if self._header[0] != bytes(by):
            self._header = bytes(by), b64url(compact(header_of(public(by)))).encode()
        signed = self._header[1] + b"." + b64url(compact(payload)).encode()
        line = signed + b"." + b64url(by.sign(signed).signature).encode()
        self._head = hashlib.sha256(line).hexdigest()
        self._tree.add(line)
        self._out.write(line + b"\n")
        self._count += 1
        self.old_keys.clear()
        return self._count - 1

    def put(self, data: bytes, form: str) -> Ref:
        ref = super().put(data, form)
        (self._folder / path_of(ref)).write_bytes(data)
        self.files.clear()
        return ref

    def seal(self, label: str, plain: bytes, keys: Any = None, extra: bytes = b"") -> Ref:
        """An object that a dock will have: nothing of it lies here, so that only its name is made."""
        ref = {"digest": hashlib.sha256(f"{self.label} {label}".encode()).hexdigest(), "size": 1000, "form": "age"}
        self.sealed.append(ref)
        return ref

    def film(self, *arguments: Any, **how: Any) -> bytes:
        return b""

    def record_many(self) -> Iterator[int]:
        """Recordings without end; gives the number of lines after each stretch."""
        number = 0
        while True:
            self.record(f"number-{number}", segments=3)
            self.recordings.clear()
            number += 1
            yield self._count
            while self._count % EVERY:
                self.heartbeat()
                yield self._count
            if number % BATCH == 0:
                self.dock()
                yield self._count

    def dock(self) -> None:
        """Hands everything over and releases it."""
        shape = {
            "v": 1,
            "type": "receipt",
            "dock": DOCK,
            "device": self.name,
            "objects": self.sealed,
            "ledger_size": self._count,
            "ledger_root": self._tree.root().hex(),
            "issued_us": self.true_us,
        }
        ref = self.put(document(shape, RECEIPT, self.agency.receipts[DOCK]), "jws")
        self.enter("receipt", {"dock": DOCK, "object": ref, "ledger_size": self._count})
        digests = [one["digest"] for one in self.sealed]
        self.enter("released", {"receipt": ref["digest"], "objects": digests, "bytes": 1000 * len(digests)})
        self.sealed = []

    def end(self) -> None:
        """Hands over what is left; writes the notes."""
        self.dock()
        self._out.close()
        text = note_text(origin(self.agency.name, self.name), self._count, self._tree.root())
        note = f"{text}\n{own_signature(text, self.key)}"
        (self._folder / "checkpoint").write_text(note, encoding="utf-8")
        seconds = self.true_us // 1_000_000 + 1
        for name in (DOCK, WITNESS):
            note += cosignature(text, name, self.agency.witnesses[name], seconds)
        (self._folder / "cosigned").write_text(note, encoding="utf-8")


def long_ledger(folder: Path, lines: int) -> int:
    """Makes the device folder with at least this many lines; says how many there are."""
    d = _LongRecorder(folder)
    d.begin()
    for count in d.record_many():
        if count >= lines:
            break
    d.end()
    return d.size
