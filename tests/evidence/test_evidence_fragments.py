"""Fragmented MP4 as a stream: where fragments begin and end, whatever the pieces they come in."""

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.evidence.fragments import MAX_BOX_BYTES, Fragment, FragmentReader, boxes, read_tracks

RATE = 10


def film(seconds: int = 3, sound: bool = True) -> bytes:
    """A real fragmented MP4 of this many seconds, one fragment a second."""
    held = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer"}
    with av.open(held, "w", format="mp4", container_options=options) as container:
        video = container.add_stream("libx264", rate=RATE, options={"tune": "zerolatency", "sc_threshold": "0"})
        video.codec_context.gop_size = RATE
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for number in range(seconds * RATE):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), number % 200, np.uint8), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(picture))
            if audio:
                block = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
                block.sample_rate, block.pts, block.time_base = 48000, number * 4800, Fraction(1, 48000)
                container.mux(audio.encode(block))
        container.mux(video.encode(None))
        if audio:
            container.mux(audio.encode(None))
    return held.getvalue()


@pytest.fixture(scope="module")
def whole() -> bytes:
    return film()


def read(pieces: list[bytes]) -> tuple[FragmentReader, list[Fragment]]:
    reader = FragmentReader()
    return reader, [fragment for piece in pieces for fragment in reader.feed(piece)]


def test_fragments_of_a_real_film_begin_each_second_and_carry_all_frames(whole: bytes) -> None:
    reader, found = read([whole])
    # The sound encoder's priming (1024 samples) makes the first frame last 21 ms longer.
    assert [round(one.start_us / 1e6, 1) for one in found] == [0.0, 1.0, 2.0]
    assert [round(one.duration_us / 1e6, 1) for one in found] == [1.0, 1.0, 1.0]
    assert [one.frames for one in found] == [RATE] * 3
    assert reader.init + b"".join(one.data for one in found) == whole
    assert reader.leftover == 0
    assert sorted(kind for kind, _ in read_tracks(reader.init).values()) == ["soun", "vide"]


@given(st.lists(st.integers(0, 60_000), max_size=12))
def test_any_split_gives_the_same_fragments(whole: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert read(pieces)[1] == read([whole])[1]


def test_byte_by_byte_gives_the_same_fragments(whole: bytes) -> None:
    assert read([whole[at : at + 1] for at in range(len(whole))])[1] == read([whole])[1]


def test_a_film_without_sound_and_one_with_nothing_but_sound_are_read() -> None:
    assert sum(one.frames for one in read([film(2, sound=False)])[1]) == 2 * RATE


def test_a_film_cut_anywhere_gives_its_whole_fragments(whole: bytes) -> None:
    _, found = read([whole])
    for cut in range(0, len(whole), 97):
        reader, part = read([whole[:cut]])
        assert part == found[: len(part)]
        known = len(reader.init) + sum(len(one.data) for one in part)
        assert known + reader.leftover == cut


def test_plain_concatenation_of_segments_is_read_as_one_film(whole: bytes) -> None:
    reader, found = read([whole])
    again = b"".join(reader.init + one.data for one in found)
    assert read([again])[1] == found


def test_another_film_put_behind_the_first_is_refused(whole: bytes) -> None:
    with pytest.raises(FormatError, match="initialisation"):
        read([whole, film(1, sound=False)])


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_a_format_error(data: bytes) -> None:
    with suppress(FormatError):
        read([data, bytes(16)])
    for reads in (lambda: list(boxes(data)), lambda: read_tracks(data)):
        try:
            reads()
        except FormatError:
            continue


@given(st.data())
def test_altered_films_raise_nothing_but_a_format_error(whole: bytes, data: st.DataObject) -> None:
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 1500) | st.integers(0, len(whole) - 1))
        broken[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0xFF]) | st.integers(0, 255))
    with suppress(FormatError):
        read([bytes(broken)])


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def test_media_data_before_any_description_and_descriptions_without_data_are_refused(whole: bytes) -> None:
    reader, found = read([whole])
    moof = found[0].data[: int.from_bytes(found[0].data[:4], "big")]
    for wrong in (box(b"mdat", bytes(20)), reader.init + box(b"mdat", bytes(20)), reader.init + moof + moof):
        with pytest.raises(FormatError):
            read([wrong, bytes(16)])


@pytest.mark.parametrize("kind", [b"uuid", b"sidx", b"emsg", b"\x00\x00\x00\x00"])
def test_a_box_that_has_no_place_in_a_segment_is_refused(kind: bytes) -> None:
    with pytest.raises(FormatError):
        read([box(kind, bytes(20))])


def test_a_box_that_claims_to_be_huge_is_refused_before_it_is_waited_for() -> None:
    for size in (MAX_BOX_BYTES + 1, 2**32 - 1):
        with pytest.raises(FormatError):
            read([size.to_bytes(4, "big") + b"mdat" + bytes(8)])
    with pytest.raises(FormatError):
        read([b"\x00\x00\x00\x01mdat" + (2**40).to_bytes(8, "big")])
