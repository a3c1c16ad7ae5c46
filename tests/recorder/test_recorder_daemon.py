"""A whole recorder, from the press to the sealed recording, through hazards, kills and stops."""

from __future__ import annotations

import io
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest
from recorder_process import Unit, running
from samples import RECORDING, Enrolled

from agent.config import RecorderConfig, load
from agent.errors import LockedError, RefusedError, StorageError
from agent.evidence.checkpoint import check_ledger_signature, open_note
from agent.evidence.documents import read_policy, sign_policy
from agent.evidence.entries import entry_objects
from agent.evidence.ledger import ChainState
from agent.evidence.receipts import Receipt, sign_receipt
from agent.recorder.daemon import Daemon
from agent.recorder.machine import OffAsked
from agent.recorder.messages import ReceiptArrived
from agent.recorder.release import root_at


def frames_of(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as film:
        return sum(1 for _ in film.decode(video=0))


def names(unit: Unit) -> set[str]:
    return {path.name for path in unit.evidence.objects.iterdir()}


def referred(unit: Unit) -> set[str]:
    return {ref.file_name for entry in unit.entries() for ref in entry_objects(entry)}


def test_press_notice_recording_mark_photo_hold_close(unit: Unit) -> None:
    with running(unit):
        unit.press()
        unit.until_phase("recording")
        with pytest.raises(RefusedError):
            unit.ask("mark", kind="invented")
        unit.ask("mark", kind="site_sign")
        unit.ask("photo")
        unit.until_entry("photo")
        unit.until_entry("segment", 2)
        unit.press(hold_ms=2_200)
        unit.until_phase("ready")
        unit.end(signal.SIGTERM)
    types = unit.types()
    assert types[:5] == ["boot", "genesis", "adopted", "adopted", "self_test"]
    story = [kind for kind in types[5:] if kind not in ("hazard", "segment", "clock")]
    assert story == ["epoch", "notice", "open", "mark", "photo", "close", "epoch"]

    (notice,), (opened,), (close,) = (unit.bodies(kind) for kind in ("notice", "open", "close"))
    segments = unit.bodies("segment")
    assert (notice.means, notice.outcome, notice.underruns) == ("played", "completed", 0)
    assert notice.frames_consumed == notice.frames_total == 4_000
    assert (opened.matter, opened.action, opened.kind) == ("matter-1", "inspection", "video")
    assert (close.reason, close.segments, close.dropped) == ("button", len(segments), 0)
    assert segments[0].first_frame_us >= notice.ended_us, "R12.1: not one frame from before the end of the notice"
    assert [one.index for one in segments] == list(range(len(segments)))
    assert names(unit) == referred(unit)

    films = [unit.opened(one.object.file_name) for one in segments]
    assert [code for code, _ in films] == [0] * len(films)
    assert [frames_of(data) for _, data in films] == [one.frames for one in segments]
    assert frames_of(b"".join(data for _, data in films)) == close.frames
    code, particulars = unit.opened(opened.particulars.file_name)
    assert (code, json.loads(particulars)["assignment"]["party"]) == (0, "样例企业")
    photo = unit.opened(unit.bodies("photo")[0].object.file_name)[1]
    assert photo[:2] == b"\xff\xd8"
    assert "样例企业".encode() not in unit.evidence.ledger.read_bytes()


def test_a_hazard_refuses_a_press_and_ends_a_recording_and_both_are_entered(unit: Unit) -> None:
    with running(unit):
        unit.ask("drive", part="hazard", active=True)
        unit.press()
        unit.until_entry("refused")
        assert unit.ask("status")["phase"] == "blocked"
        unit.ask("drive", part="hazard", active=False)
        unit.until_entry("hazard", 2)
        unit.press()
        unit.until_phase("recording")
        unit.ask("drive", part="hazard", active=True)
        unit.until_entry("close")
    (refused,) = unit.bodies("refused")
    assert (refused.rule, refused.reason) == ("R13.1", "no_approval")
    assert [one.state for one in unit.bodies("hazard")] == ["set", "clear", "set"]
    assert [one.reason for one in unit.bodies("close")] == ["hazard"]
    assert unit.types().count("notice") == 1, "the refused press played no notice"


def test_an_assignment_that_cannot_be_read_refuses_a_press_and_ends_a_recording(unit: Unit) -> None:
    """What the matter demands is unknown then: fail closed."""
    with running(unit):
        unit.press()
        unit.until_phase("recording")
        (unit.folder / "assignment.json").write_text("{")
        unit.until_entry("close")
        unit.press()
        unit.until_entry("refused")
        assert unit.process is not None
        assert unit.process.poll() is None
    assert [one.reason for one in unit.bodies("close")] == ["hazard"]
    assert [(one.rule, one.reason) for one in unit.bodies("refused")] == [("R13.1", "assignment_unusable")]
    assert unit.bodies("hazard")[-1].state == "stale"


def test_restricted_content_and_nonsense_requests_are_refused_and_the_recorder_goes_on(unit: Unit) -> None:
    unit.assign(restricted="privacy")
    with running(unit):
        unit.press()
        unit.until_entry("refused")
        for fields in ({"hold_ms": "long"}, {"hold_ms": -1}, {"hold_ms": 10**9}):
            with pytest.raises(RefusedError):
                unit.ask("press", **fields)
        with pytest.raises(RefusedError, match="unknown"):
            unit.ask("pause")
        assert unit.ask("status")["device"] == "er-1"
    assert unit.bodies("refused")[0].rule == "R13.2"


def test_a_notice_that_is_stopped_leaves_its_entry_and_no_sealed_object(unit: Unit) -> None:
    with running(unit):
        unit.press()
        unit.until_phase("notice")
        unit.ask("stop")
        unit.until_entry("notice")
        unit.until_phase("ready")
    assert unit.bodies("notice")[0].outcome == "failed"
    assert "open" not in unit.types()
    assert names(unit) == referred(unit)


def test_a_photo_alone_needs_its_notice_too_and_stores_no_film(unit: Unit) -> None:
    with running(unit):
        unit.ask("photo")
        unit.until_entry("close")
        unit.until_phase("ready")
    types = [kind for kind in unit.types() if kind in ("notice", "open", "photo", "segment", "close")]
    assert types == ["notice", "open", "photo", "close"]
    assert unit.bodies("close")[0].reason == "photo"
    assert unit.bodies("photo")[0].captured_us >= unit.bodies("notice")[0].ended_us


def test_kill_9_while_recording_is_recovered_at_the_next_start_and_the_ledger_verifies(unit: Unit) -> None:
    with running(unit):
        unit.press()
        unit.until_entry("segment", 1)
        unit.end(signal.SIGKILL)
    before = len(unit.entries())
    with running(unit):
        unit.press()
        unit.until_entry("segment", len(unit.bodies("segment")) + 1)
        unit.end(signal.SIGTERM)
    after = [entry.body for entry in unit.entries()[before:]]
    kinds = [body.TYPE for body in after]
    assert kinds[0] == "boot"
    assert kinds.index("gap") < kinds.index("close") < kinds.index("self_test")
    gap, close = after[kinds.index("gap")], after[kinds.index("close")]
    assert (gap.cause, close.reason) == ("power_cut", "power_cut")
    first = unit.bodies("open")[0].recording
    segments = [one for one in unit.bodies("segment") if one.recording == first]
    assert close.segments == len(segments)
    assert names(unit) == referred(unit), "every piece has its line and its name"
    torn = False
    for one in segments:
        code, film = unit.opened(one.object.file_name)
        assert code == 0 or one.recovered
        assert film[4:8] == b"ftyp" or (torn and one.recovered), "each begins a film, or goes on where one is torn"
        torn = one.recovered


def test_a_cut_leaves_no_working_names_whatever_was_being_written(unit: Unit) -> None:
    with running(unit):
        unit.end(signal.SIGTERM)
    (unit.evidence.objects / f"{RECORDING}-000000.open").write_bytes(b"age-encryption.org/v1\n-> torn")
    (unit.evidence.objects / f"{'d' * 64}.age").write_bytes(b"no line names this")
    with running(unit):
        unit.end(signal.SIGTERM)
    assert names(unit) == referred(unit)
    assert (unit.evidence.path / "unlisted" / f"{'d' * 64}.age").exists()


def test_sigterm_seals_the_running_recording_before_the_process_ends(unit: Unit) -> None:
    with running(unit):
        unit.press()
        unit.until_phase("recording")
        unit.until_entry("segment")
        assert unit.end(signal.SIGTERM) == 0
    assert [one.reason for one in unit.bodies("close")] == ["shutdown"]
    assert unit.types()[-1] == "epoch"
    chain = ChainState(unit.enrolled.trust)
    for line in unit.evidence.ledger.read_bytes().splitlines():
        chain.accept(line)
    note = open_note(unit.evidence.checkpoint.read_bytes())
    assert (note.checkpoint.size, note.checkpoint.root) == (chain.size, chain.tree.root())
    assert chain.keys.epoch_key is not None
    check_ledger_signature(note, chain.keys.epoch_key)
    assert not unit.control.exists()


def test_docking_ends_a_recording_and_a_press_in_the_dock_does_nothing(unit: Unit) -> None:
    with running(unit):
        unit.press()
        unit.until_phase("recording")
        unit.ask("drive", part="dock", active=True)
        unit.until_phase("docked")
        unit.press()
        unit.ask("drive", part="dock", active=False)
        unit.until_phase("ready")
    assert [one.reason for one in unit.bodies("close")] == ["docked"]
    assert [one.state for one in unit.bodies("docked")] == ["in", "out"]
    assert unit.types().count("notice") == 1


# In this process


@pytest.fixture
def settings(unit: Unit) -> Iterator[RecorderConfig]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield load(unit.folder / "config.toml", RecorderConfig)
    for number, handler in handlers.items():
        signal.signal(number, handler)  # the tests' own again, not those of a recorder that has ended


def test_a_second_recorder_on_the_same_folder_is_refused_and_the_first_one_that_ends_frees_it(
    settings: RecorderConfig,
) -> None:
    first = Daemon(settings.recorder, settings.hardware)
    with pytest.raises(LockedError):
        Daemon(settings.recorder, settings.hardware)
    first.post(OffAsked())
    first.run()
    again = Daemon(settings.recorder, settings.hardware)
    again.post(OffAsked())
    again.run()


def test_a_start_that_fails_leaves_nothing_locked(settings: RecorderConfig, unit: Unit) -> None:
    unit.control.mkdir()
    with pytest.raises(StorageError):
        Daemon(settings.recorder, settings.hardware)
    unit.control.rmdir()
    daemon = Daemon(settings.recorder, settings.hardware)
    daemon.post(OffAsked())
    daemon.run()


def test_only_a_receipt_of_a_dock_of_the_agency_is_entered(
    settings: RecorderConfig, unit: Unit, enrolled: Enrolled
) -> None:
    daemon = Daemon(settings.recorder, settings.hardware)
    root = root_at(unit.evidence.ledger, 2)
    good = Receipt(1, "receipt", "dock-1", "er-1", [], 2, root, 1)
    daemon.post(ReceiptArrived(sign_receipt(good, enrolled.key("dock-2", "receipt.key"))))
    daemon.post(ReceiptArrived(b"nonsense"))
    daemon.post(ReceiptArrived(sign_receipt(good, enrolled.key("dock-1", "receipt.key"))))
    daemon.post(OffAsked())
    daemon.run()
    assert [one.dock for one in unit.bodies("receipt")] == ["dock-1"]


def test_a_newer_policy_is_taken_between_recordings_and_an_older_one_is_not(
    unit: Unit, tmp_path: Path, enrolled: Enrolled
) -> None:
    own = tmp_path / "credentials"
    shutil.copytree(enrolled.folder / "er-1", own)
    text = (unit.folder / "config.toml").read_text().replace(str(enrolled.folder / "er-1"), str(own))
    (unit.folder / "config.toml").write_text(text)
    key = enrolled.key("agency", "documents.key")
    policy = read_policy((own / "policy.jws").read_bytes(), enrolled.trust)
    with running(unit):
        for version, taken in ((policy.version + 1, True), (policy.version, False)):
            (own / "policy.jws").write_bytes(sign_policy(replace(policy, version=version), key))
            if taken:
                unit.ask("reload")
            else:
                with pytest.raises(RefusedError, match="older"):
                    unit.ask("reload")
    versions = [one.version for one in unit.bodies("adopted") if one.document == "policy"]
    assert versions == [policy.version, policy.version + 1]
