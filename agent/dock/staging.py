"""Objects on their way in: a file with holes and the list of its parts beside it, taken up again after a crash."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.custody import wire
from agent.errors import FormatError
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.entries import ObjectRef
from agent.evidence.shapes import STRICT, Count, load_shape
from agent.system.durable import storage_errors

_READ_BYTES: Final = 1_048_576
_READERS: Final = 4
"""Threads for all devices: a disk syncs and reads several files in little more time than one."""
_PART: Final = re.compile(rb"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class _ListHead:
    """First line of a staging list: what it is of."""

    size: Count
    form: Literal["age", "jws"]
    part_bytes: wire.PartBytes
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@cache
def _readers(_process: int) -> ThreadPoolExecutor:
    """The threads of a process; a forked one has none of its parent's."""
    return ThreadPoolExecutor(_READERS, "read-back")


class Staging:
    """An object being received. Its parts list survives the process; the digest at the end checks it."""

    def __init__(self, path: Path, ref: ObjectRef, part_bytes: int, held: set[int]) -> None:
        self.path, self.ref, self.part_bytes, self.held = path, ref, part_bytes, held
        self.count = wire.part_count(ref.size, part_bytes)
        self._reading: Future[str] | None = None
        with storage_errors(path, "opening"):
            self._data = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._list = os.open(list_path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @classmethod
    def begin(cls, path: Path, ref: ObjectRef, part_bytes: int) -> Staging:
        """A fresh staging file; its list begins with what it is of.

        Not synced: it must outlive this process, not a power cut. Whatever that leaves, the digest at the end decides.
        """
        head = dump_json({"size": ref.size, "form": ref.form, "part_bytes": part_bytes}) + b"\n"
        with storage_errors(path, "beginning"):
            list_path(path).write_bytes(head)
        return cls(path, ref, part_bytes, set())

    @classmethod
    def resume(cls, path: Path, ref: ObjectRef) -> Staging:
        """Takes up what an earlier process left. Raises FormatError when the list does not fit the object."""
        with storage_errors(path, "reading"):
            head, *numbers = list_path(path).read_bytes().split(b"\n")
        found = load_shape(_ListHead, load_object(head))
        if (found.size, found.form) != (ref.size, ref.form) or ref.size > wire.MAX_PARTS * found.part_bytes:
            raise FormatError("the staging list is of something else")
        # The last piece is empty, or torn by a crash: the part is then simply asked for again.
        return cls(path, ref, found.part_bytes, {int(number) for number in numbers[:-1] if _PART.fullmatch(number)})

    def write(self, number: int, data: bytes) -> None:
        """Writes one part at its place, then notes it. Not synced: the digest at the end decides."""
        with storage_errors(self.path, "writing"):
            offset = number * self.part_bytes
            rest = memoryview(data)
            while rest:
                written = os.pwrite(self._data, rest, offset)
                rest, offset = rest[written:], offset + written
            os.write(self._list, b"%d\n" % number)
        self.held.add(number)

    @property
    def whole(self) -> bool:
        """Whether every part has come."""
        return len(self.held) == self.count

    def begin_read_back(self) -> None:
        """Lets another thread do what ``read_back`` gives, while more parts of other objects come in."""
        if self._reading is None:
            self._reading = _readers(os.getpid()).submit(self._read_back)

    @property
    def is_being_read(self) -> bool:
        """Whether it was begun; no part may be written any more."""
        return self._reading is not None

    @property
    def is_read(self) -> bool:
        """Whether ``read_back`` will answer at once."""
        return self._reading is not None and self._reading.done()

    def read_back(self) -> str:
        """Syncs, drops the file from the page cache, reads it from the disk; returns the SHA-256 of what is there."""
        self.begin_read_back()
        assert self._reading is not None
        return self._reading.result()

    def _read_back(self) -> str:
        with storage_errors(self.path, "syncing and reading back"):
            os.fsync(self._data)
            os.posix_fadvise(self._data, 0, 0, os.POSIX_FADV_DONTNEED)
            hasher = hashlib.sha256()
            offset = 0
            while block := os.pread(self._data, _READ_BYTES, offset):
                hasher.update(block)
                offset += len(block)
        return hasher.hexdigest()

    def close(self) -> None:
        """Closes the files; they stay."""
        if self._reading is not None:
            wait([self._reading])
        for handle in (self._data, self._list):
            with suppress(OSError):  # closing twice, or an error that the sync would have told
                os.close(handle)

    def remove_list(self) -> None:
        """The object has moved on; its list goes. Should it come back after a power cut, it is of nothing."""
        self.close()
        with storage_errors(self.path, "removing the list of"):
            list_path(self.path).unlink(missing_ok=True)


def list_path(path: Path) -> Path:
    """The parts list of a staging file."""
    return path.with_name(path.name + ".parts")
