"""The retention table: signed by the agency, brought to its docks, and read there as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import enrol

from agent.dock.retention import read_table
from agent.errors import UsageError
from agent.evidence.documents import TrustBundle
from agent.evidence.retention import RetentionRule
from provisioning.agency import Agency
from provisioning.credentials import DockOrder, add_dock, refresh
from provisioning.retention import parse_rule, sign_table


def test_a_dock_gets_the_newest_table_with_its_folder_and_none_before_one_was_signed(tmp_path: Path) -> None:
    """Versions rise; the dock's own trust file verifies it."""
    enrolled = enrol(tmp_path)
    folder = tmp_path / "dock-9"
    with Agency(enrolled.folder / "agency", writable=True, by="tester") as agency:
        add_dock(agency, DockOrder("dock-9"), folder)
        trust = TrustBundle.from_json((folder / "trust.json").read_bytes())
        with pytest.raises(UsageError):
            read_table(folder, trust)
        sign_table(agency, 30, [])
        sign_table(agency, 1_095, [parse_rule("coercion:any:3650")])
        refresh(agency, folder)
    table = read_table(folder, trust)
    assert (table.version, table.default_days, table.rules) == (2, 1_095, [RetentionRule("coercion", None, 3_650)])


@pytest.mark.parametrize(
    "text", ["", "coercion:3650", "theft:any:1", "any:film:1", "any:any:0", "any:any:x", "a:b:c:d"]
)
def test_a_row_that_is_not_one_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match="ACTION:KIND:DAYS"):
        parse_rule(text)
