"""Every parser over its seeds, and for a short while under the fuzzer; ``python -m tests.fuzz`` takes longer."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import seeds
from tests.fuzz.mutation import json_mutator
from tests.fuzz.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="lane atheris: atheris not installed"
)
SHORT = ("--seconds", "1", "--inputs", "3000", "--seed", "1")
PLANTED = """
import sys
from pathlib import Path
from tests.fuzz.engine import Budget, run
from tests.fuzz.targets import Target

def fails(data):
    if data.startswith(b"wrong"):
        raise KeyError("planted")

outcome = run(Target("planted", fails, (), lambda: [b"wrong, and more"]), Budget(20, seed=1), Path(sys.argv[1]))
print(outcome.failed, outcome.exit_code != 0, [path.read_bytes()[:5] for path in outcome.reproducers])
"""


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    # Coverage is measured by the fuzzer there; two tools in one process would be in each other's way.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=110, env=env, cwd=ROOT)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_seed_raises_nothing_but_what_is_allowed(target: Target) -> None:
    """Every target has seeds, and takes each of them, cut in half, and with a byte turned."""
    given = target.seeds()
    assert given, "a target without seeds begins from nothing"
    for seed in given[:20]:
        target(seed)
        target(seed[: len(seed) // 2])
        target(seed[:-1] + bytes([seed[-1] ^ 0x20]) if seed else b"\0")


@pytest.mark.parametrize("path", sorted((HERE / "found").iterdir()), ids=lambda path: path.name)
def test_what_was_once_found_is_found_no_more(path: Path) -> None:
    """Inputs that crashed a target, kept by its name."""
    name = path.name.partition(".")[0]
    next(target for target in TARGETS if target.name == name)(path.read_bytes())


def test_mutated_json_is_json_and_another() -> None:
    """The mutator changes values, not spelling; other bytes it hands on."""
    mutate = json_mutator(lambda data, size: b"handed on")
    seed = seeds.payloads()[0]
    changed = {mutate(seed, 4096, number) for number in range(200)}
    assert len(changed) > 50 and b"handed on" in changed
    assert all(json.loads(one) is not None for one in changed - {b"handed on"})
    assert mutate(b"{", 4096, 1) == b"handed on"
    grown = seed
    for number in range(300):
        grown = mutate(grown, 1 << 20, number) if len(grown) < 50_000 and grown != b"handed on" else seed


@needs_atheris
@pytest.mark.slow
def test_a_crash_is_left_as_a_reproducer_and_fails_the_run(tmp_path: Path) -> None:
    """A target with a fault put in: found, written down, and the process does not end well."""
    done = _run("-c", PLANTED, tmp_path)
    assert done.stdout.strip() == "True True [b'wrong']", done.stdout + done.stderr


@needs_atheris
@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_a_short_run_of_every_target_finds_nothing(tmp_path: Path, half: int) -> None:
    """A second each, always the same dice."""
    done = _run("-m", "tests.fuzz", *SHORT, "--out", tmp_path, *(target.name for target in TARGETS[half::2]))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("nothing found") == len(TARGETS[half::2])
