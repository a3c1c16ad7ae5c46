"""A worker of an intake: hears which devices and workers are there, serves the devices that are its own.

Two links to the broker. One hears of all devices' states and of the workers; the other carries what the devices of this
worker send, so that a device's messages come over one subscription and in their order.
"""

from __future__ import annotations

import queue
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from agent.custody import wire
from agent.custody.link import Link, LinkDown, LinkSettings, LinkUp, Message, Will
from agent.custody.wire import DeviceState, Kind, Topic
from agent.dock.cluster.bucket import Bucket
from agent.dock.cluster.canary import prove
from agent.dock.cluster.notices import Notices
from agent.dock.cluster.presence import Presence, WorkerState, preferred, worker_topic
from agent.dock.cluster.session import BucketIntake, Session, Tools
from agent.dock.cluster.settings import IntakeSettings
from agent.dock.console import event_text
from agent.dock.register import DeviceRegister
from agent.dock.reports import DockKeys, Report
from agent.dock.status import Bay, DockStatus, Meter, StatusSocket, bay_of
from agent.dock.verified import seal_key
from agent.errors import BrokerError, FormatError, TrustError, WireError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import load_object
from agent.evidence.keys import load_signing_key
from agent.evidence.shapes import load_shape
from agent.system import durable
from agent.system.logs import logger

_TURN_SECONDS: Final = 0.2
_INBOX: Final = 65_536
_OPENING_AT_ONCE: Final = 16
"""Devices being taken over; after a worker's death there may be thousands."""
_SEND_SECONDS: Final = 10.0
_LEAST_WINDOW: Final = 1_048_576
_LINGER_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 120.0
"""A device repeats its state every 15 s."""
_NOTICES: Final = "dock"
"""No device is called so: whose the notices to all devices are."""
_KEPT_MESSAGES: Final = 50
_REFUSED_SECONDS: Final = 30.0
_WARNINGS: Final = frozenset({"quarantined", "refused", "fork", "rollback", "fault"})
_log = logger("intake")


@dataclass(slots=True)
class _Seen:
    """A device's last word."""

    online: bool
    at: float

    def is_there(self, now: float) -> bool:
        """Online, and heard of lately: a node that died with the device's connection has sent no will."""
        return self.online and now - self.at < _SILENT_SECONDS

    def lingers(self, now: float) -> bool:
        """There, or gone so lately that it may only have lost its network."""
        return now - self.at < (_SILENT_SECONDS if self.online else _LINGER_SECONDS)


class Worker:
    """One worker. ``run`` works until ``stop``; it may be killed at any moment."""

    def __init__(self, settings: IntakeSettings, on_report: Callable[[Report], None] = lambda _report: None) -> None:
        """Reads keys, trust and register, takes the scratch folder's lock, sends the canary out.

        Raises TrustError, StorageError, ConfigError, WriteOnceError.
        """
        self._settings, self._on_report = settings, on_report
        credentials = settings.credentials
        with durable.storage_errors(credentials, "reading the credentials in"):
            trust = TrustBundle.from_json((credentials / "trust.json").read_bytes())
            receipt_key = load_signing_key((credentials / "receipt.key").read_bytes())
            witness_key = load_signing_key((credentials / "witness.key").read_bytes())
        self._register = DeviceRegister(credentials, trust)
        self._notices = Notices(credentials, trust, self._register)
        durable.make_private_folder(settings.scratch)
        self._lock = durable.lock_folder(settings.scratch)
        for left in settings.scratch.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        self._bucket = Bucket(settings.s3)
        prove(self._bucket)
        if settings.s3.write_once != "required":
            _log.warning("nothing is claimed of the archive: whoever has its keys can delete from it")
        self._watched: queue.Queue[Any] = queue.Queue(_INBOX)
        self._arrived: queue.Queue[Any] = queue.Queue(_INBOX)
        filters = [wire.ROOT + "/+/up/state", worker_topic(settings.id, "+")]
        will = Will(worker_topic(settings.id, settings.worker), self._life(online=False))
        self._watch = Link(_link_settings(settings, "watch"), will, filters, self._watched)
        self._data = Link(_link_settings(settings, "data"), None, [], self._arrived)
        keys = DockKeys(settings.id, receipt_key, lambda: time.time_ns() // 1000)
        self._tools = Tools(
            self._bucket, settings.worker, trust, keys, witness_key, seal_key(receipt_key), settings.scratch,
            self._register, self._publish, self._data.subscribe, self._data.unsubscribe, self._report,
            threading.BoundedSemaphore(_OPENING_AT_ONCE),
        )  # fmt: skip
        self._presence = Presence(settings.worker, settings.silence_seconds)
        self._sessions: dict[str, Session] = {}
        self._seen: dict[str, _Seen] = {}
        self._not_before: dict[str, float] = {}
        self._stop = threading.Event()
        self._watch_session: int | None = None
        self._listen_until = self._beat_at = self._turn_at = 0.0
        self._reporting = threading.Lock()
        self._messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
        self._meters: dict[str, Meter] = {}
        self._status = DockStatus(1, settings.id, False, [], [])

    def stop(self) -> None:
        """Asks ``run`` to end; any thread, or a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Serves until ``stop``. What was claimed is durable whenever this ends, and however."""
        console = StatusSocket(self._settings.console_socket, lambda: self._status)
        console.start()
        router = threading.Thread(target=self._route, name="router", daemon=True)
        self._watch.start()
        self._data.start()
        router.start()
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            self._end(router)
            console.stop()

    def _end(self, router: threading.Thread) -> None:
        self._stop.set()
        for session in list(self._sessions.values()):
            session.stop()
        for session in list(self._sessions.values()):
            session.join()
        if self._watch.connected and self._watch_session is not None:
            self._say(self._life(online=False)(self._watch_session))
        self._watch.stop()
        self._data.stop()
        router.join(_TURN_SECONDS * 10)
        usage = self._bucket.usage
        _log.info("usage", **usage.requests, sent_bytes=usage.sent_bytes, read_bytes=usage.read_bytes)
        self._lock.release()

    # -- the devices' messages, in a thread of their own ------------------------------------------------------------

    def _route(self) -> None:
        while not self._stop.is_set():
            try:
                event = self._arrived.get(timeout=_TURN_SECONDS)
            except queue.Empty:
                continue
            if isinstance(event, Message):
                session = self._sessions.get(_owner(event.topic))
                if session is not None:
                    session.offer(event)
            elif isinstance(event, LinkDown):
                _log.warning("data link down", reason=event.reason)
                for session in list(self._sessions.values()):
                    session.link_lost()

    def _publish(self, topic: Topic, payload: bytes) -> None:
        """Of any session's thread."""
        _send(self._data, str(topic), payload)

    def _report(self, report: Report) -> None:
        """Of any session's thread."""
        level = _log.warning if report.kind in _WARNINGS else _log.info
        level(report.kind, device=report.device, detail=report.detail, size_bytes=report.bytes)
        with self._reporting:
            if report.kind not in ("object", "receipt"):
                self._messages.append(event_text(report).plain[:500])
            self._on_report(report)

    # -- who is there -----------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        with suppress(queue.Empty):
            self._hear(self._watched.get(timeout=_TURN_SECONDS))
        now = time.monotonic()
        if now - self._turn_at >= _TURN_SECONDS:
            self._turn_at = now
            self._beat(now)
            self._refresh()
            self._share_out(now)
            self._show()

    def _hear(self, event: object) -> None:
        now = time.monotonic()
        match event:
            case LinkUp(session):
                self._watch_session, self._beat_at = session, 0.0
                self._presence.forget()
                self._notices.again()
                # Whoever comes would otherwise take every device for its own before it has heard of the others.
                self._listen_until = now + self._settings.heartbeat_seconds * 2
            case LinkDown(reason):
                self._watch_session = None
                _log.warning("watch link down", reason=reason)
            case Message(topic, payload) if topic.startswith(worker_topic(self._settings.id, "")):
                self._hear_worker(payload, now)
            case Message(topic, payload):
                self._hear_device(topic, payload, now)

    def _hear_worker(self, payload: bytes, now: float) -> None:
        try:
            self._presence.hear(load_shape(WorkerState, load_object(payload)), now)
        except FormatError as error:
            _log.warning("a worker's message refused", error=str(error))

    def _hear_device(self, name: str, payload: bytes, now: float) -> None:
        try:
            topic = wire.parse_topic(name)
            if topic.kind is Kind.STATE and topic.owner in self._register.devices:
                self._seen[topic.owner] = _Seen(wire.load(DeviceState, payload).online, now)
        except WireError as error:
            _log.warning("message refused", topic=name[:200], error=str(error))

    def _beat(self, now: float) -> None:
        if self._watch_session is not None and now - self._beat_at >= self._settings.heartbeat_seconds:
            self._beat_at = now
            self._say(self._life(online=True)(self._watch_session))

    def _say(self, payload: bytes) -> None:
        _send(self._watch, worker_topic(self._settings.id, self._settings.worker), payload)

    def _life(self, online: bool) -> Callable[[int], bytes]:
        worker = self._settings.worker
        return lambda session: wire.dump(WorkerState(1, worker, session, online))

    def _refresh(self) -> None:
        try:
            if self._register.refresh():
                self._notices.again()
        except TrustError as error:
            _log.error("register", error=str(error), code=error.code)

    # -- sharing out ------------------------------------------------------------------------------------------------

    def _share_out(self, now: float) -> None:
        self._bury(now)
        if self._watch_session is None or now < self._listen_until:
            return  # what is served goes on; whose the others are is not known
        workers = self._presence.alive(now)
        self._notices.refresh(preferred(_NOTICES, workers) == self._settings.worker, self._retain)
        for device, seen in self._seen.items():
            ours = preferred(device, workers) == self._settings.worker
            session = self._sessions.get(device)
            if session is not None and not (ours and seen.lingers(now)):
                session.stop()
            elif session is None and ours and seen.is_there(now) and now >= self._not_before.get(device, 0.0):
                self._begin(device)
        share = max(_LEAST_WINDOW, self._settings.budget_bytes // max(1, len(self._sessions)))
        for session in self._sessions.values():
            session.window_bytes = min(self._settings.window_bytes, share)

    def _begin(self, device: str) -> None:
        if self._register.why_not(device, None) is not None:
            return
        session = Session(device, self._tools, self._settings.window_bytes)
        self._sessions[device] = session
        session.start()

    def _retain(self, topic: Topic, payload: bytes) -> None:
        _send(self._watch, str(topic), payload, retain=True)

    def _bury(self, now: float) -> None:
        for device, session in list(self._sessions.items()):
            if session.ended is not None:
                del self._sessions[device]
                # Whoever was fenced waits until both have heard of each other; else they would take turns.
                pauses = {"stopped": 0.0, "fenced": self._settings.silence_seconds, "refused": _REFUSED_SECONDS}
                self._not_before[device] = now + pauses[session.ended]

    # -- status -----------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        found = [(name, session.intake) for name, session in sorted(self._sessions.items())]
        bays = [self._bay(name, intake) for name, intake in found if intake is not None]
        with self._reporting:
            messages = list(self._messages)
        self._status = DockStatus(1, self._settings.id, self._data.connected, bays, messages)

    def _bay(self, device: str, intake: BucketIntake) -> Bay:
        return bay_of(intake, self._meters.setdefault(device, Meter()))


def _send(link: Link, topic: str, payload: bytes, retain: bool = False) -> None:
    """Publishes, or not: what is lost with a link is published again in the next round, or at the next turn."""
    if not link.connected:
        return
    try:
        link.publish(topic, payload, retain=retain, timeout_seconds=_SEND_SECONDS)
    except BrokerError as error:
        if link.connected:  # it takes nothing any more; one that is only just being made is left alone
            link.reconnect(str(error))


def _owner(topic: str) -> str:
    """Whose a message is, by its topic; nothing more is judged here."""
    words = topic.split("/", 4)
    return words[2] if len(words) > 3 else ""


def _link_settings(settings: IntakeSettings, name: str) -> LinkSettings:
    folder = settings.credentials
    tls = (folder / "tls.key", folder / "tls.crt", folder / "ca.crt")
    client = f"{settings.id}-{settings.worker}-{name}"
    # What a queue of the broker's would save, a round saves as well; and the queue would be written by three nodes.
    return LinkSettings(settings.host, settings.port, client, *tls, subscribe_qos=0, backoff_last_seconds=5.0)


def main(settings: IntakeSettings, on_report: Callable[[Report], None]) -> int:
    """Runs a worker in this process until SIGTERM or SIGINT; returns 0. Main thread only. Errors pass through."""
    worker = Worker(settings, on_report)

    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.run()
    return 0
