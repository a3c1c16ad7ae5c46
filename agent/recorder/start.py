"""From power-on to ready: lock, past, recovery, the first entries of this run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent import __version__
from agent.errors import HardwareError, StorageError
from agent.evidence.encoding import b64url, sha256_hex
from agent.evidence.entries import (
    FORMAT,
    Adopted,
    Body,
    EntryTime,
    Genesis,
    ObjectRef,
    SelfTest,
)
from agent.evidence.folder import EvidenceFolder
from agent.hardware.parts import Clock, Parts
from agent.recorder.credentials import Credentials, Documents, load_identity_key
from agent.recorder.journal import Journal, Past
from agent.recorder.pieces import UNLISTED, place_segment, recover_pieces, set_pieces_aside, set_unlisted_aside
from agent.recorder.recovery import closing_entries
from agent.recorder.release import ReceiptBook
from agent.recorder.standing import Standing
from agent.system.durable import FolderLock, lock_folder, make_private_folder, sweep_aside, write_atomic
from agent.system.logs import logger

log = logger("recorder")


@dataclass(slots=True)
class Opened:
    """A unit's evidence, ready to be continued."""

    folder: EvidenceFolder
    lock: FolderLock
    journal: Journal
    book: ReceiptBook
    in_force: dict[str, str]
    """Digest of the adopted profile and policy."""


def entry_time(clock: Clock) -> EntryTime:
    """Both clocks now, as an entry states them."""
    now = clock.read()
    return EntryTime(now.utc_us, now.monotonic_us, now.boot_id, now.source.value, now.error_us)


def open_evidence(path: Path, credentials: Credentials, parts: Parts, key_folder: Path) -> Opened:
    """Locks the folder, continues its ledger with ``boot``, recovers after a cut. Raises StorageError, FormatError."""
    folder = EvidenceFolder(path)
    make_private_folder(path)
    lock = lock_folder(path)
    try:
        return _open_locked(folder, lock, credentials, parts, key_folder)
    except BaseException:
        lock.release()
        raise


def _open_locked(
    folder: EvidenceFolder, lock: FolderLock, credentials: Credentials, parts: Parts, key_folder: Path
) -> Opened:
    make_private_folder(folder.objects)
    sweep_aside(folder.path)
    sweep_aside(folder.objects)
    device, agency = credentials.identity.device, credentials.trust.agency
    standing, past = Standing.open(folder, credentials.trust, device)
    epoch_lines = credentials.documents.policy.epoch_lines
    journal = Journal(folder, past, device, agency, epoch_lines, lambda: entry_time(parts.clock), standing)
    _first_entries(journal, past, standing.boots, credentials, parts, key_folder)
    _recover(folder, journal, standing)
    adopt(folder, journal, standing.in_force, credentials.documents)
    journal.enter(SelfTest(_self_test(parts)))
    journal.checkpoint()
    return Opened(folder, lock, journal, standing.book, standing.in_force)


def _first_entries(
    journal: Journal, past: Past, boots: int, credentials: Credentials, parts: Parts, key_folder: Path
) -> None:
    begins = past.size == 0
    journal.boot(
        load_identity_key(key_folder),
        counter=boots,
        certificate=b64url(credentials.certificate_der),
        software=f"enforcement-recorder {__version__}",
        hardware=dict(parts.kinds),
        tail_cut_bytes=past.tail_cut_bytes,
    )
    if begins:
        profile = credentials.documents.profile
        journal.enter(
            Genesis(
                format=FORMAT,
                agency=profile.agency,
                device=profile.device,
                serial=profile.serial,
                hash="sha-256",
                seal="age-v1-x25519",
                hardware=dict(parts.kinds),
            )
        )


def _recover(folder: EvidenceFolder, journal: Journal, standing: Standing) -> None:
    standing.book.sweep()
    # Released objects are gone now, so that what the book knows is all that may be here.
    entered = standing.book.sizes.keys()
    pieces = recover_pieces(folder, entered)
    set_unlisted_aside(folder, entered)
    closing = closing_entries(standing.unfinished, pieces)
    for body in closing:
        enter(journal, folder, body)
    if closing:
        journal.rotate("recording_end")
    left = [piece for piece in pieces if piece not in closing]
    if left:
        log.error("pieces of a recording that is closed", count=len(left), folder=UNLISTED)
        set_pieces_aside(folder, left)


def enter(journal: Journal, folder: EvidenceFolder, body: Body) -> None:
    """Enters a body, then does what only an entry allows: names a segment's file by its digest."""
    journal.enter(body)
    if body.TYPE == "segment":
        place_segment(folder, body)  # type: ignore[arg-type]


def adopt(folder: EvidenceFolder, journal: Journal, in_force: dict[str, str], documents: Documents) -> None:
    """Keeps profile and policy as objects and enters those that are not in force; ``in_force`` (digests) is updated."""
    for name, version, token in (
        ("profile", documents.profile.version, documents.profile_token),
        ("policy", documents.policy.version, documents.policy_token),
    ):
        ref = ObjectRef(sha256_hex(token), len(token), "jws")
        if in_force.get(name) != ref.digest:
            write_atomic(folder.object_path(ref), token)
            journal.enter(Adopted(name, version, ref))  # type: ignore[arg-type]
            in_force[name] = ref.digest


def _self_test(parts: Parts) -> dict[str, str]:
    def ask(question: Callable[[], object]) -> str:
        try:
            question()
        except (HardwareError, StorageError) as error:
            return error.code
        return "ok"

    results = {"clock": ask(parts.clock.read), "power": ask(parts.power.read), "storage": ask(parts.storage.free_bytes)}
    switch = parts.hazard_switch
    results["hazard_switch"] = ask(lambda: switch.active) if switch else "none"
    results["microphone"] = "ok" if parts.microphone else "none"
    return results
