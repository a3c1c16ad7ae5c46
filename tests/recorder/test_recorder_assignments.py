"""R12.2: one matter, by three ways; the last taken wins, and of signed ones never an older."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from assignment_samples import MATTER, Desk, bare, book, matter
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from samples import Enrolled

from agent.errors import ConfigError, FormatError, RefusedError, StorageError, TrustError
from agent.evidence.dispatch import code_of
from agent.evidence.documents import Assignment
from agent.recorder.assignments import MAX_ASSIGNMENT_BYTES, NEWEST_NAME, AssignmentBook, Tasking, judged_by
from agent.system import durable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def desk(enrolled: Enrolled) -> Desk:
    return Desk(enrolled)


# The three ways


def test_each_way_gives_the_matter_and_says_which_way_it_was(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    taken = book(tmp_path, enrolled.trust, unsigned_codes=True)
    assert taken.read() == Tasking()
    assert taken.take_file(bare(matter(1)).encode())
    assert taken.read() == Tasking(matter(1), "file")
    assert taken.take_dispatch(desk.token(5, matter(2)))
    assert taken.read() == Tasking(matter(2), "dispatch")
    assert taken.take_code(code_of(desk.token(6, matter(3))))
    assert taken.read() == Tasking(matter(3), "qr")
    assert taken.take_code(desk.token(7, matter(4)).decode())
    assert taken.read() == Tasking(matter(4), "qr")
    assert taken.take_code(bare(matter(5)))
    assert taken.read() == Tasking(matter(5), "qr")
    assert taken.take_file(desk.token(8, matter(6)))
    assert taken.read() == Tasking(matter(6), "dispatch")
    assert book(tmp_path, enrolled.trust).read() == Tasking(matter(6), "dispatch"), "and after a restart"


def test_a_file_put_there_by_hand_counts_as_it_stands(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    (tmp_path / "assignment").write_text("\n " + bare(MATTER) + "\n", "utf-8")
    assert book(tmp_path, enrolled.trust).read() == Tasking(MATTER, "file")
    (tmp_path / "assignment").write_bytes(desk.token(5, matter(2)) + b"\n")
    assert book(tmp_path, enrolled.trust).read() == Tasking(matter(2), "dispatch")


def test_what_names_a_party_is_not_for_everybody_to_read(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    book(tmp_path, enrolled.trust).take_dispatch(desk.token(5, MATTER))
    assert stat.S_IMODE((tmp_path / "assignment").stat().st_mode) == 0o640
    assert "样例" not in (tmp_path / NEWEST_NAME).read_text("utf-8")


def test_cleared_there_is_no_matter_and_what_dispatch_sends_again_does_not_bring_it_back(
    tmp_path: Path, enrolled: Enrolled, desk: Desk
) -> None:
    taken, token = book(tmp_path, enrolled.trust), desk.token(5, MATTER)
    taken.take_dispatch(token)
    assert taken.clear()
    assert not taken.clear()
    assert not taken.take_dispatch(token)
    assert book(tmp_path, enrolled.trust).read() == Tasking()


def test_a_unit_that_takes_no_assignments_says_so(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    none = AssignmentBook(None, tmp_path, enrolled.trust, "er-1")
    assert none.read() == Tasking()
    for take in (
        lambda: none.take_dispatch(desk.token(5, MATTER)),
        lambda: none.take_file(bare(MATTER).encode()),
        none.clear,
    ):
        with pytest.raises(ConfigError, match=r"recorder\.assignment"):
            take()
    assert not (tmp_path / NEWEST_NAME).exists()


# Never an older one


def test_an_older_signed_one_does_not_come_back_though_a_local_file_took_its_place_in_between(
    tmp_path: Path, enrolled: Enrolled, desk: Desk
) -> None:
    old, new = desk.token(5, matter(1)), desk.token(6, matter(2))
    book(tmp_path, enrolled.trust).take_dispatch(new)
    (tmp_path / "assignment").write_text(bare(matter(3)), "utf-8")
    taken = book(tmp_path, enrolled.trust)
    assert not taken.take_dispatch(old)
    assert not taken.take_dispatch(new), "the retained one comes with every connection, and says nothing new"
    for way in (lambda: taken.take_code(code_of(old)), lambda: taken.take_file(old)):
        with pytest.raises(RefusedError):
            way()
    assert taken.read() == Tasking(matter(3), "file")


def test_the_newest_code_may_be_shown_again(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    """It was shown on purpose, so it is what was taken last."""
    taken, code = book(tmp_path, enrolled.trust), code_of(desk.token(6, matter(2)))
    assert taken.take_code(code)
    assert not taken.take_code(code), "it is held already: nothing changes"
    taken.take_file(bare(matter(3)).encode())
    assert taken.take_code(code)
    assert taken.read() == Tasking(matter(2), "qr")


def test_a_code_and_dispatch_are_one_sequence(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    taken = book(tmp_path, enrolled.trust)
    taken.take_code(code_of(desk.token(6, matter(2))))
    assert not taken.take_dispatch(desk.token(5, matter(1)))
    assert taken.take_dispatch(desk.token(7, matter(3)))


def test_a_withdrawal_takes_back_what_was_signed_and_leaves_what_was_put_there_by_hand(
    tmp_path: Path, enrolled: Enrolled, desk: Desk
) -> None:
    taken = book(tmp_path, enrolled.trust)
    taken.take_code(code_of(desk.token(5, matter(1))))
    assert taken.take_dispatch(desk.token(6, None))
    assert taken.read() == Tasking()
    taken.take_file(bare(matter(2)).encode())
    assert taken.take_dispatch(desk.token(7, None))
    assert taken.read() == Tasking(matter(2), "file")
    assert not taken.take_dispatch(desk.token(6, matter(1)))


def test_a_spoilt_memory_costs_only_itself(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    book(tmp_path, enrolled.trust).take_dispatch(desk.token(5, matter(1)))
    (tmp_path / NEWEST_NAME).write_bytes(b"\0")
    taken = book(tmp_path, enrolled.trust)
    assert not taken.take_dispatch(desk.token(4, matter(2))), "the one that is held says it too"
    assert taken.take_dispatch(desk.token(6, matter(3)))


# What is not ours


@pytest.mark.parametrize("owner", [("dock-1", "receipt.key"), ("er-1", "identity.key")])
def test_what_no_document_key_signed_is_refused_by_every_way(
    tmp_path: Path, enrolled: Enrolled, owner: tuple[str, str]
) -> None:
    taken, forged = book(tmp_path, enrolled.trust), Desk(enrolled, *owner).token(9, MATTER)
    for way in (
        lambda: taken.take_dispatch(forged),
        lambda: taken.take_code(forged.decode()),
        lambda: taken.take_code(code_of(forged)),
        lambda: taken.take_file(forged),
    ):
        with pytest.raises(TrustError):
            way()
    assert taken.read() == Tasking()


def test_what_is_for_another_unit_is_refused_by_every_way(tmp_path: Path, enrolled: Enrolled, desk: Desk) -> None:
    taken, other = book(tmp_path, enrolled.trust), desk.token(9, MATTER, "er-2")
    for way in (
        lambda: taken.take_dispatch(other),
        lambda: taken.take_code(code_of(other)),
        lambda: taken.take_file(other),
    ):
        with pytest.raises(TrustError, match="er-2"):
            way()
    (tmp_path / "assignment").write_bytes(other)
    with pytest.raises(FormatError, match="er-2"):
        taken.read()


def test_a_code_that_nobody_signed_counts_only_where_the_configuration_says_so(
    tmp_path: Path, enrolled: Enrolled
) -> None:
    """Anybody can hang up such a code at his door, and one that says "privacy" would forbid recording there."""
    with pytest.raises(TrustError, match="unsigned_codes"):
        book(tmp_path, enrolled.trust).take_code(bare(MATTER))
    assert book(tmp_path, enrolled.trust, unsigned_codes=True).take_code(bare(MATTER))
    with pytest.raises(FormatError, match="unsigned_codes"):
        book(tmp_path, enrolled.trust).read()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "JWS"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JWS"),
        (bare(replace(MATTER, matter="A b")).encode(), "matter"),
        (bare(MATTER).replace('"mandatory": false', '"mandatory": 0').encode(), "mandatory"),
        (bare(MATTER).replace('"party"', '"partner"').encode(), "party"),
        (b'{"source":"qr","code":"1"}', "code"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_is_wrong_with_it(
    tmp_path: Path, enrolled: Enrolled, data: bytes, why: str
) -> None:
    (tmp_path / "assignment").write_bytes(data)
    with pytest.raises(FormatError, match=why):
        book(tmp_path, enrolled.trust).read()
    assert book(tmp_path, enrolled.trust).take_file(bare(MATTER).encode()), "and another one takes its place"


def test_a_file_over_the_limit_is_neither_taken_nor_read(tmp_path: Path, enrolled: Enrolled) -> None:
    large = b'{"matter":"' + b"a" * MAX_ASSIGNMENT_BYTES
    (tmp_path / "assignment").write_bytes(large)
    with pytest.raises(FormatError):
        book(tmp_path, enrolled.trust).read()
    with pytest.raises(FormatError, match="at most"):
        book(tmp_path, enrolled.trust).take_file(large)


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_random_bytes_are_refused_by_every_way_and_change_nothing(enrolled: Enrolled, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = book(Path(folder), enrolled.trust, unsigned_codes=True)
        taken.take_file(bare(MATTER).encode())
        for take in (taken.take_dispatch, taken.take_file, lambda raw: taken.take_code(raw.decode("utf-8", "replace"))):
            with pytest.raises((FormatError, TrustError)):
                take(data)
        assert taken.read() == Tasking(MATTER, "file")
        (Path(folder) / "assignment").write_bytes(data)
        with pytest.raises(FormatError):
            taken.read()


# A recording under way


@pytest.mark.parametrize(
    ("opened", "assigned", "judged"),
    [
        (matter(1), matter(2, restricted="privacy"), matter(1)),
        (matter(1), matter(1, restricted="privacy"), matter(1, restricted="privacy")),
        (matter(1), None, matter(1)),
        (None, matter(2), matter(2)),
        (None, None, None),
    ],
)
def test_a_recording_is_judged_by_its_own_matter_as_it_stands_now(
    opened: Assignment | None, assigned: Assignment | None, judged: Assignment | None
) -> None:
    assert judged_by(opened, assigned) == judged


# In any order, through restarts and failing disks


class Books(RuleBasedStateMachine):
    """Whatever is taken in whatever order: the model is two facts, what was taken last and how new the newest was."""

    enrolled: Enrolled

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.desk = Desk(self.enrolled)
        self.newest, self.held, self.signed_us = -1, Tasking(), -1
        self.restart()

    @rule()
    def restart(self) -> None:
        self.book = book(Path(self.folder.name), self.enrolled.trust, unsigned_codes=True)

    @rule(issued=st.integers(0, 6))
    def dispatch(self, issued: int) -> None:
        newer = issued > self.newest
        assert self.book.take_dispatch(self.desk.token(issued, matter(issued))) == newer
        if newer:
            self.newest, self.held, self.signed_us = issued, Tasking(matter(issued), "dispatch"), issued

    @rule(issued=st.integers(0, 6))
    def withdraw(self, issued: int) -> None:
        newer = issued > self.newest
        assert self.book.take_dispatch(self.desk.token(issued, None)) == newer
        if newer:
            self.newest = issued
            if self.signed_us >= 0:
                self.held, self.signed_us = Tasking(), -1

    @rule(issued=st.integers(0, 6), digits=st.booleans())
    def show(self, issued: int, digits: bool) -> None:
        token = self.desk.token(issued, matter(issued))
        code = code_of(token) if digits else token.decode()
        if issued < self.newest:
            with pytest.raises(RefusedError):
                self.book.take_code(code)
        elif self.book.take_code(code):
            self.newest, self.held, self.signed_us = issued, Tasking(matter(issued), "qr"), issued

    @rule(number=st.integers(10, 13), by_code=st.booleans())
    def by_hand(self, number: int, by_code: bool) -> None:
        text = bare(matter(number))
        changed = self.book.take_code(text) if by_code else self.book.take_file(text.encode())
        if changed:
            self.held, self.signed_us = Tasking(matter(number), "qr" if by_code else "file"), -1
        assert self.book.read().assignment == matter(number)

    @rule()
    def clear(self) -> None:
        self.book.clear()
        self.held, self.signed_us = Tasking(), -1

    @rule(after=st.integers(0, 3))
    def disk_fails(self, after: int) -> None:
        """A failed write changes nothing that counts: the same token is taken when it comes again."""
        token, count, real = self.desk.token(self.newest + 1, matter(self.newest + 1)), [after], durable.sync_folder

        def failing(path: Path) -> None:
            count[0] -= 1
            if count[0] < 0:
                raise StorageError("sample")
            real(path)

        durable.sync_folder = failing  # type: ignore[assignment]
        try:
            with suppress(StorageError):
                self.book.take_dispatch(token)
        finally:
            durable.sync_folder = real
        self.restart()
        self.book.take_dispatch(token)
        self.newest += 1
        self.held, self.signed_us = Tasking(matter(self.newest), "dispatch"), self.newest

    @invariant()
    def what_was_taken_last_is_held(self) -> None:
        if hasattr(self, "book"):
            assert self.book.read() == self.held

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


def test_in_any_order_and_through_restarts_and_failing_disks_the_last_taken_is_held(enrolled: Enrolled) -> None:
    run_state_machine_as_test(type("Books", (Books,), {"enrolled": enrolled}))


KILLED = """
import os, signal, sys
from pathlib import Path
from agent.evidence.documents import TrustBundle
from agent.recorder.assignments import AssignmentBook
from agent.system import durable
folder, trust, token, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
count = 0
def counted(name, real):
    def call(*args, **kwargs):
        global count
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return real(*args, **kwargs)
    return call
for name in ("write", "fsync", "fchmod", "close", "replace"):
    setattr(os, name, counted(name, getattr(os, name)))
book = AssignmentBook(folder / "assignment", folder, TrustBundle.from_json(trust.read_bytes()), "er-1")
book.take_dispatch(token.read_bytes())
"""


@pytest.mark.slow
def test_killed_at_any_step_the_old_matter_is_held_or_the_new_one_and_never_half_of_one(
    tmp_path: Path, enrolled: Enrolled, desk: Desk
) -> None:
    before, after = desk.token(5, matter(1)), desk.token(6, matter(2))
    (tmp_path / "token").write_bytes(after)
    arguments = [str(tmp_path), str(enrolled.folder / "er-1" / "trust.json"), str(tmp_path / "token")]
    seen: set[str] = set()
    for step in range(40):
        for path in (tmp_path / "assignment", tmp_path / NEWEST_NAME):
            path.unlink(missing_ok=True)
        book(tmp_path, enrolled.trust).take_dispatch(before)
        command = [sys.executable, "-c", KILLED, *arguments, str(step)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
        again = book(tmp_path, enrolled.trust)
        held = again.read().assignment
        assert held in (matter(1), matter(2))
        seen.add(held.matter)
        again.take_dispatch(after)
        assert again.read() == Tasking(matter(2), "dispatch")
        assert not again.take_dispatch(before)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    else:
        pytest.fail("the child never ran to its end")
    assert seen == {"matter-1", "matter-2"}
