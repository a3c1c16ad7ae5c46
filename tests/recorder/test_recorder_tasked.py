"""R12.2 in a whole recorder: a code held before the simulated camera during the notice, and a matter given by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import segno
from assignment_samples import Desk, bare, matter
from recorder_process import Unit, running
from samples import Enrolled, chirp, eventually

from agent.cli import main
from agent.errors import RefusedError
from agent.evidence.dispatch import code_of
from agent.evidence.documents import read_policy, sign_policy
from agent.evidence.encoding import sha256_hex
from agent.hardware.prompts import Prompt
from agent.recorder.assignments import NEWEST_NAME

NOTICE_SECONDS = 5.0
"""A camera that warms up and five looks a second must fit in, on a busy machine too."""

pytestmark = pytest.mark.slow


def film(path: Path, *texts: str) -> Path:
    """Two seconds of the codes side by side on grey, 10 pictures a second, 640 x 360, silent."""
    grey = np.full((360, 640), 110, np.uint8)
    for place, text in enumerate(texts):
        code = np.array([[0 if dark else 240 for dark in row] for row in segno.make_qr(text).matrix_iter(border=4)])
        scale = 320 // len(code)
        tile = np.kron(code, np.ones((scale, scale))).astype(np.uint8)
        grey[16 : 16 + len(tile), 320 * place : 320 * place + len(tile)] = tile
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt, video.bit_rate = 640, 360, "yuv420p", 8_000_000
        audio = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = 48000, 0
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return path


def with_long_notice(folder: Path, enrolled: Enrolled) -> Path:
    """Credentials of er-1 whose policy names a notice of NOTICE_SECONDS."""
    own = folder / "own"
    shutil.copytree(enrolled.folder / "er-1", own)
    (own / "notice.wav").write_bytes(chirp(NOTICE_SECONDS))
    policy = read_policy((own / "policy.jws").read_bytes(), enrolled.trust)
    notice = replace(policy.notice, digest=sha256_hex((own / "notice.wav").read_bytes()))
    longer = replace(policy, version=policy.version + 1, notice=notice)
    (own / "policy.jws").write_bytes(sign_policy(longer, enrolled.key("agency", "documents.key")))
    return own


Make = Callable[..., Unit]


@pytest.fixture
def shown(tmp_path: Path, enrolled: Enrolled) -> Make:
    """A recorder before whose camera these codes are held."""

    def make(*texts: str, more: str = "") -> Unit:
        unit = Unit(tmp_path, enrolled, film(tmp_path / "shown.mov", *texts))
        own = with_long_notice(tmp_path, enrolled)
        text = (tmp_path / "config.toml").read_text().replace(str(enrolled.folder / "er-1"), str(own))
        (tmp_path / "config.toml").write_text(text.replace("[recorder]", f"[recorder]\n{more}", 1))
        (tmp_path / "assignment.json").unlink()
        return unit

    return make


def particulars(unit: Unit, opened: Any) -> dict[str, Any]:
    code, plain = unit.opened(opened.particulars.file_name)
    assert code == 0
    found: dict[str, Any] = json.loads(plain)
    return found


def told(unit: Unit, prompt: Prompt) -> int:
    return unit.log().count(prompt.chinese)


def record(unit: Unit) -> None:
    """One whole recording."""
    before = len(unit.bodies("close"))
    unit.press()
    unit.until_phase("recording", 30)
    unit.until_entry("segment", len(unit.bodies("segment")) + 1)
    unit.ask("stop")
    unit.until_entry("close", before + 1)


def test_a_code_shown_during_the_notice_is_the_matter_of_the_recording_and_of_the_next(
    shown: Make, enrolled: Enrolled
) -> None:
    """Beside it hangs somebody else's code. The second recording of the same matter is what R12.4 reports."""
    code = code_of(Desk(enrolled).token(5, matter(7)))
    unit = shown("https://pay.example.org/?to=1", code)
    with running(unit):
        record(unit)
        status = unit.ask("status")
        record(unit)
    assert status["matter"] == {"number": "matter-7", "source": "qr", "unusable": False}
    opened = unit.bodies("open")
    assert [(one.matter, one.action) for one in opened] == [("matter-7", "inspection")] * 2
    for one in opened:
        assert particulars(unit, one)["source"] == "qr"
        assert particulars(unit, one)["assignment"] == asdict(matter(7))
    assert told(unit, Prompt.ASSIGNMENT_TAKEN) == 1, "the second time nothing changed"
    assert told(unit, Prompt.ASSIGNMENT_REFUSED) == 0
    sealed = {path.name for path in unit.evidence.objects.iterdir()}
    named = {ref.file_name for body in opened for ref in [body.particulars]}
    assert named <= sealed
    assert not [name for name in sealed - named if b"matter-7" in unit.opened(name)[1]], (
        "none is left of the first sealing"
    )
    trust = str(enrolled.folder / "er-1" / "trust.json")
    report = unit.folder / "report.html"
    main(["verify", str(unit.evidence.path), "--trust", trust, "--accept-simulated", "--html", str(report)])
    assert "RESTARTED" in report.read_text("utf-8")


def test_a_code_of_a_matter_that_must_not_be_recorded_ends_the_notice_and_nothing_is_stored(
    shown: Make, enrolled: Enrolled
) -> None:
    unit = shown(code_of(Desk(enrolled).token(5, matter(7, restricted="privacy"))))
    with running(unit):
        unit.press()
        unit.until_entry("refused", 1, 30)
        unit.until_phase("ready")
    assert [(one.rule, one.reason) for one in unit.bodies("refused")] == [("R13.2", "privacy")]
    assert not unit.bodies("open")


def test_a_code_for_another_unit_and_one_that_nobody_signed_are_told_and_the_recording_has_no_matter(
    shown: Make, enrolled: Enrolled
) -> None:
    """Whoever hangs such a code at his door ends nothing by it."""
    other = code_of(Desk(enrolled).token(5, matter(7), "er-2"))
    unit = shown(other, bare(matter(8, restricted="privacy")))
    with running(unit):
        record(unit)
    (opened,) = unit.bodies("open")
    assert opened.matter is None
    assert particulars(unit, opened)["source"] is None
    assert told(unit, Prompt.ASSIGNMENT_REFUSED) == 2
    assert not (unit.folder / "assignment.json").exists()


def test_a_camera_that_encodes_by_itself_reads_codes_too(shown: Make, enrolled: Enrolled) -> None:
    unit = shown(code_of(Desk(enrolled).token(5, matter(7))))
    with (unit.folder / "config.toml").open("a") as config:
        config.write("\ncamera_encodes = true\n")
    with running(unit):
        record(unit)
    (opened,) = unit.bodies("open")
    assert (opened.matter, particulars(unit, opened)["source"]) == ("matter-7", "qr")


def test_where_the_configuration_allows_it_a_code_need_not_be_signed(shown: Make) -> None:
    unit = shown(bare(matter(8)), more="unsigned_codes = true")
    with running(unit):
        record(unit)
    (opened,) = unit.bodies("open")
    assert (opened.matter, particulars(unit, opened)["source"]) == ("matter-8", "qr")


def test_a_matter_given_by_hand_is_told_shown_and_recorded_and_can_be_taken_away_again(
    unit: Unit, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "assignment.json").unlink()
    (tmp_path / "given.json").write_text(bare(matter(3, party="样例当事人")), "utf-8")
    config = ["--config", str(tmp_path / "config.toml")]
    with running(unit):
        assert main(["assign", *config, str(tmp_path / "given.json")]) == 0
        shown = capsys.readouterr().out
        assert "matter-3" in shown
        assert "样例当事人" not in shown
        assert told(unit, Prompt.ASSIGNMENT_TAKEN) == 1
        record(unit)
        (tmp_path / "broken.json").write_text(bare(matter(4)).replace("inspection", "invented"), "utf-8")
        assert main(["assign", *config, str(tmp_path / "broken.json")]) != 0
        assert "action" in capsys.readouterr().err
        assert unit.ask("status")["matter"]["number"] == "matter-3"
        assert main(["assign", *config, "--clear"]) == 0
        assert unit.ask("status")["matter"] == {"number": None, "source": None, "unusable": False}
        assert main(["assign", *config, str(tmp_path / "missing.json")]) == 5
    (opened,) = unit.bodies("open")
    assert (opened.matter, particulars(unit, opened)["source"]) == ("matter-3", "file")


def test_a_signed_assignment_can_be_given_by_hand_and_an_older_one_is_refused(unit: Unit, enrolled: Enrolled) -> None:
    desk = Desk(enrolled)
    with running(unit):
        unit.ask("assign", assignment=desk.token(6, matter(6)).decode())
        with pytest.raises(RefusedError, match="newer"):
            unit.ask("assign", assignment=desk.token(5, matter(5)).decode())
        for nonsense in (1, "", [], "x"):
            with pytest.raises(RefusedError):
                unit.ask("assign", assignment=nonsense)
        assert unit.ask("status")["matter"] == {"number": "matter-6", "source": "dispatch", "unusable": False}
        unit.ask("assign", assignment=bare(matter(3)))
        unit.ask("assign", assignment=desk.token(7, None).decode())
        assert unit.ask("status")["matter"] == {"number": "matter-3", "source": "file", "unusable": False}
        assert told(unit, Prompt.ASSIGNMENT_TAKEN) == 2, "a withdrawal that changes nothing is not told"
    assert (unit.evidence.path / NEWEST_NAME).exists()


def test_another_matter_assigned_while_recording_ends_nothing_and_the_same_one_become_hazardous_does(
    unit: Unit,
) -> None:
    zone = {"zone": "1", "group": "IIB", "temperature_class": "T4", "surface_celsius": None}
    with running(unit):
        unit.press()
        unit.until_phase("recording")
        unit.assign(matter="matter-2", hazard=zone)
        eventually(lambda: recorded_seconds(unit) >= 3, 20, "three seconds")
        assert unit.ask("status")["phase"] == "recording"
        assert unit.ask("status")["matter"]["number"] == "matter-1", "that of the recording"
        unit.assign(hazard=zone)
        unit.until_entry("close")
    assert [one.reason for one in unit.bodies("close")] == ["hazard"]


def recorded_seconds(unit: Unit) -> int:
    """Seconds of the recording, each of which the situation is read anew."""
    return int(unit.ask("status")["media_seconds"])
