"""A person finds a recording by section, officer and day; the tree and the catalogue come out of the archive alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import Unit, trust_of, wait_for
from dock_rig import open_intake, settings_of, settle

from agent.cli import main
from agent.dock.catalogue import Catalogue
from agent.dock.layout import Layout
from agent.dock.rebuilding import catalogue_is_true, rebuild
from agent.dock.settings import DockSettings
from agent.dock.shelving import Shelver
from agent.errors import StorageError
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import Adopted, Gap, ObjectRef
from agent.system import durable


@pytest.fixture
def settings(agency: Path, tmp_path: Path) -> DockSettings:
    return settings_of(agency, tmp_path / "dock")


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


def adopt(unit: Unit) -> None:
    """The signed profile is kept as an object and said to be in force."""
    token = (unit.credentials / "profile.jws").read_bytes()
    ref = ObjectRef(sha256_hex(token), len(token), "jws")
    durable.write_atomic(unit.folder.object_path(ref), token)
    unit.enter(Adopted("profile", 1, ref), ref)


@pytest.fixture
def filled(settings: DockSettings, unit: Unit) -> DockSettings:
    adopt(unit)
    unit.record([1_000, 2_000])
    unit.record([3_000])
    intake = open_intake(settings)
    settle(intake, unit)
    intake.close()
    return settings


def tree(settings: DockSettings) -> dict[str, bytes]:
    found = settings.by_section.rglob("manifest.json")
    return {str(path.relative_to(settings.by_section)): path.read_bytes() for path in found}


def test_a_recording_lies_under_its_section_its_officer_and_its_day(filled: DockSettings) -> None:
    done = rebuild(filled)
    assert (done.recordings, done.shelved, done.failed) == (2, 2, ())
    for name, text in tree(filled).items():
        section, _officer, day, leaf, _ = Path(name).parts
        manifest = json.loads(text)
        assert section == manifest["section"] == "section-1" and manifest["opened"].startswith(day)
        assert leaf == manifest["opened"][11:16].replace(":", "") + "-" + manifest["recording"]
        assert manifest["complete"] and manifest["closed"] and manifest["duration_us"] > 0
        device = filled.by_section / Path(name).parent / "device"
        assert device.resolve() == (filled.archive / "er-1").resolve()
        assert all((device / "objects" / one["file"]).exists() for one in manifest["objects"])


def test_the_manifest_says_what_strikes_the_eye_and_nothing_personal(filled: DockSettings) -> None:
    """Codes of findings; ids only."""
    rebuild(filled)
    manifest = json.loads(next(iter(tree(filled).values())))
    assert {"NOTICE_MISSING", "PARTICULARS_MISSING", "SITE_NOT_IDENTIFIED"} <= set(manifest["remarks"])
    assert not {"party", "site", "text", "officers", "position"} & set(manifest)


def test_the_days_are_those_of_the_station(filled: DockSettings) -> None:
    """Half an hour before midnight in one place is another day elsewhere."""
    trust, row = trust_of(filled.credentials), Catalogue(filled.catalogue, filled.archive).recordings()[0]
    late = replace(row, opened_us=1_764_000_000_000_000)  # 2025-11-24 16:00 UTC
    days = [
        Layout(replace(filled, utc_offset_minutes=minutes), trust).describe(late).opened[:10] for minutes in (0, 480)
    ]
    assert days == ["2025-11-24", "2025-11-25"]
    assert Layout(filled, trust).describe(replace(row, opened_us=2**53 - 1)).opened.startswith("2255")


def test_the_tree_removed_or_damaged_comes_out_the_same(filled: DockSettings) -> None:
    rebuild(filled)
    before = tree(filled)
    shutil.rmtree(filled.by_section / "section-1")
    (filled.by_section / "rubbish").mkdir()
    rebuild(filled)
    assert tree(filled) == before and not (filled.by_section / "rubbish").exists()


def test_what_is_missing_is_said_and_the_recording_is_not_called_complete(filled: DockSettings) -> None:
    next((filled.archive / "er-1" / "objects").glob("*.age")).unlink()
    rebuild(filled)
    manifests = [json.loads(text) for text in tree(filled).values()]
    assert sorted(one["complete"] for one in manifests) == [False, True]
    assert sum(one["state"] == "missing" for each in manifests for one in each["objects"]) == 1


def test_the_running_docks_thread_lays_out_what_is_new_and_leaves_what_is_complete(
    filled: DockSettings, unit: Unit
) -> None:
    layout = Layout(filled, trust_of(filled.credentials))
    shelver = Shelver(layout)
    shelver.want(Catalogue(filled.catalogue, filled.archive).recordings(), unless_complete=True)
    shelver.start()
    try:
        wait_for(lambda: len(tree(filled)) == 2, what="both are laid out")
        times = {path: path.stat().st_mtime_ns for path in filled.by_section.rglob("manifest.json")}
        unit.record([10])
        unit.enter(Gap(f"{1:016x}", "storage", None, 1))
        intake = open_intake(filled)
        settle(intake, unit)
        intake.close()
        shelver.want(Catalogue(filled.catalogue, filled.archive).recordings(), unless_complete=True)
        wait_for(lambda: len(tree(filled)) == 3, what="the third is laid out")
    finally:
        shelver.stop()
    assert all(path.stat().st_mtime_ns == before for path, before in times.items())


def test_a_damaged_index_stops_one_recording_not_the_rest(filled: DockSettings) -> None:
    row = Catalogue(filled.catalogue, filled.archive).recordings()[0]
    with pytest.raises(StorageError):
        Layout(filled, trust_of(filled.credentials)).describe(replace(row, opened_line=1, last_line=2))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"{"),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"button"', b'"hazard"', 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"segments": 2', b'"segments": 3', 1)),
    ],
)
def test_the_catalogue_rebuilt_is_the_archives_and_one_that_lies_is_found(
    filled: DockSettings, damage: Callable[[Path], object]
) -> None:
    """Deleted, torn, or saying something else than the ledgers."""
    rebuild(filled)
    assert catalogue_is_true(filled)
    before = filled.catalogue.read_bytes()
    damage(filled.catalogue)
    assert not catalogue_is_true(filled)
    rebuild(filled)
    assert filled.catalogue.read_bytes() == before and catalogue_is_true(filled)


def test_the_catalogue_grown_line_by_line_equals_the_one_rebuilt(settings: DockSettings, unit: Unit) -> None:
    """What the running dock enters bit by bit is what the archive gives at once."""
    adopt(unit)
    unit.record([10, 20])
    unit.record([30])
    catalogue = Catalogue(settings.catalogue, settings.archive)
    intake = open_intake(settings)
    settle(intake, unit)
    for taken in intake.taken:
        catalogue.apply("er-1", [taken.entry])
    catalogue.close()
    intake.close()
    assert catalogue_is_true(settings)


def test_the_command_rebuilds_checks_and_refuses_while_the_dock_runs(
    filled: DockSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "dock.toml"
    config.write_text(f'[dock]\nid = "dock-1"\nfolder = "{filled.folder}"\ncredentials = "{filled.credentials}"\n')
    assert main(["dock", "--config", str(config), "rebuild", "--check"]) == 1
    assert main(["dock", "rebuild", "--config", str(config)]) == 0
    assert main(["dock", "rebuild", "--config", str(config), "--check"]) == 0
    assert "2 段记录" in capsys.readouterr().out
    with durable.lock_folder(filled.folder):
        assert main(["dock", "rebuild", "--config", str(config)]) == 5
    assert "ER-3003" in capsys.readouterr().err
