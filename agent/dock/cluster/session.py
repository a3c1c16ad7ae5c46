"""One device's session at a worker: a thread of its own, because every claim waits for the bucket.

Claim, subscribe, take in; when storage fails, let go, wait, and begin again from what the bucket holds. The device
sends again what was not durable, and nothing else.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from nacl.signing import SigningKey

from agent.custody import wire
from agent.custody.link import Message
from agent.dock.cluster.archive import BucketArchive, BucketMemory
from agent.dock.cluster.bucket import Bucket
from agent.dock.intake import Intake
from agent.dock.register import DeviceRegister
from agent.dock.reports import DockKeys, Out, Publish, Report
from agent.dock.witness import Witness
from agent.errors import FencedError, RecorderError, StorageError, WireError
from agent.evidence.documents import TrustBundle

PAUSE_SECONDS: Final = 0.05
"""An empty inbox for this long counts as idle."""
_REST_SECONDS: Final = 1.0
"""Between looks at whether to end, when nothing comes and nothing is owed."""
_LONGEST_UNSETTLED_SECONDS: Final = 0.5
_FIRST_BACKOFF_SECONDS: Final = 0.5
_LAST_BACKOFF_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 90.0

BucketIntake = Intake[BucketArchive]
Ended = Literal["stopped", "fenced", "refused"]
Interrupted = Literal["fault", "overflow", "stopped", "fenced", "refused"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What all sessions of a worker share. Every member may be used by any thread."""

    bucket: Bucket
    worker: str
    trust: TrustBundle
    keys: DockKeys
    witness_key: SigningKey
    seal_key: bytes
    scratch: Path
    register: DeviceRegister
    publish: Callable[[wire.Topic, bytes], None]
    subscribe: Callable[[str], None]
    unsubscribe: Callable[[str], None]
    report: Callable[[Report], None]
    opening: threading.BoundedSemaphore
    """Take-overs at once, over all sessions."""


@dataclass(frozen=True, slots=True)
class _LinkLost:
    """The link to the broker went down; whoever is still there says so again."""


class Session:
    """Serves a device until stopped, fenced by another worker, or the device is refused."""

    def __init__(self, device: str, tools: Tools, window_bytes: int) -> None:
        """Nothing yet; ``start``. ``window_bytes`` may be changed while it runs, by any thread."""
        self.device, self._tools, self.window_bytes = device, tools, window_bytes
        self.ended: Ended | None = None
        """Why it has ended; None while it runs."""
        self.intake: BucketIntake | None = None
        """For the status: reading a number of it from another thread may be a moment late, no worse."""
        # Twice what a credit can amount to: one round's leavings beside the next.
        self._inbox: queue.Queue[Message | _LinkLost] = queue.Queue(window_bytes // wire.CHARGE_FLOOR_BYTES * 2 + 256)
        self._overflow, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"session-{device}", daemon=True)

    def start(self) -> None:
        """Begins to claim and to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; ``join`` waits."""
        self._stop.set()

    def join(self) -> None:
        """Waits for its end, up to a limit."""
        self._thread.join(_STOP_SECONDS)

    def offer(self, message: Message) -> None:
        """A message of the device. Never waits: when there is no room, the session begins anew."""
        self._put(message)

    def link_lost(self) -> None:
        """The link is down; what it had on its way is gone."""
        self._put(_LinkLost())

    def _put(self, event: Message | _LinkLost) -> None:
        try:
            self._inbox.put_nowait(event)
        except queue.Full:
            self._overflow.set()

    # -- its thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while self.ended is None:
            began = time.monotonic()
            why = self._once()
            if why in ("stopped", "fenced", "refused"):
                self.ended = why
                return
            backoff = _FIRST_BACKOFF_SECONDS if time.monotonic() - began > backoff * 4 else backoff * 2
            self._stop.wait(min(backoff, _LAST_BACKOFF_SECONDS))
            if self._stop.is_set():
                self.ended = "stopped"

    def _once(self) -> Interrupted:
        """Claims and serves once; says why that ended."""
        try:
            with self._tools.opening:
                intake = self._open()
        except FencedError:
            return "fenced"
        except StorageError as error:
            self._tell("fault", f"{error.code} {error}")
            return "fault"
        except RecorderError as error:
            # What the bucket holds of this device cannot be trusted as it is: nothing is taken onto it.
            self._tell("refused", f"its archive cannot be opened: {error.code} {error}")
            return "refused"
        name = wire.up_filter(self.device)
        self._empty()
        self.intake = intake
        self._tools.subscribe(name)
        try:
            return self._serve(intake)
        finally:
            self._tools.unsubscribe(name)
            self.intake = None
            intake.close()

    def _open(self) -> BucketIntake:
        tools = self._tools
        scratch = tools.scratch / self.device
        archive = BucketArchive(tools.bucket, tools.worker, self.device, tools.trust, tools.seal_key, scratch)
        try:
            memory = BucketMemory(archive)
            witness = Witness(memory, tools.trust.agency, tools.keys.dock, tools.witness_key, archive)
        except RecorderError:
            archive.close()
            raise
        return Intake(archive, witness, tools.keys, self.window_bytes)

    def _empty(self) -> None:
        self._overflow.clear()
        while True:
            try:
                self._inbox.get_nowait()
            except queue.Empty:
                return

    def _serve(self, intake: BucketIntake) -> Interrupted:
        unsettled: float | None = None
        try:
            while not self._stop.is_set():
                if self._overflow.is_set():
                    return "overflow"
                event = self._next(PAUSE_SECONDS if unsettled else _REST_SECONDS)
                if event is not None:
                    unsettled = unsettled or time.monotonic()
                    if not self._handle(intake, event):
                        return "refused"
                if unsettled and (event is None or time.monotonic() - unsettled > _LONGEST_UNSETTLED_SECONDS):
                    unsettled = None
                    self._carry_out(intake.idle())
            self._carry_out(intake.idle())
            return "stopped"
        except FencedError as error:
            self._tell("left", str(error))
            return "fenced"
        except StorageError as error:
            self._tell("fault", f"{error.code} {error}")
            return "fault"

    def _next(self, seconds: float) -> Message | _LinkLost | None:
        try:
            return self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None

    def _handle(self, intake: BucketIntake, event: Message | _LinkLost) -> bool:
        """Takes one event in; False when the device is not accepted any more."""
        if isinstance(event, _LinkLost):
            intake.state = None
            return True
        why = self._tools.register.why_not(self.device, intake.identity)
        if why is not None:
            self._tell("refused", why)
            return False
        intake.window_bytes = self.window_bytes
        try:
            outs = intake.handle(wire.parse_topic(event.topic), event.payload, event.retained)
        except WireError as error:
            self._tell("refused", f"a message: {error}")
            return True
        self._carry_out(outs)
        intake.taken.clear()
        intake.held.clear()
        return True

    def _carry_out(self, outs: list[Out]) -> None:
        for out in outs:
            match out:
                case Report():
                    self._tools.report(out)
                case Publish(topic, payload):
                    self._tools.publish(topic, payload)
                case _:
                    pass  # other witnesses are asked of the archive: recorder archive fetch, recorder witness ask

    def _tell(self, kind: Literal["left", "refused", "fault"], detail: str) -> None:
        self._tools.report(Report(kind, self.device, detail))
