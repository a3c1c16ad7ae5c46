"""Runs one target under atheris, in a process of its own; what fails there is left behind as a reproducer.

``tests.fuzz.targets`` must be imported inside ``instrumented``: coverage is seen only in what was imported there.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import atheris
import structlog

from tests.fuzz.mutation import json_mutator
from tests.fuzz.scratch import scratch

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

INPUT_SECONDS: Final = 20
"""A single input that takes longer is a fault. Generous: other work may be on the machine."""
INPUT_MIB: Final = 1024
"""So is one with which the process grows over this, interpreter and libraries included."""
GRACE_SECONDS: Final = 3 * INPUT_SECONDS
FAULTS: Final = ("crash-", "timeout-", "oom-", "leak-")


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one target is run: until the time or the number of inputs is over. 0: no such limit."""

    seconds: int
    inputs: int = 0
    seed: int = 0
    """0: another one each time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one target: what it left behind, and whether its process ended as it should."""

    name: str
    reproducers: tuple[Path, ...]
    exit_code: int

    @property
    def failed(self) -> bool:
        """Whether something was found, or the process died of it."""
        return bool(self.reproducers) or self.exit_code != 0


def instrumented() -> AbstractContextManager[None]:
    """What is imported meanwhile reports which of its branches an input took."""
    return atheris.instrument_imports(include=["agent", "provisioning"])


def run(target: Target, budget: Budget, out: Path) -> Outcome:
    """Runs it in a child process; blocks until that has ended, at the latest ``GRACE_SECONDS`` after its time."""
    place = out / target.name
    corpus, seeds = place / "corpus", place / "seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(seeds, ignore_errors=True)
    seeds.mkdir()
    for number, seed in enumerate(target.seeds()):
        (seeds / f"{number:03d}").write_bytes(seed)
    scratch()  # before there is a child: this process removes it
    child = multiprocessing.get_context("fork").Process(target=_fuzz, args=(target, budget, place))
    child.start()
    child.join(budget.seconds + GRACE_SECONDS)
    if child.is_alive():
        child.kill()
        child.join(INPUT_SECONDS)
    assert child.exitcode is not None
    found = sorted(path for path in place.iterdir() if path.name.startswith(FAULTS))
    return Outcome(target.name, tuple(found), child.exitcode)


def _fuzz(target: Target, budget: Budget, place: Path) -> None:
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    tempfile.tempdir = str(scratch())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    words = [
        *("fuzz", f"-max_total_time={budget.seconds}", f"-max_len={target.max_bytes}", f"-artifact_prefix={place}/"),
        *(f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={INPUT_MIB}", "-print_final_stats=1"),
        *([f"-runs={budget.inputs}"] if budget.inputs else []),
        *([f"-seed={budget.seed}"] if budget.seed else []),
        *(str(place / "corpus"), str(place / "seeds")),
    ]
    # Asked for when it is called: atheris puts another function there once it runs.
    mutator = {"custom_mutator": json_mutator(lambda data, size: atheris.Mutate(data, size))} if target.json else {}
    atheris.Setup(words, _keeping(target, place), **mutator)
    atheris.Fuzz()  # ends the process


def _keeping(target: Callable[[bytes], None], place: Path) -> Callable[[bytes], None]:
    """The target; an input with which it raises is written down: libFuzzer does that only for time and memory."""

    def run_one(data: bytes) -> None:
        returned = False
        try:
            target(data)
            returned = True
        finally:
            if not returned:
                (place / f"crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)

    return run_one
