"""The stage: one clip that plays for ever for camera and microphone together, and the room the speaker sounds in.

Picture and sound are two views of one performance. It begins when the stage is made and goes on whether anybody takes
it or not, so a part that is started later joins in the middle, as in a street, and both loop at the same instants.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import av
import numpy as np

from agent.errors import HardwareError
from agent.hardware.parts import Samples

SAMPLE_RATE = 48000
LONGEST_SECONDS = 600
"""The clip's sound is held in memory: 600 s are 58 MB."""


def packaged_footage() -> Path:
    """The clip that is shipped with the product."""
    return Path(str(files("agent.hardware") / "footage" / "street.mp4"))


@dataclass(frozen=True, slots=True)
class Clip:
    """What is known of the footage; ``sound`` is mono at 48 kHz and exactly as long as the picture."""

    path: Path
    width: int
    height: int
    frames_per_second: int
    duration_ns: int
    sound: Samples


def read_clip(path: Path) -> Clip:
    """Opens the footage and decodes its sound; raises HardwareError when it is no usable clip."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise HardwareError(f"footage {path} has no picture")
            video = container.streams.video[0]
            rate = float(video.average_rate or 0)
            duration_s = float((video.duration or 0) * (video.time_base or 0))
            if not rate or not 0 < duration_s <= LONGEST_SECONDS:
                raise HardwareError(f"footage {path}: rate {rate:g}/s, {duration_s:g} s; at most {LONGEST_SECONDS} s")
            size = (video.codec_context.width, video.codec_context.height)
            sound = _decode_sound(container, round(duration_s * SAMPLE_RATE))
    except (OSError, av.error.FFmpegError) as error:
        raise HardwareError(f"footage {path} cannot be read: {error}") from error
    return Clip(path, *size, max(1, round(rate)), round(duration_s * 1e9), sound)


def _decode_sound(container: av.container.InputContainer, length: int) -> Samples:
    sound: Samples = np.zeros(length, dtype=np.int16)
    if not container.streams.audio:
        return sound
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts = [
        block.to_ndarray().reshape(-1) for taken in container.decode(audio=0) for block in resampler.resample(taken)
    ]
    parts += [block.to_ndarray().reshape(-1) for block in resampler.resample(None)]
    heard = np.concatenate(parts)[:length] if parts else sound
    sound[: len(heard)] = heard
    return sound


@dataclass(slots=True)
class _Playing:
    started_ns: int
    samples: Samples
    ended_ns: int | None = None


class Stage:
    """The performance's clock and the sound that hangs in its room. Any thread."""

    def __init__(self, clip: Clip, *, realtime: bool = True, speaker_heard: float = 1.0) -> None:
        self.clip = clip
        self.realtime = realtime
        self.origin_ns = time.monotonic_ns()
        self._heard = speaker_heard
        self._lock = threading.Lock()
        self._playing: list[_Playing] = []

    def sound_from(self, first_sample: int, count: int) -> Samples:
        """The room's sound, mono, 48 kHz, from the ``first_sample``-th since the origin: clip and speaker."""
        position = np.arange(first_sample, first_sample + count) % len(self.clip.sound)
        mixed = self.clip.sound[position].astype(np.float64)
        with self._lock:
            for playing in self._playing:
                _mix(mixed, playing, first_sample, self.origin_ns, self._heard)
        clipped: Samples = np.clip(mixed, -32768, 32767).astype(np.int16)
        return clipped

    def sound_begins(self, samples: Samples) -> int:
        """The speaker begins to play ``samples`` (mono, 48 kHz) now; returns that moment (ns)."""
        now_ns = time.monotonic_ns()
        with self._lock:
            # Blocks are taken within a second; what ended before that is never asked for again.
            self._playing = [p for p in self._playing if p.ended_ns is None or p.ended_ns > now_ns - 1_000_000_000]
            self._playing.append(_Playing(now_ns, samples))
        return now_ns

    def sound_ends(self) -> None:
        """The sound that was begun last is over now, whether played to its end or cut short."""
        with self._lock:
            self._playing[-1].ended_ns = time.monotonic_ns()


def _mix(into: np.ndarray, playing: _Playing, first_sample: int, origin_ns: int, factor: float) -> None:
    begins = (playing.started_ns - origin_ns) * SAMPLE_RATE // 1_000_000_000 - first_sample
    length = len(playing.samples)
    if playing.ended_ns is not None:
        length = min(length, (playing.ended_ns - playing.started_ns) * SAMPLE_RATE // 1_000_000_000)
    low, high = max(0, begins), min(len(into), begins + length)
    if low < high:
        into[low:high] += playing.samples[low - begins : high - begins] * factor
