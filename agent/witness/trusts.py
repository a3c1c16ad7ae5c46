"""The agencies whose ledgers a witness watches: their trust files, with the revocation lists in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from agent.errors import TrustError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import from_b64url
from agent.evidence.entries import Boot, Entry
from agent.evidence.keys import Identity, read_crl, read_identity


@dataclass(frozen=True, slots=True)
class _Agency:
    id: str
    root: x509.Certificate
    revoked: frozenset[int]


class Trusts:
    """The agencies by id. Not thread-safe: the witness asks under its own lock."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Reads all files; raises TrustError."""
        self._paths = tuple(paths)
        self._agencies: dict[str, _Agency] = {}
        self._seen: tuple[object, ...] = ()
        self.refresh()

    def refresh(self) -> bool:
        """Reads the files again if one changed, and says so. Raises TrustError; what was known then stays."""
        try:
            seen = tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in map(Path.stat, self._paths))
            if seen == self._seen:
                return False
            read = [_read(path.read_bytes()) for path in self._paths]
        except OSError as error:
            raise TrustError(f"the trust file {error.filename}: {error.strerror}") from error
        found = {agency.id: agency for agency in read}
        if len(found) < len(read):
            raise TrustError("two trust files are of one agency")
        self._agencies, self._seen = found, seen
        return True

    def __contains__(self, agency: str) -> bool:
        return agency in self._agencies

    def identify(self, entry: Entry, boot: Boot) -> Identity:
        """Whose certificate a ``boot`` shows. Raises TrustError unless an agency issued it to this very device.

        Its dates are not judged: a line may come long after it was written, and a verifier judges it at the time that
        witnesses bound.
        """
        why = "no agency is known"
        for agency in self._agencies.values():
            try:
                found = read_identity(from_b64url(boot.certificate), agency.root)
            except TrustError as error:
                why = str(error)
                continue
            if (found.agency, found.device) != (agency.id, entry.device):
                raise TrustError(f"the certificate is for {found.device} of {found.agency}")
            return found
        raise TrustError(why)

    def is_revoked(self, agency: str, serial: int) -> bool:
        """Whether the agency's list holds this certificate, for whatever reason."""
        return serial in self._agencies[agency].revoked


def _read(data: bytes) -> _Agency:
    trust = TrustBundle.from_json(data)
    root = trust.root()
    try:
        crl = read_crl(trust.crl.encode(), root)
    except TrustError as error:
        raise TrustError(f"{trust.agency}: {error}") from error
    return _Agency(trust.agency, root, frozenset(row.serial_number for row in crl))
