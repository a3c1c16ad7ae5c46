"""The witness's process, and what a command reads of its folder without one."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from types import FrameType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from nacl.signing import SigningKey

from agent.errors import StorageError
from agent.evidence.checkpoint import cosigned_at, open_note
from agent.evidence.keys import load_signing_key
from agent.system import durable
from agent.system.logs import logger
from agent.witness.alarms import Alarm, AlarmBook
from agent.witness.core import WitnessCore
from agent.witness.http import WitnessServer, application
from agent.witness.memory import Memory, Remembered
from agent.witness.settings import WitnessSettings
from agent.witness.trusts import Trusts

_log = logger("witness")


def load_key(settings: WitnessSettings) -> SigningKey:
    """The witness's key, made at its first use (durable, mode 0600). Raises StorageError, TrustError.

    A folder that remembers something and has lost its key gets no new one: nobody would know the new one, and that
    something was lost should be seen.
    """
    durable.make_private_folder(settings.folder)
    if not settings.key.exists():
        if Memory(settings.memory).all():
            raise StorageError(f"{settings.key} is missing, though this witness has cosigned before")
        key = ed25519.Ed25519PrivateKey.generate()
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
        durable.write_atomic(settings.key, pem, durable.PRIVATE_FILE)
    with durable.storage_errors(settings.key, "reading the key"):
        return load_signing_key(settings.key.read_bytes())


def open_core(settings: WitnessSettings) -> WitnessCore:
    """The core over this folder; the caller holds the folder's lock. Raises StorageError, TrustError."""
    key, trusts = load_key(settings), Trusts(settings.trust)
    memory, alarms = Memory(settings.memory), AlarmBook(settings.alarms)
    for folder in (settings.folder, settings.memory, settings.alarms):
        durable.sweep_aside(folder)
    return WitnessCore(settings.id, key, trusts, memory, alarms, lambda: int(time.time()))


def main(settings: WitnessSettings) -> int:
    """Runs a witness in this process until SIGTERM or SIGINT; returns 0. Main thread only. Errors pass through."""
    durable.make_private_folder(settings.folder)
    with durable.lock_folder(settings.folder):
        server = WitnessServer(application(open_core(settings)), settings.listen)

        def stop(_number: int, _frame: FrameType | None) -> None:
            raise SystemExit

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        _log.info("见证方已启动 witness started", name=settings.id, port=server.port)
        server.run()
    return 0


@dataclass(frozen=True, slots=True)
class Watched:
    """One ledger in ``recorder witness status``."""

    remembered: Remembered
    cosigned_at: int | None
    """POSIX seconds; None when the note was cosigned under another name or key than the present."""
    alarms: list[Alarm]


def status(settings: WitnessSettings) -> list[Watched]:
    """What the folder says, whether the witness runs or not. Raises StorageError, TrustError."""
    if not settings.key.exists():
        return []
    key = bytes(load_key(settings).verify_key)
    alarms = AlarmBook(settings.alarms).kept
    return [
        Watched(
            one,
            cosigned_at(open_note(one.note.encode()), settings.id, key),
            [alarm for alarm in alarms if alarm.origin == origin],
        )
        for origin, one in sorted(Memory(settings.memory).all().items())
    ]
