"""One stand-in recorder for ``cluster``: seals and enters its objects, says so, and hands them over when told to.

``python cluster_load.py CREDENTIALS FOLDER DEVICE PORT OBJECTS BYTES``: prints ``ready``, waits for a line, offloads
until everything is released, prints its processor seconds as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "custody"), str(TESTS.parent)]

from custody_rig import Unit, wait_for  # noqa: E402

from agent.system import logs  # noqa: E402

LIMIT_SECONDS = 900.0


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    credentials, folder, device, port, count, size = sys.argv[1:]
    logs.configure("error")
    unit = Unit(Path(credentials), Path(folder), device, seed=sum(device.encode()))
    if int(count):
        unit.record([int(size)] * int(count))
    print("ready", flush=True)
    sys.stdin.readline()
    begun = processor_seconds()
    service = unit.service(int(port), part_bytes=262_144, subscribe_qos=0)
    service.start()

    def done() -> bool:
        unit.serve(service)
        return unit.released >= set(unit.originals) and service.progress().ledger_lines_pending == 0

    if int(count):
        wait_for(done, LIMIT_SECONDS)
        ended = time.time()
        service.stop()
        sent = {digest: len(data) for digest, data in unit.originals.items()}
        print(json.dumps({"cpu": processor_seconds() - begun, "ended": ended, "objects": sent}), flush=True)
    else:
        print(json.dumps({"docked": True}), flush=True)
        sys.stdin.readline()
        service.stop()


if __name__ == "__main__":
    main()
