"""The dock's process: one thread takes messages in, device by device, and publishes what their intakes answer."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from types import FrameType
from typing import Any, Final

from agent.custody import wire
from agent.custody.link import RESERVED_SLOTS, Link, LinkDown, LinkSettings, LinkUp, Message, Will
from agent.custody.wire import DockState, Kind, Topic
from agent.dock.archive import DeviceArchive
from agent.dock.asking import Answered, Asker, News, NotAnswered
from agent.dock.assignments import Assignments
from agent.dock.broker import OwnBroker
from agent.dock.catalogue import Catalogue, Recording
from agent.dock.console import DockConsole, event_text, summary
from agent.dock.copier import Copied, Copiers, CopyNews, CopyTrouble
from agent.dock.hazard import HazardFlags
from agent.dock.intake import Intake
from agent.dock.layout import Layout
from agent.dock.quarantine import count_quarantine
from agent.dock.register import DeviceRegister
from agent.dock.reports import Cosigned, DockKeys, Out, Publish, Report
from agent.dock.settings import DockSettings
from agent.dock.shelving import Shelver
from agent.dock.status import Bay, DockStatus, Meter, StatusSocket, bay_of
from agent.dock.timestamps import Stamper
from agent.dock.verified import seal_key
from agent.dock.witness import Witness
from agent.errors import BrokerError, RecorderError, StorageError, TrustError, WireError
from agent.evidence.documents import TrustBundle
from agent.evidence.keys import load_signing_key
from agent.system import durable
from agent.system.logs import logger
from agent.system.notify import notify
from agent.witness.client import Offer, Target

_PAUSE_SECONDS: Final = 0.05
"""An empty inbox for this long counts as idle."""
_LONGEST_UNSETTLED_SECONDS: Final = 0.5
_STATUS_SECONDS: Final = 0.5
_LEAST_WINDOW: Final = 1_048_576
_DEVICES: Final = 64
"""Online at once, each with the least window: the inbox has room for all that they may send."""
_KEPT_MESSAGES: Final = 50
_OFFERED: Final = 256
"""Objects of a device that are offered to the copies at a time."""
_WARNINGS: Final = frozenset(
    {"quarantined", "quarantine_full", "refused", "fork", "rollback", "cloned", "fault", "unanswered", "disputed"}
    | {"copy_lost", "copy_differs", "not-timestamped"}
)
_log = logger("dock")


DockIntake = Intake[DeviceArchive]


class DockService:
    """One dock. ``run`` works until ``stop``; everything happens in the thread that calls it."""

    def __init__(
        self,
        settings: DockSettings,
        on_report: Callable[[Report], None] = lambda _report: None,
        on_status: Callable[[DockStatus], None] = lambda _status: None,
    ) -> None:
        """Reads keys, trust and register; takes the archive's lock. Raises TrustError, StorageError, ConfigError."""
        self._settings, self._on_report, self._on_status = settings, on_report, on_status
        self.tend_broker: Callable[[bool], None] = lambda _register_changed: None
        """Called twice a second by ``run``."""
        credentials = settings.credentials
        with durable.storage_errors(credentials, "reading the credentials in"):
            self._trust = TrustBundle.from_json((credentials / "trust.json").read_bytes())
            receipt_key = load_signing_key((credentials / "receipt.key").read_bytes())
            self._witness_key = load_signing_key((credentials / "witness.key").read_bytes())
        self._keys = DockKeys(settings.id, receipt_key, lambda: time.time_ns() // 1000)
        self._register = DeviceRegister(credentials, self._trust)
        self._hazard = HazardFlags(credentials, self._trust)
        self._assignments = Assignments(credentials, self._trust)
        for folder in (settings.folder, settings.archive, settings.staging, settings.quarantine, settings.receipts):
            durable.make_private_folder(folder)
        self._lock = durable.lock_folder(settings.folder)
        self._catalogue = Catalogue(settings.catalogue, settings.archive)
        most_bytes = max(settings.budget_bytes, _DEVICES * _LEAST_WINDOW)
        capacity = most_bytes // wire.CHARGE_FLOOR_BYTES * 2 + RESERVED_SLOTS * 4
        self._inbox: queue.Queue[Any] = queue.Queue(capacity)
        will = Will(str(Topic(Kind.DOCK_STATE, settings.id)), self._state(online=False))
        self._link = Link(_link_settings(settings), will, [wire.up_filter()], self._inbox)
        self._asker = Asker(self._targets(), self._deliver)
        self._stamper = Stamper(settings, self._trust.agency, self._deliver) if settings.timestamps else None
        self._copiers = Copiers(settings, self._deliver, self._trust)
        self._shelver = Shelver(Layout(settings, self._trust))
        self._changed: dict[str, dict[str, Recording]] = {}
        self._unanswered: dict[tuple[str, str], str] = {}
        self._stop = threading.Event()
        self._intakes: dict[str, DockIntake] = {}
        self._unsettled: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self._meters: dict[str, Meter] = {}
        self._messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
        self._status_at = 0.0
        self._status = DockStatus(1, settings.id, False, [], [])

    def stop(self) -> None:
        """Asks ``run`` to end; any thread, or a signal handler."""
        self._stop.set()

    def status(self) -> DockStatus:
        """A recent snapshot; any thread."""
        return self._status

    def run(self) -> None:
        """Takes evidence in until ``stop``. What was claimed is durable whenever this ends, and however."""
        socket_ = StatusSocket(self._settings.console_socket, self.status)
        socket_.start()
        self._link.start()
        self._asker.start()
        if self._stamper is not None:
            self._stamper.start()
        self._copiers.start()
        self._shelver.start()
        self._shelver.want(self._catalogue.recordings(), unless_complete=True)
        notify(READY=1, STATUS=f"采集站已就绪 dock {self._settings.id} ready")
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            notify(STOPPING=1)
            self._asker.stop()
            if self._stamper is not None:
                self._stamper.stop()
            self._copiers.stop()
            self._shelver.stop()
            self._say_goodbye()
            self._link.stop()
            socket_.stop()
            for intake in self._intakes.values():
                intake.close()
            self._lock.release()

    def _turn(self) -> None:
        try:
            event = self._inbox.get(timeout=_PAUSE_SECONDS)
        except queue.Empty:
            self._settle(time.monotonic())
        else:
            self._handle(event)
            self._settle(time.monotonic() - _LONGEST_UNSETTLED_SECONDS)
        if time.monotonic() - self._status_at >= _STATUS_SECONDS:
            self._housekeeping()

    # -- messages ---------------------------------------------------------------------------------------------------

    def _handle(self, event: object) -> None:
        match event:
            case LinkUp(session):
                self._publish(Topic(Kind.DOCK_STATE, self._settings.id), self._state(online=True)(session), retain=True)
                self._publish_hazard()
                self._publish_assignments()
            case LinkDown(reason):
                _log.warning("link down", reason=reason)
                for intake in self._intakes.values():
                    intake.state = None  # whoever is still there says so again when the link is back
            case Message(name, payload, retained):
                self._take(name, payload, retained)
            case Answered() | NotAnswered():
                self._hear(event)
            case Report():
                self._report(event)
            case Copied():
                self._on_copied(event)
            case CopyTrouble(kind, device, reason):
                self._report(Report(kind, device, reason))

    def _take(self, name: str, payload: bytes, retained: bool = False) -> None:
        try:
            topic = wire.parse_topic(name)
            intake = self._intake(topic.owner)
            if intake is not None:
                self._unsettled.setdefault(topic.owner, time.monotonic())
                self._guard(intake, lambda: intake.handle(topic, payload, retained))
                if topic.kind is Kind.STATE:
                    self._share_out()
        except WireError as error:
            _log.warning("message refused", topic=name[:200], error=str(error))

    def _guard(self, intake: DockIntake, work: Callable[[], list[Out]]) -> None:
        """Runs one intake's work; trouble with its storage ends its session, not the dock."""
        try:
            self._carry_out(work())
            changed = self._catalogue.apply(intake.device, [taken.entry for taken in intake.taken])
            self._changed.setdefault(intake.device, {}).update((row.recording, row) for row in changed)
            if intake.taken or intake.held:
                self._copiers.want(intake.device, intake.held)
            intake.taken.clear()
            intake.held.clear()
        except StorageError as error:
            self._report(Report("fault", intake.device, f"{error.code} {error}"))
            self._drop(intake)

    def _drop(self, intake: DockIntake) -> None:
        # What was not durable was not claimed; the device is asked anew, from what the disk holds.
        intake.close()
        self._intakes.pop(intake.device, None)
        self._unsettled.pop(intake.device, None)

    def _intake(self, device: str) -> DockIntake | None:
        found = self._intakes.get(device)
        why = self._register.why_not(device, found.identity if found else None)
        if why is not None:
            self._refuse(device, why)
            return None
        self._refused.pop(device, None)
        if found is None:
            found = self._open_intake(device)
        return found

    def _refuse(self, device: str, why: str) -> None:
        if self._refused.get(device) != why:
            self._refused[device] = why
            self._report(Report("refused", device, why))

    def _open_intake(self, device: str) -> DockIntake | None:
        try:
            archive = DeviceArchive(self._settings, device, self._trust, seal_key(self._keys.receipt))
            witness = Witness(self._settings.witness, self._trust.agency, self._settings.id, self._witness_key, archive)
            intake = Intake(archive, witness, self._keys, self._settings.window_bytes)
        except RecorderError as error:
            # Our own archive of this device cannot be trusted as it is: nothing is taken onto it.
            self._refuse(device, f"its archive here cannot be opened: {error.code} {error}")
            return None
        self._intakes[device] = intake
        return intake

    def _share_out(self) -> None:
        online = [intake for intake in self._intakes.values() if intake.state is not None]
        share = self._settings.budget_bytes // max(1, len(online))
        for intake in online:
            intake.window_bytes = max(_LEAST_WINDOW, min(self._settings.window_bytes, share))

    def _settle(self, older_than: float) -> None:
        for device in [name for name, since in self._unsettled.items() if since <= older_than]:
            del self._unsettled[device]
            intake = self._intakes[device]
            self._guard(intake, intake.idle)
            if not intake.archive.holdings.wanted or intake.state is None:
                self._shelver.want(self._changed.pop(device, {}).values())

    # -- answers ----------------------------------------------------------------------------------------------------

    def _carry_out(self, outs: list[Out]) -> None:
        for out in outs:
            match out:
                case Report():
                    self._report(out)
                case Publish(topic, payload):
                    self._publish(topic, payload)
                case Cosigned(device, note):
                    offered = self._intakes[device].archive.offered()
                    self._asker.offer(device, Offer(note, offered, offered))
                    self._copiers.want(device, [])

    def _publish_hazard(self) -> None:
        """R13.1. The broker keeps nothing over a restart, so that every connection begins with this."""
        for device in sorted(self._register.devices):
            token = self._hazard.newest(device)
            if token is not None:
                self._publish(Topic(Kind.HAZARD, device), token, retain=True)

    def _publish_assignments(self) -> None:
        """R12.2. As for the hazard flags."""
        for device, token in sorted(self._assignments.retained(self._register.devices).items()):
            if not token:
                _log.info("assignment withdrawn from the broker", device=device)
            self._publish(Topic(Kind.ASSIGNMENT, device), token, retain=True)

    def _publish(self, topic: Topic, payload: bytes, retain: bool = False) -> None:
        try:
            self._link.publish(str(topic), payload, retain=retain)
        except BrokerError as error:
            # Nothing is lost: receipts not entered are published again in the device's next round.
            self._link.reconnect(str(error))

    def _report(self, report: Report) -> None:
        level = _log.warning if report.kind in _WARNINGS else _log.info
        level(report.kind, device=report.device, detail=report.detail, size_bytes=report.bytes)
        if report.kind not in ("object", "receipt"):
            self._messages.append(event_text(report).plain[:500])
        self._on_report(report)

    def _state(self, online: bool) -> Callable[[int], bytes]:
        return lambda session: wire.dump(DockState(1, self._settings.id, session, online))

    def _say_goodbye(self) -> None:
        for intake in list(self._intakes.values()):
            self._guard(intake, intake.idle)
        if self._link.connected:
            self._publish(Topic(Kind.DOCK_STATE, self._settings.id), self._state(online=False)(0), retain=True)

    # -- other witnesses --------------------------------------------------------------------------------------------

    def _targets(self) -> list[Target]:
        """The witnesses of the settings, with their keys. One that the trust file does not name is not asked."""
        keys = dict(self._trust.witness_keys())
        for other in self._settings.witnesses:
            if other.id not in keys:
                _log.error("witness not in the trust file, not asked", witness=other.id)
        return [Target(one.id, keys[one.id], one.url) for one in self._settings.witnesses if one.id in keys]

    def _on_copied(self, news: Copied) -> None:
        intake = self._intakes.get(news.device)
        if intake is not None and intake.archive.holdings.copied(news.digest, news.copy):
            self._unsettled.setdefault(news.device, time.monotonic())

    def _deliver(self, news: News | CopyNews | Report) -> bool:
        """Called by the threads that ask and copy."""
        try:
            self._inbox.put_nowait(news)
        except queue.Full:
            return False
        return True

    def _hear(self, news: News) -> None:
        place = news.witness, news.device
        if isinstance(news, NotAnswered):
            if self._unanswered.get(place) != news.reason:  # once, not at every attempt
                self._unanswered[place] = news.reason
                self._report(Report("disputed" if news.disputed else "unanswered", news.device, news.reason))
            return
        self._unanswered.pop(place, None)
        intake = self._intakes.get(news.device)
        if intake is not None:
            self._guard(intake, lambda: intake.take_cosigned(news.note, news.witness))

    # -- status -----------------------------------------------------------------------------------------------------

    def _housekeeping(self) -> None:
        self._status_at = time.monotonic()
        try:
            changed = self._register.refresh()
            if changed:
                self._refused.clear()
            if (self._hazard.refresh() or changed) and self._link.connected:
                self._publish_hazard()
            if (self._assignments.refresh() or changed) and self._link.connected:
                self._publish_assignments()
            self.tend_broker(changed)
        except (TrustError, BrokerError) as error:
            _log.error("register or broker", error=str(error), code=error.code)
        for intake in self._intakes.values():
            # Again and again, so that nothing that a copy's thread could forget is waited for without end.
            self._copiers.want(intake.device, islice(intake.archive.holdings.uncopied.values(), _OFFERED))
        self._status = self._look()
        self._on_status(self._status)
        notify(WATCHDOG=1, STATUS=summary(self._status))

    def _look(self) -> DockStatus:
        bays = [self._bay(intake) for _, intake in sorted(self._intakes.items())]
        connected, messages = self._link.connected, list(self._messages)
        quarantined = count_quarantine(self._settings.quarantine)
        return DockStatus(1, self._settings.id, connected, bays, messages, self._copiers.states(), quarantined)

    def _bay(self, intake: DockIntake) -> Bay:
        return bay_of(intake, self._meters.setdefault(intake.device, Meter()))


def _link_settings(settings: DockSettings) -> LinkSettings:
    folder = settings.credentials
    tls = (folder / "tls.key", folder / "tls.crt", folder / "ca.crt")
    return LinkSettings(settings.host, settings.port, settings.id, *tls, backoff_last_seconds=5.0)


def main(settings: DockSettings) -> int:
    """Runs a dock in this process until SIGTERM or SIGINT; returns 0. Main thread only. Errors pass through."""
    console = DockConsole()
    service = DockService(settings, console.print, console.show)

    def stop(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with ExitStack() as stack:
        if settings.broker != "external":
            broker = OwnBroker(settings.broker, settings.folder / "broker", settings.credentials, settings.port)
            stack.callback(broker.stop)
            service.tend_broker = broker.tend
        stack.enter_context(console)
        service.run()
    return 0
