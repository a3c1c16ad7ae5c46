"""An agency's folder and what it hands out: whole, signed, private where it must be, and never going back."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import stat
import subprocess
import sys
import wave
from datetime import timedelta
from pathlib import Path

import pytest
from provisioning_sample import Sample, tone

from agent.errors import LockedError, RegisterError, StorageError, TrustError, UsageError
from agent.evidence.documents import Profile, TrustBundle, read_policy, read_profile
from agent.evidence.encoding import sha256_hex
from agent.recorder.credentials import load_credentials
from agent.rules.explosion import why_not_covered
from agent.system import durable
from provisioning.agency import Agency, Founding, found, micros
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device, refresh
from provisioning.policy import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {"tls.key", "tls.crt", "ca.crt", "trust.json", "policy.jws"}
DEVICE_FILES = DOCUMENTS | {"identity.key", "identity.crt", "profile.jws", "notice.wav"}
DOCK_FILES = DOCUMENTS | {"crl.pem", "receipt.key", "witness.key", "register.json"}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def profile_of(folder: Path) -> Profile:
    trust = TrustBundle.from_json((folder / "trust.json").read_bytes())
    return read_profile((folder / "profile.jws").read_bytes(), trust)


def accepted(sample: Sample) -> list[str]:
    refresh(sample.agency, sample.folder / "dock-1")
    devices: list[str] = json.loads((sample.folder / "dock-1" / "register.json").read_bytes())["devices"]
    return devices


def test_the_folders_hold_exactly_what_is_specified_and_private_keys_are_private(sample: Sample) -> None:
    assert names(sample.folder / "er-1") == DEVICE_FILES
    assert names(sample.folder / "dock-1") == DOCK_FILES
    for folder in ("er-1", "dock-1", "agency"):
        assert stat.S_IMODE((sample.folder / folder).stat().st_mode) == 0o700
        for file in (sample.folder / folder).iterdir():
            secret = file.suffix in (".key", ".agekey") or (folder, file.name) == ("agency", "register.json")
            assert secret == (stat.S_IMODE(file.stat().st_mode) == 0o600), file
    assert not [entry for entry in sample.folder.iterdir() if entry.name.startswith(".")]


def test_the_recorder_accepts_the_folder_of_a_device(sample: Sample) -> None:
    loaded = load_credentials(sample.folder / "er-1")
    assert loaded.identity.device == "er-1"
    assert loaded.documents.profile.officer == "unassigned"
    assert len(loaded.documents.recipients) == 2


def test_the_policy_begins_with_the_safe_values(sample: Sample) -> None:
    policy = sample.agency.policy(sample.agency.view())
    assert policy.notice.digest == sha256_hex(tone())
    assert policy.notice.text.startswith("您好")
    assert (policy.hazard.max_age_us, policy.hazard.stale_counts_as_set) == (10_000_000, True)
    assert (policy.segment_us, policy.epoch_lines, policy.receipts_needed) == (5_000_000, 256, 1)
    assert (policy.minimum_free_bytes, policy.notice.must_be_heard, policy.version) == (200 * 1024 * 1024, False, 1)


def test_policy_versions_rise_and_what_is_not_given_stays(sample: Sample) -> None:
    second = sample.agency.sign_policy(Settings(must_be_heard=True))
    third = sample.agency.sign_policy(Settings(receipts_needed=2), tone(value=2))
    assert (second.version, third.version) == (2, 3)
    assert third.notice.must_be_heard
    assert third.notice.digest == sha256_hex(tone(value=2))
    refresh(sample.agency, sample.folder / "er-1")
    assert load_credentials(sample.folder / "er-1").documents.policy == third


def test_a_tone_of_no_interval_is_no_tone(sample: Sample) -> None:
    assert sample.agency.sign_policy(Settings(tone_interval_us=30_000_000)).notice.tone_interval_us == 30_000_000
    assert sample.agency.sign_policy(Settings(tone_interval_us=0)).notice.tone_interval_us is None


@pytest.mark.parametrize(
    "settings",
    [
        Settings(receipts_needed=0),
        Settings(epoch_lines=0),
        Settings(segment_us=999_999),
        Settings(hazard_max_age_us=0),
        Settings(hazard_max_age_us=601_000_000),
        Settings(minimum_free_bytes=0),
        Settings(release_after_us=-1),
        Settings(release_after_us=31 * 86_400_000_000),
        Settings(alarm_minutes=4),
        Settings(alarm_minutes=31),
        Settings(seal_minutes=0),
        Settings(seal_minutes=15),
        Settings(tone_interval_us=4_999_999),
        Settings(notice_text="  "),
        Settings(notice_text="长" * 501),
    ],
)
def test_a_policy_off_its_limits_is_not_signed_and_uses_up_no_version(sample: Sample, settings: Settings) -> None:
    with pytest.raises(UsageError):
        sample.agency.sign_policy(settings)
    assert sample.agency.policy(sample.agency.view()).version == 1


@pytest.mark.parametrize("notice", [b"", b"not a sound", tone(0.1), tone(61), tone()[:-100]])
def test_a_notice_that_cannot_be_heard_as_a_whole_is_refused(sample: Sample, notice: bytes) -> None:
    with pytest.raises(UsageError, match="notice"):
        sample.agency.sign_policy(Settings(), notice)


def sound(width: int = 2, channels: int = 1, rate: int = 8000, value: int = 1) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes([value]) * (width * channels * rate))
    return held.getvalue()


@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 8000), (1, 22050), (2, 44100), (1, 48000)])
def test_the_kinds_of_recording_that_an_agency_has_are_taken_as_its_notice(
    sample: Sample, channels: int, rate: int
) -> None:
    wav = sound(channels=channels, rate=rate)
    assert sample.agency.sign_policy(Settings(), wav).notice.digest == hashlib.sha256(wav).hexdigest()


@pytest.mark.parametrize(
    ("wav", "words"),
    [
        (sound(width=1), "8 bit"),
        (sound(width=3), "24 bit"),
        (sound(channels=6), "6 channels"),
        (sound(rate=7999), "7999 Hz"),
        (sound(rate=96000), "96000 Hz"),
        (sound(value=0), "silent"),
    ],
)
def test_a_notice_that_a_unit_could_not_play_is_refused_when_the_policy_is_signed(
    sample: Sample, wav: bytes, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        sample.agency.sign_policy(Settings(), wav)


def test_every_change_of_holder_signs_a_higher_profile_for_the_new_holder(sample: Sample) -> None:
    folder, seen = sample.folder / "er-1", []
    for step in ("assign", "transfer", "give_back"):
        with sample.agency.change() as change:
            getattr(change, step)("er-1", *({"assign": ["officer-1"], "transfer": ["officer-2"]}.get(step, [])))
            sample.agency.sign_profile(change, "er-1")
        refresh(sample.agency, folder)
        profile = profile_of(folder)
        seen.append((profile.version, profile.officer, profile.section))
    assert seen == [(2, "officer-1", "section-1"), (3, "officer-2", "section-2"), (4, "unassigned", "section-9")]


def test_an_ex_approval_is_bound_to_the_unit_and_stays_through_a_transfer(sample: Sample) -> None:
    expires_us = micros(sample.clock.at + timedelta(days=100))
    sample.agency.approve_ex("er-1", "Ex ib IIC T4 Gb", "CNEx00.0000", "样例机构", expires_us)
    with sample.agency.change() as change:
        change.assign("er-1", "officer-1")
        sample.agency.sign_profile(change, "er-1")
    refresh(sample.agency, sample.folder / "er-1")
    profile = profile_of(sample.folder / "er-1")
    assert profile.version == 3
    assert profile.ex_approval is not None
    assert profile.ex_approval.unit_serial == "SN-er-1"
    assert why_not_covered(profile.ex_approval, None, "SN-er-1", 0) == "zone_unknown"


def test_an_ex_approval_that_is_unreadable_expired_or_blank_is_refused(sample: Sample) -> None:
    future = micros(sample.clock.at + timedelta(days=1))
    for marking, certificate, expires_us in (
        ("IP67", "C", future),
        ("Ex ib IIC T4 Gb", " ", future),
        ("Ex ib IIC T4 Gb", "C", micros(sample.clock.at)),
    ):
        with pytest.raises(UsageError):
            sample.agency.approve_ex("er-1", marking, certificate, "样例机构", expires_us)
    assert sample.agency.view().device("er-1").ex_approval is None


def test_a_dock_accepts_active_devices_with_a_good_certificate_only(sample: Sample) -> None:
    assert accepted(sample) == ["er-1", "er-2"]
    sample.agency.revoke("er-2", "unspecified")
    assert accepted(sample) == ["er-1"]
    sample.agency.end_device("er-1", "lost")
    assert accepted(sample) == []


def test_enrolling_again_gives_new_keys_revokes_the_old_ones_and_keeps_holder_and_approval(sample: Sample) -> None:
    with sample.agency.change() as change:
        change.assign("er-1", "officer-1")
    before = {row.serial for row in sample.agency.view().certificates() if row.subject == "er-1"}
    enrol_device(sample.agency, DeviceOrder("er-1", "", "", again=True), sample.folder / "er-1-new")
    after = {row.serial: row.reason for row in sample.agency.view().certificates() if row.subject == "er-1"}
    assert {serial for serial, reason in after.items() if reason == "superseded"} == before
    assert len(after) == 4
    assert load_credentials(sample.folder / "er-1-new").documents.profile.officer == "officer-1"
    with pytest.raises(UsageError, match="SN-er-1"):
        enrol_device(sample.agency, DeviceOrder("er-1", "other", "", again=True), sample.folder / "other")


def test_a_refused_enrolment_leaves_neither_folder_nor_trace(sample: Sample) -> None:
    history = sample.agency.view().history()
    for order, error in (
        (DeviceOrder("er-1", "SN-9", "s"), RegisterError),
        (DeviceOrder("dock-1", "SN-9", "s"), RegisterError),
        (DeviceOrder("er-9", "SN-er-1", "s"), RegisterError),
        (DeviceOrder("er-9", "SN-9", "s", officer="nobody"), RegisterError),
        (DeviceOrder("ER 9", "SN-9", "s"), UsageError),
        (DeviceOrder("er-9", "SN-9", "s", tls_days=9999), UsageError),
    ):
        with pytest.raises(error):
            enrol_device(sample.agency, order, sample.folder / "new")
    with pytest.raises(StorageError, match="exists already"):
        enrol_device(sample.agency, DeviceOrder("er-9", "SN-9", "s"), sample.folder / "er-1")
    with pytest.raises(UsageError, match="not the policy's notice"):
        enrol_device(sample.agency, DeviceOrder("er-9", "SN-9", "s"), sample.folder / "new", tone(value=7))
    assert sample.agency.view().history() == history
    assert not (sample.folder / "new").exists()
    assert not [entry for entry in sample.folder.iterdir() if entry.name.startswith(".")]


def test_a_lost_docks_receipts_count_no_longer_and_a_retired_ones_do(sample: Sample) -> None:
    add_dock(sample.agency, DockOrder("dock-2"), sample.folder / "dock-2")
    sample.agency.end_dock("dock-1", "lost")
    sample.agency.end_dock("dock-2", "retired")
    assert [dock.id for dock in sample.agency.trust(sample.agency.view()).docks] == ["dock-2"]
    with pytest.raises(RegisterError, match="dock-1 is lost"):
        sample.agency.end_dock("dock-1", "retired")


def test_folders_of_another_agency_or_of_an_ended_device_are_not_refreshed(sample: Sample, tmp_path: Path) -> None:
    found(tmp_path / "other", Founding("other", "另一单位", notice=tone()))
    with Agency(tmp_path / "other", writable=False) as other, pytest.raises(TrustError):
        refresh(other, sample.folder / "er-1")
    sample.agency.end_device("er-1", "retired")
    with pytest.raises(RegisterError, match="retired"):
        refresh(sample.agency, sample.folder / "er-1")


def test_documents_of_another_agency_are_not_trusted(sample: Sample, tmp_path: Path) -> None:
    found(tmp_path / "other", Founding("other", "另一单位", notice=tone()))
    with Agency(tmp_path / "other", writable=False) as other:
        trust = other.trust(other.view())
    with pytest.raises(TrustError):
        read_policy((sample.folder / "er-1" / "policy.jws").read_bytes(), trust)


def test_the_archive_key_may_be_taken_away_and_everything_else_still_works(sample: Sample) -> None:
    (sample.root / "archive.agekey").unlink()
    (sample.root / "escrow.agekey").unlink()
    enrol_device(sample.agency, DeviceOrder("er-3", "SN-3", "s"), sample.folder / "er-3")
    assert len(load_credentials(sample.folder / "er-3").documents.recipients) == 2


def test_an_agency_has_one_writer(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.register.LOCK_WAIT_SECONDS", 0.1)
    with pytest.raises(LockedError):
        Agency(sample.root, writable=True)


def test_a_document_key_put_in_from_elsewhere_is_not_used(sample: Sample) -> None:
    shutil.copy(sample.folder / "er-1" / "identity.key", sample.root / "documents.key")
    with pytest.raises(TrustError, match=r"documents\.key"):
        sample.agency.sign_policy(Settings(must_be_heard=True))


def test_founding_needs_a_new_folder_a_good_id_and_one_kind_of_escrow(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        found(tmp_path / "there", Founding("sample", "样例"))
    with pytest.raises(UsageError):
        found(tmp_path / "new", Founding("Not An Id", "样例"))
    with pytest.raises(TrustError, match="recipient"):
        found(tmp_path / "new", Founding("sample", "样例", escrow_recipient="age1nonsense"))
    with pytest.raises(UsageError, match="not both"):
        found(tmp_path / "new", Founding("sample", "样例", escrow=True, escrow_recipient="age1x"))
    assert names(tmp_path) == {"there"}


ENROL = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from provisioning.cli import main
count = 0
def counted(real):
    def call(*args, **kwargs):
        global count
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return real(*args, **kwargs)
    return call
for name in ("fsync", "fchmod", "replace", "rename", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
sys.exit(main(sys.argv[3:]))
"""


def test_an_enrolment_killed_at_any_step_leaves_no_folder_or_a_whole_one_and_can_be_done_again(sample: Sample) -> None:
    sample.agency.close()
    out, seen, step = sample.folder / "killed", set(), 0
    keep = (sample.root / "register.json").read_bytes()
    enrol = ["device", "enrol", "er-9", "--serial", "SN-9", "--section", "s", "--out", str(out)]
    while True:
        command = [sys.executable, "-c", ENROL, str(ROOT), str(step), *enrol, "--agency", str(sample.root)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        with Agency(sample.root, writable=True) as agency:
            known = any(row.id == "er-9" for row in agency.view().devices())
            seen.add((known, out.exists()))
            if out.exists():
                assert names(out) == DEVICE_FILES
                assert load_credentials(out).identity.device == "er-9"
                shutil.rmtree(out)
            enrol_device(agency, DeviceOrder("er-9", "SN-9", "s", again=known), out)
        assert not [entry for entry in sample.folder.iterdir() if entry.name.startswith(".")]
        shutil.rmtree(out)
        durable.write_atomic(sample.root / "register.json", keep, 0o600)
        if done.returncode == 0:
            break
        step += 3
    # Never a folder whose certificates the register does not know.
    assert seen == {(False, False), (True, False), (True, True)}
