"""docs/wire.md, its tables of states: both sides are put into each state, and each event does what the table says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import SECOND_DOCK, Unit
from test_handover import PART, Road

from agent.custody import wire
from agent.custody.wire import Credit, DeviceState, Have, Kind, ObjectClose, ObjectOpen, Topic
from agent.dock.intake import Out, Publish, Report
from agent.evidence.entries import ObjectRef

DOCS = Path(__file__).parents[2] / "docs" / "wire.md"


def table(heading: str) -> list[tuple[str, str, str, str]]:
    """Rows of the table under a heading: state, event, next, what is said."""
    part = DOCS.read_text().split(f"### {heading}\n")[1].split("\n#")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in row) for row in rows]  # type: ignore[misc]


@pytest.fixture
def road(agency: Path, tmp_path: Path, unit: Unit) -> Iterator[Road]:
    road = Road(agency, tmp_path, unit)
    yield road
    road.close()


# -- the device ---------------------------------------------------------------------------------------------------------


class Device:
    """A sender, and what it is told."""

    def __init__(self, road: Road) -> None:
        self.road, self.sender = road, road.sender
        road.unit.record([100_000])
        road.outbox.follow()
        self.asked = False

    def reach(self, state: str) -> None:
        if state in ("asking", "sending"):
            self.sender.connected(7)
            self.sender.ask_again()
        if state == "sending":
            self.sender.have(self.have())

    def have(self, **changed: object) -> Have:
        fields = {"v": 1, "dock": "dock-1", "session": 7, "round": self.sender.round, "resync": False, "next": 0}
        return Have(**{**fields, "ledger": "open", "objects": [], **changed})  # type: ignore[arg-type]

    def credit(self, dock: str) -> None:
        self.sender.credit(Credit(1, dock, 7, self.sender.round, 1_000_000, 0))

    def ask(self) -> None:
        self.sender.ask_again()
        self.asked = True

    def hear(self, have: Have) -> None:
        if self.sender.have(have):
            self.ask()  # as the service does

    def happen(self, event: str) -> None:
        older = self.sender.round - 1
        events: dict[str, Callable[[], None]] = {
            "link up": self.link_up,
            "link lost": self.sender.disconnected,
            "stalled": self.ask,
            "dock restarted": self.ask,
            "credit": lambda: self.credit("dock-1"),
            "credit of another dock": lambda: self.credit(SECOND_DOCK),
            "have of this round": lambda: self.hear(self.have()),
            "have of an older round": lambda: self.hear(self.have(round=older)),
            "have of another session": lambda: self.hear(self.have(session=8)),
            "resync of this round": lambda: self.hear(self.have(resync=True)),
            "resync of an older round": lambda: self.hear(self.have(resync=True, round=older)),
            "resync of another dock": lambda: self.hear(self.have(resync=True, dock=SECOND_DOCK)),
        }
        events[event]()

    def link_up(self) -> None:
        self.sender.connected(7)
        self.asked = True  # the service publishes the state with every connection

    @property
    def says(self) -> str:
        return "asks" if self.asked else "sends" if self.sender.next() else ""


@pytest.mark.parametrize(("state", "event", "after", "says"), table("The device"))
def test_the_device_does_what_its_table_says(road: Road, state: str, event: str, after: str, says: str) -> None:
    device = Device(road)
    device.reach(state)
    assert device.sender.phase == state
    device.happen(event)
    assert (device.sender.phase, device.says) == (after, says)


# -- an object at the dock ----------------------------------------------------------------------------------------------


class Dock:
    """An intake with one object on its way, and what it answers."""

    def __init__(self, road: Road) -> None:
        self.road = road
        (self.ref,) = road.unit.record([100_000])
        self.data = road.unit.originals[self.ref.digest]
        road.connect()
        self.said: list[str] = []
        self.tries = 0

    def name_it(self) -> None:
        self.road.outbox.follow()
        for number in range(self.road.outbox.lines):
            self.line(number)
        self.road.intake.archive.flush()
        self.said.clear()

    def line(self, number: int, line: bytes | None = None) -> None:
        self.tell(Topic(Kind.LEDGER, "er-1", number=number), self.road.outbox.line(number) if line is None else line)

    def tell(self, topic: Topic, payload: bytes) -> None:
        self.note(self.road.intake.handle(topic, payload))

    def note(self, outs: list[Out]) -> None:
        for out in outs:
            if isinstance(out, Report) and out.kind in ("quarantined", "fork", "rollback", "refused"):
                self.said.append(out.kind)
            if isinstance(out, Publish) and out.topic.kind is Kind.RECEIPT:
                self.said.append("receipt")
            if isinstance(out, Publish) and out.topic.kind is Kind.HAVE:
                have = wire.load(Have, out.payload)
                self.said += ["resync"] if have.resync else [held.state for held in have.objects]

    def open(self, size: int | None = None, part_bytes: int = PART) -> None:
        opened = ObjectOpen(1, self.ref.size if size is None else size, "age", part_bytes)
        self.tell(Topic(Kind.OPEN, "er-1", self.ref.digest), wire.dump(opened))

    def part(self, number: int, damage: int = 0, extra: bytes = b"") -> None:
        data = self.data[number * PART : (number + 1) * PART]
        self.tell(Topic(Kind.PART, "er-1", self.ref.digest, number), bytes([data[0] ^ damage]) + data[1:] + extra)

    def close(self) -> None:
        self.tell(Topic(Kind.CLOSE, "er-1", self.ref.digest), wire.dump(ObjectClose(1, 2)))
        self.note(self.road.intake._finish_closed(0))  # what is read back beside the intake is waited for

    def round(self, **changed: object) -> None:
        self.road.session += 1
        state = DeviceState(1, self.road.session, 0, True, self.road.outbox.lines, 0, 0, 1_048_576, {})
        self.tell(Topic(Kind.STATE, "er-1"), wire.dump(replace(state, **changed)))  # type: ignore[arg-type]

    def send(self, damage: int = 0) -> None:
        for step in (self.open, lambda: self.part(0, damage), lambda: self.part(1), self.close):
            step()

    def reach(self, state: str) -> None:
        if state == "unnamed":
            self.ref = ObjectRef("ab" * 32, self.ref.size, "age")
            return
        self.name_it()
        if state == "staging":
            self.open()
            self.part(0)
        elif state in ("held", "receipted"):
            self.send()
        elif state == "refused":
            self.open(size=5)
        if state == "receipted":
            self.note(self.road.intake.idle())
        self.said.clear()

    def whole(self, damage: int = 0, before: int = 0) -> None:
        """Everything but the close; ``before``: how often the bytes were already false."""
        for _ in range(before):
            self.road.intake.archive.stagings.pop(self.ref.digest, None)
            self.send(damage)
            self.round()
        archive = self.road.intake.archive
        archive.stage(self.ref, PART).held.clear()
        self.open()
        self.part(0, damage)
        self.part(1)
        self.said.clear()
        self.close()

    def restart(self) -> None:
        self.road.intake.close()
        self.road.intake = self.road.new_intake()

    def happen(self, event: str) -> None:
        events: dict[str, Callable[[], None]] = {
            "open": self.open,
            "open, size not as in the ledger": lambda: self.open(size=5),
            "open, other part size": lambda: self.open(part_bytes=PART // 2),
            "part": lambda: self.part(1),
            "part held already": lambda: self.part(0),
            "part of a wrong length": lambda: self.part(1, extra=b"x"),
            "close": self.close,
            "close, parts missing": self.close,
            "close, hash true": self.whole,
            "close, hash false": lambda: self.whole(damage=1),
            "close, hash false again": lambda: self.whole(damage=1, before=1),
            "nothing waits": lambda: self.note(self.road.intake.idle()),
            "next round, receipt not entered": self.round,
            "dock restarts": self.restart,
        }
        events[event]()

    @property
    def state(self) -> str:
        intake, digest = self.road.intake, self.ref.digest
        holdings = intake.archive.holdings
        if digest in intake._refused:
            return "refused"
        if (staging := intake.archive.stagings.get(digest)) is not None:
            return "staging" if staging.held else "staging, no part held"
        if holdings.holds(digest):
            return "held" if digest in holdings.unreceipted else "receipted"
        return "wanted" if digest in holdings.wanted else "unnamed"


@pytest.mark.parametrize(("state", "event", "after", "says"), table("An object at the dock"))
def test_an_object_goes_through_the_states_of_its_table(
    road: Road, state: str, event: str, after: str, says: str
) -> None:
    dock = Dock(road)
    dock.reach(state)
    assert dock.state == state
    dock.happen(event)
    assert (dock.state, sorted(set(dock.said))) == (after, sorted(filter(None, re.split(", ", says))))


# -- a line at the dock -------------------------------------------------------------------------------------------------


def tell_line(dock: Dock, event: str) -> None:
    size = dock.road.intake.archive.chain.size
    foreign = dock.road.outbox.line(size)[:-3] + b"AAA"
    events: dict[str, Callable[[], None]] = {
        "the next line, verifies": lambda: dock.line(size),
        "a line beyond the next": lambda: dock.line(size + 1),
        "a line held already": lambda: dock.line(size - 1),
        "another line than the one held": lambda: dock.line(size - 1, foreign),
        "the next line, does not verify": lambda: dock.line(size, foreign),
        "fewer lines on the device than held": lambda: dock.round(lines=size - 1),
    }
    if event.endswith(" again"):
        event = event.removesuffix(" again")
        if event.startswith("fewer"):
            dock.round(lines=size - 1)
        else:
            dock.line(size, foreign)
            dock.round()
        dock.said.clear()
    events[event]()


@pytest.mark.parametrize(("state", "event", "after", "says"), table("A ledger line at the dock"))
def test_a_line_does_to_the_ledger_what_its_table_says(
    road: Road, state: str, event: str, after: str, says: str
) -> None:
    dock = Dock(road)
    road.outbox.follow()
    for number in range(3):
        dock.line(number)
    if state == "refused":
        dock.line(2, b"x" * 10)
    dock.said.clear()
    tell_line(dock, event)
    size = road.intake.archive.flush()
    found = "refused" if road.intake.ledger_refused else "open, one more" if size == 4 else "open"
    said = set(dock.said) - ({"quarantined"} if "fork" in dock.said else set())  # the fork's line is kept as well
    assert (found, sorted(said)) == (after, sorted(filter(None, says.split(", "))))


# -- all of it ----------------------------------------------------------------------------------------------------------


def test_the_tables_name_every_state_and_only_those_that_are_reached() -> None:
    """A state that is not described, or described and never entered, would be a table of something else."""
    for heading, begin in (("The device", {"down"}), ("An object at the dock", {"unnamed", "wanted"})):
        rows = table(heading)
        assert {row[0] for row in rows} == {row[2].split(",")[0] for row in rows} | begin
    assert len({row[:2] for row in table("An object at the dock")}) == len(table("An object at the dock"))


def test_limits_of_the_topics_are_those_that_the_document_names() -> None:
    """The table of topics and the code agree on every limit."""
    text = DOCS.read_text()
    words = {Kind.PART: "{part}", Kind.LEDGER: "{seq}", Kind.COSIGNED: "down/checkpoint", Kind.CHECKPOINT: "up/checkpoint"}
    for kind, limit in wire.LIMITS.items():
        word = words.get(kind, "er/v1/dock/{dock}/state" if kind is Kind.DOCK_STATE else f"/{kind}")
        rows = [line for line in text.splitlines() if line.startswith("| `er/v1") and f"{word}`" in line]
        assert rows, kind
        assert any(f"| {limit:,} |" in row for row in rows), kind
