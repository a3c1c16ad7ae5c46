"""Fixtures of the hardware room's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_lanes import make_clip

from agent.hardware.simulated.stage import Stage, read_clip


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip of flashes and beeps."""
    return make_clip(tmp_path_factory.mktemp("footage") / "flash.mov")


@pytest.fixture
def stage(clip_file: Path) -> Stage:
    """A stage that plays it in real time."""
    return Stage(read_clip(clip_file))
