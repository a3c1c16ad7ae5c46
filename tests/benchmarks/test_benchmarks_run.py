"""The benchmarks run, with tiny sizes; nothing is said here about any time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import ALL
from benchmarks.report import Row, save, show


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_the_benchmark_runs_and_leaves_its_numbers_as_json(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ALL[name](tmp_path, True)
    show(table)
    save(table, tmp_path, quick=True)
    shown, kept = capsys.readouterr().out, json.loads((tmp_path / f"{name}.json").read_text())
    for row in table.rows:
        assert row.what in shown
    assert [row["what"] for row in kept["rows"]] == [row.what for row in table.rows]
    assert kept["quick"]
    assert not [left for left in tmp_path.iterdir() if left.is_dir()], "nothing else is left behind"


def test_a_missed_goal_is_shown_as_missed() -> None:
    assert "MISSED" in Row("ratio", 1.2, "x", 1.15).verdict
    assert "met" in Row("ratio", 1.15, "x", 1.15).verdict
    assert Row("ratio", 1.2, "x").verdict == ""
