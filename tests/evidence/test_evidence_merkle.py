"""RFC 6962 tree: known roots, and proofs that lead nowhere else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.evidence.merkle import (
    EMPTY_ROOT,
    LeafNodes,
    StoredTree,
    Tree,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_at,
    subtree_root,
)

# The inputs and roots of the certificate-transparency project's own tests.
INPUTS = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def proof_of(leaves: list[bytes], index: int) -> list[bytes]:
    return inclusion_proof(LeafNodes(leaves), index, len(leaves))


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256().digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(by_definition(leaves[:half]), by_definition(leaves[half:]))


def test_the_known_roots_come_out() -> None:
    tree = Tree()
    assert tree.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    for line, root in zip(INPUTS, ROOTS, strict=True):
        tree.add(bytes.fromhex(line))
        assert tree.root().hex() == root


@given(st.integers(0, 300))
def test_the_root_is_that_of_the_definition(count: int) -> None:
    leaves = leaves_of(count)
    assert subtree_root(leaves) == by_definition(leaves)


def test_every_leaf_of_every_size_up_to_64_is_proved_and_no_other_leaf_place_or_size_is() -> None:
    for size in range(1, 65):
        leaves = leaves_of(size)
        root = by_definition(leaves)
        for index in range(size):
            proof = proof_of(leaves, index)
            check_inclusion(leaves[index], index, size, proof, root)
            wrong = [
                (leaf_hash(b"another"), index, size, proof, root),
                (leaves[index], index, size, [*proof, bytes(32)], root),
                (leaves[index], index, size, proof, bytes(32)),
                (leaves[index], size, size, proof, root),
                (leaves[index], -1, size, proof, root),
            ]
            if proof:
                wrong += [
                    (leaves[index], index, size, proof[:-1], root),
                    (leaves[index], index, size, [bytes(32), *proof[1:]], root),
                    (leaves[index], (index + 1) % size, size, proof, root),
                ]
            for case in wrong:
                with pytest.raises(FormatError):
                    check_inclusion(*case)


@given(st.integers(1, 400), st.data())
def test_a_leaf_of_a_larger_tree_is_proved(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    check_inclusion(leaves[index], index, size, proof_of(leaves, index), by_definition(leaves))


@given(st.integers(1, 40), st.lists(st.binary(min_size=32, max_size=32), max_size=8), st.data())
def test_a_made_up_proof_leads_nowhere(size: int, proof: list[bytes], data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    if proof != proof_of(leaves, index):
        with pytest.raises(FormatError):
            check_inclusion(leaves[index], index, size, proof, by_definition(leaves))


@pytest.mark.parametrize(("size", "index"), [(0, 0), (3, 3), (3, -1)])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(size: int, index: int) -> None:
    with pytest.raises(FormatError):
        inclusion_proof(LeafNodes(leaves_of(size)), index, size)


def test_a_stored_tree_gives_every_root_and_every_proof(tmp_path: Path) -> None:
    """Each earlier root, inclusion and consistency proof out of the file is that of the definition."""
    for size in range(1, 40):
        leaves = leaves_of(size)
        tree = StoredTree(tmp_path / "tree")
        for leaf in leaves:
            tree.add_leaf(leaf)
        for old in range(size + 1):
            assert root_at(tree, old) == by_definition(leaves[:old])
            proof = consistency_proof(tree, old, size)
            check_consistency(old, by_definition(leaves[:old]), size, by_definition(leaves), proof)
        for index in range(size):
            assert inclusion_proof(tree, index, size) == proof_of(leaves, index)
        tree.close()


@given(st.integers(1, 200), st.data())
def test_two_histories_are_never_joined_by_a_proof(size: int, data: st.DataObject) -> None:
    """A proof with one hash altered, or to another root, shows nothing."""
    old = data.draw(st.integers(1, size))
    leaves = leaves_of(size)
    proof = consistency_proof(LeafNodes(leaves), old, size)
    first, second = by_definition(leaves[:old]), by_definition(leaves)
    wrong = [(bytes(32), second, proof), (first, bytes(32), proof), (first, second, [*proof, bytes(32)])]
    wrong += [(first, second, [*proof[:at], bytes(32), *proof[at + 1 :]]) for at in range(len(proof))]
    for one, other, path in wrong:
        with pytest.raises(FormatError):
            check_consistency(old, one, size, other, path)
