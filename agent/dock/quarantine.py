"""What did not verify: kept whole, with the reason beside it, until a custodian has looked. Nothing is removed here.

    quarantine/DEVICE/000007-NAME                the bytes as they came
    quarantine/DEVICE/000007-NAME.reason.json    what, when and why, in Chinese and English

The reason is written first: a crash in between leaves a reason without its bytes, which are then still where they came
from. Each device has its own limit, so that one cannot use up the room of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from agent.dock.settings import DockSettings
from agent.errors import FormatError, QuarantineFullError, UsageError
from agent.evidence.encoding import dump_json, load_object, sha256_hex
from agent.evidence.shapes import STRICT, Count, Digest, FormatVersion, Micros, Name, dump_shape, load_shape
from agent.system import durable
from agent.system.durable import storage_errors

What = Literal["object", "part", "line", "fork", "branch", "checkpoint", "clone"]
LEAST_BYTES: Final = 65_536
"""What the smallest item counts, so that the limit also bounds their number."""
_REASON: Final = ".reason.json"
_NUMBERS: Final = 1_000_000

REASONS: Final[dict[What, tuple[str, str]]] = {
    "object": ("对象内容与账本登记的摘要不符", "the object is not the one that the ledger names"),
    "part": ("对象分片的长度不符", "a part of an object has the wrong length"),
    "line": ("账本行未通过验证", "a ledger line does not verify"),
    "fork": ("同一行号出现另一内容，账本被改写或设备被克隆", "another line than the one held: rewritten or cloned"),
    "branch": ("与在库账本分叉的另一账本", "another ledger of the same device, which leaves the one held"),
    "checkpoint": ("检查点与在库账本不符", "a checkpoint is not of the ledger held"),
    "clone": ("同一编号的设备同时从两处连接", "the same device id from two places at once"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """The note beside an item. ``detail`` is English and technical; nothing in it is personal."""

    v: FormatVersion
    type: Literal["quarantine"]
    dock: Name
    device: Name
    file: Annotated[str, Field(max_length=255)]
    what: What
    size: Count
    digest: Digest
    reason: str
    reason_english: str
    detail: Annotated[str, Field(max_length=4096)]
    kept_us: Micros
    """The dock's wall clock, UTC."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in quarantine; ``reason`` is None when its note is missing or damaged."""

    path: Path
    size: int
    reason: Reason | None

    @property
    def id(self) -> str:
        """How a custodian names it: DEVICE/FILE."""
        return f"{self.path.parent.name}/{self.path.name}"


class Quarantine:
    """One device's part. Used by the thread of its intake."""

    def __init__(self, settings: DockSettings, device: str, now_us: Callable[[], int]) -> None:
        self.folder = settings.quarantine / device
        self._limit_bytes, self._now_us = settings.quarantine_bytes, now_us
        self._dock, self._device = settings.id, device

    def keep(self, what: What, name: str, data: bytes, detail: str) -> Path:
        """Keeps bytes; durable when it returns. Raises QuarantineFullError, StorageError: nothing is kept then."""
        target = self._admit(what, name, len(data), sha256_hex(data), detail)
        durable.write_atomic(target, data, durable.PRIVATE_FILE)
        return target

    def take(self, what: What, source: Path, size: int, digest: str, detail: str) -> Path:
        """Moves a synced file in. Raises QuarantineFullError, StorageError: it then stays where it is."""
        target = self._admit(what, source.name, size, digest, detail)
        durable.move(source, target)
        return target

    def _admit(self, what: What, name: str, size: int, digest: str, detail: str) -> Path:
        durable.make_private_folder(self.folder)
        with storage_errors(self.folder, "listing"):
            held = sum(max(entry.stat().st_size, LEAST_BYTES) for entry in _entries_in(self.folder))
        if held + max(size, LEAST_BYTES) > self._limit_bytes:
            raise QuarantineFullError(f"{self.folder} holds {held} of {self._limit_bytes} bytes: {detail}")
        target = self._free_place(name)
        note = Reason(
            1, "quarantine", self._dock, self._device, target.name, what, size, digest, *REASONS[what],
            detail[:4096], self._now_us(),
        )  # fmt: skip
        durable.write_atomic(_note_path(target), dump_json(dump_shape(note)) + b"\n", durable.PRIVATE_FILE)
        return target

    def _free_place(self, name: str) -> Path:
        with storage_errors(self.folder, "listing"):
            used = [int(entry.name[:6]) for entry in os.scandir(self.folder) if entry.name[:6].isdecimal()]
        number = max(used, default=-1) + 1
        if number >= _NUMBERS:
            raise QuarantineFullError(f"{self.folder} has used up its numbers")
        return self.folder / f"{number:06d}-{name}"


def list_quarantine(folder: Path) -> list[Item]:
    """Everything that a dock keeps in quarantine, by device and number. Raises StorageError."""
    with storage_errors(folder, "listing"):
        devices = sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return [item for device in devices for item in sorted(_items_in(device), key=lambda one: one.path.name)]


def count_quarantine(folder: Path) -> int:
    """How many items there are, without reading them; for a status that is asked for often."""
    with storage_errors(folder, "listing"):
        return sum(1 for path in folder.glob("*/*" + _REASON)) if folder.is_dir() else 0


def find_item(folder: Path, wanted: str) -> Item:
    """The item of this id. Raises UsageError when there is none."""
    for item in list_quarantine(folder):
        if item.id == wanted:
            return item
    raise UsageError(f"隔离区没有此项。 Nothing of this name is in quarantine: {wanted[:200]}")


def _items_in(folder: Path) -> Iterator[Item]:
    with storage_errors(folder, "listing"):
        for entry in _entries_in(folder):
            path = Path(entry.path)
            yield Item(path, entry.stat(follow_symlinks=False).st_size, _read_note(path))


def _entries_in(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The items' own files. A hidden name is a write that a crash cut short: its bytes are still where they were."""
    with os.scandir(folder) as inside:
        for entry in inside:
            if entry.is_file(follow_symlinks=False) and not entry.name.endswith(_REASON) and entry.name[0] != ".":
                yield entry


def _read_note(path: Path) -> Reason | None:
    try:
        return load_shape(Reason, load_object(_note_path(path).read_bytes()))
    except (OSError, FormatError):
        return None


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + _REASON)


