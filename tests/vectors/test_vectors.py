"""The vectors: made anew byte for byte, every code in one of them, and both verifiers over all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.vectors import generate, runner
from tests.vectors.expectation import table

HERE = Path(__file__).parent
SECOND_VERIFIER = HERE.parent / "second-verifier" / "verify.mjs"


def test_vectors_are_what_the_generator_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """Keys, nonces and times come from labels alone."""
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_every_code_occurs() -> None:
    """Each finding of the specification's table is expected by some vector, but for what is not of the evidence."""
    expected = [runner.load(name)["expected"] for name in runner.names()]
    found = {finding["code"] for one in expected for finding in one.get("findings", [])}
    assert found == set(table()) - {"DELETION_INVALID"}, "a dock's record beside the archive: tests/dock"


@pytest.mark.parametrize("name", runner.names())
def test_product_finds_what_is_expected(name: str, tmp_path: Path) -> None:
    """Axes, rules and every finding with its place."""
    vector = runner.load(name)
    assert runner.run(vector, tmp_path) == vector["expected"], vector["about"]


def test_second_verifier_finds_what_is_expected() -> None:
    """Written from the specification alone; it is not asked about what must be made on demand."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("lane node: node not installed")
    asked = [name for name in runner.names() if "repeat" not in runner.load(name)]
    command = [node, SECOND_VERIFIER, "--vectors", HERE, *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["name"] for one in results] == asked, done.stderr
    differing = {one["name"]: one for one in results if not one["ok"]}
    assert not differing
