"""What enrolment put into a unit: keys, certificates and the agency's signed documents, checked before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from nacl.signing import SigningKey

from agent.errors import TrustError
from agent.evidence.documents import Policy, Profile, TrustBundle, read_policy, read_profile
from agent.evidence.encoding import sha256_hex
from agent.evidence.keys import Identity, load_signing_key, read_identity
from agent.evidence.sealing import recipient_key


@dataclass(frozen=True, slots=True)
class Documents:
    """Profile and policy in force, as signed and as read."""

    profile: Profile
    profile_token: bytes
    policy: Policy
    policy_token: bytes
    notice: Path

    @property
    def recipients(self) -> list[bytes]:
        """X25519 keys that everything is sealed for."""
        return [recipient_key(one) for one in self.policy.recipients]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who this unit is. The identity key is needed for ``boot`` lines only."""

    identity: Identity
    certificate_der: bytes
    trust: TrustBundle
    documents: Documents


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise TrustError(f"{folder / name} cannot be read: {error.strerror}; enrol this unit") from error


def load_credentials(folder: Path) -> Credentials:
    """Reads and checks the folder. Raises TrustError naming the file and what is wrong with it."""
    trust = TrustBundle.from_json(_read(folder, "trust.json"))
    try:
        der = x509.load_pem_x509_certificate(_read(folder, "identity.crt")).public_bytes(Encoding.DER)
    except ValueError as error:
        raise TrustError(f"{folder / 'identity.crt'} is not a certificate: {error}") from error
    identity = read_identity(der, trust.root())
    if bytes(load_identity_key(folder).verify_key) != identity.public_key:
        raise TrustError(f"{folder / 'identity.key'} does not belong to identity.crt")
    return Credentials(identity, der, trust, load_documents(folder, trust, identity.device))


def load_identity_key(folder: Path) -> SigningKey:
    """The identity key; read when a ``boot`` line is due and dropped after it."""
    return load_signing_key(_read(folder, "identity.key"))


def load_documents(folder: Path, trust: TrustBundle, device: str) -> Documents:
    """Profile and policy. Raises TrustError when one is not the agency's; of the notice see ``check_notice``."""
    profile_token, policy_token = _read(folder, "profile.jws").strip(), _read(folder, "policy.jws").strip()
    profile, policy = read_profile(profile_token, trust), read_policy(policy_token, trust)
    if profile.device != device:
        raise TrustError(f"the profile is for {profile.device}, this unit is {device}")
    return Documents(profile, profile_token, policy, policy_token, folder / "notice.wav")


def check_notice(documents: Documents) -> None:
    """Raises TrustError unless the notice is there and is the one that the policy names.

    A unit whose notice was changed still starts: what it cannot play, the officer may say in person (R12.1).
    """
    notice = documents.notice
    if sha256_hex(_read(notice.parent, notice.name)) != documents.policy.notice.digest:
        raise TrustError(f"{notice} is not the notice that the policy names; get it from the administrator again")
