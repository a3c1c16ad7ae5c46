"""Looks for evidence about which the two verifiers disagree: ``python -m tests.vectors.differ [--seed S] [--count N]``.

A case is a vector and a few mutations, each with the number that its dice begin with: ``good-small body#17 note#4``.
It is the same at every run, and ``--case`` looks at one again. Where they disagree, one of the verifiers departs from
the specification, or the specification leaves the place open.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from tests.vectors import mutations_around, mutations_lines, mutations_objects, runner
from tests.vectors.mutant import Mutant
from tests.vectors.mutations import MUTATIONS
from tests.vectors.pieces import Content, Folder, Link

SECOND_VERIFIER = Path(__file__).parents[1] / "second-verifier" / "verify.mjs"
ROOMS = (mutations_lines, mutations_objects, mutations_around)
"""Imported so that their mutations are registered."""
LARGEST_VECTOR = 40_000
"""Bytes; the few larger vectors are about sizes and would take most of the time."""


@dataclass(frozen=True, slots=True)
class Case:
    """A vector, and mutations by name and number, in order."""

    vector: str
    steps: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> Case:
        vector, *steps = text.split()
        return cls(vector, tuple((step.split("#")[0], int(step.split("#")[1])) for step in steps))

    @classmethod
    def thrown(cls, seed: str, vectors: list[str]) -> Case:
        rng = Random(seed)
        count = rng.choice((1, 1, 1, 2, 3))
        names = sorted(MUTATIONS)
        return cls(rng.choice(vectors), tuple((rng.choice(names), rng.randrange(10_000)) for _ in range(count)))

    def __str__(self) -> str:
        return " ".join([self.vector, *(f"{name}#{number}" for name, number in self.steps)])

    def mutant(self) -> Mutant:
        mutant = Mutant.of(self.vector)
        for name, number in self.steps:
            MUTATIONS[name](mutant, Random(f"{name}#{number}"))
        return mutant

    def shorter(self) -> Iterator[Case]:
        """The case without one of its mutations."""
        for place in range(len(self.steps)):
            yield Case(self.vector, self.steps[:place] + self.steps[place + 1 :])


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What only one of the two says of a case."""

    case: Case
    product: tuple[str, ...]
    second: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            [
                str(self.case),
                *(f"  product: {one}" for one in self.product),
                *(f"  second:  {one}" for one in self.second),
            ]
        )

    @property
    def sort(self) -> str:
        """Cases that disagree alike: codes, without places."""
        return f"{[one.split()[0] for one in self.product]} {[one.split()[0] for one in self.second]}"


class Both:
    """Asks both verifiers; the second is one process for all questions."""

    def __enter__(self) -> Self:
        node = shutil.which("node")
        if node is None:
            raise FileNotFoundError("node is not installed: the second verifier needs it")
        command = [node, str(SECOND_VERIFIER), "--listen"]
        self._node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._beside = ThreadPoolExecutor(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._node.kill()
        self._node.communicate()
        self._beside.shutdown()

    def judge(self, case: Case) -> Disagreement | None:
        """None when they agree."""
        mutant = case.mutant()
        with tempfile.TemporaryDirectory(prefix="er-differ-") as place:
            folder = Path(place)
            lay_out(mutant.files, folder)
            self._ask_second(mutant, folder)
            product = self._beside.submit(
                runner.ask, folder, mutant.path, mutant.identity, tuple(mutant.notes), mutant.accept_simulated
            )
            second = self._hear_second()
            crash = product.exception()
            one = {f"CRASH {type(crash).__name__}: {crash}"} if crash else sayings(product.result())
        other = sayings(second)
        return None if one == other else Disagreement(case, tuple(sorted(one - other)), tuple(sorted(other - one)))

    def _ask_second(self, mutant: Mutant, folder: Path) -> None:
        question = {
            "path": str(folder / mutant.path),
            "trust": str(folder / "trust.json"),
            "identity": mutant.identity,
            "notes": [base64.b64encode(note).decode() for note in mutant.notes],
            "acceptSimulated": mutant.accept_simulated,
        }
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps(question).encode() + b"\n")
        self._node.stdin.flush()

    def _hear_second(self) -> dict[str, Any]:
        assert self._node.stdout is not None
        answer: dict[str, Any] = json.loads(self._node.stdout.readline() or b'{"error": true, "why": "it ended"}')
        return answer

    def smallest(self, found: Disagreement) -> Disagreement:
        """The same disagreement with as few mutations as will do."""
        for case in found.case.shorter():
            less = self.judge(case) if case.steps else None
            if less is not None:
                return self.smallest(less)
        return found


def lay_out(files: dict[str, Content], folder: Path) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            target.symlink_to(content.target)
        elif isinstance(content, Folder):
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(content)


def sayings(answer: dict[str, Any]) -> set[str]:
    """An answer as lines: each finding, and what could not be judged; other verdicts follow from these."""
    if answer.get("error"):
        failed = str(answer.get("why", "")).startswith("the verifier failed")
        return {f"CRASH {answer['why'][:300]}" if failed else "ERROR"}
    found = [f"{one['code']} {one['where']} ({one['device']})" for one in answer["findings"]]
    verdicts = answer["axes"] | answer["rules"]
    return {*found, *(f"{name} unknown" for name, verdict in verdicts.items() if verdict == "unknown")}


def vectors() -> list[str]:
    return [
        name
        for name in runner.names()
        if (runner.HERE / f"{name}.json").stat().st_size < LARGEST_VECTOR and "repeat" not in runner.load(name)
    ]


def search(seed: int, count: int, seconds: float) -> Iterator[Disagreement | Case]:
    """Each case that was looked at, or what was found about it, until there were so many or the time is over."""
    names, end = vectors(), time.monotonic() + seconds
    with Both() as both:
        for number in range(count):
            if time.monotonic() > end:
                return
            case = Case.thrown(f"{seed}/{number}", names)
            found = both.judge(case)
            yield both.smallest(found) if found else case


def main(arguments: list[str] | None = None) -> int:
    """1 when they disagree about anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=3_600)
    parser.add_argument("--case", help="look at this one only")
    asked = parser.parse_args(arguments)
    if asked.case:
        with Both() as both:
            found = both.judge(Case.parse(asked.case))
        print(found or "they agree")
        return 1 if found else 0
    looked, sorts = 0, set()
    for one in search(asked.seed, asked.count, asked.seconds):
        looked += 1
        if isinstance(one, Disagreement) and one.sort not in sorts:
            sorts.add(one.sort)
            print(f"{one}\n", flush=True)
    print(f"{looked} cases, {len(sorts)} sorts of disagreement")
    return 1 if sorts else 0


if __name__ == "__main__":
    sys.exit(main())
