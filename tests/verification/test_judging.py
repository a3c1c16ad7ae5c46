"""The expert's commands used wrongly: a clear error, the right advice, and no verdict lost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from bundle import DEVICE, Bundle, good

from agent.cli import main


@pytest.fixture
def evidence(tmp_path: Path) -> tuple[Bundle, Path]:
    bundle = good(tmp_path / "archive" / DEVICE)
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(asdict(bundle.agency.trust())))
    return bundle, trust


def test_a_page_that_cannot_be_written_loses_no_verdict(
    evidence: tuple[Bundle, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict is printed all the same; the error names the file."""
    bundle, trust = evidence
    page = trust.parent / "nowhere" / "page.html"
    assert main(["verify", str(bundle.path), "--trust", str(trust), "--json", "--html", str(page)]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["axes"]["integrity"] == "ok"
    assert "ER-1001" in said.err and str(page) in said.err


def test_the_report_says_when_and_with_what_it_was_judged(
    evidence: tuple[Bundle, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Time, software, trust file and the date of its revocation list."""
    bundle, trust = evidence
    assert main(["verify", str(bundle.path), "--trust", str(trust), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)["about"]
    assert {"judged_at", "crl_as_of", "software", "trust_sha256"} <= set(about)


def test_handing_over_what_is_not_there_says_what_to_do(
    evidence: tuple[Bundle, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped number, a whole archive, a folder in the way: each its own advice, and nothing is written."""
    bundle, trust = evidence
    out = trust.parent / "out"
    words = ["--recording", "f" * 16, "--out", str(out)]
    for path, expected in ((bundle.path, "ER-2009"), (bundle.path.parent, "ER-1001")):
        assert main(["extract", str(path), *words]) == 2
        assert expected in capsys.readouterr().err and not out.exists()
    assert main(["extract", str(bundle.path), "--recording", "1" * 16, "--out", str(trust.parent)]) == 2
    assert main(["extract", str(bundle.path), "--recording", "1" * 16, "--out", str(out)]) == 0
    assert main(["verify", str(out), "--trust", str(trust)]) == 0
