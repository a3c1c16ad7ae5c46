"""Lying docks, lying devices, wrong clocks, messages out of order: what is noticed, by whom, and what it costs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_rig import DOCK, SECOND_DOCK, Unit, archived, archived_lines, check_everything
from test_handover import Road

from agent.cli import main
from agent.custody import wire
from agent.custody.sender import Outgoing
from agent.custody.wire import Kind, ObjectClose, ObjectOpen, Topic
from agent.evidence.keys import load_signing_key
from agent.evidence.receipts import Receipt, read_receipt, sign_receipt


@pytest.fixture
def road(agency: Path, tmp_path: Path, unit: Unit) -> Iterator[Road]:
    road = Road(agency, tmp_path, unit)
    yield road
    road.close()


@pytest.fixture
def second(road: Road, agency: Path, tmp_path: Path, unit: Unit) -> Iterator[Road]:
    """The way to another dock, over the same evidence."""
    other = Road(agency, tmp_path, unit, SECOND_DOCK, road.outbox)
    yield other
    other.close()


def false_receipt(road: Road) -> bytes:
    """By the dock's true key, over the true ledger, for objects of which it has not a byte."""
    refs = list(road.unit.book.sizes.values())
    lines = road.unit.folder.ledger.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines):
        road.up(Topic(Kind.LEDGER, road.unit.device, number=number), line)
    road.intake._flush()
    root = road.intake.archive.chain.tree.root().hex()
    receipt = Receipt(1, "receipt", road.dock, road.unit.device, refs, len(lines), root, road.now_us)
    return sign_receipt(receipt, load_signing_key((road.credentials / "receipt.key").read_bytes()))


# -- docks --------------------------------------------------------------------------------------------------------------


def test_a_dock_that_signs_for_what_it_does_not_hold_frees_nothing_where_two_receipts_are_needed(
    road: Road, second: Road
) -> None:
    """The device cannot see into a dock's archive; that is what the policy's number of receipts is for."""
    road.unit.receipts_needed = 2
    road.unit.record([50_000, 80_000])
    road.receipts.append(false_receipt(road))
    road.enter_receipts()
    assert not road.unit.released
    assert archived(road.settings) == {}
    second.connect()
    second.drive()
    second.enter_receipts()
    assert road.unit.released == set(road.unit.originals)
    assert archived(second.settings) == road.unit.originals


def test_the_archive_of_a_lying_dock_is_found_out_by_verification(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where one receipt is enough the lie frees space; `recorder verify` says what is then missing."""
    road.unit.record([50_000])
    road.receipts.append(false_receipt(road))
    road.enter_receipts()
    assert road.unit.released == set(road.unit.originals)
    road.connect()
    road.drive()
    trust = road.credentials / "trust.json"
    main(["verify", str(road.settings.archive), "--trust", str(trust), "--json", "--accept-simulated"])
    report = json.loads(capsys.readouterr().out)
    codes = {one["code"] for one in report["findings"]}
    assert codes & {"OBJECT_MISSING", "RECORDING_REMOVED"}  # some of a recording's objects, or all


def test_receipts_of_two_docks_are_both_true_and_free_space_together(road: Road, second: Road) -> None:
    """Half to one dock, all to the other: what both hold goes, what one holds stays until the other has it too."""
    road.unit.receipts_needed = 2
    road.unit.record([50_000] * 2)
    road.connect()
    road.drive()
    road.enter_receipts()
    first = set(road.unit.originals)
    road.unit.record([60_000] * 2)
    assert not road.unit.released
    second.connect()
    second.drive()
    second.enter_receipts()
    assert road.unit.released == first
    road.ask_again()
    road.drive()
    road.enter_receipts()
    assert road.unit.released == set(road.unit.originals)
    for one in (road, second):
        assert archived(one.settings) == road.unit.originals


def test_a_device_minds_the_credit_of_the_dock_that_it_follows_and_of_no_other(road: Road) -> None:
    """Two docks at one broker: the second hears everything, but neither its answers nor its credit count."""
    road.unit.record([500_000])
    road.connect()
    before = road.sender._granted
    foreign = wire.Credit(1, SECOND_DOCK, road.session, 0, 10**9, 0)
    road.sender.credit(foreign)
    assert road.sender._granted == before
    have = wire.Have(1, SECOND_DOCK, road.session, 0, True, 0, "open", [])
    assert not road.sender.have(have)
    assert road.sender.dock == DOCK


# -- devices ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_device_that_lies_at_random_never_gets_a_false_receipt_or_a_line_that_does_not_verify(
    road: Road, seed: int
) -> None:
    """Wrong sizes, foreign digests, parts out of nowhere, altered lines: the archive holds what verifies, no more."""
    dice = random.Random(seed)
    road.unit.record([100_000, 200_000])

    def lie(out: Outgoing) -> list[Outgoing]:
        topic, device = out.topic, road.unit.device
        digest = topic.digest if topic.digest and dice.random() < 0.7 else f"{dice.getrandbits(256):064x}"
        lies = [
            Outgoing(Topic(Kind.OPEN, device, digest), wire.dump(ObjectOpen(1, dice.randrange(10**6), "age", 65_536))),
            Outgoing(Topic(Kind.PART, device, digest, dice.randrange(9)), dice.randbytes(dice.randrange(70_000))),
            Outgoing(Topic(Kind.CLOSE, device, digest), wire.dump(ObjectClose(1, dice.randrange(9)))),
            Outgoing(Topic(Kind.LEDGER, device, number=dice.randrange(20)), dice.randbytes(200)),
            Outgoing(Topic(Kind.CHECKPOINT, device), dice.randbytes(100)),
        ]
        return [dice.choice(lies), out] if dice.random() < 0.5 else [out]

    road.connect()
    for _ in range(4):
        road.drive(lie)
        road.ask_again()
    held, lines = archived(road.settings), archived_lines(road.settings)
    assert all(road.unit.originals[digest] == data for digest, data in held.items())
    assert road.unit.folder.ledger.read_bytes().split(b"\n")[: len(lines)] == lines
    for token in road.receipts:
        receipt = read_receipt(token, road.unit.trust)
        assert {ref.digest for ref in receipt.objects} <= set(held)


@pytest.mark.parametrize("seed", range(6))
def test_messages_out_of_order_or_doubled_cost_a_round_and_nothing_else(road: Road, seed: int) -> None:
    """A road that holds messages back and hands them over later, in another order, some of them twice."""
    dice = random.Random(seed)
    road.unit.record([150_000, 1, 90_000])
    back: list[Outgoing] = []

    def shuffle(out: Outgoing) -> list[Outgoing]:
        back.append(out)
        if len(back) < dice.randrange(1, 6):
            return []
        given = [one for one in back for _ in range(dice.choice((1, 1, 2)))]
        dice.shuffle(given)
        back.clear()
        return given

    road.connect()
    for _ in range(10):
        road.drive(shuffle)
        road.ask_again()
    back.clear()
    road.finish()
    check_everything(road.unit, road.settings)
    assert road.unit.released == set(road.unit.originals)
    assert not (road.settings.quarantine / road.unit.device).exists()


# -- clocks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dock_us", [0, 4_102_444_800_000_000])
@pytest.mark.parametrize("device_offset_us", [-1_500_000_000_000_000, 2_000_000_000_000_000])
def test_clocks_that_are_decades_off_on_either_side_stop_no_hand_over(
    road: Road, dock_us: int, device_offset_us: int
) -> None:
    """What is held, and for whom, is a matter of digests; wrong times are for the verifier to name."""
    road.unit.clock_offset_us = device_offset_us
    road.now_us = dock_us
    road.unit.record([100_000])
    road.connect()
    road.finish()
    check_everything(road.unit, road.settings)
    assert road.unit.released == set(road.unit.originals)
