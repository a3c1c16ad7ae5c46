"""A dock asks other witnesses: beside its work, again after a failure, and what comes back reaches the device."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from custody_rig import DOCK, Lane, Unit, free_port, make_agency, trust_of, wait_for
from nacl.signing import SigningKey

from agent.cli import main
from agent.custody.events import CheckpointCosigned
from agent.custody.service import CustodyService
from agent.dock.archive import DeviceArchive
from agent.dock.asking import Answered, Asker, News, NotAnswered
from agent.dock.broker import find_mosquitto, find_nats, start_broker
from agent.dock.console import event_text
from agent.dock.intake import Intake
from agent.dock.reports import Cosigned, DockKeys, Publish, Report
from agent.dock.service import DockService
from agent.dock.settings import DockSettings, OtherWitness
from agent.dock.witness import Witness
from agent.errors import DisputedError, WitnessError
from agent.evidence.checkpoint import Checkpoint, cosign, cosigned_at, open_note, sign_checkpoint
from agent.evidence.merkle import LeafNodes
from agent.recorder.release import keep_cosigned
from agent.witness.client import Offer, Target
from provisioning.cli import main as provision

NAME = "witness.example/w1"
TARGETS = [Target("w1", b"1" * 32, "http://w1"), Target("w2", b"2" * 32, "http://w2")]
ORIGIN = "sample/enforcement-recorder/er-1"
KEY = SigningKey(b"\1" * 32)


def offer(size: int) -> Offer:
    return Offer(sign_checkpoint(Checkpoint(ORIGIN, size, b"\0" * 32), KEY), LeafNodes([]), ())


class Script:
    """What each attempt comes to; an attempt waits until the test lets it."""

    def __init__(self, *outcomes: Exception | None, wait: bool = False) -> None:
        self.outcomes = list(outcomes)
        self.tried: list[tuple[str, int, int]] = []
        self.news: queue.Queue[News] = queue.Queue()
        self.full = False
        self.began, self.go_on = threading.Event(), threading.Event()
        if not wait:
            self.go_on.set()

    def attempt(self, target: Target, given: Offer, old: int) -> bytes:
        self.tried.append((target.name, open_note(given.note).checkpoint.size, old))
        self.began.set()
        assert self.go_on.wait(10)
        if (error := self.outcomes.pop(0) if self.outcomes else None) is not None:
            raise error
        return given.note

    def post(self, news: News) -> bool:
        if self.full:
            self.full = False
            return False
        self.news.put(news)
        return True


@contextmanager
def asking(script: Script, targets: list[Target] = TARGETS[:1]) -> Iterator[Asker]:
    asker = Asker(targets, script.post, script.attempt, first_pause_seconds=0.01)
    asker.start()
    yield asker
    asker.stop()


def test_each_witness_is_asked_and_the_size_it_has_is_remembered() -> None:
    """The next proof begins where the last cosignature ended."""
    script = Script()
    with asking(script, TARGETS) as asker:
        for size in (5, 9):
            asker.offer("er-1", offer(size))
            assert {script.news.get(timeout=10).witness for _ in TARGETS} == {"w1", "w2"}
    assert sorted(script.tried) == [("w1", 5, 0), ("w1", 9, 5), ("w2", 5, 0), ("w2", 9, 5)]


def test_what_fails_is_asked_again_and_what_is_disputed_is_not() -> None:
    """A failure is told each time; a dispute ends it until the next checkpoint."""
    script = Script(WitnessError("away"), WitnessError("away"), None, DisputedError("more"))
    with asking(script) as asker:
        asker.offer("er-1", offer(5))
        assert [type(script.news.get(timeout=10)) for _ in range(3)] == [NotAnswered, NotAnswered, Answered]
        asker.offer("er-1", offer(6))
        told = script.news.get(timeout=10)
        assert isinstance(told, NotAnswered) and told.disputed and "ER-5005" in told.reason
        asker.offer("er-2", offer(7))
        assert isinstance(script.news.get(timeout=10), Answered)
    assert [size for _, size, _ in script.tried] == [5, 5, 5, 6, 7]


def test_while_one_is_asked_only_the_newest_waits_and_nobody_waits_for_it() -> None:
    """A hundred checkpoints meanwhile are one."""
    script = Script(WitnessError("slow"), wait=True)
    with asking(script) as asker:
        asker.offer("er-1", offer(1))
        assert script.began.wait(10)
        for size in range(2, 102):
            asker.offer("er-1", offer(size))
        script.go_on.set()
        assert isinstance(script.news.get(timeout=10), NotAnswered)
        assert isinstance(script.news.get(timeout=10), Answered)
    assert [size for _, size, _ in script.tried] == [1, 101]


def test_news_that_find_no_room_are_brought_again() -> None:
    """A full inbox loses no cosignature: it is asked for once more."""
    script = Script()
    script.full = True
    with asking(script) as asker:
        asker.offer("er-1", offer(5))
        assert isinstance(script.news.get(timeout=10), Answered)
    assert len(script.tried) == 2


def filled_intake(unit: Unit, folder: Path) -> tuple[Intake, DeviceArchive]:
    settings = DockSettings(DOCK, folder / "dock", unit.credentials)
    for path in (settings.archive, settings.staging):
        path.mkdir(parents=True, exist_ok=True)
    archive = DeviceArchive(settings, "er-1", unit.trust, b"key")
    witness = Witness(settings.witness, "sample", DOCK, KEY, archive)
    return Intake(archive, witness, DockKeys(DOCK, KEY, lambda: 7_000_000), 1 << 20), archive


def test_a_cosignature_from_elsewhere_is_kept_with_the_docks_own_and_sent(agency: Path, tmp_path: Path) -> None:
    """Cosigning the same lines again loses neither; a cosignature that comes late takes nothing back."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    intake, archive = filled_intake(unit, tmp_path)

    def hand_over() -> Cosigned:
        for line in unit.folder.ledger.read_bytes().split(b"\n")[archive.chain.size : -1]:
            archive.accept(line)
        intake._note = unit.folder.checkpoint.read_bytes()
        (found,) = [out for out in intake.idle() if isinstance(out, Cosigned)]
        return found

    unit.journal.checkpoint()
    own = hand_over()
    elsewhere = SigningKey.generate()
    both = cosign(own.note, NAME, elsewhere, 9)
    published, report = intake.take_cosigned(both, NAME)
    assert isinstance(published, Publish) and published.payload == both == archive.folder.cosigned.read_bytes()
    assert isinstance(report, Report) and report.kind == "witnessed"
    assert hand_over().note == both, "the same lines cosigned again"
    unit.record([10])
    newer = hand_over()
    assert [type(out) for out in intake.take_cosigned(both, NAME)] == [Report]
    assert archive.folder.cosigned.read_bytes() == newer.note
    keys = list(archive.offered())
    assert keys[0][0] == 0 and len(keys) >= 2
    archive.folder.cosigned.write_bytes(b"rubbish")
    assert hand_over().note == archive.folder.cosigned.read_bytes()
    archive.close()


def test_a_device_keeps_all_cosignatures_of_those_it_trusts_and_no_other_line(agency: Path, tmp_path: Path) -> None:
    """They come one after another, over the same lines; a stranger's line is not kept."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    unit.journal.checkpoint()
    dock, other = SigningKey(b"\5" * 32), SigningKey(b"\6" * 32)
    from dataclasses import replace

    from agent.evidence.documents import TrustedWitness
    from agent.evidence.encoding import b64url

    named = [TrustedWitness(name, b64url(bytes(key.verify_key))) for name, key in (("d", dock), (NAME, other))]
    trust = replace(unit.trust, witnesses=named)
    note = unit.folder.checkpoint.read_bytes()
    keep_cosigned(unit.folder, cosign(cosign(note, "d", dock, 5), "stranger", KEY, 5), trust, "er-1")
    keep_cosigned(unit.folder, cosign(note, NAME, other, 6), trust, "er-1")
    kept = open_note(unit.folder.cosigned.read_bytes())
    assert [one.name for one in kept.signatures] == [ORIGIN, "d", NAME]


def test_the_console_has_words_for_each_thing_that_is_reported() -> None:
    """Chinese first."""
    for kind in ("witnessed", "unanswered", "disputed"):
        assert "见证" in event_text(Report(kind, "er-1", "w1")).plain  # type: ignore[arg-type]


def test_a_witness_that_the_trust_file_does_not_name_is_not_asked_and_stops_nothing(
    agency: Path, tmp_path: Path
) -> None:
    """Evidence comes in all the same."""
    (tmp_path / "dock").mkdir()
    settings = DockSettings(DOCK, tmp_path / "dock", agency / DOCK, witnesses=[OtherWitness("nobody", "http://x")])
    service = DockService(settings)
    assert service._targets() == []
    service._lock.release()


# The whole way: a device, a broker, a dock, and a witness in a process of its own.


@contextmanager
def running(dock: DockService, custody: CustodyService) -> Iterator[None]:
    thread = threading.Thread(target=dock.run, daemon=True)
    thread.start()
    custody.start()
    try:
        yield
    finally:
        custody.stop()
        dock.stop()
        thread.join(15)
    assert not thread.is_alive()


@contextmanager
def witness_process(folder: Path, port: int) -> Iterator[None]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "agent", "witness", "run", "--config", str(folder / "witness.toml")]
    with (folder / "witness.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield
    finally:
        process.terminate()
        ended = process.wait(15)
    assert ended == 0


def lane() -> Lane:
    if find_mosquitto() is not None:
        return "mosquitto"
    if find_nats() is None:
        pytest.skip("lane mosquitto: no broker is installed")
    return "nats"


def test_the_device_gets_the_cosignature_of_a_witness_that_was_away_at_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dock cosigns and hands over without it; when it is there, device and archive hold both cosignatures."""
    monkeypatch.setattr("agent.dock.asking.FIRST_PAUSE_SECONDS", 0.2)
    make_agency(tmp_path)
    port, door = free_port(), free_port()
    (tmp_path / "witness.toml").write_text(
        f'[witness]\nid = "{NAME}"\nfolder = "w"\nlisten = "127.0.0.1:{door}"\ntrust = ["er-1/trust.json"]\n'
    )
    main(["witness", "key", "--config", str(tmp_path / "witness.toml"), "--json"])
    key = json.loads(capsys.readouterr().out)["key"]
    agency = ["--agency", str(tmp_path / "agency")]
    assert provision(["witness", "add", NAME, f"--key={key}", *agency]) == 0
    assert provision(["refresh", str(tmp_path / "er-1"), str(tmp_path / DOCK), *agency]) == 0
    kind = lane()
    broker = start_broker(
        kind, tmp_path / "broker", tmp_path / DOCK, port, "127.0.0.1" if kind == "mosquitto" else None
    )
    try:
        unit = Unit(tmp_path / "er-1", tmp_path / "evidence")
        unit.record([70_000])
        other = OtherWitness(NAME, f"http://127.0.0.1:{door}")
        (tmp_path / "dock").mkdir()
        reports: list[Report] = []
        settings = DockSettings(DOCK, tmp_path / "dock", tmp_path / DOCK, port=port, witnesses=[other])
        custody = unit.service(port)
        with running(DockService(settings, reports.append), custody):
            wait_for(lambda: [one for one in reports if one.kind == "unanswered"], what="the report of its absence")
            wait_for(lambda: [one for one in reports if one.kind == "receipt"], what="a receipt all the same")
            assert sum(one.kind == "unanswered" for one in reports) == 1, "told once, not at every attempt"
            with witness_process(tmp_path, door):
                wait_for(lambda: witnessed(unit, custody), what="both cosignatures at the device")
        names = dict(trust_of(tmp_path / DOCK).witness_keys())
        archived = open_note((settings.archive / "er-1" / "cosigned").read_bytes())
        for name in (DOCK, NAME):
            assert cosigned_at(archived, name, names[name])
    finally:
        broker.stop()
    assert "Traceback" not in (tmp_path / "witness.log").read_text()


def witnessed(unit: Unit, custody: CustodyService) -> bool:
    """Whether the device, doing with what arrives as its main loop does, holds dock's and witness's lines in one."""
    unit.serve(custody)
    for event in unit.seen:
        if isinstance(event, CheckpointCosigned):
            keep_cosigned(unit.folder, event.note, unit.trust, "er-1")
    unit.seen.clear()
    if not unit.folder.cosigned.exists():
        return False
    return {DOCK, NAME} <= {one.name for one in open_note(unit.folder.cosigned.read_bytes()).signatures}
