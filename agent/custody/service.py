"""Custody in the recorder's process: one thread that follows the evidence on disk and hands it over to a dock.

It reads the evidence folder and writes only its own index. It never writes the ledger and never deletes an object: a
receipt goes to the recorder, which verifies it, enters it, and frees the space. What the ledger then says is read back
from disk like everything else.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

from agent.custody import wire
from agent.custody.events import (
    AssignmentArrived,
    CheckpointCosigned,
    CommandArrived,
    CustodyEvent,
    DockSeen,
    HazardFlagArrived,
    LedgerRefused,
    LinkChanged,
    ObjectMissing,
    ObjectRefused,
    OffloadProgress,
    PartsShrunk,
    ReceiptArrived,
)
from agent.custody.link import Link, LinkDown, LinkSettings, LinkUp, Message, Will
from agent.custody.outbox import Outbox
from agent.custody.part_size import PartSize
from agent.custody.sender import Sender
from agent.custody.settings import CustodySettings
from agent.custody.wire import Credit, DeviceState, DockState, Have, Kind, Topic
from agent.errors import BrokerError, FormatError, RecorderError, StorageError, WireError
from agent.evidence import jws
from agent.evidence.encoding import dump_json, sha256_hex
from agent.evidence.folder import EvidenceFolder
from agent.evidence.receipts import Receipt
from agent.evidence.shapes import load_shape
from agent.system.logs import logger

INBOX: Final = 512
_BURST: Final = 16
"""Messages published before the inbox is looked at again."""
_IDLE_SECONDS: Final = 1.0
_STATE_SECONDS: Final = 15.0
_STALL_MOST_SECONDS: Final = 60.0
_MUTE_SECONDS: Final = 10.0
"""A link on which nothing is acknowledged for so long is given up: the keep-alive would take 40 s to find out."""
_log = logger("custody")


class _Wake:
    """Put on the inbox so that the thread looks at the disk."""


class CustodyService:
    """The thread and its doors. All public methods may be called from any thread and return at once, but ``stop``."""

    def __init__(
        self,
        settings: CustodySettings,
        folder: EvidenceFolder,
        device: str,
        deliver: Callable[[CustodyEvent], None],
        receipts_needed: Callable[[], int] = lambda: 1,
    ) -> None:
        """Opens nothing but the TLS credentials (ConfigError). ``deliver`` runs in the custody thread: enqueue only.

        ``receipts_needed``: of how many docks, by the policy in force; asked in that thread, over and over.
        """
        self._receipts_needed = receipts_needed
        self._settings, self._folder, self._device, self._deliver = settings, folder, device, deliver
        self._inbox: queue.Queue[Any] = queue.Queue(INBOX)
        will = Will(str(Topic(Kind.STATE, device)), _offline)
        filters = [wire.down_filter(device), wire.DOCK_STATE_FILTER]
        self._link = Link(_link_settings(settings, device), will, filters, self._inbox)
        self._thread = threading.Thread(target=self._run, name="custody", daemon=True)
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._announced: dict[str, Any] = {}
        self._progress = OffloadProgress(0, 0, 0, False, 0)

    def start(self) -> None:
        """Starts the thread; does nothing when disabled in the settings."""
        if self._settings.enabled:
            self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Ends the connection and the thread; waits up to ``timeout`` seconds. Nothing is lost by it."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def notify(self) -> None:
        """Something new is on disk: ledger lines, a checkpoint."""
        self._wake()

    def released(self, digests: Iterable[str]) -> None:
        """The recorder has freed objects. What counts is the ``released`` line on disk; this hastens reading it."""
        self._wake()

    def announce(self, state: dict[str, Any]) -> None:
        """What the recorder says of itself (strict JSON, under 8 KiB, nothing personal); retained at the broker."""
        if len(dump_json(state)) > wire.MAX_STATE_BYTES // 2:
            raise WireError("the announced state is too large")
        self._announced = dict(state)
        self._wake()

    def progress(self) -> OffloadProgress:
        """Where the offload stood a moment ago."""
        return self._progress

    def status(self) -> dict[str, Any]:
        """The same, for ``recorder status``."""
        return asdict(self._progress)

    def _wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()
            with suppress(queue.Full):  # a full inbox is awake anyway
                self._inbox.put_nowait(_Wake())

    def _run(self) -> None:
        try:
            outbox = self._open_outbox()
            if outbox is not None:
                worker = _Worker(self, outbox)
                self._link.start()
                worker.run()
                outbox.close()
        finally:
            self._link.stop()

    def _open_outbox(self) -> Outbox | None:
        """Tries until it works: a storage fault must not end custody for good."""
        while not self._stopping.is_set():
            try:
                return Outbox(self._folder)
            except StorageError as error:
                _log.error("outbox", error=str(error), code=error.code)
                self._stopping.wait(_IDLE_SECONDS)
        return None


class _Worker:
    """What lives in the thread."""

    def __init__(self, service: CustodyService, outbox: Outbox) -> None:
        settings = service._settings
        self._service, self._outbox, self._settings = service, outbox, settings
        self._inbox, self._link, self._deliver = service._inbox, service._link, service._deliver
        self._device = service._device
        self._sender = Sender(self._device, service._folder, outbox, settings.part_bytes)
        self._part_size = PartSize(settings.part_bytes)
        self._was_up = False
        self._held: object = None
        """What a dock had of ours when it said so last."""
        self._dock_sessions: dict[str, int] = {}
        self._told: set[str] = set()
        self._told_dock: str | None = None
        self._told_ledger: int | None = None
        self._news_at = self._state_at = time.monotonic()
        self._stall_seconds = settings.stall_seconds
        self._gained: tuple[object, ...] = ()
        self._state_text = b""

    def run(self) -> None:
        busy = True
        while not self._service._stopping.is_set():
            try:
                self._take_in(0.0 if busy else min(_IDLE_SECONDS, self._settings.stall_seconds / 2))
                busy = self._turn()
            except (RecorderError, sqlite3.Error) as error:
                # Trouble on our own disk: said aloud, then tried again; custody itself goes on.
                _log.error("custody", error=str(error), code=getattr(error, "code", StorageError.code))
                busy = False
                self._service._stopping.wait(_IDLE_SECONDS)
        self._say_goodbye()

    def _turn(self) -> bool:
        if self._outbox.require(max(1, self._service._receipts_needed())):
            self._ask_again()
        self._outbox.follow()
        self._sender.withholds_objects = self._part_size.withheld(time.monotonic())
        busy = self._publish_burst()
        self._tell()
        self._check_stall()
        self._refresh_state()
        self._show_progress()
        return busy

    # -- inputs -----------------------------------------------------------------------------------------------------

    def _take_in(self, wait_seconds: float) -> None:
        """Handles all that waits; waits for a first event up to the limit."""
        try:
            event = self._inbox.get(timeout=wait_seconds) if wait_seconds else self._inbox.get_nowait()
            for _ in range(INBOX):
                self._handle(event)
                event = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _handle(self, event: object) -> None:
        match event:
            case _Wake():
                self._service._woken.clear()
            case LinkUp(session):
                self._sender.connected(session)
                self._was_up = True
                self._deliver(LinkChanged(True, ""))
                self._publish_state()
            case LinkDown():
                self._link_down(event)
            case Message():
                self._handle_message(event)

    def _link_down(self, down: LinkDown) -> None:
        if self._was_up:
            self._deliver(LinkChanged(False, down.reason))
        self._was_up = False
        self._sender.disconnected()
        _log.info("link down", reason=down.reason)
        now = time.monotonic()
        if self._part_size.ended(down.unacknowledged_bytes, down.acknowledged_bytes, now):
            self._sender.part_bytes = self._part_size.bytes
            shrunk = PartsShrunk(self._part_size.bytes, self._part_size.withheld(now))
            _log.warning("parts do not get through", part_bytes=shrunk.part_bytes, withheld=shrunk.withheld)
            self._deliver(shrunk)

    def _handle_message(self, message: Message) -> None:
        try:
            topic = wire.parse_topic(message.topic)
            wire.check_size(topic, message.payload)
            if topic.kind is Kind.DOCK_STATE:
                self._dock_state(topic, wire.load(DockState, message.payload), message.retained)
            elif topic.owner == self._device and topic.kind in wire.DOWN:
                self._from_dock(topic.kind, message.payload)
        except WireError as error:
            _log.warning("message refused", topic=message.topic[:200], error=str(error))

    def _from_dock(self, kind: Kind, payload: bytes) -> None:
        self._news()
        match kind:
            case Kind.HAVE:
                self._have(wire.load(Have, payload))
            case Kind.CREDIT:
                self._sender.credit(wire.load(Credit, payload))
            case Kind.RECEIPT:
                # A receipt that is entered already stands in the ledger as an object; docks repeat those not entered.
                if self._outbox.state(sha256_hex(payload)) is None:
                    self._sender.claimed(_listed(payload))
                    self._deliver(ReceiptArrived(payload))
            case Kind.COSIGNED:
                self._deliver(CheckpointCosigned(payload))
            case Kind.HAZARD:
                self._deliver(HazardFlagArrived(payload))
            case Kind.ASSIGNMENT:
                if payload:  # an empty one only takes the retained one from the broker
                    self._deliver(AssignmentArrived(payload))
            case _:
                self._deliver(CommandArrived(payload))

    def _have(self, have: Have) -> None:
        if self._sender.have(have):
            self._ask_again()
        held = (have.objects, self._totals())
        if held != self._held:
            self._held = held
            self._part_size.gained()

    def _dock_state(self, topic: Topic, state: DockState, retained: bool) -> None:
        known = self._dock_sessions.get(topic.owner)
        if not state.online:
            if known == state.session:
                self._dock_sessions.pop(topic.owner)
            return
        self._dock_sessions[topic.owner] = state.session
        restarted = self._sender.dock == topic.owner and known != state.session
        came_late = self._sender.phase == "asking" and not retained
        if restarted or came_late:
            self._ask_again()

    # -- outputs ----------------------------------------------------------------------------------------------------

    def _publish_burst(self) -> bool:
        for _ in range(_BURST):
            try:
                out = self._sender.next()
            except StorageError as error:
                digest = self._sender.damaged()
                if digest is None:
                    raise
                _log.error("object unreadable", digest=digest, error=str(error), code=error.code)
                continue
            if out is None:
                return False
            if not self._publish(out.topic, out.payload):
                return False
            self._sender.sent(out)
            self._news_at = time.monotonic()
        return True

    def _publish(self, topic: Topic, payload: bytes, retain: bool = False) -> bool:
        try:
            self._link.publish(str(topic), payload, retain=retain)
            return True
        except BrokerError as error:
            # The message is not lost: the next round sends whatever the dock does not have.
            self._link.reconnect(str(error))
            self._sender.disconnected()
            return False

    def _ask_again(self) -> None:
        if self._sender.phase != "down":
            self._sender.ask_again()
            self._publish_state()

    def _publish_state(self) -> None:
        self._outbox.follow()  # the dock compares our number of lines with its own: it must be the whole of it
        self._state_text = wire.dump(self._state())
        self._state_at = time.monotonic()
        self._publish(Topic(Kind.STATE, self._device), self._state_text, retain=True)

    def _state(self) -> DeviceState:
        sender, (count, size) = self._sender, self._totals()
        window, announced = self._settings.window_bytes, self._service._announced
        return DeviceState(1, sender.session, sender.round, True, self._outbox.lines, count, size, window, announced)

    def _totals(self) -> tuple[int, int]:
        """What the dock that we follow has still to sign for."""
        return self._outbox.totals(self._sender.dock or "")

    def _refresh_state(self) -> None:
        age = time.monotonic() - self._state_at
        if self._sender.phase == "down" or age < _IDLE_SECONDS:
            return
        if age > _STATE_SECONDS or wire.dump(self._state()) != self._state_text:
            self._publish_state()

    # -- watching ---------------------------------------------------------------------------------------------------

    def _news(self) -> None:
        self._news_at = time.monotonic()

    def _check_stall(self) -> None:
        gained = (self._totals(), self._sender.confirmed_lines, self._sender.dock)
        if gained != self._gained:
            # Only what brings us further resets the patience: a dock that answers for ever without gain is asked less.
            self._gained, self._stall_seconds = gained, self._settings.stall_seconds
        if self._sender.phase == "down" or time.monotonic() - self._news_at < self._stall_seconds:
            return
        self._sender.trim_done()
        self._news_at = time.monotonic()
        if self._link.mute_seconds > _MUTE_SECONDS:
            self._link.reconnect("the broker has acknowledged nothing for a while")
        elif self._sender.outstanding:
            self._sender.dock = None  # it may have gone; another may answer
            self._stall_seconds = min(self._stall_seconds * 2, _STALL_MOST_SECONDS)
            self._ask_again()

    def _tell(self) -> None:
        if self._sender.dock not in (None, self._told_dock):
            self._told_dock = self._sender.dock
            self._deliver(DockSeen(self._sender.dock or ""))
        for digest in self._sender.refused - self._told:
            self._told.add(digest)
            self._deliver(ObjectRefused(digest))
        while self._sender.lost:
            self._deliver(ObjectMissing(self._sender.lost.pop()))
        if self._sender.ledger_refused not in (None, self._told_ledger):
            self._told_ledger = self._sender.ledger_refused
            self._deliver(LedgerRefused(self._sender.ledger_refused or 0))

    def _show_progress(self) -> None:
        count, size = self._totals()
        lines = self._outbox.lines - self._sender.confirmed_lines
        sent, connected = self._sender.sent_part_bytes, self._link.connected
        withheld = self._sender.withholds_objects
        progress = OffloadProgress(size, count, sent, connected, lines, self._part_size.bytes, withheld)
        self._service._progress = progress

    def _say_goodbye(self) -> None:
        if self._link.connected:
            self._publish(Topic(Kind.STATE, self._device), _offline(self._sender.session), retain=True)
        self._sender.disconnected()


def _listed(token: bytes) -> list[str]:
    """What a receipt lists, unverified. Raises WireError when it is no receipt at all."""
    try:
        payload = jws.parse(token, jws.RECEIPT_TYPE).payload
        return [ref.digest for ref in load_shape(Receipt, payload).objects]
    except FormatError as error:
        raise WireError(f"not a receipt: {error}") from error


def _offline(session: int) -> bytes:
    return wire.dump(DeviceState(1, session, 0, False, 0, 0, 0, 0, {}))


def _link_settings(settings: CustodySettings, device: str) -> LinkSettings:
    folder = settings.credentials
    tls = (folder / "tls.key", folder / "tls.crt", folder / "ca.crt")
    return LinkSettings(settings.host, settings.port, device, *tls, subscribe_qos=settings.subscribe_qos)
