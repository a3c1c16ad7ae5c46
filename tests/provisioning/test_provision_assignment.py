"""R12.2 for the dispatch desk: assignments signed, shown as codes, handed to docks and taken back."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import zxingcpp
from provisioning_sample import Sample, tone
from rich.console import Console

from agent.errors import RegisterError, StorageError, TrustError, UnknownIdError, UsageError
from agent.evidence.dispatch import code_of, read_dispatch, token_of
from agent.evidence.documents import Assignment, HazardZone, TrustBundle
from provisioning.assignments import sign_assignment
from provisioning.cli import main
from provisioning.codes import MOST_SQUARES, make_code, terminal, write_code
from provisioning.credentials import refresh

MATTER = Assignment(
    "matter-1", "inspection", "investigation", "样例企业", "样例地点", ["样例人员"], None, None, mandatory=False
)
ZONE = HazardZone("1", "IIB", "T4", None)


def sent(sample: Sample, device: str = "er-1") -> Any:
    """The newest of a device, verified."""
    view = sample.agency.view()
    document = view.document("assignment", device)
    assert document is not None
    return read_dispatch(document.text.encode(), sample.agency.trust(view), device)


def codes_in(path: Path) -> list[str]:
    with av.open(str(path)) as image:
        grey = next(image.decode(video=0)).reformat(format="gray").to_ndarray()
    return [found.text for found in zxingcpp.read_barcodes(np.ascontiguousarray(grey))]


# Signing


def test_what_was_signed_last_stands_in_the_register_and_the_history_says_who_signed(sample: Sample) -> None:
    sign_assignment(sample.agency, "er-1", MATTER)
    sign_assignment(sample.agency, "er-2", MATTER)
    sign_assignment(sample.agency, "er-1", None)
    assert sent(sample).assignment is None
    assert sent(sample, "er-2").assignment == MATTER
    actions = [(entry.action, entry.subject) for entry in sample.agency.view().history()]
    assert [subject for action, subject in actions if action == "assignment-signed"] == ["er-1", "er-2", "er-1"]
    assert "样例企业" not in json.dumps([entry.detail for entry in sample.agency.view().history()], ensure_ascii=False)


def test_the_moment_of_signing_rises_even_when_the_computers_clock_was_set_back(sample: Sample) -> None:
    """Units go by it alone, and would take none of what is signed until the clock has caught up."""
    moments = [sign_assignment(sample.agency, "er-1", MATTER).dispatch.issued_us]
    for back in (0, 3_600, 1):
        sample.clock.at -= timedelta(seconds=back)
        moments.append(sign_assignment(sample.agency, "er-1", MATTER).dispatch.issued_us)
    assert moments == sorted(set(moments))


def test_one_for_nobody_known_or_no_longer_active_is_refused(sample: Sample) -> None:
    with pytest.raises(UnknownIdError):
        sign_assignment(sample.agency, "er-404", MATTER)
    sample.agency.end_device("er-1", "lost")
    with pytest.raises(RegisterError, match="lost"):
        sign_assignment(sample.agency, "er-1", MATTER)


def test_who_holds_the_unit_and_is_not_among_the_officers_is_pointed_out_and_no_more(sample: Sample) -> None:
    assert sign_assignment(sample.agency, "er-1", MATTER).stranger is None, "nobody holds it"
    with sample.agency.change() as change:
        change.assign("er-1", "officer-1")
        name = change.officer("officer-1").name
    stranger = Assignment("matter-1", "inspection", "start", "p", "s", ["somebody else"], None, None, mandatory=False)
    assert sign_assignment(sample.agency, "er-1", stranger).stranger == f"{name} (officer-1)"
    for known in (name, "officer-1"):
        named = Assignment("matter-1", "inspection", "start", "p", "s", [known, "x"], None, None, mandatory=False)
        assert sign_assignment(sample.agency, "er-1", named).stranger is None


def test_a_docks_folder_holds_the_newest_of_each_active_device_and_nothing_else(sample: Sample) -> None:
    dock = sample.folder / "dock-1"
    refresh(sample.agency, dock)
    assert not (dock / "assignments").exists()
    sign_assignment(sample.agency, "er-1", MATTER)
    sign_assignment(sample.agency, "er-2", MATTER)
    refresh(sample.agency, dock)
    paths = {path.stem: path for path in (dock / "assignments").iterdir()}
    assert set(paths) == {"er-1", "er-2"}
    before = paths["er-2"].stat().st_mtime_ns
    sign_assignment(sample.agency, "er-1", None)
    refresh(sample.agency, dock)
    assert paths["er-2"].stat().st_mtime_ns == before, "what has not changed is not written again"
    token = paths["er-1"].read_bytes()
    assert read_dispatch(token, sample.agency.trust(sample.agency.view()), "er-1").assignment is None
    assert (dock / "assignments").stat().st_mode & 0o777 == 0o700
    sample.agency.end_device("er-1", "lost")
    refresh(sample.agency, dock)
    assert not paths["er-1"].exists()


def test_one_that_was_altered_in_the_register_is_not_built_upon(sample: Sample) -> None:
    sign_assignment(sample.agency, "er-1", MATTER)
    path = sample.root / "register.json"
    path.write_text(path.read_text().replace(sent_text(sample), sent_text(sample)[:-4] + "AAAA"))
    with pytest.raises((TrustError, StorageError)):
        sign_assignment(sample.agency, "er-1", MATTER)


def sent_text(sample: Sample) -> str:
    document = sample.agency.view().document("assignment", "er-1")
    assert document is not None
    return document.text


# Codes


@pytest.mark.parametrize("assignment", [MATTER, None], ids=["matter", "withdrawal"])
def test_a_printed_code_reads_back_as_the_signed_assignment(sample: Sample, assignment: Assignment | None) -> None:
    token = sign_assignment(sample.agency, "er-1", assignment).document.text.encode()
    code = make_code(token)
    write_code(code, sample.folder / "code.png")
    assert codes_in(sample.folder / "code.png") == [code_of(token)]
    assert token_of(code_of(token), sample.agency.trust(sample.agency.view())) == token
    write_code(code, sample.folder / "code.svg")
    drawn = (sample.folder / "code.svg").read_text()
    assert 'width="' in drawn and f'{(code.squares + 8) * 2.4:.1f}mm"' in drawn, "it prints at the size that it needs"
    assert (sample.folder / "code.svg").stat().st_mode & 0o777 == 0o640
    with pytest.raises(UsageError, match="png"):
        write_code(code, sample.folder / "code.pdf")


def test_a_code_in_a_terminal_is_the_same_code(sample: Sample) -> None:
    token = sign_assignment(sample.agency, "er-1", MATTER).document.text.encode()
    drawn = terminal(make_code(token))
    console = Console(width=200, record=True, file=io.StringIO(), force_terminal=True)
    console.print(drawn, soft_wrap=True)
    lines = console.export_text(styles=False).splitlines()
    halves = {" ": (255, 255), "▀": (0, 255), "▄": (255, 0), "█": (0, 0)}
    width = max(map(len, lines))
    rows = [[halves[one][half] for one in line.ljust(width)] for line in lines for half in (0, 1)]
    grey = np.kron(np.array(rows, np.uint8), np.ones((4, 4), np.uint8))
    assert [found.text for found in zxingcpp.read_barcodes(grey)] == [code_of(token)]


def test_a_code_too_fine_for_a_units_camera_is_not_made_and_says_what_to_do(sample: Sample) -> None:
    rare = ["".join(chr(0x4E00 + (step * 7919 + number * 31) % 20_000) for step in range(90)) for number in range(3)]
    long = Assignment("matter-1", "inspection", "start", rare[0], rare[1], [rare[2]], None, None, mandatory=False)
    token = sign_assignment(sample.agency, "er-1", long).document.text.encode()
    before = sent(sample)
    with pytest.raises(UsageError, match=rf"最多 {MOST_SQUARES}.*{len(token)} 字节.*缩短.*shorten"):
        make_code(token)
    with pytest.raises(UsageError):
        sign_assignment(sample.agency, "er-1", long, make_code)
    assert sent(sample) == before, "nothing was signed"


# The commands


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVISION_AGENCY", str(tmp_path / "agency"))
    (tmp_path / "notice.wav").write_bytes(tone())
    for line in (
        "agency init agency --id sample --name 样例单位 --notice notice.wav",
        "officer add officer-1 --name 样例人员 --section section-1",
        "dock add dock-1 --out dock-1",
        "device enrol er-1 --serial SN-1 --section section-1 --officer officer-1 --out er-1",
    ):
        assert main(line.split()) == 0
    return tmp_path


WORDS = [
    *("assignment", "sign", "--device", "er-1", "--matter", "matter-1", "--action", "inspection"),
    *("--stage", "investigation", "--party", "样例企业", "--site", "样例地点"),
    *("--officer", "样例人员", "--officer", "样例人员二"),
]


def test_signing_hands_the_assignment_to_a_dock_a_file_and_a_code(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    more = ["--mandatory", "--hazard", "1 IIB T4", "--dock", "dock-1", "--out", "a.jws", "--qr", "a.png"]
    assert main([*WORDS, *more, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["device"], said["matter"], said["docks"]) == ("er-1", "matter-1", ["dock-1"])
    assert said["officer_not_named"] is None
    token = (place / "a.jws").read_bytes()
    assert (place / "dock-1" / "assignments" / "er-1.jws").read_bytes() == token
    assert codes_in(place / "a.png") == [code_of(token)]
    assert main([*WORDS, "--qr", "-", "--officer", "x"]) == 0
    shown = capsys.readouterr().out
    assert "█" in shown and "mm wide" in shown
    assert main(["assignment", "withdraw", "--device", "er-1", "--dock", "dock-1"]) == 0
    assert "withdrawn" in capsys.readouterr().out
    assert (place / "dock-1" / "assignments" / "er-1.jws").read_bytes() != token


def test_an_assignment_may_come_from_a_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = Assignment(
        "matter-5", "penalty", "execution", "样例企业", "样例地点", ["无此人"], ZONE, None, mandatory=True
    )
    fields = asdict(case)
    (place / "case.json").write_text(json.dumps(fields, ensure_ascii=False), "utf-8")
    assert main(["assignment", "sign", "--device", "er-1", "--from", "case.json", "--out", "a.jws"]) == 0
    shown = capsys.readouterr().out
    assert "matter-5" in shown and "样例人员 (officer-1)" in shown
    trust = TrustBundle.from_json((place / "er-1" / "trust.json").read_bytes())
    assert read_dispatch((place / "a.jws").read_bytes(), trust, "er-1").assignment == case
    (place / "case.json").write_text(json.dumps({**fields, "stage": "soon"}), "utf-8")
    assert main(["assignment", "sign", "--device", "er-1", "--from", "case.json"]) == 2
    assert "stage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "exit_code", "what"),
    [
        (["assignment", "sign", "--device", "er-1", "--matter", "matter-1"], 2, "--party --site --officer"),
        ([*WORDS, "--hazard", "9"], 2, "--hazard"),
        ([*WORDS, "--restricted", "gossip"], 2, "gossip"),
        ([*WORDS[:4], "--matter", "A b", *WORDS[6:]], 2, "matter"),
        ([*WORDS, "--qr", "a.gif"], 2, "a.gif"),
        (["assignment", "sign", "--device", "er-1", "--from", "missing.json"], 5, "missing.json"),
        (["assignment", "withdraw", "--device", "er-404"], 4, "er-404"),
    ],
)
def test_what_cannot_be_signed_says_why(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], exit_code: int, what: str
) -> None:
    capsys.readouterr()
    assert main(words) == exit_code
    assert what in capsys.readouterr().err
