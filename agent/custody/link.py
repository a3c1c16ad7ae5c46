"""The link to a broker, for device and dock: MQTT 3.1.1 over TLS 1.3 with certificates both ways.

The only module that imports paho. Every connection is a fresh client with a clean session: nothing of an old connection
is sent again by itself, because what to resume is for the receiver to say (``have``), not for a library to guess.

Threads: the link has one thread of its own, paho another while connected. paho's callbacks only enqueue. A full inbox
can neither be waited for there (PUBACKs would stand still, and with them a consumer who waits for room to publish)
nor be passed over in silence: the connection is ended, counted and reported; the next one resumes from what is held.
"""

from __future__ import annotations

import queue
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.errors import BrokerError, ConfigError

CONNECT_SECONDS: Final = 10.0
"""Limit for TCP, and again for CONNACK and SUBACK."""
STOP_SECONDS: Final = 3.0
RESERVED_SLOTS: Final = 16
"""Places of the inbox that messages may not take, so that a lost link can always be told."""
_SLICE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How to reach a broker. ``client_id`` is the certificate's name."""

    host: str
    port: int
    client_id: str
    key: Path
    certificate: Path
    ca: Path
    keepalive_seconds: int = 20
    max_inflight: int = 64
    """Published and not yet acknowledged by the broker."""
    max_queued: int = 128
    """Handed to ``publish`` and not yet acknowledged; beyond it ``publish`` waits."""
    subscribe_qos: int = 1
    """0: a cluster's nodes then pass messages on as they come, without a replicated queue for every filter."""
    max_queued_bytes: int = 4_194_304
    """The same in bytes (one message may always go): what a ledger line has to wait for on a slow link."""
    backoff_first_seconds: float = 0.5
    backoff_last_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes (QoS 1, retained) when the link is lost. ``payload`` is made anew per connection."""

    topic: str
    payload: Callable[[int], bytes]
    """Given the session number of the connection."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected and subscribed; ``session`` numbers this connection."""

    session: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """Not connected any more, or an attempt to connect failed; the link tries again by itself."""

    reason: str
    unacknowledged_bytes: int = 0
    """The largest payload that the broker has not acknowledged in this connection."""
    acknowledged_bytes: int = 0
    """The largest that it has."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the broker. Retained ones may be old."""

    topic: str
    payload: bytes
    retained: bool


LinkEvent = LinkUp | LinkDown | Message


class _ClosingSocket(ssl.SSLSocket):
    """paho leaves a socket to the garbage collector when the handshake fails."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(settings: LinkSettings) -> ssl.SSLContext:
    """TLS 1.3, our certificate, the agency's root, and the server's name checked. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.sslsocket_class = _ClosingSocket
    try:
        context.load_verify_locations(settings.ca)
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        folder = settings.certificate.parent
        raise ConfigError(f"TLS credentials in {folder} cannot be used: {error}") from error
    return context


class _Client(Client):
    """TLS takes a packet 16 KiB at a time, and paho copies the whole rest each time; of a view nothing is copied."""

    def _packet_queue(
        self, command: int, packet: bytes | bytearray, mid: int, qos: int, info: MQTTMessageInfo | None = None
    ) -> MQTTErrorCode:
        view: Any = memoryview(packet)
        return super()._packet_queue(command, view, mid, qos, info)


@dataclass(slots=True)
class _Connection:
    """One connection: its client, and what its callbacks leave behind."""

    client: Client
    session: int
    up: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    waiting: deque[int] = field(default_factory=deque)
    """Bytes of each message published and not yet acknowledged; a broker acknowledges in this order."""
    waiting_bytes: int = 0
    moved_at: float = 0.0
    """Monotonic seconds: the last acknowledgement, or the first message that waits for one."""
    acknowledged_bytes: int = 0
    """The largest payload acknowledged."""

    def published(self, size: int) -> None:
        """One more waits."""
        if not self.waiting:
            self.moved_at = time.monotonic()
        self.waiting.append(size)
        self.waiting_bytes += size

    def acknowledged(self) -> None:
        """The oldest has been."""
        if self.waiting:
            size = self.waiting.popleft()
            self.waiting_bytes -= size
            self.acknowledged_bytes = max(self.acknowledged_bytes, size)
            self.moved_at = time.monotonic()

    def down(self) -> LinkDown:
        """How it ended."""
        return LinkDown(self.reason or "ended", max(self.waiting, default=0), self.acknowledged_bytes)


class Link:
    """Keeps one connection to the broker alive, hands what arrives to a bounded inbox. ``publish`` is thread-safe."""

    def __init__(
        self, settings: LinkSettings, will: Will | None, subscribe: list[str], inbox: queue.Queue[Any]
    ) -> None:
        """Does nothing yet. The inbox's ``maxsize`` must be finite and leave room beside the reserved places."""
        if inbox.maxsize <= RESERVED_SLOTS * 2:
            raise ValueError("the inbox must be bounded, with room for messages")
        self._settings, self._will, self._filters, self._inbox = settings, will, list(subscribe), inbox
        self._tls = tls_context(settings)
        self._room = threading.Condition()
        self._connection: _Connection | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._kick = threading.Event()
        self.overflows = 0
        """How often a full inbox ended a connection."""

    @property
    def connected(self) -> bool:
        """Whether ``publish`` can be expected to work."""
        connection = self._connection
        return connection is not None and connection.up.is_set() and not connection.ended.is_set()

    @property
    def mute_seconds(self) -> float:
        """For how long the broker has acknowledged nothing of what waits; 0 when nothing waits."""
        connection = self._connection
        with self._room:
            waits = connection is not None and bool(connection.waiting)
            return time.monotonic() - connection.moved_at if connection is not None and waits else 0.0

    def start(self) -> None:
        """Starts connecting in the background."""
        self._thread = threading.Thread(target=self._run, name=f"link-{self._settings.client_id}", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = STOP_SECONDS * 2) -> None:
        """Disconnects (the will is not sent after a clean end) and waits for the threads, up to the limit."""
        self._stop.set()
        self._kick.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def reconnect(self, reason: str) -> None:
        """Ends the connection; the link makes a new one after its back-off."""
        connection = self._connection
        if connection is not None:
            connection.reason = connection.reason or reason
            self._kick.set()

    def subscribe(self, name: str) -> None:
        """Takes in what a further filter names, in this connection and those that follow. Any thread."""
        with self._room:
            self._filters.append(name)
            connection = self._connection
        if connection is not None:
            connection.client.subscribe(name, self._settings.subscribe_qos)

    def unsubscribe(self, name: str) -> None:
        """No more of it; what is under way may still come. Any thread."""
        with self._room:
            if name in self._filters:
                self._filters.remove(name)
            connection = self._connection
        if connection is not None:
            connection.client.unsubscribe(name)

    def publish(
        self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, timeout_seconds: float = 10.0
    ) -> None:
        """Hands one message to the network thread; waits for room when ``max_queued`` are not yet acknowledged.

        Returning says nothing about delivery. Raises BrokerError when the link is down or no room came in time.
        """
        connection = self._await_room(len(payload), time.monotonic() + timeout_seconds)
        info = connection.client.publish(topic, payload, qos, retain)
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise BrokerError(f"a message on {topic} could not be queued: {info.rc.name}")

    def _await_room(self, size: int, deadline: float) -> _Connection:
        with self._room:
            while True:
                connection = self._connection
                if connection is None or not self.connected:
                    raise BrokerError("the link to the broker is down")
                if self._has_room(connection, size):
                    connection.published(size)
                    return connection
                if time.monotonic() >= deadline:
                    raise BrokerError("the broker acknowledges nothing; no room to publish")
                self._room.wait(_SLICE_SECONDS)

    def _has_room(self, connection: _Connection, size: int) -> bool:
        if not connection.waiting:
            return True
        fits = connection.waiting_bytes + size <= self._settings.max_queued_bytes
        return fits and len(connection.waiting) < self._settings.max_queued

    # The link's own thread.

    def _run(self) -> None:
        backoff = self._settings.backoff_first_seconds
        while not self._stop.is_set():
            self._kick.clear()
            was_up, down = self._one_connection()
            self._put_waiting(down)
            first = self._settings.backoff_first_seconds
            backoff = first if was_up else min(backoff * 2, self._settings.backoff_last_seconds)
            # Many recorders lose the same dock at the same moment; they should not all come back at one.
            self._stop.wait(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def _one_connection(self) -> tuple[bool, LinkDown]:
        """Connects, stays until the end; returns whether it came up, and how it ended."""
        connection = self._fresh()
        client = connection.client
        try:
            client.connect(self._settings.host, self._settings.port, self._settings.keepalive_seconds)
        except (OSError, ValueError) as error:  # ValueError: paho's name for an unusable host or port
            return False, LinkDown(f"{self._settings.host}:{self._settings.port}: {error}")
        self._connection = connection
        client.loop_start()
        try:
            self._stay(connection)
        finally:
            self._connection = None
            self._end(connection)
            with self._room:
                self._room.notify_all()
        return connection.up.is_set(), connection.down()

    def _stay(self, connection: _Connection) -> None:
        deadline = time.monotonic() + CONNECT_SECONDS
        while not (self._stop.is_set() or self._kick.is_set() or connection.ended.wait(_SLICE_SECONDS)):
            if not connection.up.is_set() and time.monotonic() > deadline:
                connection.reason = "the broker did not answer CONNECT and SUBSCRIBE in time"
                return

    def _end(self, connection: _Connection) -> None:
        client = connection.client
        client.disconnect()
        if not connection.ended.wait(STOP_SECONDS):
            stuck = client.socket()
            if stuck is not None:
                # A broker that reads nothing would hold loop_stop for ever; without the socket it returns.
                stuck.close()
        client.loop_stop()

    def _fresh(self) -> _Connection:
        session = random.SystemRandom().getrandbits(52)
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        connection = _Connection(client, session)
        client.tls_set_context(self._tls)
        client.connect_timeout = CONNECT_SECONDS
        client.max_inflight_messages_set(self._settings.max_inflight)
        client.max_queued_messages_set(self._settings.max_queued)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload(session), qos=1, retain=True)
        self._wire_callbacks(client, connection)
        return connection

    def _put_waiting(self, event: LinkEvent) -> None:
        # Between connections nothing depends on this thread, so waiting for the consumer cannot deadlock.
        while not self._stop.is_set():
            try:
                return self._inbox.put(event, timeout=_SLICE_SECONDS)
            except queue.Full:
                continue

    # Callbacks, in paho's thread: they only enqueue, count or set a flag.

    def _wire_callbacks(self, client: Client, connection: _Connection) -> None:
        def opened(_client: Client, _data: Any, sock: Any) -> None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def connected(_c: Client, _d: Any, _f: ConnectFlags, code: ReasonCode, _p: Properties | None) -> None:
            if code.is_failure:
                connection.reason = f"the broker refuses us: {code}"
            else:
                self._subscribe_all(connection)

        def subscribed(_c: Client, _d: Any, _mid: int, codes: list[ReasonCode], _p: Properties | None) -> None:
            if any(code.is_failure for code in codes):
                connection.reason = "the broker refuses our subscription"
                self._kick.set()
            else:
                self._come_up(connection)

        def message(_c: Client, _d: Any, message: MQTTMessage) -> None:
            event = Message(message.topic, bytes(message.payload), message.retain)
            self._put_now(event, connection, reserve=RESERVED_SLOTS)

        def published(_c: Client, _d: Any, _mid: int, _code: ReasonCode, _p: Properties | None) -> None:
            with self._room:
                connection.acknowledged()
                self._room.notify()

        def disconnected(_c: Client, _d: Any, _f: DisconnectFlags, code: ReasonCode, _p: Properties | None) -> None:
            connection.reason = connection.reason or str(code)
            connection.ended.set()

        client.on_socket_open = opened
        client.on_connect = connected
        client.on_subscribe = subscribed
        client.on_message = message
        client.on_publish = published
        client.on_disconnect = disconnected

    def _subscribe_all(self, connection: _Connection) -> None:
        if self._filters:
            qos = self._settings.subscribe_qos
            connection.client.subscribe([(name, qos) for name in self._filters])
        else:
            self._come_up(connection)

    def _come_up(self, connection: _Connection) -> None:
        if not connection.up.is_set():  # otherwise a filter that was added later
            connection.up.set()
            self._put_now(LinkUp(connection.session), connection, reserve=0)

    def _put_now(self, event: LinkEvent, connection: _Connection, reserve: int) -> None:
        if connection.reason:
            return  # this connection is ending; what still comes in will be sent again
        try:
            if self._inbox.qsize() >= self._inbox.maxsize - reserve:
                raise queue.Full
            self._inbox.put_nowait(event)
        except queue.Full:
            self.overflows += 1
            connection.reason = f"our inbox of {self._inbox.maxsize} was full; the connection was ended on purpose"
            self._kick.set()
