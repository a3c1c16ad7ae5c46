"""``python -m tests.fuzz [TARGET…]``: coverage-guided fuzzing of every parser, one process after the other.

Exits with 1 when an input crashed a target, raised what it must not, or took too long or too much memory. Such an input
is left as ``build/fuzz/TARGET/crash-…``; ``--replay FILE`` runs one through its target again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz import engine

with engine.instrumented():
    from tests.fuzz.targets import BY_NAME


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all when none is named: {', '.join(BY_NAME)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--inputs", type=int, default=0, help="for each target at most; 0: no limit")
    parser.add_argument("--seed", type=int, default=0, help="of the dice; 0: another one each time")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="folder of what is found (%(default)s)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="runs this one input through the one target named")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.targets) - set(BY_NAME))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    if arguments.replay and len(arguments.targets) != 1:
        parser.error("--replay needs the name of one target")
    return arguments


def main() -> int:
    """Runs what is named, or everything."""
    arguments = _arguments()
    if arguments.replay:
        BY_NAME[arguments.targets[0]](arguments.replay.read_bytes())
        return 0
    budget = engine.Budget(arguments.seconds, arguments.inputs, arguments.seed)
    failed = False
    for name in arguments.targets or BY_NAME:
        outcome = engine.run(BY_NAME[name], budget, arguments.out)
        failed |= outcome.failed
        print(f"{name}: {'FOUND' if outcome.failed else 'nothing found'}", flush=True)
        for path in outcome.reproducers:
            print(f"  {path}", flush=True)
        if outcome.failed:
            print(f"  exit code {outcome.exit_code}; log: {arguments.out / name / 'log'}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
