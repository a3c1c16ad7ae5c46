"""R12.2: the matter being worked on, whichever way it came: a local file, a code shown to the camera, or dispatch.

One file holds it, and whatever was taken last is what it holds. The file says itself where it came from: a signed token
is dispatch's, an envelope is a code's, a bare assignment was put there by hand. What is signed is verified at every
reading. Beside it, how new the newest signed one was is kept, so that an older one never comes back;
``docs/assignments.md`` has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from agent.errors import ConfigError, FormatError, RefusedError, TrustError
from agent.evidence.dispatch import read_dispatch, token_of
from agent.evidence.documents import Assignment, TrustBundle
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.shapes import STRICT, FormatVersion, Micros, dump_shape, load_shape
from agent.system.durable import remove_file, write_atomic
from agent.system.logs import logger

Source = Literal["file", "qr", "dispatch"]
MAX_ASSIGNMENT_BYTES: Final = 65_536
NEWEST_NAME: Final = "assignment-newest.json"
"""In the evidence folder: what must outlive a restart lies on the volume that is written to anyway."""
_NOBODY: Final = -1
_MODE: Final = 0o640
"""It names a party and a place."""

log = logger("recorder")


@dataclass(frozen=True, slots=True)
class Tasking:
    """The matter and where it came from; both None while there is none."""

    assignment: Assignment | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class _Content:
    """What some bytes say."""

    tasking: Tasking = Tasking()
    issued_us: int = _NOBODY
    """When it was signed, or that nobody signed it."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """How a code is kept: its text as it was read."""

    source: Literal["qr"]
    code: str
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class _Newest:
    """What is remembered of the newest signed assignment: nothing of what it says."""

    v: FormatVersion
    issued_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def judged_by(opened: Assignment | None, assigned: Assignment | None) -> Assignment | None:
    """What a recording under way is judged by: its own matter as it stands now, whatever else was assigned since.

    A recording without a matter is judged by what is assigned.
    """
    same = assigned is not None and opened is not None and assigned.matter == opened.matter
    return assigned if opened is None or same else opened


def _bare(data: bytes) -> Assignment:
    return load_shape(Assignment, load_object(data))


class AssignmentBook:
    """The assignment of one device. Belongs to the main loop."""

    def __init__(
        self, path: Path | None, evidence: Path, trust: TrustBundle, device: str, *, unsigned_codes: bool = False
    ) -> None:
        """``path`` None: this unit takes no assignments. ``unsigned_codes``: a code need not be signed."""
        self._path, self._trust, self._device = path, trust, device
        self._unsigned_codes = unsigned_codes
        self._memory = evidence / NEWEST_NAME
        self._remembered_us = self._recall()

    def _recall(self) -> int:
        """A memory that is spoilt costs only itself: what dispatch sent last comes again with every connection."""
        try:
            return load_shape(_Newest, load_object(self._memory.read_bytes())).issued_us
        except FileNotFoundError:
            return _NOBODY
        except (OSError, FormatError) as error:
            log.error("it is not known how new the newest assignment was", why=str(error))
            return _NOBODY

    def read(self) -> Tasking:
        """What is to be worked on now. Raises FormatError when there is something that cannot be used."""
        return self._held().tasking

    # Taking

    def take_dispatch(self, token: bytes) -> bool:
        """Takes what dispatch sent, durably, if it is newer than all that was signed before; says whether it did.

        A withdrawal takes back what was signed, and leaves what was put there by hand. Raises TrustError when it is not
        dispatch's word for this unit, ConfigError and StorageError.
        """
        content = self._signed(token, "dispatch")
        if content.issued_us <= self._newest_us():
            return False
        self._keep(content, token)
        return True

    def take_code(self, text: str) -> bool:
        """Takes what a code says, durably; says whether anything changed by it.

        Raises TrustError when it is not the agency's word for this unit, FormatError for what is no assignment,
        RefusedError for one older than the newest, ConfigError and StorageError.
        """
        return self._take(self._code(text), dump_json(dump_shape(_Shown("qr", text))))

    def take_file(self, data: bytes) -> bool:
        """Takes a bare assignment, or a signed token, that somebody at the unit gave. Raises as ``take_code``."""
        data = data.strip()
        if len(data) > MAX_ASSIGNMENT_BYTES:
            raise FormatError(f"an assignment of {len(data)} bytes; at most {MAX_ASSIGNMENT_BYTES}")
        return self._take(self._given(data), data)

    def clear(self) -> bool:
        """There is no matter any more; says whether there was something. Durable."""
        there = self._file().exists()
        self._remember(self._held_issued_us())
        remove_file(self._file())
        return there

    def _take(self, content: _Content, data: bytes) -> bool:
        if _NOBODY < content.issued_us < self._newest_us():
            raise RefusedError("已有更新的任务，此任务未载入 a newer assignment was taken before: this one is not")
        if self._holds(content):
            return False
        self._keep(content, data)
        return True

    def _keep(self, content: _Content, data: bytes) -> None:
        # What is held may be newer than what is remembered: a cut, or a failed disk, came between the two.
        self._remember(self._held_issued_us())
        # The file first: cut off in between, the same token is taken again when it comes again.
        if content.tasking.assignment is not None:
            write_atomic(self._file(), data, _MODE)
        elif self._held_issued_us() > _NOBODY:
            remove_file(self._file())
        self._remember(content.issued_us)

    def _remember(self, issued_us: int) -> None:
        """How new the newest was, durably; what is older or not signed changes nothing."""
        if issued_us > self._remembered_us:
            write_atomic(self._memory, dump_json(dump_shape(_Newest(1, issued_us))))
            self._remembered_us = issued_us

    # Reading

    def _held(self) -> _Content:
        if self._path is None:
            return _Content()
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_ASSIGNMENT_BYTES + 1)
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            raise FormatError(f"the assignment {self._path} cannot be read: {error.strerror}") from error
        try:
            return self._parse(data.strip())
        except TrustError as error:
            raise FormatError(str(error)) from error

    def _holds(self, content: _Content) -> bool:
        try:
            held = self._held()
        except FormatError:
            return False
        return (held.tasking.assignment, held.issued_us) == (content.tasking.assignment, content.issued_us)

    def _held_issued_us(self) -> int:
        """_NOBODY also when what is held cannot be used."""
        try:
            return self._held().issued_us
        except FormatError:
            return _NOBODY

    def _newest_us(self) -> int:
        return max(self._remembered_us, self._held_issued_us())

    def _parse(self, data: bytes) -> _Content:
        if data.startswith(b"{") and "source" in (content := load_object(data)):
            return self._code(load_shape(_Shown, content).code)
        return self._given(data)

    def _given(self, data: bytes) -> _Content:
        if data.startswith(b"{"):
            return _Content(Tasking(_bare(data), "file"))
        return self._signed(data, "dispatch")

    def _code(self, text: str) -> _Content:
        text = text.strip()
        data = token_of(text, self._trust) if text.isdigit() else text.encode("utf-8", "replace")
        if not data.startswith(b"{"):
            return self._signed(data, "qr")
        if not self._unsigned_codes:
            raise TrustError("nobody signed this code, and recorder.unsigned_codes does not allow that")
        return _Content(Tasking(_bare(data), "qr"))

    def _signed(self, token: bytes, source: Source) -> _Content:
        dispatch = read_dispatch(token, self._trust, self._device)
        tasking = Tasking(dispatch.assignment, source) if dispatch.assignment else Tasking()
        return _Content(tasking, dispatch.issued_us)

    def _file(self) -> Path:
        if self._path is None:
            raise ConfigError("recorder.assignment names no file: this unit takes no assignments")
        return self._path
