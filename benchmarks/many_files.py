"""What ``recorder verify`` does with very many files: foreign ones among the objects and in the archive, and real ones.

Foreign files are hard links to one file of a byte; real ones are sealed objects of 1 KiB, each with its ledger line.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from agent.recorder.credentials import load_credentials
from benchmarks.report import Row, Table
from benchmarks.rig import enrol
from benchmarks.verification import GOAL_MEMORY_MIB, Evidence, Run, verify_process

COUNT: Final = 200_000
_LINKS: Final = 30_000
"""To one file; file systems allow no more than 32,000 or 65,000."""
_OBJECT_BYTES: Final = 1024


def scatter(folder: Path, count: int) -> None:
    """Puts so many foreign files into a folder."""
    for number in range(count):
        path = folder / f"foreign-{number:06d}"
        if number % _LINKS == 0:
            first = path
            first.write_bytes(b"x")
        else:
            path.hardlink_to(first)


def run(out: Path, quick: bool) -> Table:
    """Foreign files beside the objects, then beside the devices, then a device of many objects."""
    count = 200 if quick else COUNT
    place = Path(tempfile.mkdtemp(prefix="many-files-", dir=out))
    try:
        unit = enrol(place)
        trust, credentials = unit / "trust.json", load_credentials(unit)
        archive = place / "archive"
        device = Evidence(archive / "er-1", credentials, unit)
        device.seal(_OBJECT_BYTES, 0)
        device.close()
        scatter(device.folder.objects, count)
        among_objects = verify_process(archive, trust, 1)
        scatter(archive, count)
        everywhere = verify_process(archive, trust, 1)
        shutil.rmtree(archive)
        many = Evidence(place / "many", credentials, unit)
        for index in range(count):
            many.seal(_OBJECT_BYTES, index)
        many.close()
        real = verify_process(many.folder.path, trust, os.cpu_count() or 1)
    finally:
        shutil.rmtree(place)
    rows = [
        *_rows("foreign files among the objects", among_objects),
        *_rows("as many in the archive's folder besides", everywhere),
        *_rows("real objects, a job a core", real),
    ]
    conditions = {"files": f"{count} of each", "object": f"{_OBJECT_BYTES} bytes, each with its ledger line"}
    return Table("many_files", "recorder verify over very many files", rows, conditions)


def _rows(what: str, run: Run) -> list[Row]:
    return [
        Row(f"{what}, wall time", run.wall_seconds, "s"),
        Row(f"{what}, peak memory", run.peak_mib, "MiB", GOAL_MEMORY_MIB),
    ]
