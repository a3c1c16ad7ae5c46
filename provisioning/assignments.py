"""R12.2: the assignments that the agency sends to its recorders, signed by the document key.

The newest of each device stands in the register, as its documents do; the history says who signed which. A dock's
folder gets those of the active devices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import FormatError, RegisterError, UsageError
from agent.evidence.dispatch import Dispatch, read_dispatch, sign_dispatch
from agent.evidence.documents import Assignment
from agent.evidence.encoding import load_object
from agent.evidence.shapes import load_shape
from agent.system import durable
from provisioning import keys
from provisioning.agency import Agency
from provisioning.records import Document
from provisioning.register import Change
from provisioning.view import View

FOLDER: Final = "assignments"
_FILE_MODE: Final = 0o640


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and what whoever signed it ought to look at."""

    document: Document
    dispatch: Dispatch
    stranger: str | None
    """Who holds the unit without being among the matter's officers."""


def read_assignment(path: Path) -> Assignment:
    """An assignment from a JSON file; raises UsageError saying what is wrong with it."""
    try:
        return load_shape(Assignment, load_object(keys.read_bytes(path)))
    except FormatError as error:
        raise UsageError(f"{path}: {error}") from error


def sign_assignment(
    agency: Agency, device: str, assignment: Assignment | None, check: Callable[[bytes], object] = bool
) -> Signed:
    """Signs the next assignment of a device; None takes back what was sent before. Raises RegisterError, UsageError.

    ``check`` gets the token: if it raises, nothing was signed.
    """
    with agency.change() as change:
        if change.device(device).state != "active":
            raise RegisterError(f"device {device} is {change.device(device).state}")
        issued_us = max(change.at_us, _last_issued_us(agency, change, device) + 1)
        dispatch = Dispatch(1, "assignment", agency.info.id, device, issued_us, assignment)
        key = agency.document_key()
        document = change.publish("assignment", device, lambda _version: sign_dispatch(dispatch, key).decode())
        check(document.text.encode())
        return Signed(document, dispatch, _stranger(change, device, assignment))


def _last_issued_us(agency: Agency, view: View, device: str) -> int:
    """Units go by this number alone: it rises even when the computer's clock was set back."""
    former = view.document("assignment", device)
    return read_dispatch(former.text.encode(), agency.trust(view), device).issued_us if former else 0


def _stranger(change: Change, device: str, assignment: Assignment | None) -> str | None:
    holder = change.holder(device)
    if holder is None or assignment is None:
        return None
    name = change.officer(holder).name
    return None if {holder, name} & set(assignment.officers) else f"{name} ({holder})"


def write_assignments(agency: Agency, view: View, folder: Path) -> None:
    """Brings the assignments of a dock's folder up to date: new ones first, then those that are over go. Durable."""
    rows = [(row.id, view.document("assignment", row.id)) for row in view.devices() if row.state == "active"]
    texts = {f"{device}.jws": document.text.encode() for device, document in rows if document}
    target = folder / FOLDER
    if not texts and not target.exists():
        return
    durable.make_private_folder(target)
    for name, text in texts.items():
        if not (target / name).exists() or keys.read_bytes(target / name) != text:
            durable.write_atomic(target / name, text, _FILE_MODE)
    for path in target.glob("*.jws"):
        if path.name not in texts:
            durable.remove_file(path)
