"""Deletes recordings whose time is over: each deletion is signed and durable before the first byte goes.

A deletion cut short is carried to its end by the next run: the record says what had to go. The further copies follow
when their thread sees the record. The ledger keeps every line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Final

from pydantic import ConfigDict

from agent.dock.settings import DockSettings
from agent.errors import FormatError, RefusedError, StorageError, TrustError, UsageError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import from_b64url, load_object, sha256_hex
from agent.evidence.entries import Close, Entry, ObjectRef, Open, ReceiptEntry, entry_objects
from agent.evidence.folder import EvidenceFolder, devices_of
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.keys import load_signing_key
from agent.evidence.ledger import ChainState
from agent.evidence.receipts import Receipt
from agent.evidence.retention import (
    DELETIONS,
    FIRST,
    MAX_OBJECTS,
    Deletion,
    RetentionPolicy,
    read_deletions,
    read_retention,
    sign_deletion,
)
from agent.evidence.shapes import STRICT, FormatVersion, Micros, Name, load_shape
from agent.rules.retention import Ruling, Subject, clock_is_plausible, rule_on
from agent.system import durable
from agent.system.durable import storage_errors

POLICY_NAME: Final = "retention.jws"
_LOCK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _CaseList:
    v: FormatVersion
    closed: dict[Name, Micros]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Cases:
    """The closed cases, from a file of the case system; ``digest`` names that file in every deletion."""

    closed: dict[str, int]
    digest: str


@dataclass(frozen=True, slots=True)
class Row:
    """One recording and what is to become of it; ``objects`` only when it is due: what is still to go."""

    device: str
    recording: str
    subject: Subject
    ruling: Ruling
    objects: tuple[ObjectRef, ...] = ()

    @property
    def bytes(self) -> int:
        """Of the objects that are to go."""
        return sum(ref.size for ref in self.objects)


@dataclass(slots=True)
class _Seen:
    """What one reading of a ledger gives."""

    subjects: dict[str, Subject] = field(default_factory=dict)
    newest_us: int = 0


def read_cases(path: Path | None) -> Cases:
    """Reads ``{"v":1,"closed":{"MATTER":MICROSECONDS}}``; without a file no case is closed. Raises UsageError."""
    if path is None:
        return Cases({}, sha256_hex(b""))
    try:
        data = path.read_bytes()
        return Cases(load_shape(_CaseList, load_object(data)).closed, sha256_hex(data))
    except (OSError, FormatError) as error:
        raise UsageError(f"{path}: {error}") from error


class Retention:
    """One run over a dock's archive; the dock itself may be running meanwhile."""

    def __init__(self, settings: DockSettings, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """Reads keys and the agency's table. Raises UsageError without one, TrustError, StorageError."""
        self._settings, self._now_us = settings, now_us
        with storage_errors(settings.credentials, "reading the credentials in"):
            self._trust = TrustBundle.from_json((settings.credentials / "trust.json").read_bytes())
            self._key = load_signing_key((settings.credentials / "receipt.key").read_bytes())
        self.policy = read_table(settings.credentials, self._trust)

    def plan(self, cases: Cases) -> list[Row]:
        """Every recording and what is to become of it. Nothing changes. Raises RefusedError, StorageError."""
        now_us, newest_us, rows = self._now_us(), 0, []
        for folder in self._devices():
            seen = _read(self._entries(folder))
            newest_us = max(newest_us, seen.newest_us)
            rows += [self._rule(folder.path.name, key, one, cases, now_us) for key, one in seen.subjects.items()]
        if any(row.ruling.verdict == "due" for row in rows) and not clock_is_plausible(now_us, newest_us):
            raise RefusedError("本机时钟与档案相差过大，请先校时。 This clock does not fit the archive: set it first")
        return [row for folder in self._devices() for row in self._fill(folder, rows)]

    def apply(self, rows: list[Row], cases: Cases) -> list[Deletion]:
        """Deletes what is due; returns what was signed, each durable before its bytes went. Raises StorageError."""
        done: list[Deletion] = []
        with durable.lock_folder(self._settings.archive, _LOCK_SECONDS):
            for folder in self._devices():
                remove_deleted(folder, self._records(folder))
                for row in rows:
                    if row.device == folder.path.name and row.ruling.verdict == "due":
                        signed = self._sign(folder, row, cases)
                        remove_deleted(folder, signed)
                        done += signed
        return done

    def records(self) -> Iterator[Deletion]:
        """All that was ever deleted. Raises StorageError."""
        for folder in self._devices():
            yield from read_records(folder, self._trust)

    # -- planning ---------------------------------------------------------------------------------------------------

    def _devices(self) -> list[EvidenceFolder]:
        with storage_errors(self._settings.archive, "listing"):
            return [EvidenceFolder(path) for path in devices_of(self._settings.archive)]

    def _rule(self, device: str, recording: str, subject: Subject, cases: Cases, now_us: int) -> Row:
        ruling = rule_on(subject, self.policy, cases.closed, now_us, self._settings.keep_days)
        return Row(device, recording, subject, ruling)

    def _entries(self, folder: EvidenceFolder) -> Iterator[Entry]:
        """Every entry, verified anew: who can write to the disk must not be able to have evidence deleted."""
        chain = ChainState(self._trust, folder.path.name)
        try:
            with storage_errors(folder.ledger, "reading"), folder.ledger.open("rb") as file:
                while (line := file.readline(MAX_JWS_BYTES + 2)).endswith(b"\n"):
                    yield chain.accept(line[:-1])
        except (FormatError, TrustError) as error:
            raise StorageError(f"line {chain.size} of {folder.path.name} here does not verify: {error}") from error

    def _records(self, folder: EvidenceFolder) -> list[Deletion]:
        return list(read_records(folder, self._trust))

    def _fill(self, folder: EvidenceFolder, rows: list[Row]) -> Iterator[Row]:
        """The rows of one device, those that are due with what is still to go; not due unless all of that is safe."""
        mine = [row for row in rows if row.device == folder.path.name]
        due = {row.recording for row in mine if row.ruling.verdict == "due"}
        if not due:
            yield from mine
            return
        gone = {ref.digest for record in self._records(folder) for ref in record.objects}
        named = _objects_of(self._entries(folder), due)
        receipted = self._receipted(folder.path.name)
        for row in mine:
            is_due = row.recording in due
            yield self._judge(row, folder, named[row.recording], gone, receipted) if is_due else row

    def _judge(
        self, row: Row, folder: EvidenceFolder, refs: list[ObjectRef], gone: set[str], receipted: set[str]
    ) -> Row:
        left = tuple(ref for ref in refs if ref.digest not in gone)
        if refs and not left:
            return replace(row, ruling=replace(row.ruling, verdict="deleted"))
        whole = all(folder.object_path(ref).exists() and ref.digest in receipted for ref in left)
        if not left or not whole:
            return replace(row, ruling=replace(row.ruling, verdict="incomplete"))
        return replace(row, objects=left)

    def _receipted(self, device: str) -> set[str]:
        """What the device has a receipt for and says so in its ledger: it will not ask for that again."""
        found: set[str] = set()
        folder = self._settings.receipts / device / "entered"
        with storage_errors(folder, "reading"):
            for path in folder.glob("*.jws"):
                payload = load_object(from_b64url(path.read_bytes().split(b".")[1]))
                found.update(ref.digest for ref in load_shape(Receipt, payload).objects)
        return found

    # -- deleting ---------------------------------------------------------------------------------------------------

    def _sign(self, folder: EvidenceFolder, row: Row, cases: Cases) -> list[Deletion]:
        """Signs and enters the records of one recording, durably, all at once."""
        path = folder.path / DELETIONS
        data = path.read_bytes() if path.exists() else b""
        prev = sha256_hex(data.split(b"\n")[-2]) if b"\n" in data else FIRST
        signed, tokens = [], []
        for begin in range(0, len(row.objects), MAX_OBJECTS):
            record = self._record(row, cases, list(row.objects[begin : begin + MAX_OBJECTS]), prev)
            token = sign_deletion(record, self._key)
            signed.append(record)
            tokens.append(token + b"\n")
            prev = sha256_hex(token)
        with durable.AppendFile(path, 0o640) as file:
            file.cut(data.rfind(b"\n") + 1)  # torn by a crash, so nothing went on its word
            file.append(b"".join(tokens))
        return signed

    def _record(self, row: Row, cases: Cases, objects: list[ObjectRef], prev: str) -> Deletion:
        subject = row.subject
        assert subject.closed_us is not None
        return Deletion(
            v=1,
            type="deletion",
            dock=self._settings.id,
            device=row.device,
            prev=prev,
            recording=row.recording,
            objects=objects,
            matter=subject.matter,
            closed_us=subject.closed_us,
            matter_closed_us=cases.closed[subject.matter] if subject.matter else None,
            cases_digest=cases.digest,
            policy_version=self.policy.version,
            keep_days=row.ruling.keep_days,
            deleted_us=self._now_us(),
        )


def read_table(credentials: Path, trust: TrustBundle) -> RetentionPolicy:
    """The agency's table. Raises UsageError when there is none: nothing is then ever due. TrustError."""
    path = credentials / POLICY_NAME
    try:
        token = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"没有保存期限表，不得删除：请管理员签发。 No retention table, so nothing may be deleted: {path}: {error}"
        ) from error
    return read_retention(token, trust)


def read_records(folder: EvidenceFolder, trust: TrustBundle) -> Iterator[Deletion]:
    """What was deleted of a device, each record verified. Raises StorageError."""
    path = folder.path / DELETIONS
    try:
        with storage_errors(path, "reading"):
            yield from read_deletions(path, trust, folder.path.name)
    except FormatError as error:
        raise StorageError(f"{path} is damaged: {error}") from error


def remove_deleted(folder: EvidenceFolder, records: list[Deletion]) -> None:
    """Removes, durably, what these records say; what is gone already is passed over. Raises StorageError."""
    found = [path for record in records for ref in record.objects if (path := folder.object_path(ref)).exists()]
    with storage_errors(folder.objects, "removing from"):
        for path in found:
            path.unlink(missing_ok=True)
    if found:
        durable.sync_folder(folder.objects)


def _read(entries: Iterator[Entry]) -> _Seen:
    seen = _Seen()
    for entry in entries:
        if entry.time.source in ("gnss", "ntp"):  # a clock that nobody vouches for must not hold up everything
            seen.newest_us = max(seen.newest_us, entry.time.utc_us)
        body = entry.body
        if isinstance(body, Open):
            seen.subjects[body.recording] = Subject(body.action, body.kind, body.matter, None)
        elif isinstance(body, Close) and body.recording in seen.subjects:
            seen.subjects[body.recording] = replace(seen.subjects[body.recording], closed_us=entry.time.utc_us)
    return seen


def _objects_of(entries: Iterator[Entry], due: set[str]) -> dict[str, list[ObjectRef]]:
    """What belongs to each recording that is due, and to nothing else."""
    found: dict[str, dict[str, ObjectRef]] = {recording: {} for recording in due}
    others: set[str] = set()
    for entry in entries:
        recording = getattr(entry.body, "recording", None)
        for ref in () if isinstance(entry.body, ReceiptEntry) else entry_objects(entry):
            if recording in due:
                found[recording][ref.digest] = ref
            elif any(ref.digest in mine for mine in found.values()):
                others.add(ref.digest)
    return {key: [ref for ref in mine.values() if ref.digest not in others] for key, mine in found.items()}
