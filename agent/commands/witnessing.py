"""The commands about witnesses: run one, look at what it holds, ask another for its cosignature."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.commands.printing import print_json
from agent.config import WitnessConfig, load
from agent.errors import FormatError, RecorderError, TrustError, UsageError, WitnessError
from agent.evidence.checkpoint import MAX_NOTE_BYTES, cosigned_at, newest_note, open_note, verifier_key
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url
from agent.evidence.folder import EvidenceFolder, devices_of, read_regular
from agent.system import durable, logs
from agent.witness.alarms import ALARM_TEXT, Alarm
from agent.witness.client import Target, ask, offer_of

_COSIGNED_MODE = 0o640


def witness_command(arguments: argparse.Namespace) -> int:
    """``recorder witness``: ``run``, ``status``, ``key``, ``ask``."""
    match arguments.what:
        case "run":
            return _run(arguments)
        case "status":
            return _status(arguments)
        case "key":
            return _key(arguments)
        case _:
            return _ask(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from agent.witness.service import main

    config = load(arguments.config, WitnessConfig)
    logs.configure(config.log.level)
    return main(config.witness)


def _key(arguments: argparse.Namespace) -> int:
    from agent.witness.service import load_key

    settings = load(arguments.config, WitnessConfig).witness
    public = bytes(load_key(settings).verify_key)
    if arguments.json:
        print_json({"id": settings.id, "key": b64url(public), "vkey": verifier_key(settings.id, public)})
    else:
        print(f"编号 id    {settings.id}\n公钥 key   {b64url(public)}\nvkey      {verifier_key(settings.id, public)}")
        # With the equals sign: one key in 64 begins with a hyphen, and would be taken for an option.
        print(f"  provision witness add {settings.id} --key={b64url(public)}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from agent.witness.service import Watched, status

    settings = load(arguments.config, WitnessConfig).witness
    ledgers: list[Watched] = status(settings)
    if arguments.json:
        print_json({"id": settings.id, "ledgers": [_row(one) for one in ledgers]})
        return 0
    console, table = Console(), Table(title=f"见证方 Witness {settings.id}")
    for heading in ("账本 Ledger", "行数 Lines", "见证时间 Cosigned (UTC)", "警报 Alarms"):
        table.add_column(heading, overflow="fold")
    for one in ledgers:
        alarms = Text(str(len(one.alarms)), "bold red" if one.alarms else "")
        table.add_row(one.remembered.origin, str(one.remembered.size), _moment(one.cosigned_at), alarms)
    console.print(table)
    for alarm in (alarm for one in ledgers for alarm in one.alarms):
        console.print(_alarm_text(alarm), soft_wrap=True)
    return 0


def _row(one: Any) -> dict[str, Any]:
    seen = one.remembered
    alarms = [
        {"kind": alarm.kind, "at": alarm.at, "cosigned": alarm.cosigned, "offered": alarm.offered}
        for alarm in one.alarms
    ]
    signer = seen.signer.seq if seen.signer else None
    return {
        "origin": seen.origin,
        "size": seen.size,
        "root": seen.root,
        "cosigned_at": one.cosigned_at,
        "key_line": signer,
        "note": seen.note,
        "alarms": alarms,
    }


def _alarm_text(alarm: Alarm) -> Text:
    sizes = [open_note(note.encode()).checkpoint.size for note in (alarm.cosigned, alarm.offered)]
    style = "yellow" if alarm.kind == "rollback" else "bold red"
    return Text.assemble(
        (f"✗ {ALARM_TEXT[alarm.kind]}", style),
        f"  {alarm.origin}  已见证 cosigned {sizes[0]}, 提交 offered {sizes[1]}  {_moment(alarm.at)}",
    )


def _moment(seconds: int | None) -> str:
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _ask(arguments: argparse.Namespace) -> int:
    target = _target(arguments)
    try:
        folders = [EvidenceFolder(path) for path in devices_of(arguments.path)]
    except OSError as error:
        raise UsageError(f"{arguments.path}: {error.strerror}") from error
    if not folders:
        raise UsageError(f"{arguments.path} holds no ledger")
    done, failed = [], []
    for folder in folders:
        try:
            done.append(_ask_one(folder, target))
        except RecorderError as error:
            failed.append(error)
    if arguments.json:
        print_json(done)
    else:
        for one in done:
            print(f"{one['path']}: {one['size']} 行已见证 lines cosigned, {_moment(one['cosigned_at'])} UTC")
    for other in failed[1:]:
        print(f"{other.code}: {other}", file=sys.stderr)
    if failed:
        raise failed[0]
    return 0


def _target(arguments: argparse.Namespace) -> Target:
    try:
        trust = TrustBundle.from_json(arguments.trust.read_bytes())
    except OSError as error:
        raise TrustError(f"{arguments.trust}: {error.strerror}") from error
    keys = dict(trust.witness_keys())
    if arguments.name not in keys:
        raise TrustError(
            f"{arguments.trust} names no witness {arguments.name!r}; it names: {', '.join(keys) or 'none'}"
        )
    return Target(arguments.name, keys[arguments.name], arguments.url)


def _ask_one(folder: EvidenceFolder, target: Target) -> dict[str, Any]:
    offer = offer_of(folder)
    note = ask(target, offer)
    kept = _kept(folder.cosigned)
    newest = newest_note(kept, note)
    opened = open_note(newest)
    if opened.checkpoint != open_note(note).checkpoint:
        raise WitnessError(f"{folder.cosigned} is over other or more lines than {folder.checkpoint}; it was left alone")
    if newest != kept:
        durable.write_atomic(folder.cosigned, newest, _COSIGNED_MODE)
    at = cosigned_at(opened, target.name, target.key)
    return {
        "path": str(folder.path),
        "origin": opened.checkpoint.origin,
        "size": opened.checkpoint.size,
        "cosigned_at": at,
    }


def _kept(path: Path) -> bytes | None:
    if not path.exists():
        return None
    found = read_regular(path, MAX_NOTE_BYTES)
    if found is None:
        raise FormatError(f"{path} is no note")
    return found
