"""The facts of a judgement, gathered from parts, files and the agency's flag: R13.1, R16, R22."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from samples import Enrolled

from agent.errors import HardwareError, TrustError
from agent.evidence.documents import Assignment, HazardZone, Policy
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import HazardInput
from agent.evidence.hazard_flag import HazardFlag, sign_hazard_flag
from agent.hardware.parts import ClockReading, Fix, PowerReading, TimeSource
from agent.recorder.credentials import Documents, load_credentials
from agent.recorder.hazard_sources import FLAG_NAME, ZONE_MAP_NAME, FlagKeeper, load_zone_map
from agent.recorder.situation import HOTTEST_MILLICELSIUS, SituationReader
from agent.rules.interlock import NamedZone, judge

NOW_US = 1_800_000_000_000_000
ZONE = HazardZone("1", "IIB", "T4", None)
MATTER = Assignment("matter-1", "inspection", "investigation", "样例", "样例", [], None, None, False)
RING = [[120.0, 30.0], [120.01, 30.0], [120.01, 30.01], [120.0, 30.0]]
MAP = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"name": "样例罐区", "zone": "1", "group": "IIB", "temperature_class": "T4"},
                "geometry": {"type": "Polygon", "coordinates": [RING]},
            }
        ],
    }
).encode()


class Broken:
    """A part that does not answer."""

    @property
    def active(self) -> bool:
        raise HardwareError("no answer")

    def read(self) -> Any:
        raise HardwareError("no answer")


@dataclass
class FakeParts:
    """Parts whose answers a test sets."""

    hazard_switch: Any = None
    positioning: Any = None
    thermometer: Any = None
    power: Any = None
    source: TimeSource = TimeSource.NTP
    utc_us: int = NOW_US

    def __post_init__(self) -> None:
        self.power = self.power or Answer(PowerReading(80, 200, False))
        self.clock, self.storage = self, self

    def read(self) -> ClockReading:
        return ClockReading(self.utc_us, 1, "boot", self.source, 1_000)

    def free_bytes(self) -> int:
        return 1 << 40


@dataclass
class Answer:
    """A part that says one thing."""

    value: Any

    def read(self) -> Any:
        return self.value

    def fix(self) -> Any:
        return self.value

    @property
    def active(self) -> Any:
        return self.value


@dataclass
class Place:
    """A unit's folders and documents; ``reader`` makes what the daemon has."""

    credentials: Path
    evidence: Path
    documents: Documents
    enrolled: Enrolled

    def policy(self, **changes: Any) -> Policy:
        policy = self.documents.policy
        return replace(policy, hazard=replace(policy.hazard, **changes))

    def with_map(self, data: bytes = MAP) -> None:
        (self.credentials / ZONE_MAP_NAME).write_bytes(data)
        self.documents = replace(self.documents, policy=self.policy(zone_map=sha256_hex(MAP)))

    def reader(self, parts: FakeParts | None = None, demanded: bool = False) -> SituationReader:
        folders = {"credentials": self.credentials, "evidence": self.evidence}
        parts, trust = parts or FakeParts(), self.enrolled.trust
        return SituationReader(parts, trust, self.documents, **folders, command_demanded=demanded)  # type: ignore[arg-type]

    def flag(self, version: int = 1, state: str = "set", devices: list[str] | None = None, **changes: Any) -> bytes:
        zone = ZONE if state == "set" else None
        flag = HazardFlag(1, "hazard", "sample", version, devices, state, zone, NOW_US, NOW_US + 10**9)  # type: ignore[arg-type]
        return sign_hazard_flag(replace(flag, **changes), self.enrolled.key("agency", "documents.key"))


@pytest.fixture
def place(tmp_path: Path, enrolled: Enrolled) -> Iterator[Place]:
    credentials, evidence = tmp_path / "credentials", tmp_path / "evidence"
    shutil.copytree(enrolled.folder / "er-1", credentials)
    evidence.mkdir()
    yield Place(credentials, evidence, load_credentials(credentials).documents, enrolled)


@dataclass
class At:
    """A receiver that stands still; its fixes are ``age_s`` seconds old."""

    longitude: float
    latitude: float
    age_s: float = 0.0

    def fix(self) -> Fix:
        return Fix(self.latitude, self.longitude, 5.0, time.monotonic_ns() - int(self.age_s * 1e9))


def inputs(reader: SituationReader, assignment: Assignment | None = MATTER) -> dict[str, str]:
    return {one.source: one.state for one in reader.read(assignment).inputs}


def test_only_sources_that_exist_take_part(place: Place) -> None:
    assert inputs(place.reader(), None) == {}
    assert inputs(place.reader(FakeParts(hazard_switch=Answer(False), positioning=At(0, 0)))) == {
        "switch": "clear",
        "matter": "clear",
    }


@pytest.mark.parametrize(("switch", "state"), [(Answer(True), "set"), (Answer(False), "clear"), (Broken(), "stale")])
def test_a_switch_that_does_not_answer_is_stale(place: Place, switch: Any, state: str) -> None:
    assert inputs(place.reader(FakeParts(hazard_switch=switch)))["switch"] == state


def test_trouble_with_a_part_is_logged_once_and_so_is_its_end(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    parts = FakeParts(hazard_switch=Broken(), power=Broken())
    reader = place.reader(parts)
    for _ in range(3):
        reader.read(MATTER)
    assert str(capfd.readouterr()).count("does not answer") == 2
    parts.hazard_switch, parts.power = Answer(False), Answer(PowerReading(50, 100, False))
    for _ in range(3):
        reader.read(MATTER)
    assert str(capfd.readouterr()).count("answers again") == 2


def test_a_matter_that_cannot_be_read_is_stale_and_one_with_a_zone_is_set(place: Place) -> None:
    reader = place.reader()
    assert reader.read(None, matter_known=False).inputs == (HazardInput("matter", "stale", 0),)
    assert inputs(reader, replace(MATTER, hazard=ZONE)) == {"matter": "set"}


# The zone map


def test_a_position_in_a_zone_of_the_policys_map_sets_the_flag_and_names_the_zone(place: Place) -> None:
    place.with_map()
    situation = place.reader(FakeParts(positioning=At(120.007, 30.003))).read(MATTER)
    assert [(one.source, one.state) for one in situation.inputs] == [("zone_map", "set"), ("matter", "clear")]
    assert situation.zones == (NamedZone("zone_map", ZONE),)
    assert judge(situation).rule == "R13.1"


@pytest.mark.parametrize(
    ("positioning", "state"),
    [(At(121, 30), "clear"), (None, "stale"), (Answer(None), "stale"), (At(121, 30, age_s=11), "stale")],
)
def test_without_a_fresh_position_the_map_is_stale(place: Place, positioning: Any, state: str) -> None:
    place.with_map()
    assert inputs(place.reader(FakeParts(positioning=positioning)))["zone_map"] == state


def test_a_position_from_the_thread_next_door_may_be_a_moment_ahead(place: Place) -> None:
    place.with_map()
    assert inputs(place.reader(FakeParts(positioning=At(121, 30, age_s=-1))))["zone_map"] == "clear"


@pytest.mark.parametrize("damage", [b"", MAP + b" ", None])
def test_a_map_that_is_missing_or_not_the_policys_is_logged_and_stale_and_never_left_out(
    place: Place, damage: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    place.with_map(damage or b"")
    if damage is None:
        (place.credentials / ZONE_MAP_NAME).unlink()
    assert inputs(place.reader(FakeParts(positioning=At(121, 30))))["zone_map"] == "stale"
    assert "zone map unusable" in str(capfd.readouterr())


def test_a_signed_map_that_is_no_map_is_an_error_of_trust(place: Place) -> None:
    (place.credentials / ZONE_MAP_NAME).write_bytes(b"{}")
    with pytest.raises(TrustError, match="cannot be used"):
        load_zone_map(place.credentials, sha256_hex(b"{}"))


def test_a_newer_policy_brings_its_own_map_or_none(place: Place) -> None:
    reader = place.reader(FakeParts(positioning=At(120.007, 30.003)))
    assert "zone_map" not in inputs(reader)
    place.with_map()
    reader.use(place.documents)
    assert inputs(reader)["zone_map"] == "set"
    reader.use(replace(place.documents, policy=place.policy(zone_map=None)))
    assert "zone_map" not in inputs(reader)


# The agency's flag


def test_a_flag_sets_names_its_zone_and_survives_a_restart(place: Place) -> None:
    reader = place.reader()
    assert "command" not in inputs(reader)
    assert reader.flags.take(place.flag())
    for one in (reader, place.reader()):
        situation = one.read(MATTER)
        assert situation.inputs[-1] == HazardInput("command", "set", 0)
        assert situation.zones == (NamedZone("command", ZONE),)


def test_an_older_flag_sent_again_changes_nothing_also_after_a_restart(place: Place) -> None:
    old, new = place.flag(1, "clear"), place.flag(2, "set")
    reader = place.reader()
    assert reader.flags.take(old)
    assert inputs(reader)["command"] == "clear"
    assert reader.flags.take(new)
    for one in (reader, place.reader()):
        assert not one.flags.take(old)
        assert not one.flags.take(new)
        assert inputs(one)["command"] == "set"


def test_a_flag_of_somebody_else_or_for_somebody_else_is_refused_and_the_one_held_stays(place: Place) -> None:
    keeper = FlagKeeper(place.evidence, place.enrolled.trust, "er-1")
    assert keeper.take(place.flag(5))
    flag = keeper.flag
    foreign = sign_hazard_flag(
        HazardFlag(1, "hazard", "sample", 9, None, "clear", None, 1, 2), place.enrolled.key("dock-1", "receipt.key")
    )
    policy = (place.credentials / "policy.jws").read_bytes().strip()
    wrong = [
        place.flag(9, devices=["er-2"]),
        place.flag(9, agency="other"),
        foreign,
        policy,
        b"",
        place.flag(9) + b"\n",
        b"x" * 100_000,
    ]
    for token in wrong:
        with pytest.raises(TrustError):
            keeper.take(token)
    assert keeper.flag == flag
    assert keeper.take(place.flag(9, devices=["er-2", "er-1"]))


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_a_kept_flag_that_is_damaged_leaves_the_source_stale_until_the_next_one(place: Place, damage: bytes) -> None:
    place.reader().flags.take(place.flag())
    (place.evidence / FLAG_NAME).write_bytes(damage)
    reader = place.reader()
    assert inputs(reader)["command"] == "stale"
    assert reader.flags.take(place.flag(1, "clear"))
    assert inputs(reader)["command"] == "clear"


@pytest.mark.parametrize(("source", "state"), [(TimeSource.NTP, "clear"), (TimeSource.GNSS, "clear"),
                                               (TimeSource.RTC, "stale"), (TimeSource.NONE, "stale")])  # fmt: skip
def test_a_clear_flag_needs_a_time_that_somebody_has_confirmed_since_the_boot(
    place: Place, source: TimeSource, state: str
) -> None:
    reader = place.reader(FakeParts(source=source))
    reader.flags.take(place.flag(1, "clear"))
    assert inputs(reader)["command"] == state


def test_a_demanded_flag_that_has_not_come_is_unknown_and_a_withdrawn_one_takes_no_part(place: Place) -> None:
    assert inputs(place.reader(demanded=True))["command"] == "stale"
    reader = place.reader()
    reader.flags.take(place.flag(1))
    reader.flags.take(place.flag(2, "withdrawn"))
    assert "command" not in inputs(reader)
    assert inputs(place.reader(demanded=True))["command"] == "stale"


# What else a judgement looks at


def test_whose_unit_it_is_stands_in_the_profile(place: Place) -> None:
    assert place.reader().read(MATTER).officer == "officer-1"
    profile = replace(place.documents.profile, officer="unassigned")
    place.documents = replace(place.documents, profile=profile)
    assert judge(place.reader(FakeParts(hazard_switch=Answer(False))).read(MATTER)).rule == "R16"


@pytest.mark.parametrize(
    ("power", "minutes"),
    [
        (Answer(PowerReading(5, 2, False)), 2),
        (Answer(PowerReading(5, 2, None)), 2),
        (Answer(PowerReading(5, 2, True)), None),
        (Answer(PowerReading(5, None, False)), None),
        (Broken(), None),
    ],
)
def test_minutes_that_are_not_known_or_on_mains_refuse_nothing(place: Place, power: Any, minutes: int | None) -> None:
    situation = place.reader(FakeParts(hazard_switch=Answer(False), power=power)).read(MATTER)
    assert situation.minutes_left == minutes
    assert judge(situation).reason == ("battery_low" if minutes else "permitted")


@pytest.mark.parametrize(
    ("thermometer", "reason"),
    [
        (None, "permitted"),
        (Broken(), "permitted"),
        (Answer(None), "permitted"),
        (Answer(HOTTEST_MILLICELSIUS), "permitted"),
        (Answer(HOTTEST_MILLICELSIUS + 1), "overheated"),
    ],
)
def test_a_unit_that_is_too_hot_refuses(place: Place, thermometer: Any, reason: str) -> None:
    parts = FakeParts(hazard_switch=Answer(False), thermometer=thermometer)
    assert judge(place.reader(parts).read(MATTER)).reason == reason
