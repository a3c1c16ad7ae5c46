"""Fixtures of the recorder's tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from recorder_process import Unit
from samples import Enrolled


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of noise, 160 x 120 at 25 a second, with a tone: noise, so that sealed chunks fill quickly."""
    path = tmp_path_factory.mktemp("footage") / "noise.mov"
    random = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt, video.bit_rate = 160, 120, "yuv420p", 4_000_000
        audio = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        for number in range(50):
            picture = av.VideoFrame.from_ndarray(random.integers(0, 255, (180, 160), np.uint8), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        tone = (3000 * np.sin(np.arange(96_000) * 0.05)).astype(np.int16)
        block = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        block.sample_rate, block.pts = 48000, 0
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return path


@pytest.fixture
def unit(tmp_path: Path, enrolled: Enrolled, footage: Path) -> Unit:
    """A recorder that has not been started."""
    return Unit(tmp_path, enrolled, footage)
