"""The custodian's commands, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from custody_rig import DOCK
from dock_rig import settings_of

from agent.cli import main
from agent.dock.copies import MARK
from agent.dock.quarantine import Quarantine
from agent.dock.settings import DockSettings


@pytest.fixture
def settings(agency: Path, tmp_path: Path) -> DockSettings:
    return settings_of(agency, tmp_path / "dock", copies=[tmp_path / "second"])


@pytest.fixture
def config(settings: DockSettings, tmp_path: Path) -> str:
    path = tmp_path / "dock.toml"
    path.write_text(
        f'[dock]\nid = "{DOCK}"\nfolder = "dock"\ncredentials = "{settings.credentials}"\ncopies = ["second"]\n'
    )
    return str(path)


def test_quarantine_is_listed_and_an_item_shown(
    settings: DockSettings, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In two languages; the item says where its bytes lie."""
    kept = Quarantine(settings, "er-1", lambda: 1_764_000_000_000_000).keep("line", "line-3.jws", b"rubbish", "why")
    assert main(["dock", "--config", config, "quarantine"]) == 0
    assert "账本行未通过验证" in capsys.readouterr().out.replace("\n", "")
    assert main(["dock", "quarantine", "list", "--config", config, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert main(["dock", "quarantine", "show", listed["item"], "--config", config]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert Path(shown["path"]).read_bytes() == kept.read_bytes() and shown["reason"]["detail"] == "why"
    assert main(["dock", "quarantine", "show", "er-1/none", "--config", config]) == 2
    assert main(["dock", "quarantine", "show", "--config", config]) == 2
    assert "ER-1001" in capsys.readouterr().err


def test_a_disk_is_prepared_once_and_a_copy_that_is_away_is_told_with_its_exit_code(
    settings: DockSettings, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And it warns of a copy on the disk of the archive itself."""
    second = settings.copies[0]
    assert main(["dock", "--config", config, "copies"]) == 5
    assert "ER-3006" in capsys.readouterr().out
    second.mkdir()
    assert main(["dock", "--config", config, "copies", "--prepare", str(second)]) == 0
    assert (second / MARK).exists() and "同一块磁盘" in capsys.readouterr().out
    assert main(["dock", "--config", config, "copies"]) == 0
    assert main(["dock", "--config", config, "copies", "--prepare", str(tmp_path)]) == 5
    assert "ER-3006" in capsys.readouterr().err


def test_without_a_configuration_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dock", "status"]) == 2
    assert "--config" in capsys.readouterr().err


def test_a_dock_that_does_not_run_is_said_to_be_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dock", "--config", config, "status"]) == 3
    assert "ER-1003" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["run", "status", "quarantine", "copies", "rebuild", "retention"])
def test_every_word_explains_itself_in_both_languages(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dock", word, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and any("一" <= letter <= "鿿" for letter in text) and "退出码 exit codes" in text
