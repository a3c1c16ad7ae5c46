"""R22: nothing leaves the device without a verified receipt of what it is, of this ledger, by a dock of the agency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import Enrolled, ledger

from agent.errors import ReceiptError
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import ObjectRef, Photo, ReceiptEntry, Released
from agent.evidence.folder import EvidenceFolder
from agent.evidence.merkle import Tree
from agent.evidence.receipts import MAX_OBJECTS, Receipt, sign_receipt
from agent.recorder.release import ReceiptBook, root_at


@pytest.fixture
def book(enrolled: Enrolled, tmp_path: Path) -> ReceiptBook:
    """A device with a ledger and two sealed objects."""
    folder = EvidenceFolder(tmp_path)
    folder.objects.mkdir()
    folder.ledger.write_bytes(b"".join(line + b"\n" for line in ledger(enrolled)[0]))
    book = ReceiptBook(folder, enrolled.trust, "er-1")
    for content in (b"one", b"two"):
        ref = ObjectRef(sha256_hex(content), len(content), "age")
        folder.object_path(ref).write_bytes(content)
        book.note(Photo("0" * 16, ref, 0, 0), [ref])
    return book


def receipt_for(book: ReceiptBook, **changes: object) -> Receipt:
    size = 6
    whole = Receipt(
        1, "receipt", "dock-1", "er-1", list(book.sizes.values()), size, root_at(book.folder.ledger, size), 1
    )
    return replace(whole, **changes)


def take(book: ReceiptBook, enrolled: Enrolled, receipt: Receipt) -> ObjectRef:
    """Verifies and enters a receipt as the daemon does."""
    token = sign_receipt(receipt, enrolled.key(receipt.dock, "receipt.key"))
    read, ref = book.check(token)
    book.note(ReceiptEntry(read.dock, ref, read.ledger_size), [ref])
    return ref


def held(book: ReceiptBook) -> int:
    return len(list(book.folder.objects.glob("*.age")))


def test_without_a_receipt_nothing_is_released(book: ReceiptBook) -> None:
    assert book.releasable(1) == book.releasable(0) == []


def test_what_a_receipt_covers_is_entered_and_then_removed_and_never_asked_for_again(
    book: ReceiptBook, enrolled: Enrolled
) -> None:
    ref = take(book, enrolled, receipt_for(book))
    (entry,) = book.releasable(1)
    assert (entry.receipt, set(entry.objects), entry.bytes) == (ref.digest, set(book.sizes), 6)
    assert held(book) == 2, "not before the entry is durable"
    book.note(entry, [])
    book.remove(entry)
    book.remove(entry)
    assert held(book) == 0
    assert book.releasable(1) == []
    assert book.folder.object_path(ref).exists(), "the receipt itself stays"


def test_two_receipts_of_one_dock_are_not_receipts_of_two_docks(book: ReceiptBook, enrolled: Enrolled) -> None:
    take(book, enrolled, receipt_for(book))
    take(book, enrolled, receipt_for(book, issued_us=2))
    assert book.releasable(2) == []
    take(book, enrolled, receipt_for(book, dock="dock-2"))
    assert len(book.releasable(2)) == 1


def test_an_object_that_is_not_this_devices_or_has_another_size_is_not_released(
    book: ReceiptBook, enrolled: Enrolled
) -> None:
    one, two = book.sizes.values()
    foreign = ObjectRef("f" * 64, 9, "age")
    take(book, enrolled, receipt_for(book, objects=[replace(one, size=one.size + 1), foreign]))
    assert book.releasable(1) == []
    take(book, enrolled, receipt_for(book, objects=[two]))
    assert [entry.objects for entry in book.releasable(1)] == [[two.digest]]


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "er-2"},
        {"ledger_root": "0" * 64},
        {"ledger_size": 5},
        {"ledger_size": 10_000},
    ],
)
def test_a_receipt_for_another_device_or_another_ledger_is_refused_and_not_kept(
    book: ReceiptBook, enrolled: Enrolled, changes: dict[str, object]
) -> None:
    token = sign_receipt(receipt_for(book, **changes), enrolled.key("dock-1", "receipt.key"))
    with pytest.raises(ReceiptError):
        book.check(token)
    assert not list(book.folder.objects.glob("*.jws"))


@pytest.mark.parametrize(("owner", "name"), [("er-1", "identity.key"), ("dock-2", "receipt.key"),
                                             ("dock-1", "witness.key")])  # fmt: skip
def test_a_forged_receipt_is_refused(book: ReceiptBook, enrolled: Enrolled, owner: str, name: str) -> None:
    with pytest.raises(ReceiptError):
        book.check(sign_receipt(receipt_for(book), enrolled.key(owner, name)))


def test_after_a_restart_the_same_receipts_count_if_they_can_still_be_read(
    book: ReceiptBook, enrolled: Enrolled
) -> None:
    ref = take(book, enrolled, receipt_for(book))

    def again() -> ReceiptBook:
        fresh = ReceiptBook(book.folder, enrolled.trust, "er-1")
        for one in book.sizes.values():
            fresh.note(Photo("0" * 16, one, 0, 0), [one])
        fresh.note(ReceiptEntry("dock-1", ref, 6), [ref])
        return fresh

    assert again().releasable(1) == book.releasable(1)
    book.folder.object_path(ref).write_bytes(b"altered")
    assert again().releasable(1) == []


def test_what_was_entered_as_released_before_a_cut_is_deleted_after_it(book: ReceiptBook) -> None:
    one, _ = book.sizes.values()
    book.note(Released("0" * 64, [one.digest, "f" * 64], one.size), [])
    book.sweep()
    assert held(book) == 1
    assert not book.folder.object_path(one).exists()


def test_one_entry_lists_a_limited_number_of_objects(book: ReceiptBook) -> None:
    for number in range(MAX_OBJECTS + 10):
        ref = ObjectRef(f"{number:064x}", 1, "age")
        book.note(Photo("0" * 16, ref, 0, 0), [ref])
        book.held_by[ref.digest]["dock-1"] = 1
        book.receipt_of[ref.digest] = "0" * 64
    (first,) = book.releasable(1)
    assert len(first.objects) == first.bytes == MAX_OBJECTS
    book.note(first, [])
    (second,) = book.releasable(1)
    assert len(second.objects) == 10


def test_the_root_at_a_size_is_that_of_the_lines_on_disk(book: ReceiptBook) -> None:
    tree = Tree()
    for size, line in enumerate(book.folder.ledger.read_bytes().splitlines()):
        assert root_at(book.folder.ledger, size) == tree.root().hex()
        tree.add(line)


def test_a_receipt_counts_only_once_it_has_stood_for_as_long_as_the_policy_says(
    book: ReceiptBook, enrolled: Enrolled
) -> None:
    take(book, enrolled, receipt_for(book, issued_us=100))
    assert book.releasable(1, signed_by_us=99) == []
    assert len(book.releasable(1, signed_by_us=100)) == 1
    take(book, enrolled, receipt_for(book, dock="dock-2", issued_us=200))
    assert book.releasable(2, signed_by_us=199) == [], "the second dock has not held it for long enough"
    take(book, enrolled, receipt_for(book, dock="dock-1", issued_us=500))
    assert len(book.releasable(2, signed_by_us=200)) == 1, "the first receipt of a dock counts, not its last"
