"""What an intake has to say: to the custodian, to the device, to the other witnesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nacl.signing import SigningKey

from agent.custody.wire import Topic

ReportKind = Literal[
    "docked",
    "left",
    "object",
    "receipt",
    "cosigned",
    "resync",
    "quarantined",
    "quarantine_full",
    "refused",
    "fork",
    "rollback",
    "fault",
    "witnessed",
    "unanswered",
    "disputed",
    "timestamped",
    "not-timestamped",
    "copy_lost",
    "copy_back",
    "copy_differs",
    "cloned",
]


@dataclass(frozen=True, slots=True)
class Report:
    """Something the custodian or the log should know. ``detail`` is English and holds nothing personal."""

    kind: ReportKind
    device: str
    detail: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to the device."""

    topic: Topic
    payload: bytes


@dataclass(frozen=True, slots=True)
class Cosigned:
    """This dock has cosigned: other witnesses may be asked now."""

    device: str
    note: bytes


Out = Publish | Report | Cosigned


@dataclass(frozen=True, slots=True)
class DockKeys:
    """Who signs. ``now_us``: the dock's wall clock, microseconds of UTC."""

    dock: str
    receipt: SigningKey
    now_us: Callable[[], int]
