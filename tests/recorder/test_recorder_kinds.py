"""R6, by the real process: sound alone, a camera that encodes by itself, a fixed camera on the network."""

from __future__ import annotations

import io
import signal

import av
from recorder_process import Unit, running
from rtsp_server import RtspServer
from samples import eventually

from agent.evidence.fragments import FragmentReader


def configure(unit: Unit, *changes: tuple[str, str]) -> None:
    path = unit.folder / "config.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def film(unit: Unit) -> bytes:
    found = b""
    for segment in unit.bodies("segment"):
        code, plain = unit.opened(segment.object.file_name)
        assert code == 0
        found += plain
    return found


def test_sound_alone_is_recorded_after_its_notice_with_no_picture_in_it(unit: Unit) -> None:
    with running(unit):
        unit.ask("audio")
        unit.until_entry("segment", 2)
        unit.ask("photo")
        unit.ask("stop")
        unit.until_phase("ready")
    (opened,), (closed,) = unit.bodies("open"), unit.bodies("close")
    assert (opened.kind, opened.video, opened.sound.codec) == ("audio", None, "aac")
    assert (closed.reason, closed.frames, closed.segments) == ("command", 0, len(unit.bodies("segment")))
    assert not unit.bodies("photo") and not unit.bodies("gap")
    with av.open(io.BytesIO(film(unit))) as container:
        assert not container.streams.video
        assert sum(frame.samples for frame in container.decode(audio=0)) / 48_000 > 1.5


def test_a_camera_that_encodes_by_itself_serves_like_any_other(unit: Unit) -> None:
    configure(unit, ("[hardware.simulated]\n", "[hardware.simulated]\ncamera_encodes = true\n"))
    with running(unit):
        unit.press()
        unit.until_entry("segment", 2)
        unit.ask("photo")
        unit.until_entry("photo")
        unit.ask("stop")
        unit.until_phase("ready")
    (notice,), (closed,) = unit.bodies("notice"), unit.bodies("close")
    first = unit.bodies("segment")[0]
    assert first.first_frame_us >= notice.ended_us
    assert sum(one.frames for one in FragmentReader().feed(film(unit))) == closed.frames > 0
    assert not unit.bodies("gap")


def test_a_fixed_camera_begins_with_the_process_under_its_posted_sign_and_outlives_an_outage(unit: Unit) -> None:
    server = RtspServer()
    try:
        configure(
            unit,
            ('camera = "simulated"', 'camera = "rtsp"'),
            ("[hardware.simulated]\n", f'[hardware.stream]\nurl = "{server.url}"\n[hardware.simulated]\n'),
            ("[recorder.encoder]\n", 'record_kind = "fixed"\nbegin_at_start = true\n[recorder.encoder]\n'),
        )
        with running(unit):
            unit.until_entry("segment", 2, 30)
            server.kill()
            unit.until_entry("gap", 1)
            server.start()
            unit.until_entry("gap", 2, 30)
            segments = len(unit.bodies("segment"))
            unit.until_entry("segment", segments + 2, 30)
            assert unit.end(signal.SIGTERM) == 0
    finally:
        server.kill()
    (notice,), (opened,), (closed,) = unit.bodies("notice"), unit.bodies("open"), unit.bodies("close")
    assert (notice.means, opened.kind, opened.video.codec) == ("posted", "fixed", "h264")
    assert opened.sound.sample_rate == 8000
    assert [(gap.cause, gap.missing_us is None) for gap in unit.bodies("gap")] == [("camera", True), ("camera", False)]
    assert closed.frames == sum(segment.frames for segment in unit.bodies("segment"))
    eventually(lambda: film(unit), 5, "a film")
    with av.open(io.BytesIO(film(unit))) as container:
        assert sum(1 for _ in container.decode(video=0)) == closed.frames
