"""RFC 6962 Merkle tree over the ledger's lines, in memory that grows with log2(lines), and its proofs."""

from __future__ import annotations

import hashlib

from agent.errors import FormatError


def leaf_hash(line: bytes) -> bytes:
    """Hash of a leaf: a ledger line without its newline."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


class Tree:
    """A tree that only grows; keeps one hash per complete subtree on its right edge."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Appends one line (without newline)."""
        self.add_leaf(leaf_hash(line))

    def add_leaf(self, leaf: bytes) -> None:
        """Appends one leaf hash."""
        carry, size = leaf, self.size
        while size & 1:
            carry = node_hash(self._peaks.pop(), carry)
            size >>= 1
        self._peaks.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """Root hash of all lines so far (32 bytes)."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def subtree_root(leaves: list[bytes]) -> bytes:
    """Root over leaf hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.add_leaf(leaf)
    return tree.root()


def _split(size: int) -> int:
    """Largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 6962 audit path of leaf ``index`` among these leaf hashes, lowest node first. Raises FormatError."""
    if not 0 <= index < len(leaves):
        raise FormatError("leaf index outside the tree")
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*inclusion_proof(leaves[:half], index), subtree_root(leaves[half:])]
    return [*inclusion_proof(leaves[half:], index - half), subtree_root(leaves[:half])]


def check_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    """Raises FormatError unless the proof leads from the leaf at this index to this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise FormatError("leaf index outside the tree")
    position, last, current = index, size - 1, leaf
    for node in proof:
        if last == 0:
            raise FormatError("inclusion proof is too long")
        if position & 1 or position == last:
            current = node_hash(node, current)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            current = node_hash(current, node)
        position, last = position >> 1, last >> 1
    if last != 0 or current != root:
        raise FormatError("inclusion proof does not lead to the root")
