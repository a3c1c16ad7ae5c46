"""Behind two sources of the hazard flag (R13.1): the zone map that the policy names, and the agency's newest flag."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.errors import FormatError, StorageError, TrustError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import sha256_hex
from agent.evidence.hazard_flag import MAX_FLAG_BYTES, HazardFlag, read_hazard_flag
from agent.rules.flag import supersedes
from agent.rules.zones import MAX_MAP_BYTES, ZoneMap, read_zone_map
from agent.system.durable import storage_errors, write_atomic
from agent.system.logs import logger

ZONE_MAP_NAME: Final = "zones.geojson"
"""In the credentials folder, beside the policy that names its digest."""
FLAG_NAME: Final = "hazard.jws"
"""In the evidence folder: what must outlive a restart lies on the volume that is written to anyway."""

log = logger("recorder")


def load_zone_map(credentials: Path, digest: str) -> ZoneMap:
    """The map that the policy names. Raises TrustError when it is missing, another one, or not a map."""
    path = credentials / ZONE_MAP_NAME
    try:
        data = _read(path, MAX_MAP_BYTES)
    except OSError as error:
        raise TrustError(f"the policy names a zone map, and {path} cannot be read: {error.strerror}") from error
    if sha256_hex(data) != digest:
        raise TrustError(f"{path} is not the zone map that the policy names")
    try:
        return read_zone_map(data)
    except FormatError as error:
        raise TrustError(f"{path} cannot be used: {error}") from error


def _read(path: Path, most: int) -> bytes:
    """At most one byte more than allowed, so that too large a file is seen to be so, and not read to its end."""
    with path.open("rb") as file:
        return file.read(most + 1)


class FlagKeeper:
    """The newest flag of the agency that is meant for this device; survives restarts. Not thread-safe."""

    def __init__(self, evidence: Path, trust: TrustBundle, device: str) -> None:
        """Reads what was kept. A kept flag that cannot be used is logged, and ``lost`` until the next one comes."""
        self._path, self._trust, self._device = evidence / FLAG_NAME, trust, device
        self.flag: HazardFlag | None = None
        self.lost = False
        """There has been a flag, and what it said is not known any more."""
        try:
            self.flag = self._kept()
        except (TrustError, StorageError) as error:
            self.lost = True
            log.error("kept hazard flag unusable", code=error.code, why=str(error))

    def _kept(self) -> HazardFlag | None:
        if not self._path.exists():
            return None
        with storage_errors(self._path, "reading"):
            token = _read(self._path, MAX_FLAG_BYTES)
        return read_hazard_flag(token, self._trust)

    def take(self, token: bytes) -> bool:
        """Takes a flag that arrived, durably, if it is newer than the one held; says whether it was.

        Raises TrustError when it is not the agency's or not for this device. After a StorageError it holds all the
        same, until the next restart.
        """
        flag = read_hazard_flag(token, self._trust)
        if not flag.concerns(self._device):
            raise TrustError(f"the hazard flag is not meant for {self._device}")
        if not supersedes(flag, self.flag):
            return False
        self.flag, self.lost = flag, False
        write_atomic(self._path, token)
        return True
