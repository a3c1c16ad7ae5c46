"""One recording handed over: it verifies by itself, says nothing about others, and every alteration is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bundle import DEVICE, Bundle, good

from agent.errors import FormatError
from agent.evidence import jws
from agent.evidence.entries import load_entry
from agent.evidence.extract import Proof, extract_recording, read_proof, write_proof
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import LedgerIndex, build_index
from agent.evidence.verification.report import Report
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge

FIRST, SECOND = "1" * 16, "2" * 16


def extract(bundle: Bundle, recording: str, out: Path) -> Path:
    build_index(out.parent / "index", bundle.folder.ledger)
    index = LedgerIndex(out.parent / "index", bundle.folder.ledger)
    try:
        extract_recording(bundle.folder, index, recording, out)
    finally:
        index.close()
    return out


def judge(path: Path, bundle: Bundle) -> Report:
    return verify(path, Question(bundle.agency.trust(), ConductJudge))


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


@pytest.mark.parametrize("recording", [FIRST, SECOND])
def test_each_recording_handed_over_holds_by_itself(tmp_path: Path, recording: str) -> None:
    """Every axis is ok, for the first recording and for one in the middle of the ledger."""
    bundle = good(tmp_path / DEVICE)
    report = judge(extract(bundle, recording, tmp_path / "out"), bundle)
    assert report.findings == [] and set(report.axes().values()) == {"ok"}
    assert report.devices[0].recording == recording and report.devices[0].recordings == 1


def test_an_extract_holds_nothing_about_another_recording(tmp_path: Path) -> None:
    """No line names another recording, and no object of another is there."""
    bundle = good(tmp_path / DEVICE)
    out = extract(bundle, SECOND, tmp_path / "out")
    lines = (out / "lines.jws").read_bytes().splitlines()
    bodies = [load_entry(jws.parse(line, jws.LEDGER_TYPE).payload).body for line in lines]
    assert {getattr(body, "recording", SECOND) for body in bodies} == {SECOND}
    foreign = {ref.file_name for ref in bundle.sealed[:3]}
    assert not foreign & {path.name for path in (out / "objects").iterdir()}


def drop_line(out: Path, number: int) -> None:
    for name in ("lines.jws", "proofs"):
        rows = (out / name).read_bytes().splitlines(keepends=True)
        del rows[number]
        (out / name).write_bytes(b"".join(rows))


def alter(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def other_hash(proofs: bytes) -> bytes:
    """The last line's path begins with another hash; everything is still spelled as it must be."""
    *rows, last = proofs.splitlines(keepends=True)
    proof = read_proof(last)
    return b"".join(rows) + write_proof(Proof(proof.index, (bytes(32), *proof.path[1:])))


ATTACKS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "a line left out of the span": (lambda out: drop_line(out, 6), {"EXTRACT_INCOMPLETE"}),
    "the boot left out": (lambda out: drop_line(out, 0), {"EXTRACT_INCOMPLETE"}),
    "the end cut off": (lambda out: drop_line(out, -1), {"EXTRACT_INCOMPLETE"}),
    "a proof altered": (lambda out: alter(out / "proofs", other_hash), {"PROOF_INVALID"}),
    "a proof without its line": (
        lambda out: alter(out / "lines.jws", lambda data: b"".join(data.splitlines(True)[:-1])),
        {"EXTRACT_MALFORMED"},
    ),
    "another size": (lambda out: alter(out / "extract.json", lambda data: data.replace(b'"size":', b'"size":1')), {"EXTRACT_MALFORMED"}),
    "not an extract": (lambda out: alter(out / "extract.json", lambda _: b"{}"), {"EXTRACT_MALFORMED"}),
    "a segment removed": (lambda out: max((out / "objects").glob("*.age")).unlink(), {"OBJECT_MISSING"}),
    "a file inserted": (lambda out: (out / "objects" / "x").write_bytes(b"x") and None, {"OBJECT_UNLISTED"}),
    "a cosignature altered": (
        lambda out: alter(out / "cosigned", lambda data: data[:-12] + bytes([data[-12] ^ 1]) + data[-11:]),
        {"CHECKPOINT_INVALID", "EXTRACT_MALFORMED"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_on_an_extract_is_found(tmp_path: Path, attack: str) -> None:
    """What was done shows under the expected code."""
    bundle = good(tmp_path / DEVICE)
    out = extract(bundle, SECOND, tmp_path / "out")
    do, expected = ATTACKS[attack]
    do(out)
    assert codes(judge(out, bundle)) & expected, codes(judge(out, bundle))


def test_what_no_witness_has_seen_is_not_handed_over(tmp_path: Path) -> None:
    """Without a cosignature an extract would prove nothing: it is refused, with the advice to dock first."""
    bundle = good(tmp_path / DEVICE)
    bundle.folder.cosigned.unlink()
    with pytest.raises(FormatError, match="dock"):
        extract(bundle, FIRST, tmp_path / "out")


def test_an_unknown_recording_is_refused(tmp_path: Path) -> None:
    """The error names it."""
    bundle = good(tmp_path / DEVICE)
    with pytest.raises(FormatError, match=r"f{16}"):
        extract(bundle, "f" * 16, tmp_path / "out")
    assert not EvidenceFolder(tmp_path / "out").ledger.exists()
