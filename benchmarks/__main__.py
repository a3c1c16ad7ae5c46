"""``python -m benchmarks [name...]``: runs measurements, prints a table each, writes ``build/bench/NAME.json``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import (
    capture,
    cluster,
    fairness,
    kills,
    latency,
    line_latency,
    link_cuts,
    long_ledger,
    many_files,
    memory,
    offload,
    overhead,
    sealing_cost,
    segment_cuts,
    soak,
    verification,
)
from benchmarks.report import Table, save, show

ALL: Final[dict[str, Callable[..., Table]]] = {
    "sealing_cost": sealing_cost.run,
    "overhead": overhead.run,
    "latency": latency.run,
    "capture": capture.run,
    "memory": memory.run,
    "long_ledger": long_ledger.run,
    "verification": verification.run,
    "many_files": many_files.run,
    "segment_cuts": segment_cuts.run,
    "cluster": cluster.run,
    "offload": offload.run,
    "fairness": fairness.run,
    "line_latency": line_latency.run,
    "soak": soak.run,
    "kills": kills.run,
    "link_cuts": link_cuts.run,
}
LONG: Final = ("soak", "kills", "link_cuts")
"""Runs only when named."""
MORE: Final[dict[str, Callable[[argparse.Namespace], dict[str, int | float]]]] = {
    "soak": lambda arguments: {"minutes": arguments.minutes},
    "kills": lambda arguments: {"count": arguments.kills, "seed": arguments.seed},
    "link_cuts": lambda arguments: {"cuts": arguments.cuts, "seed": arguments.seed},
}


def main() -> int:
    """Runs what is named, or everything; 0 when all ran. A goal that is missed is printed and does not fail."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(ALL)}; all but {', '.join(LONG)} when none is named"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to soak (%(default)g)")
    parser.add_argument("--kills", type=int, default=100, help="how often to kill (%(default)d)")
    parser.add_argument("--cuts", type=int, default=10_000, help="how often to cut the link (%(default)d)")
    parser.add_argument("--seed", type=int, default=1, help="of the instants to kill or cut at (%(default)d)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, its numbers mean nothing")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of the results (%(default)s)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(ALL))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or [name for name in ALL if name not in LONG]:
        more = MORE.get(name, lambda _: {})(arguments)
        table = ALL[name](arguments.out, arguments.quick, **more)
        show(table)
        save(table, arguments.out, quick=arguments.quick)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
