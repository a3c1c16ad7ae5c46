"""Once a day an authority outside is asked for a timestamp over the newest cosigned checkpoints of all devices.

It says "not after" to whoever does not believe the dock's clock. A thread of its own asks: taking evidence in never
waits for it. What it answers is verified before it is kept, and each token is written last: with it, all is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from agent.dock.reports import Report
from agent.dock.settings import DockSettings, TimestampSettings
from agent.errors import ConfigError, FormatError, RecorderError, TimestampError, WitnessError
from agent.evidence.checkpoint import MAX_NOTE_BYTES
from agent.evidence.documents import TrustBundle
from agent.evidence.folder import EvidenceFolder, devices_of, read_regular
from agent.evidence.timestamps import (
    MAX_TOKEN_BYTES,
    Stamp,
    check_response,
    day_of,
    make_request,
    read_roots,
    read_stamp,
    stamp_files,
    stamp_names,
)
from agent.system import durable
from agent.witness.client import Post, poster

LOOK_SECONDS: Final = 60.0
FIRST_PAUSE_SECONDS: Final = 60.0
LONGEST_PAUSE_SECONDS: Final = 3600.0
_STOP_SECONDS: Final = 2.0
_QUERY: Final = "application/timestamp-query"


@dataclass(frozen=True, slots=True)
class Stamped:
    """What a request brought: its day, how many devices, and the time that the authority gave."""

    name: str
    devices: int
    at: datetime


@dataclass(frozen=True, slots=True)
class _Due:
    """A device whose newest cosigned note bears no timestamp yet."""

    folder: EvidenceFolder
    note: bytes


def read_agency(settings: DockSettings) -> str:
    """The agency of the dock's trust file. Raises StorageError, TrustError."""
    path = settings.credentials / "trust.json"
    with durable.storage_errors(path, "reading"):
        return TrustBundle.from_json(path.read_bytes()).agency


def not_today(folder: EvidenceFolder) -> bool:
    """Whether a device has no timestamp of today (UTC) yet."""
    names = stamp_names(folder)
    return not names or names[-1][:10] < _today().isoformat()


def _today() -> date:
    return datetime.now(UTC).date()


def stamp_archive(
    settings: DockSettings, agency: str, wanted: Callable[[EvidenceFolder], bool], post: Post | None = None
) -> Stamped | None:
    """Asks for one timestamp over all devices that are ``wanted`` and have something new; None when there is nothing.

    Durable when it returns. Raises ConfigError (no authority in the settings), TimestampError, TrustError (its roots),
    StorageError, LockedError (somebody else is asking).
    """
    authority = settings.timestamps
    if authority is None:
        raise ConfigError("[dock.timestamps] 未配置 is not configured: url, roots")
    durable.make_private_folder(settings.timestamping)
    with durable.lock_folder(settings.timestamping):
        due = _due(settings.archive, wanted)
        if not due:
            return None
        name = _today().isoformat()
        day, proofs = day_of(f"{agency}/enforcement-recorder/{settings.id}/{name}", [one.note for one in due])
        token, at = _ask(authority, day, post or poster(authority.url, _QUERY, MAX_TOKEN_BYTES + 1))
        for one, proof in zip(due, proofs, strict=True):
            _keep(one.folder, name, Stamp(day, one.note, proof, token))
    return Stamped(name, len(due), at)


def _due(archive: Path, wanted: Callable[[EvidenceFolder], bool]) -> list[_Due]:
    with durable.storage_errors(archive, "listing"):
        folders = [EvidenceFolder(path) for path in devices_of(archive)]
    notes = [(one, read_regular(one.cosigned, MAX_NOTE_BYTES)) for one in folders if wanted(one)]
    return [_Due(folder, note) for folder, note in notes if note is not None and _newest_note(folder) != note]


def _newest_note(folder: EvidenceFolder) -> bytes | None:
    names = stamp_names(folder)
    try:
        return read_stamp(folder, names[-1]).note if names else None
    except FormatError:
        return None  # one that somebody has damaged does not stand in the way of the next


def _ask(authority: TimestampSettings, day: bytes, post: Post) -> tuple[bytes, datetime]:
    with durable.storage_errors(authority.roots, "reading"):
        roots = read_roots(authority.roots.read_bytes())
    request = make_request(day, authority.hash)
    try:
        reply = post("", request.as_bytes())
    except WitnessError as error:
        raise TimestampError(str(error)) from error
    if reply.status != 200:
        raise TimestampError(f"{authority.url} answers {reply.status} {reply.reason}")
    return reply.body, check_response(reply.body, request, day, roots)


def _keep(folder: EvidenceFolder, name: str, stamp: Stamp) -> None:
    durable.make_private_folder(folder.timestamps)
    files = stamp_files(folder, _free_name(name, stamp_names(folder)))
    for piece, path in files.items():
        durable.write_atomic(path, getattr(stamp, piece), 0o440)


def _free_name(name: str, taken: Sequence[str]) -> str:
    """The day, or the day with a number after it."""
    later = (f"{name}-{number}" for number in range(2, 10_000))
    for one in (name, *later):
        if one not in taken:
            return one
    raise TimestampError(f"{name} 的时间戳过多 has too many timestamps already")


class Stamper:
    """Asks once a day for each device, and again after a pause when it fails. ``post`` must not wait."""

    def __init__(self, settings: DockSettings, agency: str, post: Callable[[Report], bool]) -> None:
        self._settings, self._agency, self._post = settings, agency, post
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timestamps", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more. A request under way is left behind: it ends by its own time limit, or with the process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            report = self._turn()
            failed = report is not None and report.kind == "not-timestamped"
            if report is not None:
                self._post(report)
            self._stop.wait(pause if failed else LOOK_SECONDS)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS) if failed else FIRST_PAUSE_SECONDS

    def _turn(self) -> Report | None:
        begun = time.monotonic()
        try:
            done = stamp_archive(self._settings, self._agency, not_today)
        except RecorderError as error:
            return Report("not-timestamped", self._settings.id, f"{error.code} {error}"[:500])
        if done is None:
            return None
        seconds = time.monotonic() - begun
        detail = f"{done.devices} devices, {done.at.isoformat()}, in {seconds:.1f} s"
        return Report("timestamped", self._settings.id, detail)
