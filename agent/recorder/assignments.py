"""R12.2: the matter being worked on, whichever way it came: a local file, a code shown to the camera, or dispatch.

One file holds it, and the newest of them is what it holds. The file says itself where it came from: a signed token is
dispatch's and is verified at every reading; an envelope is a code's; a bare assignment was put there by hand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.errors import ConfigError, FormatError, TrustError
from agent.evidence.dispatch import Dispatch, read_dispatch
from agent.evidence.documents import Assignment, TrustBundle
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.shapes import STRICT, load_shape
from agent.system.durable import write_atomic

Source = Literal["file", "qr", "dispatch"]
MAX_ASSIGNMENT_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Tasking:
    """The matter and where it came from; both None while there is none."""

    assignment: Assignment | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    """How a code's assignment is kept."""

    source: Literal["qr"]
    assignment: Assignment
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class AssignmentBook:
    """The assignment of one device. Belongs to the main loop."""

    def __init__(self, path: Path | None, trust: TrustBundle, device: str) -> None:
        """``path`` None: this unit takes no assignments."""
        self._path, self._trust, self._device = path, trust, device

    def read(self) -> Tasking:
        """What is to be worked on now. Raises FormatError when there is something that cannot be used."""
        if self._path is None:
            return Tasking()
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_ASSIGNMENT_BYTES + 1)
        except FileNotFoundError:
            return Tasking()
        except OSError as error:
            raise FormatError(f"the assignment {self._path} cannot be read: {error.strerror}") from error
        return self._parse(data)

    def _parse(self, data: bytes) -> Tasking:
        if not data.lstrip().startswith(b"{"):
            return _tasking(self._verified(data.strip()))
        content = load_object(data)
        if "source" in content:
            return Tasking(load_shape(_Shown, content).assignment, "qr")
        return Tasking(load_shape(Assignment, content), "file")

    def _verified(self, token: bytes) -> Dispatch:
        try:
            return read_dispatch(token, self._trust, self._device)
        except TrustError as error:
            raise FormatError(str(error)) from error

    def take_dispatch(self, token: bytes) -> bool:
        """Keeps what dispatch sent, durably, unless something later of dispatch's is held; says whether it did.

        Raises TrustError when it is not dispatch's word for this unit, ConfigError and StorageError.
        """
        dispatch = read_dispatch(token, self._trust, self._device)
        held = self._held_dispatch()
        if held is not None and held.issued_us >= dispatch.issued_us:
            return False
        write_atomic(self._file(), token)
        return True

    def _held_dispatch(self) -> Dispatch | None:
        path = self._path
        if path is None or not path.exists():
            return None
        try:
            return read_dispatch(path.read_bytes().strip(), self._trust, self._device)
        except TrustError:
            return None  # put there by hand or by a code, or spoilt: the newer word counts

    def take_code(self, text: str) -> Tasking:
        """Keeps what a code said, durably: a signed token, or a bare assignment. Raises FormatError, StorageError."""
        data = text.encode()
        if not text.lstrip().startswith("{"):
            tasking = _tasking(self._verified(data.strip()))
            write_atomic(self._file(), data.strip())
            return tasking
        assignment = load_shape(Assignment, load_object(data))
        write_atomic(self._file(), dump_json({"source": "qr", "assignment": asdict(assignment)}))
        return Tasking(assignment, "qr")

    def _file(self) -> Path:
        if self._path is None:
            raise ConfigError("recorder.assignment names no file: this unit takes no assignments")
        return self._path


def _tasking(dispatch: Dispatch) -> Tasking:
    return Tasking(dispatch.assignment, "dispatch") if dispatch.assignment else Tasking()
