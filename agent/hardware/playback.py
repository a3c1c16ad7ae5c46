"""What both speakers share: reading a WAV file, one sound at a time, and ``ended`` exactly once."""

from __future__ import annotations

import threading
import time
import wave
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from agent.errors import HardwareError
from agent.hardware.delivery import STOP_LIMIT_SECONDS
from agent.hardware.parts import PlaybackProof, Samples

Started = Callable[[int], None]
Ended = Callable[[PlaybackProof], None]
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples of shape (n, channels), signed 16 bit."""

    samples: Samples
    sample_rate: int


def read_wav(path: Path) -> Sound:
    """The whole file; raises HardwareError unless it is 16 bit PCM, mono or stereo, 8 to 48 kHz, with a sample."""
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise HardwareError(f"sound {path} cannot be read: {error}") from error
    if width != 2 or len(raw) < 2 * channels or len(raw) % (2 * channels):
        raise HardwareError(f"sound {path} is not 16 bit PCM with at least one whole sample")
    if channels > 2 or not 8_000 <= rate <= 48_000:
        raise HardwareError(f"sound {path} has {channels} channels at {rate} Hz; 1 or 2 at 8 to 48 kHz can be played")
    return Sound(np.frombuffer(raw, dtype="<i2").astype(np.int16).reshape(-1, channels), rate)


def resample(sound: Sound, sample_rate: int) -> Sound:
    """The same sound at another rate."""
    if sound.sample_rate == sample_rate:
        return sound
    channels = sound.samples.shape[1]
    layout = "mono" if channels == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(sound.samples.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = sound.sample_rate
    resampler = av.AudioResampler(format="s16", layout=layout, rate=sample_rate)
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return Sound(np.concatenate([block.to_ndarray().reshape(-1, channels) for block in blocks]), sample_rate)


def failed(reason: str, sound: Sound | None = None) -> PlaybackProof:
    """The proof of a sound of which nothing was played."""
    now_ns = time.monotonic_ns()
    total, rate = (len(sound.samples), sound.sample_rate) if sound else (0, 0)
    return PlaybackProof(total, 0, rate, 0, now_ns, now_ns, reason)


class SerialSpeaker(ABC):
    """Plays one sound at a time, each on its own thread; the next cuts the running one short. See ``Speaker``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._cut = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    @abstractmethod
    def _render(self, sound: Sound, cut: threading.Event, started: Started) -> PlaybackProof:
        """Plays to the end or until ``cut`` is set; calls ``started`` with the first sample; raises HardwareError."""

    def play(self, sound: Path, ended: Ended, started: Started | None = None) -> None:
        """See ``Speaker.play``; both callbacks come on the sound's own thread. Raises HardwareError once closed."""
        with self._lock:
            if self._closed:
                raise HardwareError(f"{self._name} is closed")
            self._cut.set()
            cut, before = threading.Event(), self._thread
            self._cut = cut
            self._thread = threading.Thread(
                target=lambda: ended(self._prove(sound, cut, before, started or (lambda _: None))),
                name=self._name,
                daemon=True,
            )
            self._thread.start()

    def _prove(
        self, path: Path, cut: threading.Event, before: threading.Thread | None, started: Started
    ) -> PlaybackProof:
        if before is not None:
            before.join(STOP_LIMIT_SECONDS)
            if before.is_alive():
                return failed("the sound before this one hangs in the output")
        if cut.is_set():
            return failed(INTERRUPTED)
        try:
            return self._render(read_wav(path), cut, started)
        except HardwareError as error:
            return failed(str(error))
        # Whatever a sound library throws, the recorder waits for ``ended``: the proof carries it.
        except Exception as error:  # noqa: BLE001
            return failed(f"{type(error).__name__}: {error}")

    def stop(self) -> None:
        """See ``Speaker.stop``. Returns at once; ``ended`` follows on the sound's thread."""
        with self._lock:
            self._cut.set()

    def close(self) -> None:
        """See ``Speaker.close``; waits for the running sound's ``ended``, at most STOP_LIMIT_SECONDS."""
        with self._lock:
            self._closed = True
            self._cut.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_LIMIT_SECONDS)
