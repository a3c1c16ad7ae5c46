"""A speaker that keeps what it plays in a WAV file, takes as long as the sound takes, and is heard on the stage."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path

from agent.errors import HardwareError
from agent.hardware.parts import PlaybackProof, Samples
from agent.hardware.playback import INTERRUPTED, SerialSpeaker, Sound, Started, resample
from agent.hardware.simulated.stage import SAMPLE_RATE, Stage

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


def _header(data_bytes: int) -> bytes:
    # RIFF/WAVE with one 16-byte fmt chunk: PCM, mono, 16 bit.
    fmt = (b"fmt ", 16, 1, 1, SAMPLE_RATE, SAMPLE_RATE * 2, 2, 16)
    return _HEADER.pack(b"RIFF", 36 + data_bytes, b"WAVE", *fmt, b"data", data_bytes)


class WavLog:
    """A mono 48 kHz WAV file that grows sound by sound and is valid after each. Not durable: nothing is synced."""

    def __init__(self, path: Path) -> None:
        """Continues the file at ``path`` or begins it; raises HardwareError when it is something else."""
        self.path = path
        try:
            if path.exists() and path.stat().st_size:
                self._bytes = self._read_length()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_header(0))
                self._bytes = 0
        except OSError as error:
            raise HardwareError(f"the simulated speaker cannot write {path}: {error}") from error

    def _read_length(self) -> int:
        with self.path.open("rb") as file:
            head = file.read(_HEADER.size)
        length = int.from_bytes(head[40:44], "little")
        if head != _header(length):
            raise HardwareError(f"{self.path} is not a file of the simulated speaker; name another one")
        return length

    def append(self, samples: Samples) -> None:
        """Adds mono samples; the header comes last, so that a crash leaves the file as it was."""
        raw = samples.astype("<i2").tobytes()
        with self.path.open("r+b") as file:
            file.seek(_HEADER.size + self._bytes)
            file.write(raw)
            file.flush()
            file.seek(0)
            file.write(_header(self._bytes + len(raw)))
        self._bytes += len(raw)


class SimulatedSpeaker(SerialSpeaker):
    """Everything played is appended to ``log``, resampled to mono 48 kHz, at the latest when ``ended`` is called."""

    def __init__(self, log: WavLog, stage: Stage) -> None:
        super().__init__("simulated speaker")
        self._log, self._stage = log, stage

    def _render(self, sound: Sound, cut: threading.Event, started: Started) -> PlaybackProof:
        total, rate = len(sound.samples), sound.sample_rate
        # Mixed down before the rate is changed: the log and the room are mono.
        mono = Sound(sound.samples.mean(axis=1, keepdims=True).astype(sound.samples.dtype), rate)
        heard = resample(mono, SAMPLE_RATE).samples[:, 0]
        started_ns = self._stage.sound_begins(heard)
        try:
            started(started_ns)
            was_cut = self._wait(started_ns, total / rate, cut)
        finally:
            self._stage.sound_ends()
        ended_ns = time.monotonic_ns()
        consumed = min(total, (ended_ns - started_ns) * rate // 1_000_000_000) if was_cut else total
        self._log.append(heard[: consumed * SAMPLE_RATE // rate] if was_cut else heard)
        return PlaybackProof(total, consumed, rate, 0, started_ns, ended_ns, INTERRUPTED if was_cut else None)

    def _wait(self, started_ns: int, seconds: float, cut: threading.Event) -> bool:
        """Sounds for ``seconds`` from ``started_ns``; True when it was cut short."""
        if not self._stage.realtime:
            return cut.is_set()
        return cut.wait(max(0.0, started_ns / 1e9 + seconds - time.monotonic_ns() / 1e9))
