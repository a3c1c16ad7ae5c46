"""Sender and intake face to face, with a road between them that loses, repeats and damages: no broker, no threads."""

from __future__ import annotations

import random
from collections import deque
from contextlib import suppress
from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, archived, check_everything, trust_of
from nacl.signing import SigningKey

from agent.custody import wire
from agent.custody.outbox import Outbox
from agent.custody.sender import Outgoing, Sender
from agent.custody.wire import Credit, DeviceState, Have, Kind, Topic
from agent.dock.archive import DeviceArchive
from agent.dock.intake import DockKeys, Intake, Out, Publish, Report
from agent.dock.settings import DockSettings
from agent.dock.verified import seal_key
from agent.dock.witness import Witness
from agent.errors import ReceiptError, WireError
from agent.evidence.encoding import b64url, dump_json, from_b64url, load_object
from agent.evidence.entries import ReceiptEntry
from agent.evidence.jws import RECEIPT_TYPE, sign
from agent.evidence.keys import load_signing_key
from agent.evidence.receipts import read_receipt

PART = 65_536


class Road:
    """One device, one dock; ``harm`` may change, drop or repeat each message on its way up."""

    def __init__(self, agency: Path, folder: Path, unit: Unit, dock: str = DOCK, outbox: Outbox | None = None) -> None:
        self.unit, self.credentials, self.dock = unit, agency / dock, dock
        self.now_us = 1_700_000_000_000_000
        self.settings = DockSettings(dock, folder / dock, self.credentials)
        self.outbox = outbox or Outbox(unit.folder)
        self.sender = Sender(unit.device, unit.folder, self.outbox, PART)
        self.reports: list[Report] = []
        self.receipts: list[bytes] = []
        self.intake = self.new_intake()
        self.session = 0
        self.published: list[Outgoing] = []
        self.arrived: deque[Outgoing] = deque()

    def new_intake(self) -> Intake:
        for path in (self.settings.archive, self.settings.staging, self.settings.receipts):
            path.mkdir(parents=True, exist_ok=True)
        key = load_signing_key((self.credentials / "receipt.key").read_bytes())
        witness_key = load_signing_key((self.credentials / "witness.key").read_bytes())
        archive = DeviceArchive(self.settings, self.unit.device, trust_of(self.credentials), seal_key(key))
        witness = Witness(self.settings.witness, self.unit.trust.agency, self.dock, witness_key, archive)
        return Intake(archive, witness, DockKeys(self.dock, key, lambda: self.now_us), 1_048_576)

    def connect(self) -> None:
        self.session += 1
        self.sender.connected(self.session)
        self.say_state()

    def say_state(self) -> None:
        self.outbox.require(self.unit.receipts_needed)
        self.outbox.follow()
        count, size = self.outbox.totals(self.sender.dock or "")
        state = DeviceState(1, self.session, self.sender.round, True, self.outbox.lines, count, size, 1_048_576, {})
        self.up(Topic(Kind.STATE, self.unit.device), wire.dump(state))

    def ask_again(self) -> None:
        self.sender.ask_again()
        self.say_state()

    def up(self, topic: Topic, payload: bytes) -> None:
        with suppress(WireError):
            self.down(self.intake.handle(topic, payload))

    def down(self, outs: list[Out]) -> None:
        resync = False
        for out in outs:
            if isinstance(out, Report):
                self.reports.append(out)
            elif isinstance(out, Publish):
                resync |= self.take(out)
        if resync:
            self.ask_again()

    def take(self, out: Publish) -> bool:
        if out.topic.kind is Kind.HAVE:
            return self.sender.have(wire.load(Have, out.payload))
        if out.topic.kind is Kind.CREDIT:
            self.sender.credit(wire.load(Credit, out.payload))
        elif out.topic.kind is Kind.RECEIPT:
            self.receipts.append(out.payload)
        return False

    def enter_receipts(self) -> None:
        for token in self.receipts:
            receipt, ref = self.unit.book.check(token)
            entry = ReceiptEntry(receipt.dock, ref, receipt.ledger_size)
            self.unit.enter(entry)
            self.unit.book._note_receipt(entry)
            for released in self.unit.book.releasable(self.unit.receipts_needed):
                self.unit.enter(released)
                self.unit.released.update(self.unit.book.remove(released))
        self.receipts.clear()
        self.outbox.follow()

    def drive(self, harm: object = None, messages: int = 100_000) -> int:
        """Publishes until nothing is left to send, or the number is reached; returns how many were published."""
        self.outbox.follow()
        for done in range(messages):
            out = self.sender.next()
            if out is None:
                self.down(self.intake.idle())
                out = self.sender.next()
                if out is None:
                    return done
            self.sender.sent(out)
            self.published.append(out)
            for each in harm(out) if harm else [out]:  # type: ignore[operator]
                self.up(each.topic, each.payload)
        return messages

    def finish(self) -> None:
        for _ in range(8):
            self.drive()
            self.enter_receipts()
            if self.unit.released >= set(self.unit.originals) and self.drive() == 0:
                return
            self.ask_again()

    def close(self) -> None:
        self.sender.disconnected()
        self.outbox.close()
        self.intake.close()


@pytest.fixture
def road(agency: Path, tmp_path: Path, unit: Unit):
    road = Road(agency, tmp_path, unit)
    yield road
    road.close()


def test_a_quiet_road_carries_every_part_once(road: Road) -> None:
    """Without faults nothing is sent twice, ledger lines lead, and receipts do not beget receipts for ever."""
    road.unit.record([200_000, 10, 300_000])
    road.connect()
    road.finish()
    check_everything(road.unit, road.settings)
    parts = [str(out.topic) for out in road.published if out.topic.kind is Kind.PART]
    assert len(parts) == len(set(parts))
    assert road.published[0].topic.kind is Kind.LEDGER
    assert len(list((road.settings.receipts / "er-1").iterdir())) == 1
    road.say_state()
    assert road.intake.may_be_taken


@pytest.mark.parametrize("seed", range(12))
def test_a_road_that_loses_repeats_and_damages_delivers_everything_all_the_same(road: Road, seed: int) -> None:
    """Messages are lost, doubled or damaged at random: archive and receipts end up true and whole."""
    dice = random.Random(seed)
    road.unit.record([300_000, 150_000])
    road.unit.record([70_000, 1, 200_000])
    harmed: set[str] = set()

    def harm(out: Outgoing) -> list[Outgoing]:
        chance = dice.random()
        if chance < 0.1:
            return []
        if chance < 0.2:
            return [out, out]
        # Each message is damaged once at most: the intake refuses for good what fails twice.
        if chance < 0.3 and out.topic.kind in (Kind.PART, Kind.LEDGER) and not harmed:
            harmed.add(str(out.topic))
            broken = bytearray(out.payload)
            broken[dice.randrange(len(broken))] ^= 1
            return [Outgoing(out.topic, bytes(broken))]
        return [out]

    road.connect()
    for _ in range(10):
        road.drive(harm)
        road.ask_again()
    road.finish()
    check_everything(road.unit, road.settings)
    assert road.unit.released == set(road.unit.originals)


def test_a_dock_that_starts_anew_takes_up_its_staging(road: Road) -> None:
    """What was staged before a crash is not sent again: at most one part goes twice."""
    road.unit.record([600_000])
    road.connect()
    road.drive(messages=11)
    parts = sum(out.topic.kind is Kind.PART for out in road.published)
    assert parts >= 3
    road.sender.disconnected()
    road.intake.close()
    road.intake = road.new_intake()
    road.connect()
    road.finish()
    media = archived(road.settings)
    topics = [str(out.topic) for out in road.published if out.topic.kind is Kind.PART and out.topic.digest in media]
    assert len(topics) - len(set(topics)) <= 1
    check_everything(road.unit, road.settings)


def test_receipts_that_the_dock_holds_do_not_come_again_with_every_connection(road: Road) -> None:
    """A receipt, as an object, waits for the next receipt to be listed; until then the dock says that it has it."""
    road.unit.record([1_000])
    road.connect()
    road.finish()
    before = len([out for out in road.published if out.topic.kind is Kind.PART])
    for _ in range(3):
        road.connect()
        road.drive()
    assert len([out for out in road.published if out.topic.kind is Kind.PART]) == before
    assert road.intake.duplicate_parts == 0


def test_a_damaged_part_puts_the_object_into_quarantine_and_it_is_asked_for_again(road: Road) -> None:
    """The copy that does not verify is kept whole with its reason; the object itself arrives the second time."""
    (ref,) = road.unit.record([100_000])
    spoiled: list[bytes] = []

    def harm(out: Outgoing) -> list[Outgoing]:
        if out.topic.kind is Kind.PART and not spoiled:
            spoiled.append(bytes([out.payload[0] ^ 1]) + out.payload[1:])
            return [Outgoing(out.topic, spoiled[0])]
        return [out]

    road.connect()
    road.drive(harm)
    road.finish()
    kept = [path for path in (road.settings.quarantine / "er-1").iterdir() if path.suffix == ".age"]
    assert len(kept) == 1
    assert kept[0].read_bytes().startswith(spoiled[0])
    assert ref.digest in kept[0].with_name(kept[0].name + ".reason.json").read_text()
    check_everything(road.unit, road.settings)


def test_an_object_that_the_ledger_does_not_name_is_not_taken(road: Road) -> None:
    """Nothing is staged for a digest that no verified line names."""
    road.connect()
    road.drive()
    digest = "ab" * 32
    road.up(Topic(Kind.OPEN, "er-1", digest), wire.dump(wire.ObjectOpen(1, 5, "age", 1024)))
    road.up(Topic(Kind.PART, "er-1", digest, 0), b"12345")
    assert not list((road.settings.staging / "er-1").iterdir())
    assert any(report.kind == "resync" for report in road.reports)


def test_a_part_outside_its_object_is_refused(road: Road) -> None:
    """A part number beyond the size changes nothing."""
    (ref,) = road.unit.record([100_000])
    road.connect()
    road.drive(messages=8)
    with pytest.raises(WireError):
        road.intake.handle(Topic(Kind.PART, "er-1", ref.digest, 60_000), b"x")


def test_a_receipt_is_signed_only_over_what_is_on_disk(road: Road) -> None:
    """Every receipt's objects and root are those of the archive's files at that moment."""
    road.unit.record([100_000])
    road.connect()
    road.drive()
    (token,) = road.receipts
    receipt = read_receipt(token, road.unit.trust)
    held = archived(road.settings)
    assert {ref.digest for ref in receipt.objects} == set(held) == set(road.unit.originals)
    lines = (road.settings.archive / "er-1" / "ledger.jws").read_bytes().count(b"\n")
    assert receipt.ledger_size <= lines


def test_lying_receipts_free_nothing(road: Road) -> None:
    """A receipt by another key, for another device, over another ledger, or altered: refused, the objects stay."""
    road.unit.record([50_000])
    road.connect()
    road.drive()
    (token,) = road.receipts
    truth = load_object(from_b64url(token.split(b".")[1]))
    key = load_signing_key((road.credentials / "receipt.key").read_bytes())
    head, _, signature = token.split(b".")
    lies = [
        sign(truth, RECEIPT_TYPE, SigningKey.generate()),
        sign(truth | {"device": "er-2"}, RECEIPT_TYPE, key),
        sign(truth | {"ledger_root": "00" * 32}, RECEIPT_TYPE, key),
        sign(truth | {"ledger_size": truth["ledger_size"] + 100}, RECEIPT_TYPE, key),
        sign(truth | {"dock": "dock-2"}, RECEIPT_TYPE, key),
        b".".join([head, b64url(dump_json(truth | {"issued_us": 1})).encode(), signature]),
    ]
    for lie in lies:
        with pytest.raises(ReceiptError):
            road.unit.book.check(lie)
    assert not road.unit.book.releasable(1)
    assert all(path.exists() for path in map(road.unit.folder.object_path, road.unit.book.sizes.values()))


def test_a_device_whose_ledger_went_back_is_reported(road: Road, agency: Path, tmp_path: Path) -> None:
    """Fewer lines than the dock holds, and fewer again when asked, is a rollback: no line is taken, the custodian is told."""
    road.unit.record([10_000])
    road.connect()
    road.finish()
    for number in (0, 1):
        state = DeviceState(1, 99, number, True, 2, 0, 0, 1_048_576, {})
        road.up(Topic(Kind.STATE, "er-1"), wire.dump(state))
    assert [report.kind for report in road.reports if report.kind == "rollback"] == ["rollback"]
    assert road.intake.ledger_refused


def test_the_will_of_a_replaced_connection_does_not_end_the_new_one(road: Road) -> None:
    """An offline state counts only for the session that it names."""
    road.connect()
    road.up(Topic(Kind.STATE, "er-1"), wire.dump(DeviceState(1, 12345, 0, False, 0, 0, 0, 0, {})))
    assert road.intake.state is not None
    road.up(Topic(Kind.STATE, "er-1"), wire.dump(DeviceState(1, road.session, 0, False, 0, 0, 0, 0, {})))
    assert road.intake.state is None


def test_credit_bounds_what_is_under_way(road: Road) -> None:
    """Without new credit the device stops at what was granted, however much is waiting."""
    road.unit.record([5_000_000])
    road.connect()
    road.outbox.follow()
    charged = 0
    while out := road.sender.next():
        road.sender.sent(out)
        charged += wire.charge(out.payload) if out.topic.kind is not Kind.CHECKPOINT else 0
    assert 1_048_576 - PART <= charged <= 1_048_576


def test_the_index_is_rebuilt_when_it_is_damaged_or_of_another_ledger(road: Road) -> None:
    """The outbox is only an index: overwritten with rubbish, it is made again from the ledger."""
    road.unit.record([1_000, 2_000])
    road.outbox.follow()
    before = (road.outbox.lines, road.outbox.totals(), [pending.ref for pending in road.outbox.pending()])
    road.outbox.close()
    (road.unit.folder.path / "outbox.sqlite3").write_bytes(b"rubbish" * 1000)
    for suffix in ("-wal", "-shm"):
        (road.unit.folder.path / f"outbox.sqlite3{suffix}").unlink(missing_ok=True)
    road.outbox = Outbox(road.unit.folder)
    assert road.outbox.rebuilt
    road.outbox.follow()
    assert (road.outbox.lines, road.outbox.totals(), [p.ref for p in road.outbox.pending()]) == before


def test_a_torn_last_line_is_not_published(road: Road) -> None:
    """Only whole, newline-ended lines count."""
    road.outbox.follow()
    lines = road.outbox.lines
    with road.unit.folder.ledger.open("ab") as ledger:
        ledger.write(b"torn")
    assert road.outbox.follow() == 0
    assert road.outbox.lines == lines
