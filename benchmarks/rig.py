"""What the measurements stand on: footage at the rate wanted, a sample agency's unit, a recorder process."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Self

import av
import numpy as np

from agent.errors import NotRunningError
from agent.evidence.entries import Entry
from agent.evidence.ledger import unverified_entries
from agent.hardware.parts import AudioBlock
from agent.hardware.simulated.stage import SAMPLE_RATE, packaged_footage, read_clip
from agent.recorder.control import ask
from provisioning.cli import main as provision

FRAMES_PER_SECOND: Final = 30
NOTICE_SECONDS: Final = 0.6
"""Short, so that 20 rounds take minutes; the policy accepts nothing below 0.5 s."""
LIMIT_SECONDS: Final = 30.0
PAPERS: Final = ("--serial", "SN0001", "--section", "section-1")


def sample_pictures(count: int, width: int, height: int) -> list[av.VideoFrame]:
    """The first ``count`` pictures of the packaged clip, scaled, yuv420p. It moves: it is a street."""
    found: list[av.VideoFrame] = []
    with av.open(str(packaged_footage())) as container:
        for picture in container.decode(video=0):
            found.append(picture.reformat(width, height, format="yuv420p"))
            if len(found) == count:
                break
    return found


def sample_blocks(seconds: float, first_ns: int) -> list[AudioBlock]:
    """The clip's sound in blocks of 20 ms, mono, 48 kHz."""
    sound, size = read_clip(packaged_footage()).sound, SAMPLE_RATE // 50
    return [
        AudioBlock(sound[np.arange(at, at + size) % len(sound)][:, None], first_ns + at * 1_000_000_000 // SAMPLE_RATE)
        for at in range(0, int(seconds * SAMPLE_RATE), size)
    ]


def footage(path: Path, seconds: float = 10.0) -> Path:
    """The packaged clip at 30 frames per second: its own pictures, three times as fast, so more motion, not less."""
    pictures = sample_pictures(int(seconds * FRAMES_PER_SECOND), 768, 576)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 768, 576, "yuv420p"
        for number, picture in enumerate(pictures):
            picture.pts, picture.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _notice(path: Path) -> Path:
    """A tone that rises and falls: short, and found again by correlation."""
    moments = np.arange(int(NOTICE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    samples = (8000 * np.sin(2 * np.pi * (300 + 900 * moments) * moments)).astype("<i2")
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(samples.tobytes())
    return path


def enrol(folder: Path) -> Path:
    """A sample agency with one unit; returns the unit's credentials folder."""
    agency, unit, notice = folder / "agency", folder / "unit", _notice(folder / "notice.wav")
    for command in (
        ["agency", "init", str(agency), "--id", "sample", "--name", "样例单位", "--notice", str(notice)],
        ["officer", "add", "officer-1", "--agency", str(agency), "--name", "样例人员", "--section", "section-1"],
        ["device", "enrol", "er-1", "--officer", "officer-1", "--agency", str(agency), *PAPERS, "--out", str(unit)],
    ):
        with contextlib.redirect_stdout(io.StringIO()):
            if provision(command) != 0:
                raise SystemExit(f"provision {command[0]} {command[1]} failed")
    return unit


@dataclass(frozen=True, slots=True)
class Unit:
    """One simulated unit on disk. Its evidence folder is its own; footage and credentials may be shared."""

    folder: Path
    credentials: Path
    footage: Path
    width: int | None = None
    height: int | None = None

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "recorder.toml"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.folder / "control.sock"

    def fresh(self, name: str) -> Unit:
        """The same unit with nothing recorded yet, written to a folder of its own."""
        made = replace(self, folder=self.folder / name)
        made.folder.mkdir()
        size = f"width = {self.width}\nheight = {self.height}\n" if self.width else ""
        made.config.write_text(
            f'[recorder]\nevidence = "evidence"\ncredentials = "{self.credentials}"\ncontrol = "control.sock"\n'
            '[hardware]\ncamera = "simulated"\nmicrophone = "simulated"\nspeaker = "simulated"\n'
            'controls = "simulated"\nhazard_switch = "simulated"\npower = "simulated"\n'
            f'[hardware.simulated]\nfootage = "{self.footage}"\n[hardware.video]\n{size}',
            "utf-8",
        )
        return made

    def entries(self) -> Iterator[Entry]:
        """The ledger so far."""
        return unverified_entries(self.folder / "evidence" / "ledger.jws")


def let_go(process: subprocess.Popen[Any]) -> None:
    """Kills a process if it still runs, waits for it and closes its pipes."""
    process.kill()
    process.wait(LIMIT_SECONDS)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Process:
    """A recorder process and the notify socket that this program serves for it, as systemd would."""

    def __init__(self, unit: Unit, under: tuple[str, ...] = ()) -> None:
        """Starts it, ``under`` another program if given; ``started_ns`` is the moment just before."""
        self.unit = unit
        address = unit.folder / "notify.sock"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address.unlink(missing_ok=True)  # of a run that was interrupted
        self._notify.bind(str(address))
        self._notify.settimeout(LIMIT_SECONDS)
        self._log = (unit.folder / "log").open("wb")
        self.started_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            [*under, sys.executable, "-m", "agent", "run", "--config", str(unit.config)],
            env={**os.environ, "NOTIFY_SOCKET": str(address)},
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def pid(self) -> int:
        """For looking into /proc."""
        return self._process.pid

    def await_ready(self) -> int:
        """Waits for READY=1; returns when it came (ns)."""
        while b"READY=1" not in self._notify.recv(4096).split(b"\n"):
            pass
        return time.monotonic_ns()

    def await_answer(self) -> int:
        """Waits until the control socket answers; returns when it did (ns)."""
        self.until(self._answers)
        return time.monotonic_ns()

    def _answers(self) -> bool:
        try:
            return bool(ask(self.unit.control, "status"))
        except NotRunningError:
            return False

    def status(self) -> dict[str, Any]:
        """What the recorder says of itself."""
        return ask(self.unit.control, "status")

    def until(self, true: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
        """Waits for a condition; ends the benchmark when it does not come in time."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"the recorder did not get there; its log:\n{self.log()}")
            time.sleep(0.01)

    def log(self) -> str:
        """The last words of the recorder's log."""
        return "\n".join((self.unit.folder / "log").read_text("utf-8", "replace").splitlines()[-15:])

    def kill(self) -> None:
        """SIGKILL, and waits for its end. Harmless when repeated."""
        self._process.kill()
        self._process.wait(LIMIT_SECONDS)

    def end(self) -> None:
        """Gives everything back, however the process ended."""
        self.kill()
        self._notify.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(LIMIT_SECONDS)
        self._notify.close()
        self._log.close()


def record(process: Process, seconds: float) -> int:
    """One recording from press to seal; returns the moment just before the press (ns). Raises RecorderError."""
    control = process.unit.control
    pressed_ns = time.monotonic_ns()
    ask(control, "press")
    process.until(lambda: process.status()["media_seconds"] >= seconds, LIMIT_SECONDS + seconds)
    ask(control, "stop")
    process.until(lambda: process.status()["phase"] == "ready")
    return pressed_ns
