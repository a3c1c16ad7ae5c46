"""A TinyDB storage that survives a power cut: the file is replaced as a whole, and several changes are one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from agent.errors import FormatError, StorageError
from agent.evidence.encoding import load_object
from agent.system import durable

Tables = dict[str, dict[str, Any]]


class DurableStorage(Storage):
    """TinyDB tables in one JSON file, written only through ``durable.write_atomic``.

    TinyDB writes after every single insert or update. Inside ``transaction`` those writes stay in memory and reach the
    file once, at the end, so that a change over several tables is on disk as a whole or not at all.
    One writer at a time: whoever opens it for writing holds the folder's lock.
    """

    def __init__(self, path: Path, mode: int = durable.PRIVATE_FILE) -> None:
        """Opens nothing yet; the file may be missing (then it is empty)."""
        self._path = path
        self._mode = mode
        self._pending: Tables | None = None

    def read(self) -> Tables | None:
        """The tables as last written, or as pending in a transaction. Raises StorageError when the file is damaged."""
        return self._load() if self._pending is None else self._pending

    def write(self, data: Tables) -> None:
        """Returns after fsync, or keeps the tables pending inside a transaction. Raises StorageError."""
        if self._pending is None:
            self._store(data)
        else:
            self._pending = data

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block reach the file at its end, as one; none of them if the block raises."""
        if self._pending is not None:
            raise RuntimeError("transactions do not nest")
        before = self._load() or {}
        self._pending = copy.deepcopy(before)
        try:
            yield
            if self._pending != before:
                self._store(self._pending)
        finally:
            self._pending = None

    def snapshot(self) -> DurableStorage:
        """The tables as they are on disk now; what is written later does not show. Raises StorageError."""
        frozen = DurableStorage(self._path)
        frozen._pending = self._load() or {}  # never committed: no transaction ends on it
        return frozen

    def _load(self) -> Tables | None:
        with durable.storage_errors(self._path, "reading"):
            if not self._path.exists():
                return None
            data = self._path.read_bytes()
        try:
            return _checked(load_object(data))
        except FormatError as error:
            raise StorageError(f"{self._path} is damaged: {error}; restore it from a backup") from error

    def _store(self, data: Tables) -> None:
        text = json.dumps(data, ensure_ascii=False, indent=1)
        durable.write_atomic(self._path, text.encode() + b"\n", self._mode)


def _checked(tables: dict[str, Any]) -> Tables:
    """Tables of numbered rows, as TinyDB takes for granted. Raises FormatError."""
    for table in tables.values():
        rows = table.items() if isinstance(table, dict) else [("", table)]
        if not all(key.isdecimal() and isinstance(row, dict) for key, row in rows):
            raise FormatError("not tables of numbered rows")
    return tables
