"""RFC 6962 Merkle tree over the ledger's lines: roots, inclusion and consistency proofs.

``Tree`` grows in memory of log2(lines) and knows its newest root; whoever only writes needs no more. ``StoredTree``
keeps every node that is final in a file, so that the root at any earlier size and every proof take log2(lines) reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from agent.errors import FormatError

HASH_BYTES: Final = 32
MAX_PROOF: Final = 63
"""Hashes in a proof, at most: more lines than 2^63 cannot be."""
_BUFFER_BYTES: Final = 1 << 16


def leaf_hash(line: bytes) -> bytes:
    """Hash of a leaf: a ledger line without its newline."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


class Tree:
    """A tree that only grows; keeps one hash per complete subtree on its right edge."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Continues a tree of ``size`` lines: ``peaks`` are its complete subtrees, the largest (leftmost) first."""
        self.size = size
        self._peaks = list(peaks)

    def add(self, line: bytes) -> None:
        """Appends one line (without newline)."""
        self.add_leaf(leaf_hash(line))

    def add_leaf(self, leaf: bytes) -> list[bytes]:
        """Appends one leaf hash; returns the nodes that are final now: the leaf, then each subtree it completes."""
        carry, size, done = leaf, self.size, [leaf]
        while size & 1:
            carry = node_hash(self._peaks.pop(), carry)
            done.append(carry)
            size >>= 1
        self._peaks.append(carry)
        self.size += 1
        return done

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The complete subtrees, the largest (leftmost) first: what it takes to continue the tree elsewhere."""
        return tuple(self._peaks)

    def copy(self) -> Tree:
        """One more like it, that grows by itself."""
        return Tree(self.size, self._peaks)

    def root(self) -> bytes:
        """Root hash of all lines so far (32 bytes)."""
        return _fold(self._peaks) if self._peaks else EMPTY_ROOT


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Root over complete subtrees, the largest (leftmost) first."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


class Nodes(Protocol):
    """Where final nodes are read from: ``node(level, index)`` covers 2^level leaves from index * 2^level on."""

    @property
    def size(self) -> int:
        """Lines in the tree."""

    def node(self, level: int, index: int) -> bytes:
        """The hash (32 bytes) of a complete subtree."""


class LeafNodes:
    """Nodes of a small tree, computed from its leaf hashes whenever they are asked for."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    @property
    def size(self) -> int:
        """Lines in the tree."""
        return len(self._leaves)

    def node(self, level: int, index: int) -> bytes:
        """Computed from the leaves below."""
        return subtree_root(self._leaves[index << level : (index + 1) << level])


class StoredTree:
    """A tree whose final nodes lie in a file, 32 bytes each, in the order in which they become final.

    The file is a cache: it is never evidence, and it can be made anew from the ledger. One thread.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        """Continues the tree in this file at ``size`` lines; what stood there beyond them is dropped.

        Raises OSError, FormatError when there are fewer. Whose tree it is, its root must show.
        """
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._pending = bytearray()
        try:
            self._written = _nodes_in(size) * HASH_BYTES
            self._tree = Tree(size, [_read_node(self._handle, level, index) for level, index in _cover(0, size)])
            os.ftruncate(self._handle, self._written)
        except BaseException:
            os.close(self._handle)
            raise

    @property
    def size(self) -> int:
        """Lines in the tree."""
        return self._tree.size

    def add_leaf(self, leaf: bytes) -> None:
        """Appends one leaf hash. Raises OSError."""
        for node in self._tree.add_leaf(leaf):
            self._pending += node
        if len(self._pending) >= _BUFFER_BYTES:
            self.flush()

    def add(self, line: bytes) -> None:
        """Appends one line (without newline). Raises OSError."""
        self.add_leaf(leaf_hash(line))

    def root(self) -> bytes:
        """Root over all lines so far."""
        return self._tree.root()

    def frontier(self) -> Tree:
        """A tree in memory that stands where this one stands."""
        return self._tree.copy()

    def node(self, level: int, index: int) -> bytes:
        """Reads one final node. Raises OSError, FormatError when it is not in the file."""
        self.flush()
        return _read_node(self._handle, level, index)

    def close(self) -> None:
        """Writes what waits and closes the file; it stays."""
        self.flush()
        os.close(self._handle)

    def flush(self) -> None:
        """Hands what waits to the operating system. Raises OSError."""
        while self._pending:
            done = os.pwrite(self._handle, self._pending, self._written)
            self._written += done
            del self._pending[:done]

    def sync(self) -> None:
        """Returns when everything is durable. Raises OSError."""
        self.flush()
        os.fdatasync(self._handle)


class TreeFile:
    """Reads the file of a ``StoredTree`` that somebody else wrote; believes nothing but its length."""

    def __init__(self, path: Path, size: int) -> None:
        """``size``: how many lines it is said to cover. Raises OSError."""
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._size = size

    @property
    def size(self) -> int:
        """Lines in the tree."""
        return self._size

    def node(self, level: int, index: int) -> bytes:
        """Reads one node. Raises OSError, FormatError when it is not in the file."""
        return _read_node(self._handle, level, index)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)


def _read_node(handle: int, level: int, index: int) -> bytes:
    found = os.pread(handle, HASH_BYTES, _place(level, index) * HASH_BYTES)
    if len(found) != HASH_BYTES:
        raise FormatError("the tree file is shorter than its tree")
    return found


def _place(level: int, index: int) -> int:
    """Number of a node in the order in which nodes become final."""
    # The node is final with its last leaf, and comes right after the lower nodes that this leaf completes. Before that
    # leaf stand all leaves before it and every subtree that those complete.
    return _nodes_in(((index + 1) << level) - 1) + level


def _nodes_in(size: int) -> int:
    """How many nodes are final in a tree of ``size`` lines."""
    found = 0
    while size:
        found += size
        size >>= 1
    return found


def subtree_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.add_leaf(leaf)
    return tree.root()


def _cover(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees (level, index) that leaves ``begin`` to ``end`` consist of, from the left."""
    while begin < end:
        level = min((begin & -begin).bit_length() - 1 if begin else 63, (end - begin).bit_length() - 1)
        yield level, begin >> level
        begin += 1 << level


def _range_root(nodes: Nodes, begin: int, end: int) -> bytes:
    return _fold([nodes.node(level, index) for level, index in _cover(begin, end)])


def root_at(nodes: Nodes, size: int) -> bytes:
    """Root over the first ``size`` lines. Raises FormatError when there are fewer."""
    if not 0 <= size <= nodes.size:
        raise FormatError(f"there is no tree of {size} lines, only one of {nodes.size}")
    return _range_root(nodes, 0, size) if size else EMPTY_ROOT


def root_of_file(ledger: Path, size: int) -> bytes | None:
    """Root over the first ``size`` lines of a ledger file, read from its beginning; None when there are fewer."""
    tree = Tree()
    with ledger.open("rb") as file:
        while tree.size < size and (line := file.readline()).endswith(b"\n"):
            tree.add(line[:-1])
    return tree.root() if tree.size == size else None


def _split(size: int) -> int:
    """Largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """RFC 6962 audit path of line ``index`` in the tree of ``size`` lines, lowest node first. Raises FormatError."""
    if not 0 <= index < size <= nodes.size:
        raise FormatError("leaf index outside the tree")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_root(nodes, middle, end))
            end = middle
        else:
            path.append(_range_root(nodes, begin, middle))
            begin = middle
    return path[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
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


def consistency_proof(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """RFC 6962 proof that the tree of ``new`` lines only appends to that of ``old`` lines. Raises FormatError.

    Empty for equal sizes and for ``old`` 0: the empty tree is a beginning of every tree.
    """
    if not 0 <= old <= new <= nodes.size:
        raise FormatError(f"no consistency proof from {old} to {new} lines: there are {nodes.size}")
    proof: list[bytes] = []
    begin, end, whole = 0, new, True
    while old not in (0, end):
        middle = begin + _split(end - begin)
        if old <= middle:
            proof.append(_range_root(nodes, middle, end))
            end = middle
        else:
            proof.append(_range_root(nodes, begin, middle))
            begin, whole = middle, False
    if old and not whole:
        proof.append(_range_root(nodes, begin, end))
    return proof[::-1]


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises FormatError unless the proof shows that ``new`` lines begin with ``old`` lines (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new or len(proof) > MAX_PROOF:
        raise FormatError("a tree cannot shrink")
    if old in (0, new):
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise FormatError("the two trees are not the same")
        return
    _climb(old, old_root, new, new_root, [old_root, *proof] if old & (old - 1) == 0 else list(proof))


def _climb(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> None:
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    if not path:
        raise FormatError("the consistency proof is too short")
    first = second = path[0]
    for node in path[1:]:
        if last == 0:
            raise FormatError("the consistency proof is too long")
        if position & 1 or position == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, node)
        position, last = position >> 1, last >> 1
    if last != 0 or first != old_root or second != new_root:
        raise FormatError("the consistency proof does not join the two trees")
