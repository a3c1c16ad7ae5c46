"""Makes every vector anew, byte for byte: ``python -m tests.vectors.generate [--check]``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from tests.vectors.builder import SCENARIOS, Bundle, build, vector_of

HERE = Path(__file__).parent
BASES = ("good-small", "good-brief", "good", "good-archive", "good-extract")
"""Vectors that others may say only their difference from."""


def load_scenarios() -> None:
    for path in sorted(HERE.glob("scenarios_*.py")):
        importlib.import_module(f"tests.vectors.{path.stem}")


def encode(vector: dict[str, object]) -> bytes:
    return json.dumps(vector, ensure_ascii=False, indent=1).encode() + b"\n"


def vectors() -> dict[str, bytes]:
    """File name and content of every vector."""
    load_scenarios()
    bundles: dict[str, Bundle] = {name: build(name) for name in SCENARIOS}
    bases = {name: bundles[name].all_files() for name in BASES}
    found = {}
    for name, bundle in bundles.items():
        choices = [encode(vector_of(bundle, None, {}))]
        if name not in BASES:
            choices += [encode(vector_of(bundle, base, files)) for base, files in bases.items()]
        found[f"{name}.json"] = min(choices, key=len)
    return found


def main(arguments: list[str] | None = None) -> int:
    """1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    check = parser.parse_args(arguments).check
    made = vectors()
    there = {path.name for path in HERE.glob("*.json")}
    surplus = sorted(there - set(made))
    changed = [name for name, data in made.items() if name not in there or (HERE / name).read_bytes() != data]
    if not check:
        for name in changed:
            (HERE / name).write_bytes(made[name])
        for name in surplus:
            (HERE / name).unlink()
    for name in [*changed, *surplus]:
        print(f"{'differs' if check else 'written or removed'}: {name}")
    print(f"{len(made)} vectors, {sum(map(len, made.values()))} bytes")
    return 1 if check and (changed or surplus) else 0


if __name__ == "__main__":
    sys.exit(main())
