"""A witness that trusts the suite's agency, and one device's ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import Enrolled
from witness_rig import Bench, Ledger


@pytest.fixture
def bench(enrolled: Enrolled, tmp_path: Path) -> Bench:
    return Bench(tmp_path / "witness", enrolled.folder / "er-1" / "trust.json")


@pytest.fixture
def ledger(enrolled: Enrolled) -> Ledger:
    return Ledger(enrolled).boot().grow(3)
