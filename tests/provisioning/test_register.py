"""The register: one recorder per officer (R16), whole changes only, and a history that cannot be rewritten."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from agent.errors import LockedError, RegisterError, StorageError
from provisioning.records import Certificate
from provisioning.register import DeviceRegister

ROOT = Path(__file__).resolve().parents[2]
KEY = "A" * 43


def fill(register: DeviceRegister) -> None:
    with register.change("tester", 1) as change:
        for officer in ("officer-1", "officer-2"):
            change.add_officer(officer, "样例人员", "section-1")
        for device in ("er-1", "er-2"):
            change.add_device(device, f"SN-{device}", "section-1", KEY)


@pytest.fixture
def register(tmp_path: Path) -> DeviceRegister:
    made = DeviceRegister(tmp_path / "register.json", writable=True)
    fill(made)
    return made


def assign(register: DeviceRegister, device: str, officer: str) -> None:
    with register.change("tester", 2) as change:
        change.assign(device, officer)


def test_a_second_device_for_an_officer_is_refused_and_the_first_is_named(register: DeviceRegister) -> None:
    assign(register, "er-1", "officer-1")
    with pytest.raises(RegisterError, match=r"R16.*officer-1 already holds device er-1"):
        assign(register, "er-2", "officer-1")
    assert register.view().holder("er-2") is None


def test_a_second_officer_for_a_device_is_refused_and_the_holder_is_named(register: DeviceRegister) -> None:
    assign(register, "er-1", "officer-1")
    with pytest.raises(RegisterError, match=r"R16.*er-1 is held by officer officer-1"):
        assign(register, "er-1", "officer-2")


def test_a_transfer_is_one_change_and_one_that_cannot_end_well_changes_nothing(register: DeviceRegister) -> None:
    assign(register, "er-1", "officer-1")
    assign(register, "er-2", "officer-2")
    before = register.view().history()
    with pytest.raises(RegisterError, match="officer-2 already holds device er-2"), register.change("t", 3) as change:
        change.transfer("er-1", "officer-2")
    assert register.view().holder("er-1") == "officer-1"
    assert register.view().history() == before
    with register.change("t", 4) as change:
        change.give_back("er-2")
        assert change.transfer("er-1", "officer-2") == "officer-1"
    assert register.view().holder("er-1") == "officer-2"
    actions = [(entry.action, entry.detail) for entry in register.view().history()]
    assert ("transferred", {"former": "officer-1", "officer": "officer-2"}) in actions


def test_an_officer_who_holds_a_device_cannot_leave(register: DeviceRegister) -> None:
    assign(register, "er-1", "officer-1")
    with pytest.raises(RegisterError, match="still holds er-1"), register.change("t", 3) as change:
        change.officer_leaves("officer-1")
    with register.change("t", 4) as change:
        change.give_back("er-1")
        change.officer_leaves("officer-1")
    with pytest.raises(RegisterError, match="no longer active"):
        assign(register, "er-1", "officer-1")


def test_a_lost_device_frees_its_officer_and_cannot_be_held_again(register: DeviceRegister) -> None:
    assign(register, "er-1", "officer-1")
    with register.change("t", 3) as change:
        change.end_device("er-1", "lost", "样例")
    assign(register, "er-2", "officer-1")
    with pytest.raises(RegisterError, match="er-1 is lost"):
        assign(register, "er-1", "officer-2")


def test_a_device_and_a_dock_cannot_share_an_id_because_the_broker_would_take_one_for_the_other(
    register: DeviceRegister,
) -> None:
    with pytest.raises(RegisterError, match="taken"), register.change("t", 3) as change:
        change.add_dock("er-1", [], KEY, KEY)
    with register.change("t", 3) as change:
        change.add_dock("dock-1", [], KEY, KEY)
    with pytest.raises(RegisterError, match="taken"), register.change("t", 3) as change:
        change.add_device("dock-1", "SN-9", "section-1", KEY)


def test_an_exception_inside_a_change_leaves_no_trace(register: DeviceRegister, tmp_path: Path) -> None:
    before = (tmp_path / "register.json").read_bytes()
    with pytest.raises(ZeroDivisionError), register.change("t", 3) as change:
        change.assign("er-1", "officer-1")
        raise ZeroDivisionError
    assert (tmp_path / "register.json").read_bytes() == before
    assert register.view().holder("er-1") is None


def test_a_second_writer_is_refused_while_the_first_is_open(
    register: DeviceRegister, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.register.LOCK_WAIT_SECONDS", 0.1)
    with pytest.raises(LockedError):
        DeviceRegister(tmp_path / "register.json", writable=True)
    reader = DeviceRegister(tmp_path / "register.json", writable=False)
    assert len(reader.view().devices()) == 2
    with pytest.raises(StorageError, match="reading only"), reader.change("t", 1):
        pass
    register.close()
    DeviceRegister(tmp_path / "register.json", writable=True).close()


def tampered(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"by": "tester"', '"by": "nobody"', "history entry 1"),
        ('"state": "active"', '"state": "invented"', "state"),
        ('"until_us": null', '"until_us": 5, "extra": 1', "extra"),
        ('"officer": "officer-1",', '"officer": "officer-9",', "unknown"),
        ('"officers"', '"devices"', "duplicate key"),
    ],
)
def test_a_register_altered_by_hand_is_not_opened(
    register: DeviceRegister, tmp_path: Path, old: str, new: str, says: str
) -> None:
    assign(register, "er-1", "officer-1")
    register.close()
    tampered(tmp_path / "register.json", old, new)
    with pytest.raises(StorageError, match=says):
        DeviceRegister(tmp_path / "register.json", writable=True)
    with pytest.raises(StorageError, match="damaged"):
        DeviceRegister(tmp_path / "register.json", writable=False)


def test_a_torn_register_file_is_reported_as_damaged_not_as_empty(register: DeviceRegister, tmp_path: Path) -> None:
    register.close()
    path = tmp_path / "register.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StorageError, match="damaged"):
        DeviceRegister(path, writable=True)


def test_a_certificate_is_revoked_once_and_an_unknown_serial_is_refused(register: DeviceRegister) -> None:
    with register.change("t", 5) as change:
        change.add_certificate(Certificate("ab12", "er-1", "identity", "0" * 64, 1, 2, None, None))
    with register.change("t", 6) as change:
        change.revoke("ab12", "key_compromise")
    for serial, says in (("ab12", "revoked already"), ("ff", "no certificate")):
        with pytest.raises(RegisterError, match=says), register.change("t", 7) as change:
            change.revoke(serial, "unspecified")
    assert [row.revoked_us for row in register.view().certificates()] == [6]


WRITER = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from provisioning.register import DeviceRegister
register = DeviceRegister(Path(sys.argv[1]), writable=True)
count = 0
def counted(real):
    def call(*args, **kwargs):
        global count
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return real(*args, **kwargs)
    return call
for name in ("open", "write", "fchmod", "fsync", "close", "replace", "rename"):
    setattr(os, name, counted(getattr(os, name)))
with register.change("writer", 9) as change:
    change.assign("er-1", "officer-1")
    change.assign("er-2", "officer-2")
"""


def test_a_writer_killed_at_any_step_leaves_a_register_with_both_changes_or_with_none(tmp_path: Path) -> None:
    path = tmp_path / "register.json"
    with DeviceRegister(path, writable=True) as register:
        fill(register)
    before, seen = path.read_bytes(), set()
    for step in range(40):
        path.write_bytes(before)
        done = subprocess.run(
            [sys.executable, "-c", WRITER, str(path), str(step), str(ROOT)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        with DeviceRegister(path, writable=True) as register:
            view = register.view()
            seen.add((view.holder("er-1"), view.holder("er-2")))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    else:
        raise AssertionError("the writer never came to its end")
    assert seen == {(None, None), ("officer-1", "officer-2")}
    assert [entry.name for entry in tmp_path.iterdir()] == ["register.json"]


def test_the_file_is_plain_json_that_a_stranger_can_read(register: DeviceRegister, tmp_path: Path) -> None:
    tables = json.loads((tmp_path / "register.json").read_text())
    assert {row["id"] for row in tables["devices"].values()} == {"er-1", "er-2"}
    assert (tmp_path / "register.json").stat().st_mode & 0o777 == 0o600


class Stateful(RuleBasedStateMachine):
    """Random administrators against a small model: who holds what."""

    devices = Bundle("devices")
    officers = Bundle("officers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "register.json"
        self.register = DeviceRegister(self.path, writable=True)
        self.held: dict[str, str] = {}
        self.count = 0

    def teardown(self) -> None:
        self.register.close()
        self.folder.cleanup()

    def try_change(self, allowed: bool, action: str, *args: str) -> None:
        self.count += 1
        length = len(self.register.view().history())
        try:
            with self.register.change("model", self.count) as change:
                getattr(change, action)(*args)
        except RegisterError:
            assert not allowed
            assert len(self.register.view().history()) == length
        else:
            assert allowed
            assert len(self.register.view().history()) > length

    @rule(target=devices)
    def enrol(self) -> str:
        name = f"er-{self.count}"
        self.try_change(True, "add_device", name, name, "section", KEY)
        return name

    @rule(target=officers)
    def hire(self) -> str:
        name = f"officer-{self.count}"
        self.try_change(True, "add_officer", name, "样例", "section")
        return name

    @rule(device=devices, officer=officers)
    def assign(self, device: str, officer: str) -> None:
        allowed = device not in self.held and officer not in self.held.values()
        self.try_change(allowed, "assign", device, officer)
        if allowed:
            self.held[device] = officer

    @rule(device=devices)
    def give_back(self, device: str) -> None:
        self.try_change(device in self.held, "give_back", device)
        self.held.pop(device, None)

    @rule(device=devices, officer=officers)
    def transfer(self, device: str, officer: str) -> None:
        allowed = device in self.held and officer not in self.held.values()
        self.try_change(allowed, "transfer", device, officer)
        if allowed:
            self.held[device] = officer

    @rule(device=consumes(devices), state=st.sampled_from(["lost", "retired"]))
    def end(self, device: str, state: str) -> None:
        self.try_change(True, "end_device", device, state)
        self.held.pop(device, None)

    @rule(officer=officers)
    def leave_and_come_back_is_refused(self, officer: str) -> None:
        self.try_change(False, "add_officer", officer, "样例", "section")

    @rule()
    def reopen(self) -> None:
        self.register.close()
        self.register = DeviceRegister(self.path, writable=True)

    @invariant()
    def at_most_one_each(self) -> None:
        view = self.register.view()
        now = {held.device: held.officer for held in view.holdings() if held.until_us is None}
        assert now == self.held
        assert len(set(now.values())) == len(now)


def test_no_sequence_of_changes_breaks_one_recorder_per_officer() -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Stateful,
        settings=settings(max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=checks),
    )
