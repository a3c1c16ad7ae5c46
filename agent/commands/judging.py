"""The commands of whoever examines evidence: verify, export, inspect. They load no camera, codec or broker library."""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyrage
from cryptography import x509
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from agent import __version__
from agent.commands.printing import SIGNS, print_json
from agent.errors import FormatError, TrustError, UsageError
from agent.evidence.checkpoint import MAX_NOTE_BYTES
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import Close, Entry, Open
from agent.evidence.export import export_recording
from agent.evidence.extract import Extracted, extract_recording
from agent.evidence.folder import EvidenceFolder, devices_of, is_regular, read_regular
from agent.evidence.index import INDEX, LedgerIndex, build_index
from agent.evidence.keys import read_crl
from agent.evidence.ledger import unverified_entries
from agent.evidence.shapes import dump_shape
from agent.evidence.timestamps import read_roots
from agent.evidence.verification.findings import AXIS_TEXT, RULES, Axis
from agent.evidence.verification.page import render
from agent.evidence.verification.report import MAX_PLACES, DeviceFacts, Report
from agent.evidence.verification.verifier import Question, total_bytes, verify
from agent.rules.conduct import ConductJudge

_RECORDING: Final = re.compile(r"[0-9a-f]{16}")


def _read_trust(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrustError(f"{path}: {error.strerror}") from error


def read_identity_file(path: Path) -> pyrage.x25519.Identity:
    """The first identity of an ``age-keygen`` file. Raises TrustError."""
    try:
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        return pyrage.x25519.Identity.from_str(lines[0])
    except (OSError, UnicodeDecodeError, IndexError, pyrage.IdentityError) as error:
        raise TrustError(f"{path} is not an age identity file: {error}") from error


def _about(arguments: argparse.Namespace, data: bytes, trust: TrustBundle) -> dict[str, Any]:
    """What was judged, when and with what: a report must be repeatable. ``data``: the trust file as it was read."""
    about = {"path": str(arguments.path), "software": f"enforcement-recorder {__version__}"}
    about["judged_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(TrustError):  # a list that cannot be used is a finding; it is of no date
        about["crl_as_of"] = read_crl(trust.crl.encode(), trust.root()).last_update_utc.isoformat()
    return about | {
        "agency": trust.agency,
        "agency_name": trust.agency_name,
        "trust_sha256": sha256_hex(data),
        "with_identity": arguments.identity is not None,
        "accept_simulated": arguments.accept_simulated,
        "notes": len(arguments.note),
        "tsa_roots_sha256": None if arguments.tsa_roots is None else sha256_hex(_read_trust(arguments.tsa_roots)),
    }


def _write_page(path: Path, page: str) -> None:
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise UsageError(f"报告未能写入 the page could not be written: {path}: {error.strerror}") from error


def _note(path: Path) -> bytes:
    data = read_regular(path, MAX_NOTE_BYTES)
    if data is None:
        raise UsageError(f"{path} is not a signed note that can be read")
    return data


def _timestamp_roots(path: Path | None) -> tuple[x509.Certificate, ...]:
    return () if path is None else tuple(read_roots(_read_trust(path)))


def _extract_from_kept(folder: EvidenceFolder, arguments: argparse.Namespace) -> Extracted | None:
    """From the index beside the ledger; None when there is none, or none that fits, and nothing was written."""
    try:
        with LedgerIndex(folder.path / INDEX, folder.ledger) as index:
            if index.end_bytes != folder.ledger.stat().st_size:
                return None  # behind: it could take a recording for one that has not ended
            return extract_recording(folder, index, arguments.recording, arguments.out)
    except (OSError, FormatError):
        if arguments.out.exists():
            raise
        return None  # a refusal, too, is only believed of an index made from the lines themselves


def _extract_from_new(folder: EvidenceFolder, arguments: argparse.Namespace) -> Extracted:
    with tempfile.TemporaryDirectory(prefix="er-index-") as place:
        build_index(Path(place), folder.ledger)
        with LedgerIndex(Path(place), folder.ledger) as index:
            return extract_recording(folder, index, arguments.recording, arguments.out)


def extract_command(arguments: argparse.Namespace) -> int:
    """``recorder extract``: one recording with its proofs."""
    folder = EvidenceFolder(arguments.path)
    if not _RECORDING.fullmatch(arguments.recording):
        raise UsageError("--recording 需要 16 位十六进制编号； --recording takes 16 hex digits")
    if not is_regular(folder.ledger):
        raise UsageError(f"{arguments.path} 没有账本，请指定一台设备的目录； holds no ledger: name one device's folder")
    if arguments.out.exists():
        raise UsageError(f"{arguments.out} 已存在； exists already: name a folder that is to be made")
    try:
        done = _extract_from_kept(folder, arguments) or _extract_from_new(folder, arguments)
    except OSError as error:
        raise UsageError(f"{arguments.path}: {error}") from error
    print(f"已移交 handed over: {arguments.out}  {done.lines} 条 lines, {done.objects} 个对象 objects")
    for name in done.missing:
        print(f"缺失或被改动，未移交 missing or altered, left out: {name}")
    print(f"请用 check with: recorder verify {arguments.out} --trust trust.json")
    return 1 if done.missing else 0


def verify_command(arguments: argparse.Namespace) -> int:
    """``recorder verify``: judges and prints the verdict."""
    data = _read_trust(arguments.trust)
    question = Question(
        trust=TrustBundle.from_json(data),
        conduct=ConductJudge,
        identity=read_identity_file(arguments.identity) if arguments.identity else None,
        notes=tuple(_note(path) for path in arguments.note),
        timestamp_roots=_timestamp_roots(arguments.tsa_roots),
        accept_simulated=arguments.accept_simulated,
        jobs=arguments.jobs or os.cpu_count() or 1,
    )
    progress = Progress(
        "验证 verifying", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=arguments.json,
    )  # fmt: skip
    with progress:
        bar = progress.add_task("", total=None)
        try:
            progress.update(bar, total=total_bytes(arguments.path) or None)
        except OSError as error:
            raise UsageError(f"{arguments.path}: {error.strerror}") from error
        report = verify(arguments.path, question, lambda count: progress.advance(bar, count))
    about = _about(arguments, data, question.trust)
    if arguments.json:
        print_json(report.to_json(about))
    else:
        print_report(report, Console())
    if arguments.html:
        _write_page(arguments.html, render(report, about))
    return report.exit_code()


def print_report(report: Report, console: Console) -> None:
    """The verdict for a person: axes, rules, findings, what was looked at and what is not proved."""
    axes = Table(title="各项结论 Verdict by axis")
    axes.add_column("项目 Axis")
    axes.add_column("结论 Verdict")
    for axis, verdict in report.axes().items():
        chinese, english = AXIS_TEXT[Axis(axis)]
        axes.add_row(f"{chinese} {axis}: {english}", SIGNS[verdict])
    rules = Table(title="各条规则 Verdict by rule")
    rules.add_column("规则 Rule")
    rules.add_column("结论 Verdict")
    for rule, verdict in report.rules().items():
        rules.add_row(f"{rule} {RULES[rule][0]} {RULES[rule][1]}", SIGNS[verdict])
    console.print(axes, rules)
    for finding in report.findings:
        rule = f" {finding.meaning.rule}" if finding.meaning.rule else ""
        place = f"{finding.device} {finding.where}"
        console.print(
            f"[bold red]✗ {finding.code}[/]{rule} @ {escape(place)}: {escape(finding.what)}",
            highlight=False,
            soft_wrap=True,
        )
    for code, count in report.counts.items():
        if count > MAX_PLACES:
            console.print(
                f"  {code}: 共 {count} 处，仅列出前 {MAX_PLACES} 处 {count} in all, the first {MAX_PLACES} are listed"
            )
    for unknown in report.unknown:
        console.print(
            f"[yellow]? {unknown.about}[/] @ {escape(unknown.device)}: {unknown.chinese} {unknown.english}",
            highlight=False,
            soft_wrap=True,
        )
    for one in report.devices:
        console.print(
            f"设备 device {one.device}: {one.entries} 条目 entries, {one.recordings} 段记录 recordings, "
            f"{one.refusals} 次拒绝 refusals, 已核对 {one.objects_checked} 个对象 objects checked, "
            f"{one.objects_with_dock} 个已交采集站 with the dock; "
            + (f"{one.objects_deleted} 个到期已删除 deleted after retention; " if one.objects_deleted else "")
            + f"未见证 unwitnessed: {one.unwitnessed_entries} 条 entries, {one.unwitnessed_seconds} s"
            + _timestamps_text(one)
            + ("; [yellow]模拟硬件 simulated hardware[/]" if one.simulated else ""),
            highlight=False,
            soft_wrap=True,
        )


def _timestamps_text(facts: DeviceFacts) -> str:
    if not facts.timestamps:
        return ""
    if facts.timestamped_at is None:
        return f"; 时间戳 timestamps: {facts.timestamps}，未采信 none relied on (--tsa-roots)"
    at = datetime.fromtimestamp(facts.timestamped_at, UTC).isoformat()
    valid = f"{facts.timestamps_valid}/{facts.timestamps}"
    return f"; 时间戳 timestamps: {valid}，前 {facts.timestamped_entries} 条不晚于 entries no later than {at}"


def _entries(path: Path) -> list[Entry]:
    try:
        return list(unverified_entries(EvidenceFolder(path).ledger))
    except OSError as error:
        raise UsageError(f"{path} holds no readable ledger: {error.strerror}") from error


def export_command(arguments: argparse.Namespace) -> int:
    """``recorder export``: one recording, opened."""
    entries = _entries(arguments.path)
    recording = arguments.recording or _last_film(entries)
    identity = read_identity_file(arguments.identity)
    done = export_recording(EvidenceFolder(arguments.path), entries, recording, identity, arguments.out)
    for file in done.files:
        print(f"已导出 exported: {file}")
    for name in done.missing:
        print(f"缺失或被改动，未导出 missing or altered, left out: {name}")
    print(
        "导出件不是证据原件；请一并提交档案库与验证报告。 A copy is not the evidence: hand over the archive and its report too."
    )
    return 1 if done.missing else 0


def _last_film(entries: list[Entry]) -> str:
    films = [entry.body.recording for entry in entries if isinstance(entry.body, Open) and entry.body.kind != "photo"]
    if not films:
        raise UsageError("账本中没有记录； the ledger holds no recording")
    return films[-1]


def inspect_command(arguments: argparse.Namespace) -> int:
    """``recorder inspect``: entries as they stand, not judged."""
    for device in devices_of(arguments.path) if arguments.path.is_dir() else []:
        for entry in _entries(device):
            if arguments.type and entry.type != arguments.type:
                continue
            body = dump_shape(entry.body)
            if arguments.json:
                row = {
                    "device": entry.device,
                    "seq": entry.seq,
                    "type": entry.type,
                    "utc_us": entry.time.utc_us,
                    "body": body,
                }
                print(json.dumps(row, ensure_ascii=False))
            else:
                print(f"{entry.device} {entry.seq:>6} {entry.type:<10} {_short(entry, body)}")
    return 0


def _short(entry: Entry, body: dict[str, Any]) -> str:
    if isinstance(entry.body, Close):
        return f"{entry.body.recording} {entry.body.reason}, {entry.body.duration_us / 1e6:.1f} s, {entry.body.frames} frames"
    return ", ".join(f"{key}={str(value)[:40]}" for key, value in body.items())[:150]
