"""Timestamps of an authority outside, from a real ``openssl ts``: asked for, kept, verified offline, and attacked."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, free_port, trust_of, wait_for
from hypothesis import given
from hypothesis import strategies as st
from timestamp_authority import Authority

from agent.cli import main
from agent.dock.intake import Report
from agent.dock.service import DockService
from agent.dock.settings import DockSettings, TimestampSettings
from agent.dock.timestamps import Stamper, not_today, stamp_archive
from agent.errors import ConfigError, FormatError, LockedError, RecorderError, TimestampError
from agent.evidence.checkpoint import cosign
from agent.evidence.folder import EvidenceFolder
from agent.evidence.keys import load_signing_key
from agent.evidence.timestamps import Stamp, check_stamp, day_of, make_request, read_roots, read_stamp, stamp_names
from agent.evidence.verification.report import Report as Verdict
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge
from agent.system import durable

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="lane openssl: openssl not installed")
pytestmark = needs_openssl
DEVICES = ("er-1", "er-2")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("authority") / "tsa") as found:
        yield found


class Archive:
    """Two devices' evidence, cosigned by the dock, as an archive holds it."""

    def __init__(self, agency: Path, folder: Path, authority: Authority) -> None:
        self.settings = DockSettings(
            DOCK, folder / "dock", agency / DOCK, timestamps=TimestampSettings(authority.url, authority.roots)
        )
        self.settings.archive.mkdir(parents=True)
        self.trust = trust_of(agency / DOCK)
        self.key = load_signing_key((agency / DOCK / "witness.key").read_bytes())
        self.units = {one: Unit(agency / one, self.settings.archive / one, one) for one in DEVICES}
        for unit in self.units.values():
            self.go_on(unit)

    def go_on(self, unit: Unit, seconds_ahead: int = 0) -> None:
        """Something more is recorded and cosigned; the witness's clock may be ahead."""
        unit.record([1_000])
        unit.journal.checkpoint()
        note = cosign(unit.folder.checkpoint.read_bytes(), DOCK, self.key, int(time.time()) + seconds_ahead)
        unit.folder.cosigned.write_bytes(note)

    def stamp(self) -> None:
        """As the administrator asks for it."""
        assert stamp_archive(self.settings, self.trust.agency, lambda _: True) is not None

    def judge(self, authority: Authority | None) -> Verdict:
        roots = () if authority is None else tuple(read_roots(authority.roots.read_bytes()))
        return verify(self.settings.archive, Question(self.trust, ConductJudge, timestamp_roots=roots))

    def found(self, authority: Authority) -> set[tuple[str, str, str]]:
        """What judging the timestamps adds to the findings."""
        before, after = (
            {(one.code, one.device, one.where) for one in report.findings}
            for report in (self.judge(None), self.judge(authority))
        )
        assert before <= after
        return after - before


@pytest.fixture
def archive(agency: Path, tmp_path: Path, authority: Authority) -> Archive:
    return Archive(agency, tmp_path, authority)


def test_one_request_stamps_all_devices_and_each_is_verified_alone_and_offline(
    archive: Archive, authority: Authority
) -> None:
    before = authority.asked
    archive.stamp()
    assert authority.asked == before + 1
    assert archive.found(authority) == set()
    for facts in archive.judge(authority).devices:
        assert (facts.timestamps, facts.timestamps_valid) == (1, 1)
        assert facts.timestamped_entries == facts.witnessed_entries > 0
        assert facts.timestamped_at is not None and abs(facts.timestamped_at - time.time()) < 60
    alone = verify(
        archive.settings.archive / "er-2",
        Question(archive.trust, ConductJudge, timestamp_roots=tuple(read_roots(authority.roots.read_bytes()))),
    )
    assert alone.devices[0].timestamps_valid == 1


def test_stock_openssl_verifies_it_too(archive: Archive, authority: Authority) -> None:
    archive.stamp()
    place = archive.units["er-1"].folder.timestamps
    (token,) = place.glob("*.tsr")
    command = ["openssl", "ts", "-verify", "-data", token.with_suffix(".day"), "-in", token, "-CAfile", authority.roots]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


def test_without_roots_nothing_changes_but_that_they_are_counted(archive: Archive) -> None:
    before = archive.judge(None)
    archive.stamp()
    after = archive.judge(None)
    assert (after.findings, after.axes()) == (before.findings, before.axes())
    assert [(one.timestamps, one.timestamps_valid) for one in after.devices] == [(1, 0), (1, 0)]


def test_what_is_not_new_is_not_stamped_again_and_a_second_of_a_day_lies_beside_the_first(archive: Archive) -> None:
    archive.stamp()
    assert stamp_archive(archive.settings, "sample", lambda _: True) is None
    archive.go_on(archive.units["er-1"])
    assert stamp_archive(archive.settings, "sample", not_today) is None, "once a day by itself"
    archive.stamp()
    first, second = (stamp_names(archive.units[one].folder) for one in DEVICES)
    assert len(first) == 2 and first[1] == f"{first[0]}-2" and len(second) == 1


def test_an_entry_later_than_the_timestamp_is_found(archive: Archive, authority: Authority) -> None:
    """The dock's clock and the device's agree on an hour that has not come yet; the authority knows better."""
    unit = archive.units["er-1"]
    now = unit.now
    unit.journal._now = lambda: replace(now(), utc_us=now().utc_us + 3_600_000_000)
    begin = unit.journal.size
    archive.go_on(unit, seconds_ahead=3_700)
    archive.stamp()
    assert archive.found(authority) == {("TIME_AFTER_WITNESS", "er-1", f"entry {begin}")}


Attack = Callable[[Path], object]
ATTACKS: dict[str, Attack] = {
    "garbage": lambda token: token.write_bytes(b"\x30\x82garbage"),
    "empty": lambda token: token.write_bytes(b""),
    "huge": lambda token: token.write_bytes(bytes(5_000_000)),
    "cut": lambda token: token.write_bytes(token.read_bytes()[:-7]),
    "a link": lambda token: (token.unlink(), token.symlink_to("/dev/zero")),
    "another day": lambda token: token.with_suffix(".day").write_bytes(b"x\n1\n" + b"A" * 43 + b"=\n"),
    "no day": lambda token: token.with_suffix(".day").unlink(),
    "a day in no letters": lambda token: token.with_suffix(".day").write_bytes(b"\xff\n1\n\n"),
    "another note": lambda token: token.with_suffix(".note").write_bytes(b"x"),
    "another proof": lambda token: token.with_suffix(".proof").write_bytes(b"7\n"),
    "another device's": lambda token: [
        shutil.copy(one, token.parent) for one in (token.parents[2] / "er-2/timestamps").iterdir()
    ],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_timestamp_that_was_tampered_with_is_found_at_its_place(
    archive: Archive, authority: Authority, name: str
) -> None:
    archive.stamp()
    place = archive.units["er-1"].folder.timestamps
    (token,) = place.glob("*.tsr")
    for path in place.iterdir():
        path.chmod(0o600)
    ATTACKS[name](token)
    assert archive.found(authority) == {("CHECKPOINT_INVALID", "er-1", f"timestamp {token.stem}")}


def test_a_cut_end_shows_by_the_timestamp_alone(archive: Archive, authority: Authority) -> None:
    archive.stamp()
    folder = archive.units["er-1"].folder
    lines = folder.ledger.read_bytes().splitlines(keepends=True)
    folder.ledger.write_bytes(b"".join(lines[:-1]))
    folder.checkpoint.unlink()
    folder.cosigned.unlink()
    (name,) = stamp_names(folder)
    assert archive.found(authority) == {("LEDGER_CUT", "er-1", f"timestamp {name}")}


def test_a_note_that_no_trusted_witness_cosigned_counts_for_nothing(archive: Archive, authority: Authority) -> None:
    """Anyone may have anything stamped."""
    folder = archive.units["er-1"].folder
    folder.cosigned.write_bytes(folder.checkpoint.read_bytes())
    archive.stamp()
    (name,) = stamp_names(folder)
    assert ("CHECKPOINT_INVALID", "er-1", f"timestamp {name}") in archive.found(authority)


def test_another_authority_is_not_believed(archive: Archive, authority: Authority, tmp_path: Path) -> None:
    archive.stamp()
    with Authority(tmp_path / "other") as other:
        assert {code for code, _, _ in archive.found(other)} == {"CHECKPOINT_INVALID"}


def refusing(archive: Archive) -> str:
    """What the dock says, and that it has kept nothing."""
    with pytest.raises(TimestampError) as caught:
        stamp_archive(archive.settings, "sample", lambda _: True)
    assert not [one for unit in archive.units.values() for one in stamp_names(unit.folder)]
    return str(caught.value)


ANSWERS: dict[str, Callable[[Authority, bytes], bytes]] = {
    "garbage": lambda _, query: b"<html>no</html>",
    "the request itself": lambda _, query: query,
    "huge": lambda _, query: bytes(50_000_000),
    "another nonce": lambda authority, _: authority.stamp(make_request(b"x", "sha-256").as_bytes()),
    "a refusal": lambda authority, _: bytes.fromhex("30053003020102"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_does_not_verify_is_not_kept(
    agency: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Authority(tmp_path / "tsa") as authority:
        archive = Archive(agency, tmp_path, authority)
        authority.answer = lambda query: ANSWERS[name](authority, query)
        assert refusing(archive)


def test_an_answer_over_another_nonce_is_refused_though_all_else_is_right(agency: Path, tmp_path: Path) -> None:
    with Authority(tmp_path / "tsa") as authority:
        archive = Archive(agency, tmp_path, authority)
        notes = [unit.folder.cosigned.read_bytes() for unit in archive.units.values()]
        day, _ = day_of(f"sample/enforcement-recorder/{DOCK}/{time.strftime('%Y-%m-%d', time.gmtime())}", notes)
        old = authority.stamp(make_request(day, "sha-256").as_bytes())
        authority.answer = lambda _query: old
        assert "Nonce" in refusing(archive)


def test_an_authority_whose_certificate_has_ended_is_refused(agency: Path, tmp_path: Path) -> None:
    with Authority(tmp_path / "tsa", days=29) as authority:
        assert "expired" in refusing(Archive(agency, tmp_path, authority))


def test_an_authority_that_fails_or_is_not_there_is_told_by_a_sentence(agency: Path, tmp_path: Path) -> None:
    with Authority(tmp_path / "tsa") as authority:
        archive = Archive(agency, tmp_path, authority)
        authority.status = 503
        assert "503" in refusing(archive)
    assert "does not answer" in refusing(archive)


def test_two_do_not_ask_at_once(archive: Archive) -> None:
    durable.make_private_folder(archive.settings.timestamping)
    with durable.lock_folder(archive.settings.timestamping), pytest.raises(LockedError):
        archive.stamp()


def test_without_an_authority_in_the_settings_the_command_says_so(archive: Archive) -> None:
    with pytest.raises(ConfigError, match=r"dock\.timestamps"):
        stamp_archive(replace(archive.settings, timestamps=None), "sample", lambda _: True)


def test_the_command_stamps_and_verify_tells_of_it(
    archive: Archive, authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`recorder dock timestamp`, with SHA-512, and `recorder verify --tsa-roots`, on paper and as JSON."""
    settings = archive.settings
    config = tmp_path / "dock.toml"
    config.write_text(
        f'[dock]\nid = "{DOCK}"\nfolder = "{settings.folder}"\ncredentials = "{settings.credentials}"\n'
        f'[dock.timestamps]\nurl = "{authority.url}"\nroots = "{authority.roots}"\nhash = "sha-512"\n'
    )
    assert main(["dock", "--config", str(config), "timestamp"]) == 0
    assert "2 台设备" in capsys.readouterr().out
    assert main(["dock", "--config", str(config), "timestamp"]) == 0
    assert "nothing new" in capsys.readouterr().out
    words = ["verify", str(settings.archive), "--trust", str(settings.credentials / "trust.json")]
    page = tmp_path / "page.html"
    main([*words, "--tsa-roots", str(authority.roots), "--html", str(page)])
    assert "timestamps: 1/1" in capsys.readouterr().out and "时间戳" in page.read_text()
    main([*words, "--json", "--tsa-roots", str(authority.roots)])
    assert json.loads(capsys.readouterr().out)["about"]["tsa_roots_sha256"]
    main(words)
    assert "--tsa-roots" in capsys.readouterr().out
    assert main([*words, "--tsa-roots", str(config)]) == 2
    assert "PEM" in capsys.readouterr().err


def test_the_dock_asks_by_itself_and_goes_on_when_it_fails(agency: Path, tmp_path: Path) -> None:
    """A dock without a broker, with evidence in its archive: told once as missing, then stamped."""
    with Authority(tmp_path / "tsa") as authority:
        archive = Archive(agency, tmp_path, authority)
        reports: list[Report] = []
        authority.status = 500
        asked = Stamper(archive.settings, "sample", lambda report: bool(reports.append(report)) or True)
        asked.start()
        wait_for(lambda: reports, what="the report of a failure")
        asked.stop()
        authority.status = 200
        service = DockService(replace(archive.settings, port=free_port()), reports.append)
        from threading import Thread

        thread = Thread(target=service.run)
        thread.start()
        wait_for(lambda: len(reports) > 1, what="the report of a timestamp")
        service.stop()
        thread.join(20)
        assert not thread.is_alive()
        assert [one.kind for one in reports] == ["not-timestamped", "timestamped"]
        assert archive.found(authority) == set()


@pytest.fixture(scope="session")
def stamped(agency: Path, tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Stamp:
    archive = Archive(agency, tmp_path_factory.mktemp("stamped"), authority)
    archive.stamp()
    folder: EvidenceFolder = archive.units["er-1"].folder
    return read_stamp(folder, stamp_names(folder)[0])


@given(st.data())
def test_whatever_is_done_to_its_bytes_it_verifies_or_is_refused(
    stamped: Stamp, authority: Authority, data: st.DataObject
) -> None:
    """Never another error, and what still verifies says the same time."""
    roots = read_roots(authority.roots.read_bytes())
    piece = data.draw(st.sampled_from(["day", "note", "proof", "token"]))
    changed = bytearray(getattr(stamped, piece))
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert check_stamp(replace(stamped, **{piece: bytes(changed)}), roots) == check_stamp(stamped, roots)
    except RecorderError as error:
        assert isinstance(error, FormatError)
