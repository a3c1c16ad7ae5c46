"""A small sample agency, made with the real thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provisioning_sample import Clock, Sample, tone

from provisioning.agency import Agency, Founding, found
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    clock = Clock()
    found(tmp_path / "agency", Founding("sample", "样例单位", escrow=True, notice=tone()), by="tester", clock=clock)
    with Agency(tmp_path / "agency", writable=True, by="tester", clock=clock) as agency:
        add_dock(agency, DockOrder("dock-1", ["dock.example", "192.0.2.10"]), tmp_path / "dock-1")
        with agency.change() as change:
            change.add_officer("officer-1", "样例人员一", "section-1")
            change.add_officer("officer-2", "样例人员二", "section-2")
        for device in ("er-1", "er-2"):
            enrol_device(agency, DeviceOrder(device, f"SN-{device}", "section-9"), tmp_path / device)
        yield Sample(tmp_path, agency, clock)
