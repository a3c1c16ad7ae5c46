"""The dock's own parts: archive, witness, register, catalogue, console."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, trust_of
from nacl.signing import SigningKey
from rich.console import Console

from agent.cli import main
from agent.dock.archive import DeviceArchive
from agent.dock.broker import mosquitto_acl, mosquitto_config, nats_config
from agent.dock.catalogue import Catalogue
from agent.dock.console import bay_table, event_text
from agent.dock.register import DeviceRegister
from agent.dock.reports import Report
from agent.dock.service import DockService
from agent.dock.settings import DockSettings
from agent.dock.status import Bay, DockStatus, StatusSocket, read_status
from agent.dock.verified import seal_key
from agent.dock.witness import Witness
from agent.errors import LockedError, NotRunningError, StorageError, TrustError
from agent.evidence.checkpoint import Checkpoint, origin_of, sign_checkpoint
from agent.evidence.encoding import sha256_hex
from agent.evidence.folder import EvidenceFolder
from agent.evidence.keys import load_signing_key
from agent.system import durable
from provisioning.agency import Agency
from provisioning.credentials import refresh


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


@pytest.fixture
def settings(agency: Path, tmp_path: Path) -> DockSettings:
    found = DockSettings(DOCK, tmp_path / "dock", agency / DOCK)
    for folder in (found.archive, found.staging):
        folder.mkdir(parents=True)
    return found


def lines_of(unit: Unit) -> list[bytes]:
    return unit.folder.ledger.read_bytes().split(b"\n")[:-1]


def opened(settings: DockSettings, unit: Unit) -> DeviceArchive:
    key = seal_key(load_signing_key((settings.credentials / "receipt.key").read_bytes()))
    return DeviceArchive(settings, unit.device, trust_of(settings.credentials), key)


def filled(settings: DockSettings, unit: Unit) -> DeviceArchive:
    """An archive with all of the unit's lines and objects."""
    archive = opened(settings, unit)
    for line in lines_of(unit)[archive.chain.size :]:
        archive.accept(line)
    archive.flush()
    for ref in list(archive.holdings.wanted.values()):
        staging = archive.stage(ref, 1_048_576)
        data = unit.folder.object_path(ref).read_bytes()
        for number in range(staging.count):
            staging.write(number, data[number * 1_048_576 : (number + 1) * 1_048_576])
        assert archive.finish(staging) is None
    return archive


def test_an_archive_opened_again_holds_the_same_and_cuts_its_own_torn_line(settings: DockSettings, unit: Unit) -> None:
    """A crash in the middle of an append costs only bytes that were never claimed."""
    unit.record([10_000, 20])
    archive = filled(settings, unit)
    size, held = archive.chain.size, archive.holdings.unreceipted
    archive.close()
    with archive.folder.ledger.open("ab") as ledger:
        ledger.write(b"torn")
    again = opened(settings, unit)
    assert (again.chain.size, again.holdings.unreceipted, again.holdings.wanted) == (size, held, {})
    assert again.folder.ledger.read_bytes().endswith(b"\n")
    assert all(sha256_hex(path.read_bytes()) == path.stem for path in again.folder.objects.iterdir())
    again.close()


def test_objects_are_write_once(settings: DockSettings, unit: Unit) -> None:
    """A file under its digest is never written again, and is read-only."""
    unit.record([1_000])
    archive = filled(settings, unit)
    (path,) = archive.folder.objects.iterdir()
    assert path.stat().st_mode & 0o222 == 0
    archive.close()


def test_lines_not_flushed_are_not_claimed_after_a_crash(settings: DockSettings, unit: Unit) -> None:
    """The chain may run ahead of the disk; what counts is the disk."""
    archive = opened(settings, unit)
    archive.accept(lines_of(unit)[0])
    archive.close()
    again = opened(settings, unit)
    assert again.chain.size == 0
    again.close()


def test_the_witness_cosigns_growth_and_refuses_a_fork_and_a_forged_note(
    settings: DockSettings, unit: Unit, agency: Path
) -> None:
    """Same size with another root is a fork; a note by another key is refused; more lines than held must wait."""
    unit.record([1_000])
    archive = filled(settings, unit)
    witness = Witness(settings.witness, "sample", DOCK, SigningKey.generate(), archive)
    note = unit.folder.checkpoint.read_bytes()
    size, root = archive.chain.size, archive.chain.tree.root()
    origin = origin_of("sample", "er-1")
    foreign = SigningKey.generate()
    assert witness.judge(note, 1).outcome == "cosigned"
    assert witness.judge(sign_checkpoint(Checkpoint(origin, size, root), foreign), 1).outcome == "refused"
    assert witness.judge(sign_checkpoint(Checkpoint(origin, size, b"\0" * 32), foreign), 1).outcome == "fork"
    assert witness.judge(sign_checkpoint(Checkpoint(origin, size + 1, root), foreign), 1).outcome == "early"
    assert witness.judge(sign_checkpoint(Checkpoint("other", size, root), foreign), 1).outcome == "refused"
    assert witness.judge(b"rubbish", 1).outcome == "refused"
    archive.close()


def test_the_witness_notices_when_its_own_archive_went_back(settings: DockSettings, unit: Unit) -> None:
    """A restored backup of the archive is not quietly continued."""
    unit.record([1_000])
    archive = filled(settings, unit)
    key = SigningKey.generate()
    assert (
        Witness(settings.witness, "sample", DOCK, key, archive).judge(unit.folder.checkpoint.read_bytes(), 1).outcome
        == "cosigned"
    )
    archive.close()
    ledger = archive.folder.ledger
    ledger.write_bytes(b"".join(line + b"\n" for line in lines_of(unit)[:3]))
    shorter = opened(settings, unit)
    with pytest.raises(StorageError):
        Witness(settings.witness, "sample", DOCK, key, shorter)
    shorter.close()


def test_the_register_accepts_its_devices_and_follows_a_revocation_while_running(tmp_path: Path) -> None:
    """An unknown or lost device is refused; a new register takes effect without a restart; a false one does not."""
    from custody_rig import make_agency

    make_agency(tmp_path)
    credentials = tmp_path / DOCK
    register = DeviceRegister(credentials, trust_of(credentials))
    assert register.why_not("er-1", None) is None
    assert register.why_not("er-lost", None)
    assert register.why_not("stranger", None)
    with Agency(tmp_path / "agency", writable=True, by="tester") as agency:
        agency.end_device("er-1", "lost")
        refresh(agency, credentials)
    assert register.refresh()
    assert register.why_not("er-1", None)
    (credentials / "register.json").write_bytes(b'{"v":1}')
    with pytest.raises(TrustError):
        register.refresh()
    assert register.why_not("er-2", None) is None


def test_the_catalogue_rebuilt_from_the_archive_is_the_catalogue(settings: DockSettings, unit: Unit) -> None:
    """Deleted, torn or left behind, it comes out the same from the ledgers alone."""
    unit.record([1_000, 2_000])
    catalogue = Catalogue(settings.catalogue, settings.archive)
    archive = filled(settings, unit)
    catalogue.apply("er-1", [archive.chain.__class__(unit.trust, "er-1").accept(lines_of(unit)[0])])
    entries = []
    chain = archive.chain.__class__(unit.trust, "er-1")
    for line in lines_of(unit):
        entries.append(chain.accept(line))
    catalogue.apply("er-1", entries)
    rows = catalogue.recordings()
    assert [(row.segments, row.reason) for row in rows] == [(2, "button")]
    assert Catalogue(settings.catalogue, settings.archive).recordings() == rows
    settings.catalogue.unlink()
    assert Catalogue(settings.catalogue, settings.archive).recordings() == rows
    settings.catalogue.write_bytes(b'{"torn')
    assert Catalogue(settings.catalogue, settings.archive).recordings() == rows
    unit.record([5])
    archive.close()
    filled(settings, unit).close()
    assert len(Catalogue(settings.catalogue, settings.archive).recordings("er-1")) == 2


def test_two_docks_cannot_share_a_folder(settings: DockSettings) -> None:
    """The second is refused at once."""
    first = DockService(settings)
    with pytest.raises(LockedError):
        DockService(settings)
    first._lock.release()


def test_the_status_is_served_over_the_socket_and_drawn(tmp_path: Path) -> None:
    """What is asked for is what is shown; without a dock the error says so."""
    bay = Bay("er-1", True, 12, 3, 4096, 100, 0, 0, False, True)
    status = DockStatus(1, DOCK, True, [bay], ["样例 sample"])
    with pytest.raises(NotRunningError):
        read_status(tmp_path / "sock")
    served = StatusSocket(tmp_path / "sock", lambda: status)
    served.start()
    try:
        assert read_status(tmp_path / "sock") == status
    finally:
        served.stop()
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(bay_table(status))
    console.print(event_text(Report("fork", "er-1", "root differs")))
    text = console.export_text()
    assert "可以取走" in text and "台账被改写" in text


def test_configurations_name_the_dock_and_every_device_once(agency: Path, tmp_path: Path) -> None:
    """The access lists carry exactly the rights of the design."""
    assert mosquitto_acl(DOCK).count("pattern write") == 1
    assert "er/v1/%u/up/#" in mosquitto_acl(DOCK) and "er/v1/%u/down/#" in mosquitto_acl(DOCK)
    text = mosquitto_config(tmp_path, agency / DOCK, 8883)
    for needed in ("require_certificate true", "use_identity_as_username true", "tls_version tlsv1.3", "crlfile"):
        assert needed in text
    users = nats_config(tmp_path, agency / DOCK, 8883, DOCK, ["er-1"], "sample")
    assert users.count("CN=er-1,OU=device,O=sample") == 1
    assert users.count('"allowed_connection_types": ["MQTT"]') == 2


def test_the_shipped_mosquitto_files_are_what_the_tested_generator_writes() -> None:
    """firmware-config/mosquitto cannot drift from what the broker tests run."""
    shipped = Path(__file__).parents[2] / "firmware-config" / "mosquitto"
    folder, credentials = Path("/etc/enforcement-recorder/mosquitto"), Path("/etc/enforcement-recorder/dock")
    assert (
        (shipped / "mosquitto.conf")
        .read_text()
        .endswith(mosquitto_config(folder, credentials, 8883, None, "mosquitto"))
    )
    assert (shipped / "acl").read_text().endswith(mosquitto_acl("dock-1"))


def test_the_command_writes_the_brokers_configuration_for_the_dock_of_a_folder(
    agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``recorder broker`` takes the dock's name from its certificate, and leaves what mosquitto can read."""
    out = tmp_path / "mosquitto"
    assert main(["broker", "--credentials", str(agency / DOCK), "--out", str(out), "--port", "18883"]) == 0
    assert (out / "acl").read_text() == mosquitto_acl(DOCK)
    assert (out / "mosquitto.conf").read_text() == mosquitto_config(out, agency / DOCK, 18883, None, "mosquitto")
    assert (out / "acl").stat().st_mode & 0o777 == 0o644
    assert str(out) in capsys.readouterr().out
    assert main(["broker", "--credentials", str(tmp_path), "--out", str(out)]) == 2
    assert main(["broker", "--credentials", str(agency / DOCK), "--out", str(out), "--port", "0"]) == 2


def test_a_service_without_its_credentials_says_which_are_missing(tmp_path: Path) -> None:
    """A dock without keys does not start."""
    with pytest.raises(StorageError, match="credentials"):
        DockService(DockSettings(DOCK, tmp_path, tmp_path / "none"))


def test_nothing_is_left_aside_in_the_archive(settings: DockSettings, unit: Unit) -> None:
    """No temporary file stays after an object has its name."""
    unit.record([1_000])
    filled(settings, unit).close()
    folder = EvidenceFolder(settings.archive / "er-1")
    assert durable.sweep_aside(folder.objects) == 0
    assert not list((settings.staging / "er-1").iterdir())
