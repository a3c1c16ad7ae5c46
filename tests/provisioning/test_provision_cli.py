"""The command ``provision``: what it prints, what it ends with, and that every help text is there."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provisioning_sample import tone

from agent.evidence.documents import TrustBundle, read_policy, read_profile
from agent.recorder.credentials import load_credentials
from provisioning.cli import main
from provisioning.parser import build_parser


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an agency made by the command itself, which the environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVISION_AGENCY", str(tmp_path / "agency"))
    (tmp_path / "notice.wav").write_bytes(tone())
    run("agency", "init", "agency", "--id", "sample", "--name", "样例单位", "--notice", "notice.wav")
    return tmp_path


def run(*args: str) -> None:
    assert main(args) == 0


def data(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    capsys.readouterr()
    run(*args, "--json")
    return json.loads(capsys.readouterr().out)


def build(place: Path) -> None:
    run("officer", "add", "officer-1", "--name", "样例人员", "--section", "section-1")
    run("dock", "add", "dock-1", "--name", "dock.example", "--out", "dock-1")
    run("device", "enrol", "er-1", "--serial", "SN-1", "--section", "section-1", "--out", "er-1")


def test_from_nothing_to_a_device_that_the_recorder_accepts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(place)
    run("assign", "er-1", "officer-1")
    run("refresh", "er-1", "dock-1")
    loaded = load_credentials(place / "er-1")
    assert loaded.documents.profile.officer == "officer-1"
    assert [dock.id for dock in loaded.trust.docks] == ["dock-1"]
    assert json.loads((place / "dock-1" / "register.json").read_text())["devices"] == ["er-1"]
    rows = data(capsys, "list", "devices")
    assert [(row["id"], row["officer"], row["profile_version"]) for row in rows] == [("er-1", "officer-1", 2)]


def test_exported_files_verify_against_the_exported_trust(place: Path) -> None:
    build(place)
    papers = ["--marking", "Ex ib IIC T4 Gb", "--certificate", "CNEx00.0000", "--issuer", "样例机构"]
    run("ex-approval", "add", "er-1", *papers, "--expires", "2099-12-31", "--out", "profile.jws")
    run("policy", "sign", "--must-be-heard", "--segment-seconds", "10", "--out", "policy.jws")
    run("trust", "export", "--out", "trust.json")
    trust = TrustBundle.from_json((place / "trust.json").read_bytes())
    approval = read_profile((place / "profile.jws").read_bytes(), trust).ex_approval
    assert approval is not None
    assert approval.expires_us == 4_102_416_000_000_000  # the midnight that ends 2099-12-31 in Beijing
    assert read_policy((place / "policy.jws").read_bytes(), trust).segment_us == 10_000_000


def test_a_refusal_is_one_line_with_code_message_and_advice_and_the_errors_exit_code(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(place)
    run("assign", "er-1", "officer-1")
    run("officer", "add", "officer-2", "--name", "样例人员二", "--section", "section-1")
    capsys.readouterr()
    assert main(["assign", "er-1", "officer-2"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("ER-6001 R16: device er-1 is held by officer officer-1")
    assert "归还" in err


@pytest.mark.parametrize(
    ("args", "exit_code", "code"),
    [
        (["nonsense"], 2, "ER-1001"),
        ([], 2, "ER-1001"),
        (["assign", "er-1"], 2, "ER-1001"),
        (["assign", "er-404", "officer-1"], 4, "ER-6002"),
        (["revoke", "beef"], 4, "ER-6002"),
        (["policy", "sign", "--receipts-needed", "0"], 2, "ER-1001"),
        (["policy", "sign", "--notice", "missing.wav"], 5, "ER-3001"),
        (["officer", "add", "Bad Id", "--name", "x", "--section", "s"], 2, "ER-1001"),
        (["ex-approval", "add", "er-1", "--marking", "x", "--certificate", "c", "--issuer", "i", "--expires", "soon"],
         2, "ER-1001"),
        (["list", "--agency", "elsewhere"], 2, "ER-2003"),
        (["agency", "init", "agency", "--id", "sample", "--name", "x"], 5, "ER-3001"),
    ],
)  # fmt: skip
def test_each_error_ends_with_its_own_exit_code(
    place: Path, capsys: pytest.CaptureFixture[str], args: list[str], exit_code: int, code: str
) -> None:
    assert main(args) == exit_code
    assert capsys.readouterr().err.startswith(code + " ")


def test_without_an_agency_the_command_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PROVISION_AGENCY", raising=False)
    assert main(["list"]) == 2
    assert "PROVISION_AGENCY" in capsys.readouterr().err


def test_history_tells_who_did_what_and_can_be_narrowed_to_one_id(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(place)
    run("assign", "er-1", "officer-1", "--by", "clerk-1")
    run("return", "er-1")
    actions = [(row["action"], row["by"]) for row in data(capsys, "history", "officer-1")]
    assert [action for action, _ in actions] == ["officer-added", "assigned", "returned"]
    assert actions[1] == ("assigned", "clerk-1")
    run("history")
    assert "agency-founded" in capsys.readouterr().out


def test_losing_a_device_revokes_its_certificates_and_a_second_time_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(place)
    revoked = data(capsys, "device", "lost", "er-1", "--note", "样例")["revoked"]
    assert len(revoked) == 2
    assert main(["device", "lost", "er-1"]) == 4
    assert main(["revoke", revoked[0].upper()]) == 4
    rows = data(capsys, "list", "certificates")
    assert {row["reason"] for row in rows if row["subject"] == "er-1"} == {"key_compromise"}


@pytest.mark.parametrize("kind", ["devices", "officers", "docks", "certificates", "holdings"])
def test_every_table_shows_what_the_json_holds(place: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    build(place)
    run("assign", "er-1", "officer-1")
    rows = data(capsys, "list", kind)
    run("list", kind)
    shown = capsys.readouterr().out
    assert rows
    for row in rows:
        assert str(row.get("id", row.get("serial", row.get("device")))) in shown


def test_text_from_the_register_is_shown_as_it_is_and_not_taken_for_markup(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("officer", "add", "officer-1", "--name", "[red]样例[/red]", "--section", "s")
    run("list", "officers")
    assert "[red]样例[/red]" in capsys.readouterr().out


def commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from commands(inner, (*path, name))


@pytest.mark.parametrize("path", list(commands(build_parser())), ids=" ".join)
def test_every_command_has_a_help_text_chinese_first(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert any("\u4e00" <= character <= "\u9fff" for character in text)
    if len(path) > 1 or path in {("assign",), ("revoke",)}:
        assert "示例 Example:" in text


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ER-1001")
