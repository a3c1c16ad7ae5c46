"""The register of devices, officers and docks, and who holds what (R15, R16), in TinyDB behind a durable storage.

Reading gives a ``View``; every change goes through ``DeviceRegister.change``, which is one transaction: it is checked
as a whole and written as a whole, together with its line of history, or nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from tinydb import where

from agent.errors import FormatError, RegisterError, StorageError, UnknownIdError, UsageError
from agent.evidence.encoding import from_b64url, sha256_hex
from agent.evidence.jws import is_sound_key
from agent.evidence.shapes import dump_shape
from agent.system import durable
from provisioning.records import (
    UNASSIGNED,
    Certificate,
    Device,
    Dock,
    Document,
    DocumentKind,
    Ending,
    HistoryEntry,
    Holding,
    Officer,
    Reason,
    Witness,
)
from provisioning.storage import DurableStorage
from provisioning.view import FIRST_PREV, View, history_digest, problems

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOCK_WAIT_SECONDS: Final = 5.0


def _checked(row: DataclassInstance) -> dict[str, Any]:
    try:
        return dump_shape(row)
    except FormatError as error:  # an id or text that an administrator typed, not damaged evidence
        raise UsageError(str(error)) from error


def _is_key(key: str) -> bool:
    try:
        return is_sound_key(from_b64url(key))
    except FormatError:
        return False


class Change(View):
    """One change under way: what it does becomes true, all of it, when the block of ``DeviceRegister.change`` ends."""

    def __init__(self, storage: DurableStorage, by: str, at_us: int) -> None:
        super().__init__(storage)
        self._by = by
        self.at_us = at_us
        # The newest entry, read once: reading the whole history for each line would make a large import quadratic.
        self._last: HistoryEntry | None = None

    def _insert(self, row: DataclassInstance) -> None:
        self._table(type(row)).insert(_checked(row))

    def _replace(self, row: Officer | Device | Dock | Witness) -> None:
        self._table(type(row)).update(_checked(row), where("id") == row.id)

    def note(self, action: str, subject: str, **detail: str) -> None:
        """Adds a line of history; there is no way to remove or alter one."""
        if self._last is None:
            self._last = next(reversed(self.history()), None)
        number, prev = (self._last.number + 1, history_digest(self._last)) if self._last else (0, FIRST_PREV)
        self._last = HistoryEntry(number, prev, self.at_us, self._by, action, subject, detail)
        self._insert(self._last)

    def add_officer(self, officer: str, name: str, section: str) -> Officer:
        """Adds an officer; RegisterError if the id was ever used."""
        if officer == UNASSIGNED or any(row.id == officer for row in self.officers()):
            raise RegisterError(f"the officer id {officer} is taken; ids are never used again")
        row = Officer(officer, name, section, "active", self.at_us)
        self._insert(row)
        self.note("officer-added", officer, section=section)
        return row

    def officer_leaves(self, officer: str) -> None:
        """The officer is no longer active; RegisterError while a device is still held."""
        row = self.officer(officer)
        if (held := self.held_by(officer)) is not None:
            raise RegisterError(f"officer {officer} still holds {held}; it must be returned first")
        self._replace(replace(row, state="left"))
        self.note("officer-left", officer)

    def add_device(self, device: str, serial: str, section: str, identity: str) -> Device:
        """Adds an enrolled device; RegisterError if the id was ever used, or the serial is that of an active device."""
        self._require_free(device)
        for other in self.devices():
            if other.serial == serial and other.state == "active":
                raise RegisterError(f"serial {serial} is already enrolled as {other.id}")
        row = Device(device, serial, section, "active", identity, None, self.at_us)
        self._insert(row)
        self.note("device-enrolled", device, serial=serial, section=section, identity=identity)
        return row

    def renew_device(self, device: str, identity: str) -> Device:
        """The device has new keys; RegisterError unless it is active."""
        row = replace(self._active_device(device), identity=identity)
        self._replace(row)
        self.note("device-renewed", device, identity=identity)
        return row

    def end_device(self, device: str, state: Literal["lost", "retired"], reason: str = "") -> None:
        """The device is lost or retired; whoever holds it no longer does."""
        row = self._active_device(device)
        if self.holder(device) is not None:
            self._end_holding(device, "withdrawn")
        self._replace(replace(row, state=state))
        self.note(f"device-{state}", device, reason=reason)

    def add_dock(self, dock: str, names: list[str], receipt_key: str, witness_key: str) -> Dock:
        """Adds a dock; RegisterError if the id was ever used, by a dock or a device."""
        self._require_free(dock)
        row = Dock(dock, names, receipt_key, witness_key, "active", self.at_us)
        self._insert(row)
        self.note("dock-added", dock, receipt_key=receipt_key, witness_key=witness_key)
        return row

    def end_dock(self, dock: str, state: Literal["lost", "retired"], reason: str = "") -> None:
        """The dock is lost (its receipts no longer count) or retired (they stay good)."""
        row = self.dock(dock)
        if row.state != "active":
            raise RegisterError(f"dock {dock} is {row.state}")
        self._replace(replace(row, state=state))
        self.note(f"dock-{state}", dock, reason=reason)

    def add_witness(self, witness: str, key: str) -> Witness:
        """Adds a witness that is no dock; one that was removed may come back, with the same key or another.

        Raises RegisterError when the id is taken, UsageError when id or key is none.
        """
        former = next((row for row in self.witnesses() if row.id == witness), None)
        if former is None:
            self._require_free(witness)
        elif former.state == "active":
            raise RegisterError(f"witness {witness} is in the register already; remove it first")
        row = Witness(witness, key, "active", self.at_us)
        _checked(row)
        if not _is_key(key):
            raise UsageError(f"{key} is not an Ed25519 public key in base64url")
        # A cosignature does not sign its witness's name, so one key under two names would count twice.
        others = {one.key for one in self.witnesses() if one.id != witness}
        if key in others | {one.witness_key for one in self.docks()}:
            raise RegisterError("another witness or dock has this key; each needs its own")
        if former is None:
            self._insert(row)
        else:
            self._replace(row)
        self.note("witness-added", witness, key=key)
        return row

    def remove_witness(self, witness: str, reason: str = "") -> None:
        """The witness's cosignatures no longer count, also those that it has made."""
        row = self.witness(witness)
        if row.state != "active":
            raise RegisterError(f"witness {witness} is {row.state}")
        self._replace(replace(row, state="removed"))
        self.note("witness-removed", witness, reason=reason)

    def _require_free(self, name: str) -> None:
        # One name space: the broker takes the CN as user name, so a device called like a dock would get its rights.
        taken = [row.id for rows in (self.devices(), self.docks(), self.witnesses()) for row in rows]
        if name in taken:
            raise RegisterError(f"the id {name} is taken by a device, dock or witness; ids are never used again")

    def assign(self, device: str, officer: str) -> None:
        """R16: the officer takes the device; RegisterError, naming the other holder, if either is taken."""
        self._active_device(device)
        if self.officer(officer).state != "active":
            raise RegisterError(f"officer {officer} is no longer active")
        if (holder := self.holder(device)) is not None:
            raise RegisterError(f"R16: device {device} is held by officer {holder}; return or transfer it first")
        if (held := self.held_by(officer)) is not None:
            raise RegisterError(f"R16: officer {officer} already holds device {held}; it must be returned first")
        self._insert(Holding(device, officer, self.at_us, None, None))
        self.note("assigned", device, officer=officer)

    def give_back(self, device: str) -> str:
        """The device is returned; gives the officer who held it. RegisterError if nobody does."""
        officer = self._end_holding(device, "returned")
        self.note("returned", device, officer=officer)
        return officer

    def transfer(self, device: str, officer: str) -> str:
        """The device goes from its holder straight to another officer; gives the former holder. One line of history."""
        if self.holder(device) == officer:
            raise RegisterError(f"officer {officer} already holds device {device}")
        former = self._end_holding(device, "transferred")
        self.assign(device, officer)
        self.note("transferred", device, former=former, officer=officer)
        return former

    def _end_holding(self, device: str, ending: Ending) -> str:
        holder = self.holder(self.device(device).id)
        if holder is None:
            raise RegisterError(f"nobody holds device {device}")
        held = (where("device") == device) & (where("until_us") == None)  # noqa: E711  # a TinyDB query, not a comparison
        self._table(Holding).update({"until_us": self.at_us, "ending": ending}, held)
        return holder

    def _active_device(self, device: str) -> Device:
        row = self.device(device)
        if row.state != "active":
            raise RegisterError(f"device {device} is {row.state}")
        return row

    def set_ex_approval(self, device: Device) -> None:
        """R13.1: enters the approval that ``device`` carries (or none)."""
        self._active_device(device.id)
        self._replace(device)
        marking = device.ex_approval.marking if device.ex_approval else "none"
        self.note("ex-approval", device.id, marking=marking)

    def publish(self, kind: DocumentKind, subject: str, make: Callable[[int], str]) -> Document:
        """Replaces the document by the next version, whose text ``make(version)`` signs. No version is used twice."""
        former = self.document(kind, subject)
        version = former.version + 1 if former else 1
        try:
            row = Document(kind, subject, version, self.at_us, make(version))
        except FormatError as error:  # a value that an administrator gave does not fit the document's shape
            raise UsageError(str(error)) from error
        self._table(Document).remove((where("kind") == kind) & (where("subject") == subject))
        self._insert(row)
        self.note(f"{kind}-signed", subject, version=str(version), sha256=sha256_hex(row.text.encode()))
        return row

    def add_certificate(self, certificate: Certificate) -> None:
        """Enters a certificate before it is handed over."""
        self._insert(certificate)
        self.note("certificate-issued", certificate.subject, serial=certificate.serial, use=certificate.use)

    def revoke(self, serial: str, reason: Reason) -> Certificate:
        """Marks a certificate as revoked; UnknownIdError if never issued, RegisterError if revoked already."""
        found = [row for row in self.certificates() if row.serial == serial]
        if not found:
            raise UnknownIdError(f"no certificate with serial {serial} was issued")
        if found[0].revoked_us is not None:
            raise RegisterError(f"certificate {serial} is revoked already")
        row = replace(found[0], revoked_us=self.at_us, reason=reason)
        self._table(Certificate).update(dump_shape(row), where("serial") == serial)
        self.note("certificate-revoked", row.subject, serial=serial, use=row.use, reason=reason)
        return row


class DeviceRegister:
    """The register file of an agency. Opened for writing it holds the folder's lock until closed."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Opens and checks the register; a missing file is an empty register.

        Raises LockedError when another process writes, StorageError when the file is damaged or breaks R16.
        """
        self._lock = durable.lock_folder(path.parent, LOCK_WAIT_SECONDS) if writable else None
        self._storage = DurableStorage(path)
        try:
            if writable:
                durable.sweep_aside(path.parent, path.name)
            self.view().check()
        except BaseException:
            self.close()
            raise

    def view(self) -> View:
        """The register as it stands on disk."""
        return View(self._storage.snapshot())

    @contextmanager
    def change(self, by: str, at_us: int) -> Iterator[Change]:
        """One change by ``by`` at ``at_us``. Durable when the block has ended; nothing happens if it raises."""
        if self._lock is None:
            raise StorageError("the register was opened for reading only")
        with self._storage.transaction():
            change = Change(self._storage, by, at_us)
            yield change
            for problem in problems(change):
                raise RegisterError(problem)

    def close(self) -> None:
        """Frees the lock; may be called twice."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
