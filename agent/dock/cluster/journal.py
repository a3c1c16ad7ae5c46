"""One device's journal in the bucket: numbered records, each written once. Who writes the next serves the device.

    ledgers/DEVICE/NNNNNNNNNNNN    a line of JSON (``Head``), then the record's bytes

Every record is stored on condition that its number is free. So the journal is one sequence whoever writes it, a worker
that was stopped, or slow, or thought dead finds its next number taken (FencedError), and no clock decides anything.
Numbers count down in the keys, from 999999999999: the newest is then the first that the server lists.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.dock.cluster.bucket import AlreadyThereError, Bucket
from agent.errors import FencedError, FormatError, StorageError
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.index import Line
from agent.evidence.shapes import STRICT, Count, FormatVersion, Micros, Name, Text, dump_shape, load_shape

ROOT: Final = "ledgers/"
_LAST: Final = 10**12 - 1
_CLAIM_ATTEMPTS: Final = 5
_READERS: Final = 8

RecordKind = Literal["claim", "lines", "receipt", "cosigned", "snapshot"]
"""``claim``: a worker begins to serve. ``lines``: ledger lines, newline-ended. ``receipt``: one that was signed.
``cosigned``: a note. ``snapshot``: what all records before it amount to."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a record is."""

    v: FormatVersion
    device: Name
    number: Count
    kind: RecordKind
    lines: Count
    """Of the ledger, before this record."""
    snapshot: Line
    """Number of the newest snapshot before this record; -1 when there is none."""
    worker: Name
    mark: Text
    """Drawn anew for every record, so that who wrote it knows it again."""
    at_us: Micros
    """The worker's clock. Says when, decides nothing."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read."""

    head: Head
    data: bytes

    def ledger_lines(self) -> list[bytes]:
        """The lines of a record of lines, without their newlines."""
        return self.data.split(b"\n")[:-1]


def key_of(device: str, number: int) -> str:
    """Where a record lies."""
    return f"{ROOT}{device}/{_LAST - number:012d}"


def number_of(key: str) -> int:
    """The number of the record that lies there. Raises StorageError."""
    name = key.rpartition("/")[2]
    if not (len(name) == 12 and name.isascii() and name.isdigit()):
        raise StorageError(f"{key} in the bucket is not a record of ours")
    return _LAST - int(name)


def newest(bucket: Bucket, device: str) -> int:
    """The number of a journal's newest record; -1 when there is none."""
    return next((number_of(key) for key in bucket.keys(f"{ROOT}{device}/", most=1)), -1)


def read_record(bucket: Bucket, device: str, number: int) -> Record:
    """One record. Raises StorageError when it is not there, or not what should be."""
    head, _, data = bucket.get(key_of(device, number)).partition(b"\n")
    try:
        found = load_shape(Head, load_object(head))
    except FormatError as error:
        raise StorageError(f"record {number} of {device} is damaged: {error}") from error
    if (found.device, found.number) != (device, number):
        raise StorageError(f"record {number} of {device} says it is {found.number} of {found.device}")
    return Record(found, data)


def read_records(bucket: Bucket, device: str, begin: int, end: int) -> Iterator[Record]:
    """Records ``begin`` to ``end``, without the latter, several under way at once."""
    with ThreadPoolExecutor(_READERS) as threads:
        yield from threads.map(lambda number: read_record(bucket, device, number), range(begin, end))


class Journal:
    """A journal that this worker has claimed. One thread. A StorageError leaves open what was written: claim anew."""

    def __init__(self, bucket: Bucket, device: str, worker: str) -> None:
        """Takes the device over: whoever served it before can write no more. Raises StorageError, FencedError."""
        self._bucket, self._device, self._worker = bucket, device, worker
        self.lines = 0
        """Of the ledger, durable."""
        for _ in range(_CLAIM_ATTEMPTS):
            last = self._look()
            try:
                self.append("claim", b"")
            except FencedError:
                continue  # somebody wrote meanwhile: look again
            self._claimed = last
            return
        raise FencedError(f"{device} is being served by another worker just now")

    def _look(self) -> Record | None:
        number = newest(self._bucket, self._device)
        self.next, self.snapshot = number + 1, -1
        if number < 0:
            return None
        last = read_record(self._bucket, self._device, number)
        count = len(last.ledger_lines()) if last.head.kind == "lines" else 0
        self.lines = last.head.lines + count
        self.snapshot = number if last.head.kind == "snapshot" else last.head.snapshot
        return last

    def before(self, from_first: bool = False) -> Iterator[Record]:
        """What stood there when it was claimed, from the newest snapshot on, or from the first record."""
        if self._claimed is not None:
            begin = 0 if from_first else max(0, self.snapshot)
            yield from read_records(self._bucket, self._device, begin, self._claimed.head.number)
            yield self._claimed

    def append(self, kind: RecordKind, data: bytes) -> None:
        """The next record; durable when it returns. Raises FencedError when another worker has written it."""
        mark, now = secrets.token_hex(8), time.time_ns() // 1000
        head = Head(1, self._device, self.next, kind, self.lines, self.snapshot, self._worker, mark, now)
        record = dump_json(dump_shape(head)) + b"\n" + data
        key = key_of(self._device, self.next)
        try:
            self._bucket.put_once(key, record)
        except AlreadyThereError as error:
            # An answer may have been lost, and the request made again: then it is our own that is there.
            if self._bucket.get(key) != record:
                raise FencedError(f"{self._device} is served by another worker now") from error
        if kind == "snapshot":
            self.snapshot = self.next
        elif kind == "lines":
            self.lines += data.count(b"\n")
        self.next += 1

    def line(self, seq: int) -> bytes:
        """One durable line, found by halving. Raises StorageError."""
        low, high = 0, self.next
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._read(middle).head.lines <= seq else (low, middle)
        found = self._read(low)
        lines = found.ledger_lines() if found.head.kind == "lines" else []
        if not 0 <= seq - found.head.lines < len(lines):
            raise StorageError(f"line {seq} of {self._device} is not in its journal")
        return lines[seq - found.head.lines]

    def all_lines(self) -> Iterator[bytes]:
        """Every durable line, from the first."""
        for record in read_records(self._bucket, self._device, 0, self.next):
            if record.head.kind == "lines":
                yield from record.ledger_lines()

    def _read(self, number: int) -> Record:
        return read_record(self._bucket, self._device, number)
