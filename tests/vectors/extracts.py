"""An extract in the making: which lines, and everything that they are proved with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.vectors.agency import DEVICE
from tests.vectors.builder import Bundle
from tests.vectors.pieces import Content, Ref, path_of
from tests.vectors.primitives import audit_path, b64, compact, unb64url
from tests.vectors.recorder import Recorder, Recording

Files = dict[str, Content]


@dataclass
class Extract:
    """Each field can be told otherwise before it is laid out."""

    d: Recorder
    r: Recording
    numbers: list[int]
    objects: list[Ref]
    size: int
    note: str

    @classmethod
    def of(cls, d: Recorder, name: str) -> Extract:
        """The one that the specification describes."""
        r = d.recordings[name]
        epochs = r.at["epoch"]
        end = epochs[-1] if len(epochs) > 1 else d.size - 1
        last = {_kind(d, seq): seq for seq in d.at["adopted"] if seq < epochs[0]}
        preamble = sorted({max(seq for seq in d.at["boot"] if seq < epochs[0]), *last.values()})
        documents = [ref for seq, ref in d.named if seq in preamble]
        return cls(d, r, [*preamble, *range(epochs[0], end + 1)], [*documents, *r.objects], d.size, d.note())

    @property
    def span(self) -> int:
        """Where the span begins, as a place in ``numbers``."""
        return self.numbers.index(self.r.at["epoch"][0])

    def row(self, seq: int) -> bytes:
        path = audit_path(seq, self.d.leaves[: self.size])
        return " ".join([str(seq), *map(b64, path)]).encode() + b"\n"

    def files(self, **about: Any) -> Files:
        shape = {"v": 1, "type": "extract", "agency": self.d.agency.name, "device": self.d.name}
        shape |= {"recording": self.r.id, "size": self.size}
        found: Files = {
            "extract.json": compact(shape | about) + b"\n",
            "lines.jws": b"".join(self.d.lines[seq] + b"\n" for seq in self.numbers),
            "proofs": b"".join(map(self.row, self.numbers)),
            "cosigned": self.note.encode(),
        }
        return found | {path_of(ref): self.d.files[path_of(ref)] for ref in self.objects}


def _kind(d: Recorder, seq: int) -> str:
    ref = next(ref for at, ref in d.named if at == seq)
    data = d.files[path_of(ref)]
    assert isinstance(data, bytes)
    return "profile" if b'"type":"profile"' in unb64url(data.split(b".")[1]) else "policy"


def place(b: Bundle, extract: Extract, change: Callable[[Files], object] = len, **about: Any) -> None:
    """The extract as the vector's only folder; ``about`` goes to ``extract.json``."""
    files = extract.files(**about)
    change(files)
    b.files |= {f"{DEVICE}/{path}": content for path, content in files.items()}
    b.extract, b.recordings = True, True


def lines_of(files: Files, name: str = "lines.jws") -> list[bytes]:
    data = files[name]
    assert isinstance(data, bytes)
    return data.splitlines(keepends=True)
