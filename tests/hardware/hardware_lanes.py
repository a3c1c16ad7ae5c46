"""What the hardware tests share: deadlines, reasons to skip, and a clip whose flashes and beeps coincide."""

from __future__ import annotations

import os
import time
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

CLIP_RATE = 25
CLIP_FRAMES = 25
FLASH_FRAMES = 3
"""The first three frames of each second are white, and a tone sounds for just as long."""


def eventually(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Polls until ``condition`` holds; fails the test at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"did not come true within {seconds:g} s")
        time.sleep(0.005)


def need_lane(name: str, variable: str) -> None:
    """Skips, loudly, unless the rig that the lane runs in has said so."""
    if not os.environ.get(variable):
        pytest.skip(f"lane {name}: not inside its rig ({variable} is not set); see tests/rigs/README.md")


def supply(root: Path, name: str, **attributes: object) -> Path:
    """A power supply as sysfs shows it, one file an attribute."""
    (root / name).mkdir(parents=True)
    for attribute, value in attributes.items():
        (root / name / attribute).write_text(f"{value}\n", encoding="ascii")
    return root / name


def make_clip(path: Path) -> Path:
    """One second, 160 x 120, 25 frames a second; white and loud at its beginning, black and silent after."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=CLIP_RATE, options={"g": "1"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        for number in range(CLIP_FRAMES):
            light = 235 if number < FLASH_FRAMES else 16
            picture = av.VideoFrame.from_ndarray(
                np.concatenate([np.full((120, 160), light), np.full((60, 160), 128)]).astype(np.uint8), format="yuv420p"
            )
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        at = np.arange(48000)
        tone = np.where(at < 48000 * FLASH_FRAMES // CLIP_RATE, 12000 * np.sin(at * 0.2), 0).astype(np.int16)
        block = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        block.sample_rate, block.pts = 48000, 0
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return path


def make_wav(path: Path, seconds: float, rate: int = 48000, channels: int = 1) -> Path:
    """A chirp, which correlates with itself at one lag only."""
    at = np.arange(round(seconds * rate)) / rate
    chirp = (9000 * np.sin(2 * np.pi * (300 + 600 * at / max(seconds, 0.1)) * at)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(chirp, channels).tobytes())
    return path


def read_mono(path: Path) -> np.ndarray:
    """The samples of a mono 16 bit file."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)


def best_match(heard: np.ndarray, sound: np.ndarray) -> tuple[float, int]:
    """Normalised correlation of ``sound`` at the place in ``heard`` where it fits best, and that place (samples)."""
    size = 1 << (len(heard) + len(sound)).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size)), size)[: len(heard)]
    place = int(np.argmax(np.abs(products)))
    part = heard[place : place + len(sound)]
    norm = float(np.linalg.norm(part) * np.linalg.norm(sound))
    return (float(products[place]) / norm if norm else 0.0), place
