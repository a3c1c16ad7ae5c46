"""The verifier: one device's folder, or an archive of them, judged step by step. With a key, contents are too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyrage

from agent.errors import UsageError
from agent.evidence.documents import TrustBundle
from agent.evidence.entries import Refused
from agent.evidence.folder import EvidenceFolder, devices_of
from agent.evidence.verification.chain import Ledger, read_ledger
from agent.evidence.verification.objects import Documents, ObjectCounts, Progress, check_objects, read_documents
from agent.evidence.verification.report import Axis, DeviceFacts, Report
from agent.evidence.verification.sequence import (
    RecordingFacts,
    check_certificates,
    check_continuity,
    check_hardware,
    check_time,
    recordings_of,
)

Conduct = Callable[[Ledger, list[RecordingFacts], Documents, Report], None]
"""Judges whether the regulation was obeyed; given from outside, because the format does not know the regulation."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the reader wants judged, and with what."""

    trust: TrustBundle
    conduct: Conduct
    identity: pyrage.x25519.Identity | None = None
    accept_simulated: bool = False


def total_bytes(path: Path) -> int:
    """Bytes of objects under a path, for a progress bar."""
    folders = [EvidenceFolder(device).objects for device in devices_of(path)]
    return sum(
        file.stat().st_size for folder in folders if folder.is_dir() for file in folder.iterdir() if file.is_file()
    )


def verify(path: Path, question: Question, progress: Progress = lambda count: None) -> Report:
    """Judges a device folder or an archive. Raises TrustError (trust file), UsageError (no evidence there)."""
    question.trust.root()
    try:
        devices = devices_of(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if not devices:
        raise UsageError(f"{path} holds no evidence: no ledger.jws here or one folder down")
    report = Report()
    in_archive = devices != [path]
    report.merge(verify_device(device, question, in_archive, progress) for device in devices)
    return report


def verify_device(path: Path, question: Question, in_archive: bool, progress: Progress = lambda count: None) -> Report:
    """The numbered steps, for one device."""
    report, folder, trust = Report(), EvidenceFolder(path), question.trust
    # 1 to 3: lines, checkpoints, receipts
    ledger = read_ledger(folder, trust, report)
    recordings = list(recordings_of(ledger.entries).values())
    # 4 and 5: objects, documents
    counts = check_objects(folder, ledger, report, question.identity, progress, in_archive)
    documents = read_documents(folder, ledger.entries, trust, report)
    # 6 to 8: certificates and parts, recordings, clocks
    check_certificates(ledger, trust, report)
    simulated = check_hardware(ledger, question.accept_simulated, report)
    check_continuity(recordings, ledger.broken, report)
    check_time(ledger, report)
    # 9: the regulation
    question.conduct(ledger, recordings, documents, report)
    # 10: what could not be judged
    _say_unknown(ledger, report)
    report.devices.append(_facts(ledger, recordings, counts, simulated))
    return report


def _say_unknown(ledger: Ledger, report: Report) -> None:
    if ledger.broken:
        for axis in Axis:
            report.cannot_judge(axis, "账本在此之后无法判断 nothing after the bad line can be judged")
    elif ledger.witnessed_size == 0:
        report.cannot_judge(
            Axis.COMPLETENESS, "尚无见证，末尾是否被删无法判断 not witnessed yet: a cut tail would not show"
        )


def _facts(ledger: Ledger, recordings: Iterable[RecordingFacts], counts: ObjectCounts, simulated: bool) -> DeviceFacts:
    tail = ledger.entries[ledger.witnessed_size :]
    seconds = (tail[-1].time.utc_us - tail[0].time.utc_us) // 1_000_000 if tail else 0
    return DeviceFacts(
        device=ledger.device,
        entries=len(ledger.entries),
        recordings=sum(facts.open is not None for facts in recordings),
        refusals=sum(isinstance(entry.body, Refused) for entry in ledger.entries),
        objects_checked=counts.checked,
        objects_with_dock=counts.with_dock,
        witnessed_entries=ledger.witnessed_size,
        unwitnessed_entries=len(tail),
        unwitnessed_seconds=max(0, seconds),
        simulated=simulated,
    )
