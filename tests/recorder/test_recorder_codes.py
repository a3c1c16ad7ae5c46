"""R12.2: codes before a real camera's picture: at an angle, blurred, dim, small, among other people's codes."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.resources import files

import av
import numpy as np
import pytest
import segno
from assignment_samples import MATTER, Desk, bare, matter
from numpy.typing import NDArray
from samples import Enrolled, eventually

from agent.evidence.dispatch import code_of
from agent.hardware.parts import EncodedPicture, VideoFrame
from agent.recorder.glance import MOST_POSTED, CodeSeen, Glance, read_codes
from provisioning.codes import MOST_SQUARES, QUIET, make_code

Grey = NDArray[np.float64]
WIDTH, HEIGHT = 1280, 720
READ_AT = 3.0
"""Pixels to a square of a code at which most pictures must be read; ``provisioning.codes`` counts on it."""


@pytest.fixture(scope="module")
def street() -> list[Grey]:
    """Pictures of the shipped footage."""
    with av.open(str(files("agent.hardware") / "footage" / "street.mp4")) as film:
        shown = [frame for number, frame in enumerate(film.decode(video=0)) if number in (0, 40, 80)]
        return [one.reformat(width=WIDTH, height=HEIGHT, format="gray").to_ndarray().astype(float) for one in shown]


def squares(code: segno.QRCode) -> Grey:
    return np.array([[0 if dark else 255 for dark in row] for row in code.matrix_iter(border=QUIET)], float)


def hold_up(
    street: Grey,
    code: Grey,
    per_square: float,
    *,
    degrees: float = 0.0,
    tilt: float = 0.0,
    blur: float = 0.6,
    light: float = 1.0,
    at: tuple[int, int] = (WIDTH // 2, HEIGHT // 2),
) -> NDArray[np.uint8]:
    """The street with the code held into it: turned, tilted (nearer on one side), out of focus, in little light."""
    turn, size, count = np.deg2rad(degrees), len(code), 3
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    seen, covered = np.zeros_like(street), np.zeros_like(street)
    for step in range(count * count):
        x = right - at[0] + (step % count + 0.5) / count - 0.5
        y = down - at[1] + (step // count + 0.5) / count - 0.5
        u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        nearer = 1 + tilt * u / (per_square * size)
        column, row = (np.floor(one / nearer / per_square + size / 2).astype(int) for one in (u, v))
        on = (column >= 0) & (column < size) & (row >= 0) & (row < size) & (nearer > 0)
        seen[on] += code[row[on], column[on]]
        covered += on
    share = covered / (count * count)
    paper = np.divide(seen, np.maximum(covered, 1)) * 0.85 + 12
    picture = (street * (1 - share) + paper * share) * light
    weights = np.exp(-(np.arange(-4, 5) ** 2) / (2 * blur**2))
    for axis in (0, 1):
        picture = np.apply_along_axis(lambda line: np.convolve(line, weights / weights.sum(), "same"), axis, picture)
    noise = np.random.default_rng(3).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def picture(grey: NDArray[np.uint8]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")


HELD = [
    {"degrees": 0.0},
    {"degrees": 12.0, "blur": 0.8},
    {"degrees": 45.0, "tilt": 0.15},
    {"degrees": 90.0, "tilt": -0.2, "light": 0.5},
    {"degrees": 170.0, "light": 0.3},
    {"degrees": 30.0, "tilt": 0.2, "blur": 1.0, "light": 0.4},
]


def rate(street: list[Grey], code: segno.QRCode, text: str, per_square: float) -> float:
    shown = [picture(hold_up(one, squares(code), per_square, **held)) for one in street for held in HELD]
    return sum(text in read_codes(one) for one in shown) / len(shown)


@pytest.mark.slow
@pytest.mark.parametrize(
    "party", ["样例企业", "".join(chr(0x4E00 + 137 * number) for number in range(60))], ids=["short", "long"]
)
def test_at_three_pixels_to_a_square_most_pictures_are_read_and_at_four_nearly_all(
    enrolled: Enrolled, street: list[Grey], party: str, record_property: Callable[[str, object], None]
) -> None:
    """At an angle, tilted, out of focus, in a third of the light, in 720 lines; and there are five looks a second."""
    token = Desk(enrolled).token(1_790_000_000_000_000, matter(1, party=party))
    code, text = make_code(token), code_of(token)
    rates = {size: rate(street[:2], code.qr, text, size) for size in (READ_AT, 4.0)}
    record_property("decode rate", rates)
    print(f"{code.squares} squares across, decode rate by pixels to a square: {rates}")
    assert rates[READ_AT] >= 0.8
    assert rates[4.0] >= 0.9


@pytest.mark.slow
def test_the_largest_code_that_is_made_is_read_at_three_pixels_when_held_straight(street: list[Grey]) -> None:
    largest = segno.make_qr("1" * 1_050, version=(MOST_SQUARES - 17) // 4, error="l")
    assert largest.symbol_size(border=0)[0] == MOST_SQUARES
    assert (MOST_SQUARES + 2 * QUIET) * READ_AT <= 243
    shown = [picture(hold_up(one, squares(largest), READ_AT)) for one in street]
    assert [read_codes(one) for one in shown] == [["1" * 1_050]] * len(shown)


def test_other_peoples_codes_in_view_do_not_hide_ours(enrolled: Enrolled, street: list[Grey]) -> None:
    text = code_of(Desk(enrolled).token(5, MATTER))
    foreign = squares(segno.make_qr("https://pay.example.org/?to=1"))
    grey = hold_up(street[0], foreign, 6.0, at=(250, 300))
    grey = hold_up(grey.astype(float), squares(segno.make_qr(text)), 5.0, at=(800, 380))
    assert set(read_codes(picture(grey))) == {"https://pay.example.org/?to=1", text}


def test_a_street_without_a_code_gives_none(street: list[Grey]) -> None:
    assert [read_codes(picture(one.astype(np.uint8))) for one in street] == [[]] * len(street)


# The glance


class Screen:
    """Something with a code on it, before the camera."""

    def __init__(self) -> None:
        self.posted: queue.Queue[CodeSeen] = queue.Queue()
        self.glance = Glance(self.posted.put)

    def show(self, *texts: str) -> None:
        """All at once, side by side; until they have been looked at."""
        tiles = [np.kron(squares(segno.make_qr(text)), np.full((4, 4), 1.0)) for text in texts]
        height = max(len(tile) for tile in tiles)
        padded = [np.pad(tile, ((0, height - len(tile)), (8, 8)), constant_values=255) for tile in tiles]
        grey = np.hstack(padded).astype(np.uint8)
        grey = grey[: grey.shape[0] // 2 * 2, : grey.shape[1] // 2 * 2]
        self.glance.show(VideoFrame(picture(np.ascontiguousarray(grey)), 0))
        eventually(lambda: self.glance._newest is None, 20, "a look")

    def show_coded(self, text: str) -> None:
        """The same by a camera that encodes: a keyframe."""
        grey = np.kron(squares(segno.make_qr(text)), np.full((6, 6), 1.0)).astype(np.uint8)
        side = len(grey) // 16 * 16
        raw = picture(np.ascontiguousarray(grey[:side, :side]))
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt, codec.time_base = side, side, "yuv420p", Fraction(1, 25)
        data = b"".join(bytes(packet) for packet in [*codec.encode(raw), *codec.encode(None)])
        self.glance.show(EncodedPicture(data, 0, True))
        eventually(lambda: self.glance._newest is None, 20, "a look")

    def texts(self) -> list[str]:
        return [self.posted.get_nowait().text for _ in range(self.posted.qsize())]


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.glance.close()
    made.glance._thread.join(10)


def test_a_code_of_ours_is_posted_once_and_other_peoples_never(enrolled: Enrolled, screen: Screen) -> None:
    ours = code_of(Desk(enrolled).token(5, MATTER))
    for _ in range(2):
        screen.show("https://example.org", ours, "6901234567892")
    screen.show("last", bare(MATTER))
    eventually(lambda: screen.posted.qsize() == 2, 20, "both posted")
    assert screen.texts() == [ours, bare(MATTER)]


def test_a_screen_that_shows_one_code_after_another_keeps_nobody_busy(screen: Screen) -> None:
    for number in range(MOST_POSTED + 4):
        screen.show(bare(matter(number)))
    screen.show("nothing")
    assert len(screen.texts()) == MOST_POSTED


def test_a_camera_that_encodes_is_looked_at_by_its_keyframes_and_a_damaged_one_does_no_harm(
    enrolled: Enrolled, screen: Screen
) -> None:
    ours = code_of(Desk(enrolled).token(5, MATTER))
    screen.glance.show(EncodedPicture(b"\0\0\0\1nonsense", 0, True))
    eventually(lambda: screen.glance._newest is None, 20, "a look")
    screen.show_coded(ours)
    eventually(screen.posted.qsize, 20, "the code")
    assert screen.texts() == [ours]


def test_a_glance_that_is_closed_posts_nothing_more(screen: Screen) -> None:
    screen.glance.close()
    screen.glance._thread.join(10)
    screen.glance.show(VideoFrame(picture(np.full((64, 64), 255, np.uint8)), 0))
    assert screen.texts() == []
