"""R13.1: zone maps and hazard flags of the agency.

zones/DIGEST.geojson   every zone map that a policy ever named
hazard/VERSION.jws     every hazard flag that was signed; a dock gets those that are still the newest for a device
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.errors import FormatError, UsageError
from agent.evidence.documents import HazardZone, Policy
from agent.evidence.encoding import sha256_hex
from agent.evidence.hazard_flag import HazardFlag, read_hazard_flag, sign_hazard_flag
from agent.rules.zones import ZoneMap, read_zone_map
from agent.system import durable
from provisioning import keys
from provisioning.agency import Agency
from provisioning.policy import NO_ZONE_MAP, Settings
from provisioning.records import Document
from provisioning.view import View

ZONE_MAP_NAME: Final = "zones.geojson"
FLAG_FOLDER: Final = "hazard"
HOUR_US: Final = 3_600_000_000
LONGEST_HOURS: Final = 24 * 7
"""A flag speaks of a place as it is now; whoever wants more signs anew, or draws a zone map."""


@dataclass(frozen=True, slots=True)
class FlagOrder:
    """What is to be signed; ``devices`` empty: for all."""

    state: Literal["set", "clear", "withdrawn"]
    zone: HazardZone | None
    devices: Sequence[str]
    hours: int


def check_map(path: Path) -> tuple[bytes, ZoneMap]:
    """The map's bytes and what they say; raises UsageError saying what is wrong with them."""
    data = keys.read_bytes(path)
    try:
        return data, read_zone_map(data)
    except FormatError as error:
        raise UsageError(f"{path}: {error}") from error


def sign_map(agency: Agency, path: Path) -> Policy:
    """Puts a map into force: keeps it, and signs the next policy with its digest."""
    data, _ = check_map(path)
    digest = sha256_hex(data)
    _keep(agency.folder / "zones" / f"{digest}.geojson", data)
    return agency.sign_policy(Settings(zone_map=digest))


def remove_map(agency: Agency) -> Policy:
    """Signs the next policy without a map: positions set no flag any more."""
    return agency.sign_policy(Settings(zone_map=NO_ZONE_MAP))


def write_map(agency: Agency, policy: Policy, folder: Path) -> None:
    """Brings the map of a device's folder up to date; durable. Raises StorageError."""
    digest = policy.hazard.zone_map
    if digest is None:
        durable.remove_file(folder / ZONE_MAP_NAME)
    else:
        durable.write_atomic(folder / ZONE_MAP_NAME, keys.read_bytes(agency.folder / "zones" / f"{digest}.geojson"))


def sign_flag(agency: Agency, order: FlagOrder) -> Document:
    """Signs the next flag. Raises UnknownIdError for a device that is not in the register, UsageError for the rest."""
    if not 1 <= order.hours <= LONGEST_HOURS:
        raise UsageError(f"a hazard flag holds for 1 to {LONGEST_HOURS} hours, not {order.hours}")
    with agency.change() as change:
        devices = [change.device(name).id for name in dict.fromkeys(order.devices)] or None
        expires_us = change.at_us + order.hours * HOUR_US

        def text(version: int) -> str:
            flag = HazardFlag(
                1, "hazard", agency.info.id, version, devices, order.state, order.zone, change.at_us, expires_us
            )
            return sign_hazard_flag(flag, agency.document_key()).decode()

        signed = change.publish("hazard", agency.info.id, text)
        # Before the register: after a crash in between, the file of a version that never was is written over.
        _keep(agency.folder / FLAG_FOLDER / f"{signed.version}.jws", signed.text.encode())
    return signed


def _keep(path: Path, data: bytes) -> None:
    durable.make_private_folder(path.parent)
    durable.write_atomic(path, data)


def flags_in_force(agency: Agency, view: View) -> dict[int, bytes]:
    """The flags that are the newest for some active device, by version. Raises TrustError when one is damaged."""
    newest = view.document("hazard", agency.info.id)
    trust = agency.trust(view)
    waiting = {row.id for row in view.devices() if row.state == "active"}
    found: dict[int, bytes] = {}
    for version in range(newest.version if newest else 0, 0, -1):
        if not waiting:
            break
        token = keys.read_bytes(agency.folder / FLAG_FOLDER / f"{version}.jws")
        flag = read_hazard_flag(token, trust)
        concerned = {device for device in waiting if flag.concerns(device)}
        if concerned:
            found[version] = token
        waiting -= concerned
    return found


def write_flags(agency: Agency, view: View, folder: Path) -> None:
    """Brings the flags of a dock's folder up to date: new ones first, then those that are over go. Durable."""
    flags = flags_in_force(agency, view)
    target = folder / FLAG_FOLDER
    if not flags and not target.exists():
        return
    durable.make_private_folder(target)
    names = {f"{version}.jws": token for version, token in flags.items()}
    for name, token in names.items():
        if not (target / name).exists():
            durable.write_atomic(target / name, token)
    for path in target.glob("*.jws"):
        if path.name not in names:
            durable.remove_file(path)
