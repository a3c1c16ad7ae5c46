"""What a witness refused and kept: a fork, a growth that was not proved, a step back. Each once, and bounded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from agent.errors import FormatError, StorageError
from agent.evidence.checkpoint import MAX_NOTE_BYTES, open_note, origin_parts
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.shapes import STRICT, Count, FormatVersion, Text, dump_shape, load_shape
from agent.system import durable

MAX_KEPT: Final = 32
"""Of one kind for one ledger. Forks are counted apart from old copies, so that those cannot crowd them out."""

AlarmKind = Literal["fork", "inconsistent", "rollback"]
ALARM_TEXT: Final[dict[AlarmKind, str]] = {
    "fork": "账本分叉：同一长度有两个根 ledger forked: two roots at one size",
    "inconsistent": "增长未能证明 growth was not proved",
    "rollback": "比已见证的更短 shorter than what was cosigned",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """Two notes that the ledger's keys have signed."""

    v: FormatVersion
    kind: AlarmKind
    origin: Text
    at: Count
    """POSIX seconds, by the witness's clock."""
    cosigned: Annotated[str, Field(max_length=MAX_NOTE_BYTES)]
    """The note remembered then, with this witness's cosignature."""
    offered: Annotated[str, Field(max_length=MAX_NOTE_BYTES)]
    """The note refused."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class AlarmBook:
    """Alarms as files ``AGENCY.DEVICE-KIND-NUMBER.json``."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there. Raises StorageError when one is damaged."""
        durable.make_private_folder(folder)
        self._folder = folder
        with durable.storage_errors(folder, "listing"):
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
        self.kept = [_load(path) for path in paths]
        self._known = {_essence(alarm) for alarm in self.kept}
        self._counts = Counter((alarm.origin, alarm.kind) for alarm in self.kept)

    def add(self, alarm: Alarm) -> bool:
        """Keeps it, durably, unless it is kept already or there are too many; whether it did. Raises StorageError."""
        number = self._counts[alarm.origin, alarm.kind]
        parts = origin_parts(alarm.origin)
        if parts is None or number >= MAX_KEPT or _essence(alarm) in self._known:
            return False
        path = self._folder / f"{parts[0]}.{parts[1]}-{alarm.kind}-{number:03d}.json"
        durable.write_atomic(path, dump_json(dump_shape(alarm)) + b"\n", durable.PRIVATE_FILE)
        self.kept.append(alarm)
        self._known.add(_essence(alarm))
        self._counts[alarm.origin, alarm.kind] += 1
        return True


def _essence(alarm: Alarm) -> tuple[str, str]:
    """Kind and what was offered, whoever offered it and with whatever signature lines."""
    return alarm.kind, open_note(alarm.offered.encode()).checkpoint.text()


def _load(path: Path) -> Alarm:
    with durable.storage_errors(path, "reading the alarm"):
        data = path.read_bytes()
    try:
        found = load_shape(Alarm, load_object(data))
        open_note(found.offered.encode())
    except FormatError as error:
        raise StorageError(f"the alarm {path} is damaged: {error}; keep it aside and look") from error
    return found
