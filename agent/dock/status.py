"""The dock's status for its console: a snapshot in JSON, served over a Unix socket, one per connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from agent.errors import FormatError, NotRunningError, StorageError
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.shapes import STRICT, Count, Flag, FormatVersion, Name, Text, dump_shape, load_shape

_WAIT_SECONDS: Final = 0.5
_MAX_BYTES: Final = 1_048_576
_MODE: Final = 0o660


@dataclass(frozen=True, slots=True)
class Bay:
    """One device as the dock sees it."""

    device: Name
    online: Flag
    lines: Count
    objects: Count
    """Held."""
    received_bytes: Count
    """Of parts, since the dock started."""
    bytes_per_second: Count
    pending_objects: Count
    """Without an entered receipt, as the device says."""
    pending_bytes: Count
    refused: Flag
    """Its ledger does not verify or went back: the custodian must look."""
    may_be_taken: Flag
    seconds_left: Count | None = None
    """Until all that is pending has come, at the present speed; None when it is not known, or nothing comes."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class CopyState:
    """A further copy of the archive."""

    root: Text
    state: Literal["current", "catching_up", "unreachable"]
    waiting: Count
    """Objects that are known to be missing there."""
    reason: Text
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class DockStatus:
    """All bays, and the last things that happened, newest last."""

    v: FormatVersion
    dock: Name
    connected: Flag
    bays: list[Bay]
    messages: Annotated[list[Text], Field(max_length=50)]
    copies: list[CopyState] = field(default_factory=list)
    quarantined: Count = 0
    """Items in quarantine: a custodian must look at them."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class StatusSocket:
    """Serves ``snapshot()`` to whoever connects. Its own thread; ``snapshot`` must be quick and thread-safe."""

    def __init__(self, path: Path, snapshot: Callable[[], DockStatus]) -> None:
        """Binds, with mode 0660; replaces a socket left by an earlier run. Raises StorageError."""
        self._path, self._snapshot = path, snapshot
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
            path.chmod(_MODE)
            self._socket.listen(4)
        except OSError as error:
            self._socket.close()
            raise StorageError(f"the console socket {path} cannot be made: {error}") from error
        self._socket.settimeout(_WAIT_SECONDS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stops answering and removes the socket."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_WAIT_SECONDS * 4)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):  # nobody came in time, or whoever came has gone: the next one matters
                visitor, _ = self._socket.accept()
                with visitor:
                    visitor.settimeout(_WAIT_SECONDS)
                    visitor.sendall(dump_json(dump_shape(self._snapshot())) + b"\n")


def read_status(path: Path, timeout_seconds: float = 2.0) -> DockStatus:
    """Asks a running dock. Raises NotRunningError."""
    data = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(timeout_seconds)
            door.connect(str(path))
            while len(data) < _MAX_BYTES and (block := door.recv(65_536)):
                data += block
        return load_shape(DockStatus, load_object(data))
    except (OSError, FormatError) as error:
        raise NotRunningError(f"the dock does not answer at {path}: {error}") from error
