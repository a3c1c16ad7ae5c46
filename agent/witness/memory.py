"""What a witness has cosigned last of each ledger, durable before a cosignature leaves. Docks keep theirs here too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from agent.errors import FormatError, StorageError
from agent.evidence.checkpoint import MAX_NOTE_BYTES, open_note, origin_parts
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.shapes import STRICT, Count, Digest, FormatVersion, Key, Text, dump_shape, load_shape
from agent.system import durable

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Signer:
    """The ledger's key that signed a checkpoint, and the line that names it."""

    key: Key
    seq: Count
    certificate: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}\z")]
    """Serial number, in hex, of the identity certificate that the key goes back to."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Remembered:
    """The largest checkpoint cosigned of one ledger."""

    v: FormatVersion
    origin: Text
    size: Count
    root: Digest
    note: Annotated[str, Field(max_length=MAX_NOTE_BYTES)]
    """As signed by the ledger and cosigned here."""
    signer: Signer | None
    """None at a dock: it holds the ledger itself and need not remember a key."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class Memory:
    """One file for each ledger. One process at a time; calls for one ledger come one after another."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if need be. Raises StorageError."""
        durable.make_private_folder(folder)
        self._folder = folder

    def read(self, origin: str) -> Remembered | None:
        """What is remembered of this ledger. Raises StorageError when the file is not what was written: fail closed.

        A witness that took a damaged file for an empty one would cosign a rewritten ledger.
        """
        path = self._path(origin)
        return self._load(path) if path.exists() else None

    def all(self) -> dict[str, Remembered]:
        """Everything remembered, by origin. Raises StorageError."""
        with durable.storage_errors(self._folder, "listing"):
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX)
        found = [self._load(path) for path in paths]
        return {one.origin: one for one in found}

    def keep(self, remembered: Remembered) -> None:
        """Durable when it returns; only then may the cosignature leave. Raises StorageError."""
        data = dump_json(dump_shape(remembered)) + b"\n"
        durable.write_atomic(self._path(remembered.origin), data, durable.PRIVATE_FILE)

    def _path(self, origin: str) -> Path:
        parts = origin_parts(origin)
        if parts is None:
            raise FormatError(f"{origin[:100]!r} is not the origin of a ledger")
        return self._folder / f"{parts[0]}.{parts[1]}{_SUFFIX}"  # neither part can hold a dot

    def _load(self, path: Path) -> Remembered:
        with durable.storage_errors(path, "reading the witness's memory"):
            data = path.read_bytes()
        try:
            found = load_shape(Remembered, load_object(data))
            point = open_note(found.note.encode()).checkpoint
            said = (point.origin, point.size, point.root.hex())
            if said != (found.origin, found.size, found.root) or self._path(found.origin) != path:
                raise FormatError("its parts do not belong together")
        except FormatError as error:
            raise StorageError(f"the witness's memory {path} is damaged: {error}; nothing is cosigned") from error
        return found
