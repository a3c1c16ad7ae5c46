"""Anything at all given to the verifier ends in a verdict or a clear error: never in a crash, a hang or a link followed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest
from bundle import DEVICE, Agency, Bundle, good
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UsageError
from agent.evidence.verification.report import MAX_PLACES, Report
from agent.evidence.verification.verifier import Question, total_bytes, verify
from agent.rules.conduct import ConductJudge
from benchmarks.many_files import scatter

AGENCY = Agency()
MEASURED = """
import sys
from agent.cli import main
code = main(sys.argv[1:])
status = open("/proc/self/status").read().split()
print(status[status.index("VmHWM:") + 1], file=sys.stderr)
sys.exit(code)
"""
"""``recorder verify`` that says its own peak memory (KiB) at the end. getrusage would say that of whoever forked it."""


def judge(path: Path, agency: Agency = AGENCY, **options: object) -> Report:
    return verify(path, Question(agency.trust(), ConductJudge, **options))  # type: ignore[arg-type]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


@given(
    st.binary(max_size=3000), st.binary(max_size=300), st.binary(max_size=300), st.dictionaries(
        st.from_regex(r"[0-9a-f]{64}\.(age|jws)|[a-z]{1,9}", fullmatch=True), st.binary(max_size=99), max_size=4
    ),
)  # fmt: skip
def test_random_bytes_in_every_file_end_in_a_verdict(
    ledger: bytes, checkpoint: bytes, cosigned: bytes, objects: dict[str, bytes]
) -> None:
    """Nothing of it verifies, and nothing of it crashes."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / DEVICE
        (path / "objects").mkdir(parents=True)
        for name, data in (("ledger.jws", ledger), ("checkpoint", checkpoint), ("cosigned", cosigned)):
            (path / name).write_bytes(data)
        for name, data in objects.items():
            (path / "objects" / name).write_bytes(data)
        report = judge(path, jobs=2)
        assert report.exit_code() == 1 and report.axes()["integrity"] != "ok"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return good(tmp_path_factory.mktemp("sample") / DEVICE, agency=AGENCY)


@given(st.data())
def test_a_ledger_altered_anywhere_never_passes(sample: Bundle, data: st.DataObject) -> None:
    """One byte of the ledger replaced: some finding, whatever the byte."""
    whole = sample.folder.ledger.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / DEVICE
        shutil.copytree(sample.path, path)
        (path / "ledger.jws").write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
        assert judge(path).exit_code() == 1


@given(st.data())
def test_a_ledger_cut_anywhere_never_passes(sample: Bundle, data: st.DataObject) -> None:
    """The witnessed checkpoint says that more was there."""
    whole = sample.folder.ledger.read_bytes()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / DEVICE
        shutil.copytree(sample.path, path)
        (path / "ledger.jws").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert "LEDGER_CUT" in codes(judge(path))


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe would never end, a link leads out, a folder is none: all are as if not there."""
    bundle = good(tmp_path / DEVICE, agency=AGENCY)
    segment = bundle.folder.object_path(bundle.sealed[1])
    segment.unlink()
    os.mkfifo(segment)
    bundle.folder.checkpoint.unlink()
    os.mkfifo(bundle.folder.checkpoint)
    assert codes(judge(bundle.path)) == {"OBJECT_MISSING"}
    real = bundle.folder.ledger.rename(tmp_path / "elsewhere")
    bundle.folder.ledger.symlink_to(real)
    assert "LEDGER_UNREADABLE" in codes(judge(bundle.path))
    bundle.folder.ledger.unlink()
    os.mkfifo(bundle.folder.ledger)
    assert "LEDGER_UNREADABLE" in codes(judge(bundle.path))


def test_a_linked_folder_of_objects_is_not_entered(tmp_path: Path) -> None:
    """What lies elsewhere is not this evidence; nothing of it is listed."""
    bundle = good(tmp_path / DEVICE, agency=AGENCY)
    bundle.folder.objects.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "foreign").write_bytes(b"x")
    bundle.folder.objects.symlink_to(tmp_path / "elsewhere")
    found = codes(judge(bundle.path))
    assert "OBJECT_UNLISTED" not in found and {"OBJECT_MISSING", "RECORDING_REMOVED", "RECEIPT_INVALID"} <= found


def test_a_line_of_100_mb_is_refused_unread(tmp_path: Path) -> None:
    """No line over 64 KiB is held; the rest of it is not even read."""
    path = tmp_path / DEVICE
    path.mkdir()
    with (path / "ledger.jws").open("wb") as file:
        file.truncate(100_000_000)
    read = []
    report = verify(path, Question(AGENCY.trust(), ConductJudge), read.append)
    assert codes(report) == {"LINE_MALFORMED"} and sum(read) < 1_000_000
    assert total_bytes(path) == 100_000_000


@pytest.mark.parametrize(
    "payload", [b"[" * 60_000, b'{"a":' * 9_000, b"{" + b'"a":1,' * 5_000 + b'"a":1}', b"1" * 60_000]
)
def test_hostile_json_is_refused(tmp_path: Path, payload: bytes) -> None:
    """Deep, repeated, endless: malformed, at once."""
    from agent.evidence.encoding import b64url

    path = tmp_path / DEVICE
    path.mkdir()
    head = b64url(b'{"alg":"EdDSA","kid":"' + b"A" * 43 + b'","typ":"er-ledger+jws"}')
    line = f"{head}.{b64url(payload[:45_000])}.{b64url(bytes(64))}\n".encode()
    (path / "ledger.jws").write_bytes(line)
    assert codes(judge(path)) == {"LINE_MALFORMED"}


def test_many_foreign_files_are_counted_and_only_some_are_listed(tmp_path: Path) -> None:
    """A report stays readable however much is thrown into the folder."""
    bundle = good(tmp_path / DEVICE, agency=AGENCY)
    for number in range(3_000):
        (bundle.folder.objects / f"foreign-{number:05d}").touch()
    report = judge(bundle.path)
    assert report.counts["OBJECT_UNLISTED"] == 3_000 and len(report.findings) == MAX_PLACES


@pytest.mark.slow
def test_very_many_foreign_files_end_in_a_verdict_and_do_not_grow_the_process(tmp_path: Path) -> None:
    """Among the objects and beside the devices; the verifier's process stays below 100 MiB. 200,000: see benchmarks."""
    archive = tmp_path / "archive"
    bundle = good(archive / DEVICE, agency=AGENCY)
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(asdict(AGENCY.trust())))
    for folder in (bundle.folder.objects, archive):
        scatter(folder, 20_000)
    for number in range(2_000):
        (archive / f"no-device-{number}").mkdir()
    words = ["verify", str(archive), "--trust", str(trust), "--json"]
    done = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, timeout=110)
    report, peak_kib = json.loads(done.stdout), int(done.stderr.splitlines()[-1])
    assert report["counts"] == {"OBJECT_UNLISTED": 20_000} and len(report["findings"]) == MAX_PLACES
    assert peak_kib < 100 * 1024


def test_the_bar_counts_what_will_be_read(tmp_path: Path) -> None:
    """Ledger and objects; neither foreign files nor links."""
    bundle = good(tmp_path / DEVICE, agency=AGENCY)
    before = total_bytes(bundle.path)
    files = [bundle.folder.ledger, *bundle.folder.objects.iterdir()]
    assert before == sum(file.stat().st_size for file in files)
    (bundle.folder.objects / "foreign").write_bytes(bytes(1000))
    (bundle.folder.objects / f"{'a' * 64}.age").symlink_to(bundle.folder.ledger)
    assert total_bytes(bundle.path) == before


def test_a_path_that_is_a_file_or_nothing_is_a_clear_error(tmp_path: Path) -> None:
    """There is no verdict over nothing."""
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError):
            judge(path)
