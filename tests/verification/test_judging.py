"""The expert's commands used wrongly: a clear error, the right advice, and no verdict lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from bundle import DEVICE, Bundle, good

from agent.cli import main
from agent.commands import judging
from agent.evidence.index import INDEX, build_index


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



def handed_over(bundle: Bundle, out: Path) -> dict[str, bytes]:
    assert main(["extract", str(bundle.path), "--recording", "1" * 16, "--out", str(out)]) == 0
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    shutil.rmtree(out)
    return found


@pytest.mark.parametrize("part", ["", "offsets", "tree", "recordings", "keys"])
def test_an_index_beside_the_ledger_is_used_but_not_believed(
    evidence: tuple[Bundle, Path], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """What is handed over is the same with a good index (nothing is read anew then), a false one and none at all."""
    bundle, trust = evidence
    kept, out = bundle.path / INDEX, trust.parent / "out"
    without = handed_over(bundle, out)
    build_index(kept, bundle.folder.ledger)
    built: list[Path] = []
    monkeypatch.setattr(judging, "build_index", lambda *places: (built.append(places[0]), build_index(*places)))
    if part:
        (kept / part).write_bytes(bytes(255 - byte for byte in (kept / part).read_bytes()))
    assert handed_over(bundle, out) == without
    # Key lines are for witnesses: who hands a recording over does not read them.
    assert bool(built) == (part not in ("", "keys"))


def test_an_index_that_is_behind_its_ledger_is_not_used(evidence: tuple[Bundle, Path]) -> None:
    """It would take a recording for one that has not ended, or for one that is not there."""
    bundle, trust = evidence
    ledger, kept = bundle.folder.ledger, bundle.path / INDEX
    whole, without = ledger.read_bytes(), handed_over(bundle, trust.parent / "out")
    lines = whole.splitlines(keepends=True)
    for count in range(0, len(lines), 3):
        ledger.write_bytes(b"".join(lines[:count]))
        build_index(kept, ledger)
        ledger.write_bytes(whole)
        assert handed_over(bundle, trust.parent / "out") == without
