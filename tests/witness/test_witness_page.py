"""docs/witness.md: its examples are what the program says, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from agent.evidence.checkpoint import Checkpoint, cosign, sign_checkpoint, verifier_key
from agent.evidence.merkle import LeafNodes, consistency_proof, leaf_hash, root_at
from agent.witness.keyring import _LIMITS
from agent.witness.protocol import MAX_CHECKPOINT_BYTES, MAX_KEYS_BYTES, dump_checkpoint

PAGE = (Path(__file__).parents[2] / "docs" / "witness.md").read_text("utf-8")
ORIGIN, NAME = "sample-agency/enforcement-recorder/rec-sample-01", "witness.example/w1"


def example() -> dict[str, str]:
    """Seven lines ``0`` to ``6``, of which the witness has cosigned four; keys of 32 bytes 01 and 02; a fixed time."""
    nodes = LeafNodes([leaf_hash(b"%d" % number) for number in range(7)])
    note = sign_checkpoint(Checkpoint(ORIGIN, 7, root_at(nodes, 7)), SigningKey(b"\1" * 32))
    key = SigningKey(b"\2" * 32)
    return {
        "request": dump_checkpoint(4, consistency_proof(nodes, 4, 7), note).decode(),
        "answer": cosign(note, NAME, key, 1_796_258_105).removeprefix(note).decode(),
        "key": verifier_key(NAME, bytes(key.verify_key)) + "\n",
    }


@pytest.mark.parametrize("part", ["request", "answer", "key"])
def test_each_example_is_what_the_program_makes(part: str) -> None:
    """An indented block of the page."""
    text = "".join(f"    {line}\n" if line else "\n" for line in example()[part].splitlines())
    assert text in PAGE


def test_the_limits_on_the_page_are_those_in_force() -> None:
    """Bodies and candidates."""
    for number in (MAX_CHECKPOINT_BYTES, MAX_KEYS_BYTES):
        assert f"{number:,}" in PAGE
    found = re.search(r"(\d+) known, (\d+) rivals, (\d+) past", PAGE)
    assert found and tuple(map(int, found.groups())) == tuple(_LIMITS[one] for one in ("known", "rival", "past"))
