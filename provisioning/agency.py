"""An agency's folder: its keys, its register, and everything it signs.

    agency.json        who the agency is; public keys and recipients
    root.key root.crt  certificate authority
    documents.key      signs profiles and policies
    archive.agekey     opens the archive; belongs off this machine as soon as it is made
    escrow.agekey      the same for the optional second recipient
    register.json      devices, officers, docks, holdings, certificates, newest documents, history
    notices/DIGEST.wav every notice that a policy ever named
    zones/, hazard/    every zone map that a policy named, every hazard flag (hazard.py)

The folder is private (0700) and has one writer at a time. Every change is one transaction of the register, signed
documents included, so that a crash leaves the agency as it was before or as it is after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from nacl.signing import SigningKey
from pydantic import ConfigDict

from agent.errors import FormatError, RegisterError, TrustError, UsageError
from agent.evidence.documents import (
    ExApproval,
    Policy,
    Profile,
    TrustBundle,
    TrustedDock,
    TrustedWitness,
    read_policy,
    sign_policy,
    sign_profile,
)
from agent.evidence.encoding import b64url, dump_json, load_object, sha256_hex
from agent.evidence.keys import load_signing_key
from agent.evidence.shapes import STRICT, FormatVersion, Key, Micros, Name, Recipient, Text, dump_shape, load_shape
from agent.rules.explosion import parse_plate
from agent.system import durable
from provisioning import keys
from provisioning.authority import Authority, Revoked, Validity, certificate_pem, make_root, serial_text
from provisioning.policy import Settings, changed, default_policy
from provisioning.records import UNASSIGNED, Certificate, CertificateUse, Document, Reason
from provisioning.register import Change, DeviceRegister
from provisioning.view import View

ROOT_DAYS: Final = 7300
# A CRL that is overdue makes brokers refuse everybody, so that no evidence comes in. It is signed anew with every
# revocation, and long-lived for the agency that revokes nothing for years.
CRL_DAYS: Final = 3650
_END_REASONS: Final[dict[Literal["lost", "retired"], Reason]] = {
    "lost": "key_compromise",
    "retired": "cessation_of_operation",
}


@dataclass(frozen=True, slots=True)
class AgencyInfo:
    """``agency.json``: nothing in it is secret."""

    v: FormatVersion
    type: Literal["agency"]
    id: Name
    name: Text
    document_keys: list[Key]
    recipients: list[Recipient]
    """The archive key first, then escrow."""
    created_us: Micros
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, slots=True)
class Founding:
    """What an agency is made from."""

    id: str
    name: str
    root_days: int = ROOT_DAYS
    escrow: bool = False
    """Make a second decryption key, to be kept elsewhere."""
    escrow_recipient: str | None = None
    """Or take the public half of one that somebody else made."""
    notice: bytes | None = None
    """The notice as a WAV file; the first policy is then signed at once."""


def micros(at: datetime) -> int:
    """Microseconds of UTC since 1970."""
    return round(at.timestamp() * 1_000_000)


def now_utc() -> datetime:
    """The computer's clock."""
    return datetime.now(UTC)


class Agency:
    """An opened agency folder. Close it: opened for writing it holds the folder's lock."""

    def __init__(
        self, folder: Path, *, writable: bool, by: str = "administrator", clock: Callable[[], datetime] = now_utc
    ) -> None:
        """Opens an agency that ``found`` made. ``by`` is entered in the history of every change.

        Raises TrustError when this is no agency folder, LockedError, or StorageError when something is damaged.
        """
        self.folder = folder
        self.info = _read_info(folder)
        self._by = by
        self._clock = clock
        self.register = DeviceRegister(folder / "register.json", writable=writable)

    def close(self) -> None:
        """Frees the lock."""
        self.register.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- keys -------------------------------------------------------------------------------------------------------

    def root(self) -> x509.Certificate:
        """The root certificate."""
        return x509.load_pem_x509_certificate(keys.read_bytes(self.folder / "root.crt"))

    def authority(self) -> Authority:
        """The authority, its key read from the folder now. Raises StorageError or TrustError."""
        return Authority(keys.read_private_key(self.folder / "root.key"), self.root())

    def document_key(self) -> SigningKey:
        """The key that signs profiles and policies; raises TrustError if it is not the one in agency.json."""
        key = load_signing_key(keys.read_bytes(self.folder / "documents.key"))
        if b64url(bytes(key.verify_key)) not in self.info.document_keys:
            raise TrustError("documents.key is not one of the agency's document keys")
        return key

    # -- what is published ------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The register as it stands."""
        return self.register.view()

    def trust(self, view: View) -> TrustBundle:
        """What verifiers get. A lost dock's or removed witness's keys no longer count; a retired dock's stay good."""
        docks = [TrustedDock(row.id, row.receipt_key, row.witness_key) for row in view.docks() if row.state != "lost"]
        return TrustBundle(
            v=1,
            type="trust",
            agency=self.info.id,
            agency_name=self.info.name,
            root_certificate=certificate_pem(self.root()).decode(),
            crl=self.document(view, "crl").text,
            document_keys=self.info.document_keys,
            docks=docks,
            witnesses=[TrustedWitness(row.id, row.key) for row in view.witnesses() if row.state == "active"],
            recipients=self.info.recipients,
        )

    def trust_json(self, view: View) -> bytes:
        """The trust bundle as a file."""
        return dump_json(dump_shape(self.trust(view))) + b"\n"

    def document(self, view: View, kind: Literal["policy", "crl"]) -> Document:
        """The newest policy or CRL; raises UsageError while there is none."""
        found = view.document(kind, self.info.id)
        if found is None:
            raise UsageError(f"no {kind} has been signed yet; sign one first: provision policy sign --notice WAV")
        return found

    def policy(self, view: View) -> Policy:
        """The policy in force, its signature checked."""
        return read_policy(self.document(view, "policy").text.encode(), self.trust(view))

    def notice(self, digest: str) -> bytes:
        """The bytes of a notice; raises StorageError."""
        return keys.read_bytes(self.folder / "notices" / f"{digest}.wav")

    # -- changes ----------------------------------------------------------------------------------------------------

    @contextmanager
    def change(self) -> Iterator[Change]:
        """One change of the register, by this administrator, now."""
        with self.register.change(self._by, micros(self.now())) as change:
            yield change

    def now(self) -> datetime:
        """The time that changes made now bear."""
        return self._clock()

    def sign_policy(self, settings: Settings, notice: bytes | None = None) -> Policy:
        """Signs the next policy: the one in force with these settings. Raises UsageError for a value off limits."""
        view = self.view()
        if view.document("policy", self.info.id) is not None:
            base = self.policy(view)
        elif notice is not None:
            base = default_policy(self.info.id, notice, self.info.recipients)
        else:
            raise UsageError("the first policy needs the notice: provision policy sign --notice WAV")
        wanted = changed(base, settings, notice)
        if notice is not None:
            durable.write_atomic(self.folder / "notices" / f"{wanted.notice.digest}.wav", notice)
        with self.change() as change:
            change.publish("policy", self.info.id, lambda version: self._policy_text(wanted, version, change.at_us))
        return self.policy(self.view())

    def _policy_text(self, policy: Policy, version: int, at_us: int) -> str:
        return sign_policy(replace(policy, version=version, issued_us=at_us), self.document_key()).decode()

    def sign_profile(self, change: Change, device: str) -> Document:
        """Signs the device's next profile from the register as it stands inside the change."""
        row, holder = change.device(device), change.holder(device)
        section = change.officer(holder).section if holder else row.section
        profile = Profile(
            v=1,
            type="profile",
            version=0,
            agency=self.info.id,
            device=device,
            serial=row.serial,
            officer=holder or UNASSIGNED,
            section=section,
            issued_us=change.at_us,
            ex_approval=row.ex_approval,
        )
        key = self.document_key()
        return change.publish("profile", device, lambda n: sign_profile(replace(profile, version=n), key).decode())

    def approve_ex(self, device: str, marking: str, certificate: str, issuer: str, expires_us: int) -> Document:
        """R13.1: enters an Ex approval, bound to the unit's serial number, and signs a new profile with it."""
        if not certificate.strip() or not issuer.strip():
            raise UsageError("the approval needs its certificate number and its issuer")
        try:
            parse_plate(marking)
        except FormatError as error:
            raise UsageError(str(error)) from error
        if expires_us <= micros(self.now()):
            raise UsageError("the approval has expired already")
        with self.change() as change:
            row = change.device(device)
            approval = ExApproval(marking, certificate, issuer, expires_us, row.serial)
            change.set_ex_approval(replace(row, ex_approval=approval))
            return self.sign_profile(change, device)

    def record(self, change: Change, certificate: x509.Certificate, subject: str, use: CertificateUse) -> None:
        """Enters a certificate in the register, before it is handed over."""
        change.add_certificate(
            Certificate(
                serial=serial_text(certificate),
                subject=subject,
                use=use,
                sha256=certificate.fingerprint(hashes.SHA256()).hex(),
                not_before_us=micros(certificate.not_valid_before_utc),
                not_after_us=micros(certificate.not_valid_after_utc),
                revoked_us=None,
                reason=None,
            )
        )

    def sign_crl(self, change: Change, days: int = CRL_DAYS) -> Document:
        """Signs the CRL of everything that the register says is revoked."""
        authority, now = self.authority(), self.now()
        rows = [row for row in change.certificates() if row.revoked_us is not None]
        lines = [
            Revoked(row.serial, datetime.fromtimestamp((row.revoked_us or 0) / 1e6, UTC), row.reason or "unspecified")
            for row in rows
        ]

        def text(number: int) -> str:
            crl = authority.sign_crl(lines, number, now, days)
            return crl.public_bytes(serialization.Encoding.PEM).decode()

        return change.publish("crl", self.info.id, text)

    def revoke(self, target: str, reason: Reason) -> list[Certificate]:
        """Revokes one certificate by serial, or all of a device or dock by its id; signs the new CRL."""
        with self.change() as change:
            done = self.revoke_within(change, target, reason)
            if not done:
                raise RegisterError(f"{target} has no certificate that is not revoked already")
        return done

    def revoke_within(self, change: Change, target: str, reason: Reason) -> list[Certificate]:
        """The same as part of a larger change; gives an empty list when nothing was left to revoke."""
        serials = [row.serial for row in change.certificates() if row.subject == target and row.revoked_us is None]
        if target not in {row.id for row in change.devices()} | {row.id for row in change.docks()}:
            serials = [target.replace(":", "").lower().lstrip("0")]
        done = [change.revoke(serial, reason) for serial in serials]
        if done:
            self.sign_crl(change)
        return done

    def end_device(self, device: str, state: Literal["lost", "retired"], note: str = "") -> list[Certificate]:
        """The device is lost or retired: nobody holds it, its certificates are revoked, docks no longer accept it."""
        with self.change() as change:
            change.end_device(device, state, note)
            return self.revoke_within(change, device, _END_REASONS[state])

    def end_dock(self, dock: str, state: Literal["lost", "retired"], note: str = "") -> list[Certificate]:
        """The dock is lost or retired: its certificate is revoked; a lost one's receipts no longer count."""
        with self.change() as change:
            change.end_dock(dock, state, note)
            return self.revoke_within(change, dock, _END_REASONS[state])


def found(
    folder: Path, founding: Founding, *, by: str = "administrator", clock: Callable[[], datetime] = now_utc
) -> None:
    """Makes an agency's folder, which must not exist. Durable when it returns; a crash leaves nothing or the whole."""
    if founding.escrow and founding.escrow_recipient:
        raise UsageError("either make an escrow key or name one, not both")
    with durable.storage_errors(folder, "making"):
        folder.parent.mkdir(parents=True, exist_ok=True)
    durable.sweep_aside(folder.parent, folder.name)
    with durable.folder_aside(folder) as aside:
        _make_keys(aside, founding, clock())
        with Agency(aside, writable=True, by=by, clock=clock) as agency:
            with agency.change() as change:
                change.note("agency-founded", founding.id, root=sha256_hex(certificate_pem(agency.root())))
                agency.sign_crl(change)
            if founding.notice is not None:
                agency.sign_policy(Settings(), founding.notice)


def _make_keys(folder: Path, founding: Founding, now: datetime) -> None:
    root, documents = keys.new_signing_key(), keys.new_signing_key()
    recipients = [keys.write_age_identity(folder / "archive.agekey", now)]
    if founding.escrow:
        recipients.append(keys.write_age_identity(folder / "escrow.agekey", now))
    if founding.escrow_recipient:
        recipients.append(keys.check_recipient(founding.escrow_recipient))
    info = AgencyInfo(1, "agency", founding.id, founding.name, [keys.public_text(documents)], recipients, micros(now))
    keys.write_private_key(folder / "root.key", root)
    keys.write_private_key(folder / "documents.key", documents)
    certificate = make_root(root, founding.id, Validity.days(now, founding.root_days))
    durable.write_atomic(folder / "root.crt", certificate_pem(certificate))
    durable.write_atomic(folder / "agency.json", dump_json(_checked_info(info)) + b"\n")
    durable.make_private_folder(folder / "notices")


def _checked_info(info: AgencyInfo) -> dict[str, object]:
    try:
        return dump_shape(info)
    except FormatError as error:
        raise UsageError(str(error)) from error


def _read_info(folder: Path) -> AgencyInfo:
    path = folder / "agency.json"
    if not path.is_file():
        raise TrustError(f"{folder} is not an agency's folder; make one: provision agency init DIR --id ID --name NAME")
    try:
        return load_shape(AgencyInfo, load_object(keys.read_bytes(path)))
    except FormatError as error:
        raise TrustError(f"{path} is damaged: {error}") from error
