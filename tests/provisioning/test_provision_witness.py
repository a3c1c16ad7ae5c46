"""Witnesses in the register: names, keys, history, and what folders and trust file get."""

from __future__ import annotations

from pathlib import Path

import pytest
from nacl.signing import SigningKey
from provisioning_sample import Sample

from agent.errors import RegisterError, UnknownIdError, UsageError
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url
from provisioning.cli import main
from provisioning.credentials import refresh


def a_key(number: int) -> str:
    return b64url(bytes(SigningKey(bytes([number]) * 32).verify_key))


def test_a_witness_counts_from_its_adding_to_its_removal_and_both_stand_in_the_history(sample: Sample) -> None:
    """The trust file names it meanwhile; removed, it may come back with another key."""
    agency = sample.agency
    for key in (a_key(1), a_key(2)):
        with agency.change() as change:
            change.add_witness("witness.example/w1", key)
        assert [(one.id, one.key) for one in agency.trust(agency.view()).witnesses] == [("witness.example/w1", key)]
        with pytest.raises(RegisterError, match="already"), agency.change() as change:
            change.add_witness("witness.example/w1", a_key(3))
        with agency.change() as change:
            change.remove_witness("witness.example/w1", "sample")
        assert agency.trust(agency.view()).witnesses == []
    with pytest.raises(RegisterError, match="removed"), agency.change() as change:
        change.remove_witness("witness.example/w1")
    actions = [entry.action for entry in agency.view().history()]
    assert actions[-4:] == ["witness-added", "witness-removed"] * 2


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u3000b", "x" * 129])
def test_a_witness_needs_a_name_that_a_signature_line_can_bear(sample: Sample, name: str) -> None:
    """No spaces of any kind, no plus sign, not empty."""
    with pytest.raises(UsageError), sample.agency.change() as change:
        change.add_witness(name, a_key(1))


@pytest.mark.parametrize("key", ["short", "A" * 43, "A" * 42 + "B"])
def test_a_witness_needs_a_key_that_is_one(sample: Sample, key: str) -> None:
    """Not a point of small order, not left-over bits."""
    with pytest.raises(UsageError), sample.agency.change() as change:
        change.add_witness("witness.example", key)


def test_names_and_keys_of_witnesses_docks_and_devices_are_kept_apart(sample: Sample) -> None:
    """One name or one key twice would let one word count for two."""
    agency = sample.agency
    for taken in ("dock-1", "er-1"):
        with pytest.raises(RegisterError, match="taken"), agency.change() as change:
            change.add_witness(taken, a_key(1))
    with pytest.raises(RegisterError, match="key"), agency.change() as change:
        change.add_witness("witness.example", agency.view().dock("dock-1").witness_key)
    with agency.change() as change:
        change.add_witness("w1", a_key(1))
    with pytest.raises(RegisterError, match="key"), agency.change() as change:
        change.add_witness("w2", a_key(1))
    with pytest.raises(RegisterError, match="taken"), agency.change() as change:
        change.add_dock("w1", [], a_key(4), a_key(5))
    with pytest.raises(UnknownIdError), agency.change() as change:
        change.remove_witness("nobody")


def test_folders_get_it_at_their_next_refresh(sample: Sample, tmp_path: Path) -> None:
    """Device and dock alike; the command line takes a key that begins with a hyphen."""
    key = next(one for number in range(256) if (one := a_key(number)).startswith("-"))
    agency = ["--agency", str(sample.root)]
    sample.agency.close()
    assert main(["witness", "add", "witness.example", f"--key={key}", *agency]) == 0
    assert main(["list", "witnesses", *agency]) == 0
    for name in ("er-1", "dock-1"):
        assert main(["refresh", str(sample.folder / name), *agency]) == 0
        trust = TrustBundle.from_json((sample.folder / name / "trust.json").read_bytes())
        assert dict(trust.witness_keys())["witness.example"]
    assert main(["witness", "remove", "witness.example", *agency]) == 0
    refresh(sample.agency, sample.folder / "er-1")
    trust = TrustBundle.from_json((sample.folder / "er-1" / "trust.json").read_bytes())
    assert trust.witnesses == []
