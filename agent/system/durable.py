"""The one tool for writing files that must survive a power cut. Everything here returns only after fsync.

Three ways to write: a whole small file (``write_atomic``), a growing file (``AppendFile``), a whole folder
(``folder_aside``). All errors are StorageError, or StorageFullError when there is no room; both name the path.
No function here is thread-safe for one and the same file; different files are independent.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.errors import LockedError, StorageError, StorageFullError

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700

_ASIDE: Final = ".aside"
# EFBIG is a limit on one file's size: for the writer the same thing as a full disk.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LOCK_POLL_SECONDS: Final = 0.05


@contextmanager
def storage_errors(path: Path, doing: str) -> Iterator[None]:
    """Turns any OSError inside into StorageError or StorageFullError that names the path."""
    try:
        yield
    except OSError as error:
        kind = StorageFullError if error.errno in _NO_ROOM else StorageError
        raise kind(f"{doing} {path}: {error.strerror or error}") from error


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replaces the file as a whole: afterwards, and after any crash, it holds all of the old bytes or all of the new.

    Returns after the file and its folder are synced. ``mode`` is exact (the umask does not apply), and nobody else can
    read the bytes before it is set. A crash can leave a ``.NAME.*.aside`` file; ``sweep_aside`` removes those.
    """
    with storage_errors(path, "writing"):
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_ASIDE, dir=path.parent)
        try:
            _fill(handle, data, mode)
            Path(aside).replace(path)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                Path(aside).unlink()
            raise
    sync_folder(path.parent)


def _fill(handle: int, data: bytes, mode: int) -> None:
    try:
        _write_all(handle, data)
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = os.write(handle, rest)
        if written == 0:
            raise OSError(errno.ENOSPC, "nothing was written")
        rest = rest[written:]


def sync_folder(path: Path) -> None:
    """Makes the folder's entries (created, renamed and removed names) durable."""
    with storage_errors(path, "syncing the folder"):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_file(path: Path) -> None:
    """Makes the bytes of an existing file durable, whoever wrote them."""
    with storage_errors(path, "syncing"):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def move(source: Path, target: Path) -> None:
    """Gives a file its final name, replacing what had it, durably in both folders. Its bytes must be synced already."""
    with storage_errors(target, "moving a file to"):
        source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def remove_file(path: Path) -> None:
    """Removes a file, durably; no error when it is not there."""
    with storage_errors(path, "removing"):
        path.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Makes the folder (and its parents) with mode 0700, or sets that mode; durable in its parent."""
    with storage_errors(path, "making the folder"):
        path.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        path.chmod(PRIVATE_FOLDER)
    sync_folder(path.parent)


def sweep_aside(folder: Path, name: str | None = None) -> int:
    """Removes what writers killed half-way left in the folder (for ``name`` only, if given); returns how many.

    Call it at start-up, holding the folder's lock: it would pull the file from under a writer at work.
    """
    with storage_errors(folder, "sweeping"):
        found = [entry for entry in folder.iterdir() if _is_aside(entry.name, name)]
        for entry in found:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return len(found)


def _is_aside(entry: str, name: str | None) -> bool:
    if not (entry.startswith(".") and entry.endswith(_ASIDE)):
        return False
    # mkstemp's random part holds no dot, so what stands before the last dot is the whole name.
    return name is None or entry.removesuffix(_ASIDE).rpartition(".")[0] == f".{name}"


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """Builds a new folder beside ``path``; at the end of the block it is synced and appears at ``path`` as a whole.

    Raises StorageError if ``path`` exists already. An exception in the block, or a crash, leaves nothing at ``path``.
    The folder's mode is 0700.
    """
    if path.exists() or path.is_symlink():
        raise StorageError(f"{path} exists already")
    with storage_errors(path, "making the folder"):
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_ASIDE, dir=path.parent))
    try:
        yield aside
        _sync_tree(aside)
        with storage_errors(path, "putting the folder in place"):
            aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)  # the first error is the one to report
        raise
    sync_folder(path.parent)


def _sync_tree(top: Path) -> None:
    for folder, _, names in os.walk(top):
        for name in names:
            sync_file(Path(folder) / name)
        sync_folder(Path(folder))


class AppendFile:
    """A file that only grows, by whole durable pieces; made (mode as given, folder synced) if it is not there.

    One writer at a time: hold the folder's lock. After a failed append the file is as long as before it; when even that
    cannot be assured (a failed sync or cut), the object refuses every further append until the file is opened anew and
    its end examined, because the kernel may have dropped pages that it reports as clean.
    """

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        """Opens for appending. Raises StorageError; a symbolic link is refused."""
        self.path = path
        self._broken = False
        with storage_errors(path, "opening"):
            self._handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            self._size = os.fstat(self._handle).st_size
        try:
            sync_folder(path.parent)
        except StorageError:
            os.close(self._handle)
            raise

    @property
    def size(self) -> int:
        """Length in bytes, up to the last good append."""
        return self._size

    def append(self, data: bytes) -> int:
        """Writes all of ``data`` and returns, after fdatasync, the offset at which it begins."""
        self._require_sound()
        start = self._size
        with storage_errors(self.path, "appending to"):
            try:
                _write_all(self._handle, data)
            except OSError:
                self._cut_back(start)
                raise
            self._sync_or_break(start)
        self._size = start + len(data)
        return start

    def cut(self, size: int) -> None:
        """Shortens the file to ``size`` bytes, durably: for a torn end found at start-up."""
        self._require_sound()
        if not 0 <= size <= self._size:
            raise ValueError(f"cannot cut {self._size} bytes to {size}")
        with storage_errors(self.path, "cutting"):
            os.ftruncate(self._handle, size)
            self._size = size
            self._sync_or_break(size)

    def close(self) -> None:
        """Closes the file; may be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _require_sound(self) -> None:
        if self._handle < 0:
            raise StorageError(f"{self.path} is closed")
        if self._broken:
            raise StorageError(f"{self.path} could not be synced before; open it anew and examine its end")

    def _sync_or_break(self, good: int) -> None:
        try:
            os.fdatasync(self._handle)
        except OSError:
            self._broken = True
            with suppress(OSError):  # best effort: the object is refused from here on either way
                os.ftruncate(self._handle, good)
            raise

    def _cut_back(self, size: int) -> None:
        try:
            os.ftruncate(self._handle, size)
            os.fdatasync(self._handle)
        except OSError:
            self._broken = True  # the caller re-raises the write's error, which came first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class FolderLock:
    """A held lock of a folder; see ``lock_folder``. The kernel frees it when the process ends, however it ends."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    def release(self) -> None:
        """Frees the lock; may be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def lock_folder(path: Path, wait_seconds: float = 0.0) -> FolderLock:
    """Takes the exclusive lock of an existing folder (``flock``; no lock file is left behind).

    Waits up to ``wait_seconds`` for another holder, then raises LockedError. It binds only those who also ask for it.
    """
    with storage_errors(path, "opening the folder"):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _await_lock(handle, path, time.monotonic() + wait_seconds)
    except BaseException:
        os.close(handle)
        raise
    return FolderLock(path, handle)


def _await_lock(handle: int, path: Path, deadline: float) -> None:
    while not _try_lock(handle, path):
        if time.monotonic() >= deadline:
            raise LockedError(f"{path} is in use by another process")
        time.sleep(_LOCK_POLL_SECONDS)


def _try_lock(handle: int, path: Path) -> bool:
    with storage_errors(path, "locking the folder"):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
