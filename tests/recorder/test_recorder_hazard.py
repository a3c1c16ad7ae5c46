"""R13.1 in a whole recorder: the agency's flag refuses a press, and a position in a zone does."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from recorder_process import Unit, running
from samples import Enrolled

from agent.config import RecorderConfig, load
from agent.doctor import examine
from agent.evidence.documents import HazardZone, read_policy, read_profile, sign_policy, sign_profile
from agent.evidence.encoding import sha256_hex
from agent.evidence.hazard_flag import HazardFlag, sign_hazard_flag
from agent.recorder.daemon import Daemon
from agent.recorder.hazard_sources import FLAG_NAME
from agent.recorder.machine import OffAsked
from agent.recorder.messages import HazardFlagArrived

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


@pytest.fixture
def handlers() -> Iterator[None]:
    """The tests' own signal handlers again, once a recorder in this process has ended."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def flag(enrolled: Enrolled, owner: str, version: int) -> bytes:
    now_us = time.time_ns() // 1000
    zone = HazardZone("1", "IIB", "T4", None)
    content = HazardFlag(1, "hazard", "sample", version, ["er-1"], "set", zone, now_us, now_us + 3_600_000_000)
    return sign_hazard_flag(content, enrolled.key(owner, "documents.key" if owner == "agency" else "receipt.key"))


@pytest.mark.usefixtures("handlers")
def test_a_flag_of_the_agency_is_entered_kept_over_a_restart_and_refuses_a_press(
    unit: Unit, enrolled: Enrolled
) -> None:
    settings = load(unit.folder / "config.toml", RecorderConfig)
    daemon = Daemon(settings.recorder, settings.hardware)
    daemon.post(HazardFlagArrived(flag(enrolled, "dock-1", 9)))
    daemon.post(HazardFlagArrived(flag(enrolled, "agency", 1)))
    daemon.post(OffAsked())
    daemon.run()
    entered = [(one.state, [source.source for source in one.inputs]) for one in unit.bodies("hazard")]
    assert entered[-1] == ("set", ["switch", "matter", "command"])
    assert sum("command" in sources for _, sources in entered) == 1, "the forged flag was not entered"
    assert (unit.evidence.path / FLAG_NAME).exists()
    with running(unit):
        unit.press()
        unit.until_entry("refused")
    (refused,) = unit.bodies("refused")
    assert (refused.rule, refused.reason) == ("R13.1", "no_approval")
    assert ("command", "set") in [(one.source, one.state) for one in refused.interlock.inputs]


def with_map(unit: Unit, enrolled: Enrolled, data: bytes) -> None:
    """Gives the unit credentials of its own, whose policy names MAP; ``data`` is what lies there."""
    own = unit.folder / "own"
    shutil.copytree(enrolled.folder / "er-1", own)
    policy = read_policy((own / "policy.jws").read_bytes(), enrolled.trust)
    hazard = replace(policy.hazard, zone_map=sha256_hex(MAP))
    signed = sign_policy(
        replace(policy, version=policy.version + 1, hazard=hazard), enrolled.key("agency", "documents.key")
    )
    (own / "policy.jws").write_bytes(signed)
    (own / "zones.geojson").write_bytes(data)
    text = (unit.folder / "config.toml").read_text().replace(str(enrolled.folder / "er-1"), str(own))
    text = text.replace(
        "[hardware.simulated]",
        'positioning = "simulated"\n[hardware.simulated]\nlatitude = 30.003\nlongitude = 120.007',
    )
    (unit.folder / "config.toml").write_text(text)


@pytest.mark.parametrize(("data", "state"), [(MAP, "set"), (MAP + b" ", "stale")])
def test_a_press_in_a_zone_of_the_map_is_refused_and_so_is_one_under_a_map_that_is_not_the_policys(
    unit: Unit, enrolled: Enrolled, data: bytes, state: str
) -> None:
    with_map(unit, enrolled, data)
    with running(unit):
        unit.press()
        unit.until_entry("refused")
    (refused,) = unit.bodies("refused")
    assert refused.rule == "R13.1"
    assert ("zone_map", state) in [(one.source, one.state) for one in refused.interlock.inputs]
    assert "open" not in unit.types()


def test_a_unit_that_nobody_holds_refuses_a_press(unit: Unit, enrolled: Enrolled) -> None:
    """R16."""
    own = unit.folder / "own"
    shutil.copytree(enrolled.folder / "er-1", own)
    profile = read_profile((own / "profile.jws").read_bytes().strip(), enrolled.trust)
    given_back = replace(profile, version=profile.version + 1, officer="unassigned")
    (own / "profile.jws").write_bytes(sign_profile(given_back, enrolled.key("agency", "documents.key")))
    text = (unit.folder / "config.toml").read_text().replace(str(enrolled.folder / "er-1"), str(own))
    (unit.folder / "config.toml").write_text(text)
    with running(unit):
        unit.press()
        unit.until_entry("refused")
    assert [(one.rule, one.reason) for one in unit.bodies("refused")] == [("R16", "officer_unassigned")]


@pytest.mark.parametrize(
    ("data", "positioning", "code"), [(MAP, True, None), (MAP + b" ", True, "ER-2003"), (MAP, False, "ER-4001")]
)
def test_doctor_says_whether_the_policys_map_can_be_used(
    unit: Unit, enrolled: Enrolled, data: bytes, positioning: bool, code: str | None
) -> None:
    with_map(unit, enrolled, data)
    config = unit.folder / "config.toml"
    if not positioning:
        config.write_text(config.read_text().replace('positioning = "simulated"', 'positioning = "none"'))
    (row,) = [row for row in examine(config) if "zone map" in row.item]
    assert (row.error and row.error.code) == code
    assert code or "样例罐区" in row.text
