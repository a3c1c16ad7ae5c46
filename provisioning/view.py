"""Reading the register: look-ups over its rows, and the rules that hold for it as a whole (R16 among them)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Table

from agent.errors import FormatError, StorageError, UnknownIdError
from agent.evidence.encoding import dump_json, sha256_hex
from agent.evidence.shapes import load_shape
from provisioning.records import (
    Certificate,
    Device,
    Dock,
    Document,
    DocumentKind,
    HistoryEntry,
    Holding,
    Officer,
    Witness,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

FIRST_PREV: Final = "0" * 64
_TABLES: Final[Mapping[str, type[DataclassInstance]]] = {
    "officers": Officer,
    "devices": Device,
    "docks": Dock,
    "witnesses": Witness,
    "holdings": Holding,
    "certificates": Certificate,
    "documents": Document,
    "history": HistoryEntry,
}


class View:
    """The register as it stands: pure look-ups, each row checked against its shape when it is read."""

    def __init__(self, storage: Storage) -> None:
        # A new TinyDB for each view and change: its tables cache, and a rolled-back change must leave nothing in them.
        self._db = TinyDB(storage=lambda: storage)

    def _table(self, kind: type[Any]) -> Table:
        return self._db.table(next(name for name, known in _TABLES.items() if known is kind))

    def _rows(self, kind: type[T]) -> list[T]:
        try:
            return [load_shape(kind, dict(row)) for row in self._table(kind).all()]
        except FormatError as error:
            raise StorageError(f"the register is damaged: {error}; restore it from a backup") from error

    def officers(self) -> list[Officer]:
        """All officers, in the order they were added."""
        return self._rows(Officer)

    def devices(self) -> list[Device]:
        """All devices, in the order they were enrolled."""
        return self._rows(Device)

    def docks(self) -> list[Dock]:
        """All docks, in the order they were added."""
        return self._rows(Dock)

    def witnesses(self) -> list[Witness]:
        """All witnesses that are no docks, in the order they were added."""
        return self._rows(Witness)

    def holdings(self) -> list[Holding]:
        """Who held what, past and present, in the order of beginning."""
        return self._rows(Holding)

    def certificates(self) -> list[Certificate]:
        """All certificates ever issued."""
        return self._rows(Certificate)

    def history(self) -> list[HistoryEntry]:
        """The whole history, oldest first."""
        return self._rows(HistoryEntry)

    def document(self, kind: DocumentKind, subject: str) -> Document | None:
        """The newest document of this kind for this subject."""
        return next((row for row in self._rows(Document) if (row.kind, row.subject) == (kind, subject)), None)

    def device(self, device: str) -> Device:
        """The device with this id; raises UnknownIdError."""
        return _only(self.devices(), device, "device")

    def officer(self, officer: str) -> Officer:
        """The officer with this id; raises UnknownIdError."""
        return _only(self.officers(), officer, "officer")

    def dock(self, dock: str) -> Dock:
        """The dock with this id; raises UnknownIdError."""
        return _only(self.docks(), dock, "dock")

    def witness(self, witness: str) -> Witness:
        """The witness with this id; raises UnknownIdError."""
        return _only(self.witnesses(), witness, "witness")

    def holder(self, device: str) -> str | None:
        """The officer who holds the device now."""
        return next((held.officer for held in self.holdings() if held.device == device and held.until_us is None), None)

    def held_by(self, officer: str) -> str | None:
        """The device that the officer holds now."""
        return next(
            (held.device for held in self.holdings() if held.officer == officer and held.until_us is None), None
        )

    def check(self) -> None:
        """Raises StorageError when the file breaks a rule that every change keeps: R16, unique ids, whole history."""
        for problem in problems(self):
            raise StorageError(f"the register is damaged: {problem}; restore it from a backup")


def _only(rows: list[T], wanted: str, noun: str) -> T:
    for row in rows:
        if row.id == wanted:  # type: ignore[attr-defined]  # every kind passed here has an id
            return row
    raise UnknownIdError(f"there is no {noun} {wanted} in the register")


def _twice(values: list[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def problems(view: View) -> Iterator[str]:
    """What is wrong with the register as a whole; nothing when every rule holds."""
    devices, officers = view.devices(), view.officers()
    named = [row.id for row in devices] + [row.id for row in view.docks()] + [row.id for row in view.witnesses()]
    for twice in _twice(named):
        yield f"two devices, docks or witnesses are called {twice}"
    for twice in _twice([row.id for row in officers]):
        yield f"two officers have the id {twice}"
    for twice in _twice([row.serial for row in view.certificates()]):
        yield f"two certificates have the serial {twice}"
    yield from _holdingproblems(view, {row.id for row in devices}, {row.id for row in officers})
    yield from _historyproblems(view.history())


def _holdingproblems(view: View, devices: set[str], officers: set[str]) -> Iterator[str]:
    now = [held for held in view.holdings() if held.until_us is None]
    for twice in _twice([held.officer for held in now]):
        yield f"R16: officer {twice} holds two devices"
    for twice in _twice([held.device for held in now]):
        yield f"R16: device {twice} has two officers"
    active = {row.id for row in view.devices() if row.state == "active"}
    serving = {row.id for row in view.officers() if row.state == "active"}
    for held in view.holdings():
        if held.device not in devices or held.officer not in officers:
            yield f"holding of {held.device} by {held.officer} names somebody unknown"
    for held in now:
        if held.device not in active or held.officer not in serving:
            yield f"R16: {held.device} is held by {held.officer}, but one of them is no longer active"


def _historyproblems(history: list[HistoryEntry]) -> Iterator[str]:
    prev = FIRST_PREV
    for number, entry in enumerate(history):
        if entry.number != number or entry.prev != prev:
            yield f"history entry {number} does not follow the one before it"
        prev = history_digest(entry)


def history_digest(entry: HistoryEntry) -> str:
    """SHA-256 of an entry's JSON, as the next entry names it."""
    return sha256_hex(dump_json(asdict(entry)))
