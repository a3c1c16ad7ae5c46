"""The link and the brokers: who may do what, and what happens when somebody does not keep up."""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_rig import DOCK, Lane, Station, Unit, free_port, make_agency, wait_for
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from agent.custody.link import RESERVED_SLOTS, Link, LinkDown, LinkSettings, LinkUp, Message, Will
from agent.dock.broker import OwnBroker
from agent.errors import BrokerError, ConfigError
from benchmarks.link_proxy import LinkProxy, Plan
from provisioning.agency import Agency
from provisioning.credentials import refresh


class Peer:
    """A link with its inbox, by one of the agency's credentials folders."""

    def __init__(self, credentials: Path, name: str, port: int, filters: list[str], size: int = 1000) -> None:
        tls = (credentials / "tls.key", credentials / "tls.crt", credentials / "ca.crt")
        settings = LinkSettings("localhost", port, name, *tls, backoff_first_seconds=0.1, backoff_last_seconds=0.3)
        self.inbox: queue.Queue[object] = queue.Queue(size)
        self.seen: list[object] = []
        will = Will(f"er/v1/{name}/up/state", lambda session: b"gone")
        self.link = Link(settings, will, filters, self.inbox)
        self.link.start()

    def events(self) -> list[object]:
        while not self.inbox.empty():
            self.seen.append(self.inbox.get_nowait())
        return self.seen

    def messages(self) -> list[tuple[str, bytes]]:
        return [(event.topic, event.payload) for event in self.events() if isinstance(event, Message)]


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.link.stop()


def up(peers: list[Peer], *args: object) -> Peer:
    peer = Peer(*args)  # type: ignore[arg-type]
    peers.append(peer)
    wait_for(lambda: peer.link.connected, what=f"{args[1]} online")
    return peer


def test_a_device_reaches_the_dock_and_only_its_own_topics(station: Station, agency: Path, peers: list[Peer]) -> None:
    """Writing under another's up/ or under down/ never reaches the dock or the other; own topics do, both ways."""
    dock = up(peers, agency / DOCK, DOCK, station.port, ["er/v1/+/up/#"])
    first = up(peers, agency / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
    second = up(peers, agency / "er-2", "er-2", station.port, ["er/v1/er-2/down/#"])
    for topic in (
        "er/v1/er-1/up/checkpoint",
        "er/v1/er-1/down/receipt",
        "er/v1/er-2/down/receipt",
        "er/v1/dock/dock-1/state",
    ):
        try:
            second.link.publish(topic, b"forged", timeout_seconds=2)
        except BrokerError:
            wait_for(lambda: second.link.connected)  # this broker throws out whoever tries
    wait_for(lambda: second.link.connected)

    def own_arrives() -> bool:
        if second.link.connected:
            second.link.publish("er/v1/er-2/up/ledger/1", b"own")
        return ("er/v1/er-2/up/ledger/1", b"own") in dock.messages()

    wait_for(own_arrives)
    dock.link.publish("er/v1/er-1/down/receipt", b"true")
    wait_for(lambda: ("er/v1/er-1/down/receipt", b"true") in first.messages())
    dock.link.publish("er/v1/er-2/down/have", b"yours")
    wait_for(lambda: ("er/v1/er-2/down/have", b"yours") in second.messages())
    everything = dock.messages() + first.messages() + second.messages()
    assert b"forged" not in [payload for _, payload in everything]


@pytest.mark.parametrize("foreign", ["er/v1/er-1/down/#", "er/v1/er-1/up/#", "#"])
def test_a_device_that_subscribes_to_anothers_topics_gets_nothing(
    station: Station, agency: Path, peers: list[Peer], foreign: str
) -> None:
    """Reading another's down/ or up/, or everything, yields no message."""
    dock = up(peers, agency / DOCK, DOCK, station.port, ["er/v1/+/up/#"])
    owner = up(peers, agency / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
    spy = Peer(agency / "er-2", "er-2", station.port, [foreign])
    peers.append(spy)
    # mosquitto grants the subscription and withholds the messages; nats refuses the subscription itself.
    wait_for(lambda: any(isinstance(event, LinkUp | LinkDown) for event in spy.events()))
    owner.link.publish("er/v1/er-1/up/ledger/0", b"line")
    dock.link.publish("er/v1/er-1/down/receipt", b"secret")
    wait_for(lambda: owner.messages())
    wait_for(lambda: dock.messages())
    assert spy.messages() == []


def test_a_revoked_device_is_refused_by_the_broker(station: Station, agency: Path, peers: list[Peer]) -> None:
    """The CRL (mosquitto) or its absence from the list of users (nats) keeps a lost device out."""
    lost = Peer(agency / "er-lost", "er-lost", station.port, ["er/v1/er-lost/down/#"])
    peers.append(lost)
    wait_for(lambda: sum(isinstance(event, LinkDown) for event in lost.events()) >= 2)
    assert not any(isinstance(event, LinkUp) for event in lost.events())


def test_a_client_without_a_certificate_is_refused(station: Station, agency: Path) -> None:
    """Nobody is anonymous."""
    context = ssl.create_default_context(cafile=agency / DOCK / "ca.crt")
    client = Client(CallbackAPIVersion.VERSION2, "er-1")
    client.tls_set_context(context)
    codes: list[bool] = []
    client.on_connect = lambda _c, _d, _f, code, _p: codes.append(not code.is_failure)
    ended: list[object] = []
    client.on_disconnect = lambda *arguments: ended.append(arguments)
    try:
        client.connect("localhost", station.port, 5)
        client.loop_start()
        wait_for(lambda: ended)
    except OSError:
        ended.append("handshake refused")
    finally:
        client.loop_stop()
    assert ended and True not in codes


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_a_device_cannot_throw_another_out_by_calling_itself_so(
    station: Station, agency: Path, peers: list[Peer]
) -> None:
    """The client id comes from the certificate: another's name in CONNECT ends nobody's session."""
    first = up(peers, agency / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
    up(peers, agency / "er-2", "er-1", station.port, ["er/v1/er-2/down/#"])
    dock = up(peers, agency / DOCK, DOCK, station.port, ["er/v1/+/up/#"])
    first.link.publish("er/v1/er-1/up/ledger/7", b"still here")
    wait_for(lambda: ("er/v1/er-1/up/ledger/7", b"still here") in dock.messages())
    assert not any(isinstance(event, LinkDown) for event in first.events())


def is_refused(credentials: Path, port: int) -> bool:
    """Whether a TLS connection with this certificate is thrown out before it has said anything."""
    context = ssl.create_default_context(cafile=credentials / "ca.crt")
    context.load_cert_chain(credentials / "tls.crt", credentials / "tls.key")
    bare = socket.create_connection(("127.0.0.1", port), 5)
    with context.wrap_socket(bare, server_hostname="localhost", do_handshake_on_connect=False) as wrapped:
        try:
            wrapped.do_handshake()
            wrapped.settimeout(0.5)
            return wrapped.recv(1) == b""
        except TimeoutError:
            return False
        except (ssl.SSLError, ConnectionError):
            return True


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_a_reload_keeps_a_revoked_device_out_and_only_a_restart_ends_its_session(
    tmp_path: Path, peers: list[Peer], lane: Lane
) -> None:
    """SIGHUP has mosquitto read a new CRL for new connections alone; the dock's own broker therefore starts anew."""
    make_agency(tmp_path)
    station = Station(tmp_path, tmp_path, lane)
    broker = OwnBroker(lane, tmp_path / "broker", tmp_path / DOCK, station.port)
    try:
        inside = up(peers, tmp_path / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
        good = up(peers, tmp_path / "er-2", "er-2", station.port, ["er/v1/er-2/down/#"])
        with Agency(tmp_path / "agency", writable=True, by="tester") as agency:
            agency.end_device("er-1", "lost")
            refresh(agency, tmp_path / DOCK)
        broker._broker.reload()
        wait_for(lambda: is_refused(tmp_path / "er-1", station.port))
        outside = Peer(tmp_path / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
        peers.append(outside)
        wait_for(lambda: sum(isinstance(event, LinkDown) for event in outside.events()) >= 2)
        assert not any(isinstance(event, LinkUp) for event in outside.events())
        assert inside.link.connected
        broker.tend(register_changed=True)
        wait_for(lambda: sum(isinstance(event, LinkUp) for event in good.events()) == 2)
        wait_for(lambda: sum(isinstance(event, LinkDown) for event in inside.events()) >= 2)
        assert sum(isinstance(event, LinkUp) for event in inside.events()) == 1
    finally:
        broker.stop()


def test_a_broker_of_the_docks_own_that_has_died_is_started_again(agency: Path, tmp_path: Path, lane: Lane) -> None:
    """kill -9 of a broker that the dock runs for itself is mended by the dock."""
    port = free_port()
    broker = OwnBroker(lane, tmp_path / "broker", agency / DOCK, port)
    try:
        first = broker._broker.process
        first.kill()
        first.wait(5)
        broker.tend(register_changed=False)
        assert broker._broker.process.pid != first.pid
        assert broker._broker.process.poll() is None
    finally:
        broker.stop()


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_a_full_inbox_ends_the_connection_counted_and_reported_and_then_goes_on(
    station: Station, agency: Path, peers: list[Peer]
) -> None:
    """A consumer that stands still causes no deadlock and no silent loss: the link says so and comes back."""
    dock = up(peers, agency / DOCK, DOCK, station.port, ["er/v1/+/up/#"], RESERVED_SLOTS * 2 + 8)
    device = up(peers, agency / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
    for number in range(60):
        device.link.publish(f"er/v1/er-1/up/ledger/{number}", b"x")
    wait_for(lambda: dock.link.overflows >= 1)
    wait_for(lambda: any(isinstance(event, LinkDown) and "full" in event.reason for event in dock.events()))
    wait_for(lambda: dock.link.connected)
    assert len(dock.messages()) < 60
    device.link.publish("er/v1/er-1/up/ledger/99", b"after")
    wait_for(lambda: ("er/v1/er-1/up/ledger/99", b"after") in dock.messages())


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_a_lost_connection_sends_the_will(station: Station, agency: Path, peers: list[Peer]) -> None:
    """The dock learns from the broker that a device has gone without a word."""
    dock = up(peers, agency / DOCK, DOCK, station.port, ["er/v1/+/up/#"])
    device = up(peers, agency / "er-1", "er-1", station.port, ["er/v1/er-1/down/#"])
    assert device.link._connection is not None
    device.link._connection.client.socket().close()
    wait_for(lambda: ("er/v1/er-1/up/state", b"gone") in dock.messages())


def test_publishing_without_a_broker_is_an_error_at_once(agency: Path) -> None:
    """No waiting, no queueing into nowhere: BrokerError, and LinkDown says why."""
    peer = Peer(agency / "er-1", "er-1", free_port(), [])
    try:
        with pytest.raises(BrokerError):
            peer.link.publish("er/v1/er-1/up/state", b"x")
        wait_for(lambda: any(isinstance(event, LinkDown) for event in peer.events()))
    finally:
        peer.link.stop()


def test_missing_credentials_are_a_configuration_error(tmp_path: Path) -> None:
    """Said at once, not in a background thread."""
    with pytest.raises(ConfigError):
        Peer(tmp_path, "er-1", 1, [])


@pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)
def test_no_more_than_the_limit_is_ever_published_ahead_of_the_broker(
    station: Station, agency: Path, peers: list[Peer]
) -> None:
    """On a link that carries nothing any more, publishing stops at so many bytes, and says so, instead of queueing."""
    with LinkProxy(station.port, lambda _number: Plan(cut_up_after=20_000, cut="silence")) as proxy:
        device = up(peers, agency / "er-1", "er-1", proxy.port, ["er/v1/er-1/down/#"])
        with pytest.raises(BrokerError, match="acknowledges nothing"):
            for number in range(100):
                device.link.publish(f"er/v1/er-1/up/ledger/{number}", bytes(500_000), timeout_seconds=0.3)
        assert device.link._connection is not None
        assert device.link._connection.waiting_bytes == 4_000_000
        assert device.link.mute_seconds > 0
        device.link.stop()


def test_no_door_of_custody_waits_however_full_everything_is(agency: Path, tmp_path: Path) -> None:
    """Back-pressure ends at custody's own thread: what the recorder calls returns, with a full inbox and no thread."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    service = unit.service(free_port())
    while not service._inbox.full():
        service._inbox.put_nowait(object())
    for _ in range(100):
        service._woken.clear()
        service.notify()
        service.released(["ab" * 32])
        service.announce({"state": "recording"})
    assert service.status()["connected"] is False
    unit.record([1_000])
    service.stop()
