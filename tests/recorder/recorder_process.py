"""A whole recorder as a process of its own, on simulated parts, and the hands that use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samples import Enrolled, eventually

from agent.errors import NotRunningError
from agent.evidence.entries import Body, Entry
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import ChainState
from agent.recorder.control import ask
from agent.recorder.gestures import DOUBLE_NS

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from pathlib import Path
from agent.config import RecorderConfig, load
from agent.recorder.daemon import Daemon
from agent.system.logs import configure

configure("info")
config = load(Path(sys.argv[1]), RecorderConfig)
Daemon(config.recorder, config.hardware).run()
"""
CONFIG = """
[recorder]
evidence = "evidence"
credentials = "{credentials}"
control = "control"
assignment = "assignment.json"
[recorder.encoder]
preset = "ultrafast"
[hardware]
camera = "simulated"
microphone = "simulated"
speaker = "simulated"
controls = "simulated"
hazard_switch = "simulated"
power = "simulated"
[hardware.simulated]
footage = "{footage}"
speaker_heard = {speaker_heard}
"""
ASSIGNMENT = {
    "matter": "matter-1", "action": "inspection", "stage": "investigation", "party": "样例企业", "site": "样例地点",
    "officers": ["样例人员一"], "hazard": None, "restricted": None, "mandatory": False,
}  # fmt: skip


class Unit:
    """One recorder's folder, and its process while it runs."""

    def __init__(self, folder: Path, enrolled: Enrolled, footage: Path, speaker_heard: float = 1.0) -> None:
        self.folder, self.enrolled = folder, enrolled
        self.control = folder / "control"
        self.evidence = EvidenceFolder(folder / "evidence")
        self.process: subprocess.Popen[bytes] | None = None
        text = CONFIG.format(credentials=enrolled.folder / "er-1", footage=footage, speaker_heard=speaker_heard)
        (folder / "config.toml").write_text(text)
        self._pressed = 0.0
        self.assign()

    def assign(self, **changes: object) -> None:
        (self.folder / "assignment.json").write_text(json.dumps({**ASSIGNMENT, **changes}), "utf-8")

    def start(self, under: tuple[str, ...] = ()) -> None:
        """``under``: another program that runs it."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / "log").open("ab") as log:
            command = [*under, sys.executable, "-c", RUN, str(self.folder / "config.toml")]
            self.process = subprocess.Popen(command, env=environment, stderr=log)
        eventually(self.answers, 20, "an answer of the recorder")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-2000:]
        try:
            self.ask("status")
        except NotRunningError:
            return False
        return True

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        return ask(self.control, do, **fields)

    def press(self, **fields: Any) -> None:
        """A press of its own: two within half a second would be a double press."""
        time.sleep(max(0.0, self._pressed + DOUBLE_NS / 1e9 + 0.1 - time.monotonic()))
        self.ask("press", **fields)
        self._pressed = time.monotonic()

    def until_phase(self, phase: str, seconds: float = 15) -> None:
        eventually(lambda: self.ask("status")["phase"] == phase, seconds, f"phase {phase}")

    def until_entry(self, kind: str, count: int = 1, seconds: float = 15) -> None:
        eventually(lambda: self.types().count(kind) >= count, seconds, f"{count} x {kind}")

    def promised(self) -> int:
        """The highest number of lines that the log says are in the ledger, durably."""
        said = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return max((one["size"] for one in said if one.get("event") == "entered"), default=0)

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    def entries(self) -> list[Entry]:
        """The ledger as the chain accepts it; a last line still being written is left out."""
        chain = ChainState(self.enrolled.trust, "er-1")
        lines = self.evidence.ledger.read_bytes().split(b"\n")[:-1]
        return [chain.accept(line) for line in lines]

    def types(self) -> list[str]:
        return [entry.type for entry in self.entries()]

    def bodies(self, kind: str) -> list[Body | Any]:
        return [entry.body for entry in self.entries() if entry.type == kind]

    def opened(self, name: str) -> tuple[int, bytes]:
        """What stock age gives for an object of this name."""
        command = ["age", "-d", "-i", str(self.enrolled.agekeys[0]), str(self.evidence.objects / name)]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
        return done.returncode, done.stdout


@contextmanager
def running(unit: Unit) -> Iterator[Unit]:
    """A started unit; whatever happens, its process does not outlive the test."""
    unit.start()
    try:
        yield unit
    finally:
        if unit.process and unit.process.poll() is None:
            unit.process.kill()
            unit.process.wait(10)
