"""The folders that devices and docks get: made as a whole, and brought up to date in their public parts.

The keys are made here, on the administrator's computer, into the folder. The certificates are issued against signing
requests all the same, so that a device that makes its own keys needs nothing new from the authority.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.errors import RegisterError, TrustError, UsageError
from agent.evidence.encoding import dump_json
from agent.evidence.jws import thumbprint
from agent.system import durable
from provisioning import assignments, hazard, keys, retention
from provisioning.agency import Agency
from provisioning.authority import (
    DEVICE_UNIT,
    DOCK_UNIT,
    LOCAL_NAMES,
    Validity,
    certificate_pem,
    check_issued,
    make_request,
)
from provisioning.policy import Settings, check_notice
from provisioning.register import Change
from provisioning.view import View

IDENTITY_DAYS: Final = 3650
TLS_DAYS: Final = 1825


@dataclass(frozen=True, slots=True)
class DeviceOrder:
    """What is to be enrolled. ``again``: new keys for a device that is enrolled already; the old ones are revoked."""

    id: str
    serial: str
    section: str
    officer: str | None = None
    identity_days: int = IDENTITY_DAYS
    tls_days: int = TLS_DAYS
    again: bool = False


@dataclass(frozen=True, slots=True)
class DockOrder:
    """A dock to be added, reachable under ``names`` (DNS names or addresses) besides localhost."""

    id: str
    names: Sequence[str] = ()
    tls_days: int = TLS_DAYS


def enrol_device(agency: Agency, order: DeviceOrder, out: Path, notice: bytes | None = None) -> None:
    """Enrols a device and writes its credentials folder, which must not exist yet.

    Durable when it returns. The register is written before the folder appears, so that no certificate is unknown to it;
    after a crash in between, enrol ``again``.
    """
    _settle_notice(agency, notice)
    with _new_folder(out) as aside, agency.change() as change:
        identity = keys.new_signing_key()
        print_ = thumbprint(identity.public_key().public_bytes_raw())
        _enter_device(agency, change, order, print_)
        request, validity = make_request(identity, order.id), Validity.days(agency.now(), order.identity_days)
        certificate = agency.authority().issue_identity(request, order.id, validity)
        agency.record(change, certificate, order.id, "identity")
        keys.write_private_key(aside / "identity.key", identity)
        durable.write_atomic(aside / "identity.crt", certificate_pem(certificate))
        _make_tls(agency, change, aside, order.id, None, order.tls_days)
        agency.sign_profile(change, order.id)
        _write_device_documents(agency, change, order.id, aside)


def _enter_device(agency: Agency, change: Change, order: DeviceOrder, identity: str) -> None:
    if order.again:
        if order.serial not in ("", change.device(order.id).serial):
            raise UsageError(f"{order.id} is enrolled with serial {change.device(order.id).serial}")
        change.renew_device(order.id, identity)
        agency.revoke_within(change, order.id, "superseded")
    else:
        change.add_device(order.id, order.serial, order.section, identity)
    if order.officer is not None:
        change.assign(order.id, order.officer)


def _settle_notice(agency: Agency, notice: bytes | None) -> None:
    view = agency.view()
    if view.document("policy", agency.info.id) is None:
        if notice is None:
            raise UsageError("no policy is signed yet, so the notice is needed: --notice WAV")
        agency.sign_policy(Settings(), notice)
    elif notice is not None and check_notice(notice) != agency.policy(view).notice.digest:
        raise UsageError("this is not the policy's notice; change the policy first: provision policy sign --notice WAV")


def add_dock(agency: Agency, order: DockOrder, out: Path) -> None:
    """Adds a dock and writes its credentials folder, which must not exist yet. Durable when it returns."""
    with _new_folder(out) as aside, agency.change() as change:
        receipt, witness = keys.new_signing_key(), keys.new_signing_key()
        names = [name for name in dict.fromkeys(order.names) if name not in LOCAL_NAMES]
        change.add_dock(order.id, names, keys.public_text(receipt), keys.public_text(witness))
        keys.write_private_key(aside / "receipt.key", receipt)
        keys.write_private_key(aside / "witness.key", witness)
        _make_tls(agency, change, aside, order.id, names, order.tls_days)
        _write_dock_documents(agency, change, aside)


def _make_tls(
    agency: Agency, change: Change, folder: Path, name: str, dock_names: Sequence[str] | None, days: int
) -> None:
    key, validity, authority = keys.new_tls_key(), Validity.days(agency.now(), days), agency.authority()
    request = make_request(key, name)
    if dock_names is None:
        certificate = authority.issue_device_tls(request, name, validity)
        agency.record(change, certificate, name, "device-tls")
    else:
        certificate = authority.issue_dock_tls(request, name, dock_names, validity)
        agency.record(change, certificate, name, "dock-tls")
    keys.write_private_key(folder / "tls.key", key)
    durable.write_atomic(folder / "tls.crt", certificate_pem(certificate))
    durable.write_atomic(folder / "ca.crt", certificate_pem(authority.certificate))


def refresh(agency: Agency, folder: Path) -> str:
    """Brings the public documents of a device's or dock's folder up to date; keys and certificates stay. Gives its id.

    Each file is replaced as a whole; cut off in between, refresh again. Raises TrustError if the folder is of another
    agency, RegisterError if its device is no longer active.
    """
    certificate = _own_certificate(agency, folder)
    name, unit = (_subject(certificate, oid) for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME))
    view = agency.view()
    if unit == DEVICE_UNIT:
        if view.device(name).state != "active":
            raise RegisterError(f"device {name} is {view.device(name).state}")
        _write_device_documents(agency, view, name, folder)
    elif unit == DOCK_UNIT:
        _write_dock_documents(agency, view, folder)
    else:
        raise TrustError(f"{folder} is the folder of neither a device nor a dock")
    return name


def _own_certificate(agency: Agency, folder: Path) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(keys.read_bytes(folder / "tls.crt"))
    except ValueError as error:
        raise TrustError(f"{folder / 'tls.crt'} is not a certificate: {error}") from error
    check_issued(certificate, agency.root())
    return certificate


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    return str(certificate.subject.get_attributes_for_oid(oid)[0].value)


def _write_device_documents(agency: Agency, view: View, device: str, folder: Path) -> None:
    profile = view.document("profile", device)
    if profile is None:
        raise RegisterError(f"device {device} has no profile")
    # The policy comes last: until then the old one refuses the new sound and the new map, which it does not name.
    durable.write_atomic(folder / "trust.json", agency.trust_json(view))
    durable.write_atomic(folder / "profile.jws", profile.text.encode())
    durable.write_atomic(folder / "notice.wav", agency.notice(agency.policy(view).notice.digest))
    hazard.write_map(agency, agency.policy(view), folder)
    durable.write_atomic(folder / "policy.jws", agency.document(view, "policy").text.encode())


def _write_dock_documents(agency: Agency, view: View, folder: Path) -> None:
    durable.write_atomic(folder / "crl.pem", agency.document(view, "crl").text.encode())
    durable.write_atomic(folder / "register.json", accepted_json(agency, view))
    durable.write_atomic(folder / "trust.json", agency.trust_json(view))
    durable.write_atomic(folder / "policy.jws", agency.document(view, "policy").text.encode())
    hazard.write_flags(agency, view, folder)
    assignments.write_assignments(agency, view, folder)
    retention.write_table(agency, view, folder)


def accepted_json(agency: Agency, view: View) -> bytes:
    """The devices that a dock accepts: active, with a TLS certificate that is not revoked. Public."""
    good = {row.subject for row in view.certificates() if row.use == "device-tls" and row.revoked_us is None}
    devices = [row.id for row in view.devices() if row.state == "active" and row.id in good]
    return dump_json({"v": 1, "type": "register", "agency": agency.info.id, "devices": devices}) + b"\n"


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    with durable.storage_errors(out, "making"):
        out.parent.mkdir(parents=True, exist_ok=True)
    durable.sweep_aside(out.parent, out.name)  # what a killed run left: it holds private keys that nobody needs
    with durable.folder_aside(out) as aside:
        yield aside
