"""The contracts between the rooms hold, and each one would be noticed when broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = Path(sys.executable).parent / "lint-imports"

BREACHES = {
    "rooms": ("agent/evidence/encoding.py", "import agent.recorder.machine"),
    "hardware libraries": ("agent/recorder/machine.py", "import gpiozero"),
    "one module speaks MQTT": ("agent/dock/service.py", "import paho.mqtt.client"),
    "one module serves HTTP": ("agent/dock/service.py", "import waitress"),
    "one module speaks S3": ("agent/dock/cluster/archive.py", "import boto3"),
    "TinyDB behind its classes": ("agent/recorder/journal.py", "import tinydb"),
    "provisioning keeps to the format": ("provisioning/agency.py", "import agent.hardware.parts"),
    "the agent does not know provisioning": ("agent/config.py", "import provisioning.agency"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [str(LINT), "--no-cache", "--config", str(folder / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)


def copy(target: Path) -> Path:
    for name in ("agent", "provisioning"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.wav", "*.mp4"))
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def test_the_rooms_keep_their_contracts() -> None:
    """No import goes where the design does not allow it."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("contract", BREACHES)
def test_a_broken_contract_is_noticed_by_its_name(tmp_path: Path, contract: str) -> None:
    """One offending import, and the contract that forbids it is reported broken."""
    folder = copy(tmp_path)
    file, line = BREACHES[contract]
    path = folder / file
    first = "from __future__ import annotations\n"
    path.write_text(path.read_text().replace(first, f"{first}{line}\n", 1))
    done = lint(folder)
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout


def test_every_contract_has_its_breach() -> None:
    """A contract that nobody has tried to break is not known to bite."""
    text = (ROOT / "pyproject.toml").read_text()
    names = {line.split('"')[1] for line in text.splitlines() if line.startswith("name = ")}
    assert names - {"enforcement-recorder"} == set(BREACHES)
