"""Which devices the dock accepts: ``register.json`` and the agency's CRL, read again whenever the files change.

The broker's own check happens once, when a connection is made; a session that was open when its certificate was revoked
goes on. So the intake asks here, message by message.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from cryptography import x509
from pydantic import ConfigDict

from agent.errors import FormatError, TrustError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import load_object
from agent.evidence.keys import read_crl
from agent.evidence.shapes import STRICT, FormatVersion, Name, load_shape

REGISTER_NAME: Final = "register.json"
CRL_NAME: Final = "crl.pem"


@dataclass(frozen=True, slots=True)
class Accepted:
    """``register.json`` as ``provision`` writes it for a dock."""

    v: FormatVersion
    type: Literal["register"]
    agency: Name
    devices: list[Name]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


class DeviceRegister:
    """Answers whether a device, and an identity certificate, is acceptable now."""

    def __init__(self, credentials: Path, trust: TrustBundle) -> None:
        """Reads both files; raises TrustError."""
        self._paths = (credentials / REGISTER_NAME, credentials / CRL_NAME)
        self._trust = trust
        self._devices: frozenset[str] = frozenset()
        self._revoked: frozenset[int] = frozenset()
        self._seen: tuple[object, ...] = ()
        self.refresh()

    def refresh(self) -> bool:
        """Reads the files again if they changed, and says so. Raises TrustError; the old state then stays."""
        try:
            seen = tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in map(Path.stat, self._paths))
            if seen == self._seen:
                return False
            accepted = load_shape(Accepted, load_object(self._paths[0].read_bytes()))
            revoked = self._read_crl(self._paths[1].read_bytes())
        except (OSError, FormatError, TrustError) as error:
            raise TrustError(f"the dock's register or CRL cannot be used: {error}") from error
        if accepted.agency != self._trust.agency:
            raise TrustError(f"the register is of {accepted.agency}, not of {self._trust.agency}")
        self._devices, self._revoked, self._seen = frozenset(accepted.devices), revoked, seen
        return True

    def _read_crl(self, pem: bytes) -> frozenset[int]:
        crl = read_crl(pem, self._trust.root())
        return frozenset(row.serial_number for row in crl if not _superseded(row))

    @property
    def devices(self) -> frozenset[str]:
        """The devices accepted now."""
        return self._devices

    def why_not(self, device: str, identity: x509.Certificate | None) -> str | None:
        """The reason to refuse this device (``identity``: once a line of it has come); None: accepted."""
        if device not in self._devices:
            return "not in the register of accepted devices"
        if identity is not None and identity.serial_number in self._revoked:
            return "its identity certificate is revoked"
        return None


def _superseded(row: x509.RevokedCertificate) -> bool:
    """Keys renewed in good order: what the old key signed before must still be able to come in."""
    try:
        return row.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.superseded
    except x509.ExtensionNotFound:
        return False
