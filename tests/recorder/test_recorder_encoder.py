"""The real encoders: a fragment a second, picture and sound together, segments that play."""

from __future__ import annotations

import io
import subprocess
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from agent.evidence.fragments import Fragment, FragmentReader
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, VideoFrame
from agent.recorder.encoder import Encoder
from agent.recorder.settings import EncoderSettings

RATE, WIDTH, HEIGHT = 25, 160, 120
SETTINGS = EncoderSettings()
START_NS = 1_000_000_000_000
BLOCK = 960


def frame(number: int, light: int, at_ns: int | None = None) -> VideoFrame:
    planes = np.concatenate([np.full((HEIGHT, WIDTH), light), np.full((HEIGHT // 2, WIDTH), 128)]).astype(np.uint8)
    picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    return VideoFrame(picture, START_NS + number * 1_000_000_000 // RATE if at_ns is None else at_ns)


def block(number: int, loud: bool, late_ns: int = 0) -> AudioBlock:
    tone = 12_000 * np.sin(np.arange(BLOCK) * 0.3) if loud else np.zeros(BLOCK)
    return AudioBlock(tone.astype(np.int16).reshape(-1, 1), START_NS + number * 20_000_000 + late_ns)


def flash(at_seconds: float) -> bool:
    """Bright and loud in the fifth of a second after every half."""
    return 0.5 <= at_seconds % 1 < 0.7


def encode(seconds: float, *, sound: bool = True, late_ns: int = 0) -> tuple[bytes, list[Fragment]]:
    """Flashes and beeps that coincide, as a camera and a microphone would deliver them."""
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), AudioFormat(48_000, 1) if sound else None, SETTINGS)
    found: list[Fragment] = []
    for number in range(round(seconds * RATE)):
        found += encoder.add_frame(frame(number, 235 if flash(number / RATE) else 16))
        for half in (0, 1) if sound else ():
            at = number * 2 + half
            found += encoder.add_block(block(at, flash(at * 0.02), late_ns))
    return encoder.init, found + encoder.finish()


@pytest.fixture(scope="module")
def film() -> tuple[bytes, list[Fragment]]:
    return encode(5)


def decode(data: bytes, kind: str) -> list[tuple[float, float]]:
    """Time and mean brightness of each frame, or loudness of each millisecond."""
    found: list[tuple[float, float]] = []
    with av.open(io.BytesIO(data)) as container:
        for one in container.decode(**{kind: 0}):
            values = one.to_ndarray()
            if kind == "video":
                found.append((one.time, float(values[:HEIGHT].mean())))
            else:
                flat = np.abs(values.reshape(-1))
                found += [(one.time + at / 48_000, float(flat[at : at + 48].max())) for at in range(0, len(flat), 48)]
    return found


def onsets(samples: list[tuple[float, float]]) -> list[float]:
    """When it became bright or loud."""
    threshold = max(value for _, value in samples) / 2
    return [
        now[0] for before, now in pairwise(samples) if before[1] < threshold <= now[1]
    ]  # fmt: skip


def test_two_fragments_a_second_whatever_the_picture_does(film: tuple[bytes, list[Fragment]]) -> None:
    """Flashing lights are cuts to an encoder; they must not make fragments of their own."""
    _, fragments = film
    assert [round(one.start_us / 1e6, 1) for one in fragments] == [number / 2 for number in range(10)]
    assert [one.key for one in fragments] == [True, False] * 5
    assert [a.frames + b.frames for a, b in zip(fragments[::2], fragments[1::2], strict=True)] == [RATE] * 5
    assert all(abs(one.duration_us - 500_000) < 40_000 for one in fragments)


def test_half_a_second_is_out_two_pictures_after_it_is_over() -> None:
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), None, SETTINGS)
    out = [number for number in range(3 * RATE) if encoder.add_frame(frame(number, number % 200))]
    encoder.finish()
    assert len(out) == 5
    assert all(number <= RATE * (index + 1) / 2 + 2 for index, number in enumerate(out))


@pytest.mark.parametrize("late_ms", [0, 15, 200])
def test_picture_and_sound_stay_within_40_ms_of_their_capture_times(late_ms: int) -> None:
    init, fragments = encode(3, late_ns=late_ms * 1_000_000)
    data = init + b"".join(one.data for one in fragments)
    seen, heard = onsets(decode(data, "video")), onsets(decode(data, "audio"))
    assert len(seen) == len(heard) == 3
    for light, tone in zip(seen, heard, strict=True):
        assert abs(tone - light - late_ms / 1000) <= 0.04


def test_plain_concatenation_decodes_to_every_frame_and_each_segment_alone_too(
    film: tuple[bytes, list[Fragment]], tmp_path: Path
) -> None:
    init, fragments = film
    seconds = zip(fragments[::2], fragments[1::2], strict=True)
    segments = [init + first.data + second.data for first, second in seconds]
    times = [time for time, _ in decode(b"".join([init, *(one.data for one in fragments)]), "video")]
    assert len(times) == 5 * RATE
    assert times == sorted(times)
    for segment in segments:
        assert len(decode(segment, "video")) == RATE
    path = tmp_path / "film.mp4"
    path.write_bytes(b"".join(segments))
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames",
         "-of", "csv=p=0", str(path)], capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert (done.stdout.strip().rstrip(","), done.stderr) == (str(5 * RATE), "")


def test_a_torn_film_gives_its_whole_fragments(film: tuple[bytes, list[Fragment]]) -> None:
    init, fragments = film
    data = init + b"".join(one.data for one in fragments)
    reader = FragmentReader()
    assert reader.feed(data[:-1]) == fragments[:-1]


def test_a_frame_that_is_not_later_than_the_one_before_is_dropped() -> None:
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), None, SETTINGS)
    for at_ns in (START_NS, START_NS, START_NS - 5, START_NS + 40_000_000):
        encoder.add_frame(frame(0, 100, at_ns))
    assert sum(one.frames for one in encoder.finish()) == 2


def test_a_hole_in_the_sound_is_filled_with_silence_at_the_right_place() -> None:
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), AudioFormat(48_000, 1), SETTINGS)
    found: list[Fragment] = []
    for number in range(2 * RATE):
        found += encoder.add_frame(frame(number, 100))
        for at in (number * 2, number * 2 + 1):
            if not 0.5 <= at * 0.02 < 1.5:
                found += encoder.add_block(block(at, loud=True))
    found += encoder.finish()
    loud = decode(encoder.init + b"".join(one.data for one in found), "audio")
    quiet = [time for time, value in loud if value < 0.05]
    assert 0.9 < sum(0.001 for time in quiet if 0.5 < time < 1.6) < 1.1


def test_sound_from_before_the_first_frame_is_not_kept() -> None:
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), AudioFormat(48_000, 1), SETTINGS)
    assert encoder.add_block(block(0, loud=True)) == []
    assert encoder.finish() == []


def test_a_microphone_that_goes_silent_does_not_hold_the_picture_back() -> None:
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), AudioFormat(48_000, 1), SETTINGS)
    found: list[Fragment] = []
    for number in range(5 * RATE):
        found += encoder.add_frame(frame(number, 100))
        if number < RATE:
            for at in (number * 2, number * 2 + 1):
                found += encoder.add_block(block(at, loud=True))
    assert len(found) >= 3, "nothing waits for a sound that does not come"
    encoder.finish()


def test_going_from_a_dark_room_into_the_sun_changes_neither_the_fragments_nor_the_bound_on_the_bit_rate() -> None:
    bound = 800_000
    encoder = Encoder(CameraFormat(WIDTH, HEIGHT, RATE), None, EncoderSettings(maximum_bit_rate=bound))
    random = np.random.default_rng(3)
    found: list[Fragment] = []
    for number in range(8 * RATE):
        dark = number < 4 * RATE
        grain = random.integers(0, 12 if dark else 90, (HEIGHT * 3 // 2, WIDTH))
        planes = ((16 if dark else 130) + grain).astype(np.uint8)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        found += encoder.add_frame(VideoFrame(picture, START_NS + number * 1_000_000_000 // RATE))
    found += encoder.finish()
    assert [round(one.start_us / 1e6, 1) for one in found] == [number / 2 for number in range(16)]
    # The buffer is one second long: any two seconds together may hold what three are allowed.
    sizes = [8 * len(one.data) for one in found]
    assert all(sum(sizes[at : at + 4]) <= 3 * bound * 1.05 for at in range(0, 13, 2))
