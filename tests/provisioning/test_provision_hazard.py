"""R13.1 for the administrator: zone maps into the policy and the folders, flags signed and handed to docks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from provisioning_sample import Sample, tone

from agent.errors import StorageError, TrustError, UnknownIdError, UsageError
from agent.evidence.documents import HazardZone
from agent.evidence.encoding import sha256_hex
from agent.evidence.hazard_flag import read_hazard_flag
from agent.recorder.credentials import load_credentials
from agent.recorder.hazard_sources import load_zone_map
from provisioning.cli import main
from provisioning.credentials import DeviceOrder, enrol_device, refresh
from provisioning.hazard import LONGEST_HOURS, FlagOrder, flags_in_force, remove_map, sign_flag, sign_map

ZONE = HazardZone("1", "IIB", "T4", None)


def write_map(folder: Path, name: str = "样例罐区", **properties: Any) -> Path:
    ring = [[120.0, 30.0], [120.01, 30.0], [120.01, 30.01], [120.0, 30.0]]
    said = {"name": name, "zone": "1", "group": "IIB", "temperature_class": "T4", **properties}
    feature = {"type": "Feature", "properties": said, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = folder / f"{name}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
    return path


def order(sample: Sample, state: str = "set", *devices: str, hours: int = 12) -> int:
    zone = ZONE if state == "set" else None
    return sign_flag(sample.agency, FlagOrder(state, zone, devices, hours)).version  # type: ignore[arg-type]


# Zone maps


def test_a_map_goes_by_its_digest_into_the_policy_and_as_a_file_into_the_folders(sample: Sample) -> None:
    path = write_map(sample.folder)
    policy = sign_map(sample.agency, path)
    assert policy.hazard.zone_map == sha256_hex(path.read_bytes())
    refresh(sample.agency, sample.folder / "er-1")
    enrol_device(sample.agency, DeviceOrder("er-3", "SN-3", "section-9"), sample.folder / "er-3")
    for device in ("er-1", "er-3"):
        folder = sample.folder / device
        digest = load_credentials(folder).documents.policy.hazard.zone_map
        assert digest is not None
        assert [area.name for area in load_zone_map(folder, digest).areas] == ["样例罐区"]


def test_a_map_that_is_removed_leaves_policy_and_folders(sample: Sample) -> None:
    sign_map(sample.agency, write_map(sample.folder))
    refresh(sample.agency, sample.folder / "er-1")
    assert remove_map(sample.agency).hazard.zone_map is None
    refresh(sample.agency, sample.folder / "er-1")
    assert not (sample.folder / "er-1" / "zones.geojson").exists()
    assert load_credentials(sample.folder / "er-1").documents.policy.hazard.zone_map is None


def test_a_map_with_an_error_changes_nothing_and_says_where_it_is(sample: Sample) -> None:
    before = sample.agency.policy(sample.agency.view())
    with pytest.raises(UsageError, match=r"样例罐区.*mixes gas and dust"):
        sign_map(sample.agency, write_map(sample.folder, group="IIIA"))
    with pytest.raises(StorageError):
        sign_map(sample.agency, sample.folder / "missing.geojson")
    assert sample.agency.policy(sample.agency.view()) == before


# Flags


def test_versions_rise_over_all_units_and_the_flag_verifies_against_the_trust_file(sample: Sample) -> None:
    assert [order(sample, "set", "er-1"), order(sample, "clear"), order(sample, "withdrawn", "er-2")] == [1, 2, 3]
    view = sample.agency.view()
    token = (sample.root / "hazard" / "1.jws").read_bytes()
    flag = read_hazard_flag(token, sample.agency.trust(view))
    assert (flag.devices, flag.state, flag.zone, flag.version) == (["er-1"], "set", ZONE, 1)
    assert flag.expires_us - flag.issued_us == 12 * 3_600_000_000
    assert [entry.action for entry in view.history()].count("hazard-signed") == 3


def test_what_is_in_force_is_the_newest_flag_of_each_active_unit(sample: Sample) -> None:
    assert flags_in_force(sample.agency, sample.agency.view()) == {}
    order(sample, "set")
    order(sample, "clear", "er-1")
    assert set(flags_in_force(sample.agency, sample.agency.view())) == {1, 2}
    order(sample, "set", "er-1", "er-2")
    assert set(flags_in_force(sample.agency, sample.agency.view())) == {3}
    order(sample, "clear", "er-2")
    sample.agency.end_device("er-2", "lost")
    assert set(flags_in_force(sample.agency, sample.agency.view())) == {3}


def test_a_docks_folder_holds_what_is_in_force_and_nothing_else(sample: Sample) -> None:
    dock = sample.folder / "dock-1"
    refresh(sample.agency, dock)
    assert not (dock / "hazard").exists()
    order(sample, "set")
    refresh(sample.agency, dock)
    before = (dock / "hazard" / "1.jws").stat().st_mtime_ns
    refresh(sample.agency, dock)
    assert (dock / "hazard" / "1.jws").stat().st_mtime_ns == before, "what has not changed is not written again"
    order(sample, "clear")
    refresh(sample.agency, dock)
    assert [path.name for path in (dock / "hazard").iterdir()] == ["2.jws"]


def test_a_flag_for_nobody_known_or_without_end_is_refused_and_takes_no_version(sample: Sample) -> None:
    with pytest.raises(UnknownIdError):
        order(sample, "set", "er-404")
    for hours in (0, LONGEST_HOURS + 1):
        with pytest.raises(UsageError, match="hours"):
            order(sample, "set", hours=hours)
    with pytest.raises(UsageError, match="names no zone"):
        sign_flag(sample.agency, FlagOrder("clear", ZONE, (), 1))
    assert order(sample) == 1


def test_a_flag_that_was_altered_in_the_agencys_folder_is_not_handed_out(sample: Sample) -> None:
    order(sample)
    (sample.root / "hazard" / "1.jws").write_bytes(b"nonsense")
    with pytest.raises(TrustError):
        refresh(sample.agency, sample.folder / "dock-1")


# The commands


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVISION_AGENCY", str(tmp_path / "agency"))
    (tmp_path / "notice.wav").write_bytes(tone())
    for line in (
        "agency init agency --id sample --name 样例单位 --notice notice.wav",
        "dock add dock-1 --out dock-1",
        "device enrol er-1 --serial SN-1 --section section-1 --out er-1",
    ):
        assert main(line.split()) == 0
    return tmp_path


def test_the_zones_commands(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_map(place))
    assert main(["zones", "check", path]) == 0
    assert "1 IIB T4" in capsys.readouterr().out
    assert main(["zones", "sign", path, "--out", "policy.jws"]) == 0
    assert (place / "policy.jws").exists()
    assert main(["zones", "remove", "--json"]) == 0
    assert '"zone_map": null' in capsys.readouterr().out
    (place / "broken.geojson").write_text("{}")
    assert main(["zones", "check", "broken.geojson"]) == 2
    assert "not a GeoJSON FeatureCollection" in capsys.readouterr().err


def test_the_hazard_commands_sign_a_flag_and_hand_it_to_a_dock(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["hazard", "set", "--zone", "21 IIIB 135", "--devices", "er-1", "--dock", "dock-1", "--out", "flag.jws"]
    assert main(line) == 0
    assert "hazard flag 1" in capsys.readouterr().out
    assert (place / "flag.jws").read_bytes() == (place / "dock-1" / "hazard" / "1.jws").read_bytes()
    assert main(["hazard", "clear", "--hours", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["state"], said["devices"]) == (2, "clear", None)
    assert main(["hazard", "withdraw"]) == 0
    assert main(["hazard", "set", "--zone", "21 IIB T4"]) == 2
    assert "--zone" in capsys.readouterr().err


def test_the_policy_can_assume_a_zone_and_assume_none_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "sign", "--assumed-zone", "1 IIB T4"]) == 0
    assert "1 IIB T4" in capsys.readouterr().out
    assert main(["policy", "sign", "--assumed-zone", "none", "--json"]) == 0
    assert '"assumed_zone": null' in capsys.readouterr().out
    assert main(["policy", "sign", "--assumed-zone", "9"]) == 2


def test_an_approval_with_two_markings_is_taken_and_one_without_level_is_not(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    papers = ["--certificate", "CNEx00.0000", "--issuer", "样例机构", "--expires", "2099-12-31"]
    both = "Ex ib IIC T4 Gb / Ex ib IIIC T130°C Db"
    assert main(["ex-approval", "add", "er-1", "--marking", both, *papers]) == 0
    capsys.readouterr()
    assert main(["ex-approval", "add", "er-1", "--marking", "Ex d IIB T4", *papers]) == 2
    assert "equipment protection level" in capsys.readouterr().err
