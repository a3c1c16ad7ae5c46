"""The second verifier, written from the specification alone in another language, agrees with the product's."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from bundle import DEVICE, good

from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge

SECOND = Path(__file__).parent.parent / "second-verifier"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="lane node: node not installed")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(NODE), *map(str, words)], capture_output=True, text=True, timeout=100)


@needs_node
def test_its_own_self_test_passes() -> None:
    """Published vectors of its parts, a small ledger, and attacks on it."""
    done = run(SECOND / "selftest.mjs")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_node
@pytest.mark.parametrize("attack", ["none", "a flipped bit", "a missing object", "a cut end"])
def test_both_say_the_same_of_evidence_that_the_product_made(tmp_path: Path, attack: str) -> None:
    """Axes, rules and findings are equal to the letter, for good evidence and for attacked."""
    bundle = good(tmp_path / DEVICE)
    victim = bundle.folder.object_path(bundle.sealed[1])
    if attack == "a flipped bit":
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    elif attack == "a missing object":
        victim.unlink()
    elif attack == "a cut end":
        bundle.folder.ledger.write_bytes(b"".join(line + b"\n" for line in bundle.lines[:12]))
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(asdict(bundle.agency.trust())))
    report = verify(bundle.path, Question(bundle.agency.trust(), ConductJudge))
    said = json.loads(run(SECOND / "verify.mjs", bundle.path, "--trust", trust).stdout)
    assert said["axes"] == report.axes() and said["rules"] == report.rules()
    assert sorted((one["code"], one["device"], one["where"]) for one in said["findings"]) == sorted(
        (one.code, one.device, one.where) for one in report.findings
    )
