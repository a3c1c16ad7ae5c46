"""``recorder intake`` and ``recorder archive`` as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_rig import make_bucket
from custody_rig import DOCK, Unit, trust_of
from lanes import lanes
from test_store_contract import key_of, sign, take_all

from agent.cli import main
from agent.dock.broker import find_nats
from agent.dock.cluster.archive import BucketArchive, BucketMemory
from agent.dock.cluster.bucket import Bucket
from agent.dock.cluster.settings import BucketSettings
from agent.dock.verified import seal_key
from agent.dock.witness import Witness


def config_for(agency: Path, folder: Path, bucket: BucketSettings, more: str = "") -> Path:
    path = folder / "intake.toml"
    path.write_text(
        f'[intake]\nid = "{DOCK}"\nworker = "w1"\nscratch = "scratch"\ncredentials = "{agency / DOCK}"\n'
        f'[intake.s3]\nbucket = "{bucket.bucket}"\nretention_days = 30\nendpoint = "{bucket.endpoint}"\n{more}'
    )
    return path


def test_a_fetched_archive_verifies(
    agency: Path, tmp_path: Path, s3_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the bucket into a folder that ``recorder verify`` finds whole and of this agency; fetching again adds."""
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    bucket = make_bucket(s3_server)
    key = seal_key(key_of(agency, "receipt"))
    store = BucketArchive(Bucket(bucket), "w1", "er-1", trust_of(agency / DOCK), key, tmp_path / "scratch" / "er-1")
    config = config_for(agency, tmp_path, bucket)
    for sizes in ([10, 200_000], [5_000]):
        unit.record(sizes)
        take_all(store, unit)
        witness = Witness(BucketMemory(store), "sample", DOCK, key_of(agency, "witness"), store)
        assert witness.judge(unit.folder.checkpoint.read_bytes(), time.time_ns() // 1_000_000_000).outcome == "cosigned"
        sign(store, agency)
        command = ["archive", "fetch", "er-1", "--to", str(tmp_path / "fetched"), "--config", str(config)]
        assert main(command) == 0
    store.close()
    capsys.readouterr()
    fetched = tmp_path / "fetched" / "er-1"
    assert (fetched / "ledger.jws").read_bytes() == unit.folder.ledger.read_bytes()
    main(["verify", str(fetched), "--trust", str(agency / DOCK / "trust.json"), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {axis: report["axes"][axis] for axis in ("integrity", "provenance", "completeness")} == dict.fromkeys(
        ("integrity", "provenance", "completeness"), "ok"
    )
    assert main(["archive", "list", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "er-1\n"


@pytest.mark.parametrize("words", [["fetch"], ["fetch", "er-1", "--all"], ["fetch", "er-2"]])
def test_what_cannot_be_fetched_is_said(words: list[str], agency: Path, tmp_path: Path, s3_server: str) -> None:
    """Neither or both of a device and --all; a device that the bucket does not know."""
    config = config_for(agency, tmp_path, make_bucket(s3_server))
    assert main(["archive", *words, "--to", str(tmp_path / "to"), "--config", str(config)]) in (2, 5)


def test_check_says_what_may_be_claimed(
    agency: Path, tmp_path: Path, s3_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Write-once where it was proved; not where it is not claimed; an error where it is required and not so."""
    good, open_ = make_bucket(s3_server), make_bucket(s3_server, lock=False)
    assert main(["intake", "--config", str(config_for(agency, tmp_path, good)), "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"conditional_writes": True, "write_once": True}
    assert main(["intake", "--config", str(config_for(agency, tmp_path, open_)), "check"]) == 5
    assert "ER-3012" in capsys.readouterr().err
    config = config_for(agency, tmp_path, open_, 'write_once = "not-claimed"\n')
    assert main(["intake", "--config", str(config), "check"]) == 0
    assert "not claimed" in capsys.readouterr().out


def test_a_node_s_configuration_is_one_that_the_server_takes(
    agency: Path, tmp_path: Path, s3_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each node knows the others; a revoked device is in none; an unknown node is a usage error."""
    rows = "".join(
        f'[[intake.nodes]]\nname = "n{number}"\nhost = "n{number}.sample"\n'
        f'credentials = "{agency / DOCK}"\nstore = "{tmp_path / "js"}"\n'
        for number in (1, 2, 3)
    )
    config = config_for(agency, tmp_path, make_bucket(s3_server), rows)
    assert main(["intake", "--config", str(config), "node", "n2"]) == 0
    text = capsys.readouterr().out
    assert "nats-route://n1.sample:6222" in text
    assert "n2.sample" not in text
    assert "CN=er-1," in text
    assert "er-lost" not in text
    assert main(["intake", "--config", str(config), "node", "n9"]) == 2
    program = find_nats()
    if program is None:
        pytest.skip(f"lane nats: {lanes()['nats']}")
    (tmp_path / "nats.conf").write_text(text)
    done = subprocess.run([program, "-t", "-c", tmp_path / "nats.conf"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


def test_without_boto3_the_command_says_what_to_install(agency: Path, tmp_path: Path, s3_server: str) -> None:
    """An extra that is not there is a configuration error, not a traceback."""
    config = config_for(agency, tmp_path, make_bucket(s3_server))
    command = ["archive", "list", "--config", str(config)]
    program = f"import sys; sys.modules['boto3'] = None; from agent.cli import main; sys.exit(main({command!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "enforcement-recorder[cluster]" in done.stderr
    assert "Traceback" not in done.stderr
