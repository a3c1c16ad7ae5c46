"""Receipts that are none, releases that nothing covers; documents that are not the agency's, or not the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.vectors import curve
from tests.vectors.agency import DEVICE, DOCK, OTHER_DOCK, SECOND, agency
from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.pieces import path_of, place_of
from tests.vectors.primitives import POLICY, PROFILE, RECEIPT, Dice, compact, header_of, public, signer, token, unb64url
from tests.vectors.recorder import Recorder, Recording

OTHER = agency("other-agency")
STRANGER = Dice("a stranger").key()


def with_receipt(name: str, about: str, code: str = "RECEIPT_INVALID", **how: Any) -> None:
    """A recording, and a receipt like this."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            d.record("first")
            made = {key: value(d) if callable(value) else value for key, value in how.items()}
            b.expect(code, d.receipt(**made)[0])

        brief(b, change)

    scenario(name, about)(build)


with_receipt("receipt-forged", "A receipt by a key that no dock holds.", key=STRANGER)
with_receipt("receipt-by-witness-key", "A receipt by the dock's key for cosignatures.", key=lambda d: d.agency.witnesses[DOCK])
with_receipt("receipt-by-other-dock", "A receipt that names one dock, by the key of another.", key=lambda d: d.agency.receipts[OTHER_DOCK])
with_receipt("receipt-of-unknown-dock", "A receipt of a dock that the trust file does not know, by its own key.", key=STRANGER, dock="dock-unknown")
with_receipt("receipt-of-unknown-dock-by-known-key", "A receipt of an unknown dock, by a known dock's key.", key=lambda d: d.agency.receipts[DOCK], dock="dock-unknown")
with_receipt("receipt-of-other-dock", "The receipt is another dock's than the entry says.", dock=OTHER_DOCK, said={"dock": DOCK})
with_receipt("receipt-entered-as-larger", "The entry says that the dock holds more lines than its receipt does.", said={"ledger_size": 9})
with_receipt("receipt-of-other-device", "The receipt is for another device.", device=SECOND)
with_receipt("receipt-of-other-root", "The receipt holds another history.", "HISTORY_FORKED", ledger_root=Dice("another history").hex(64))
with_receipt("receipt-larger-than-ledger", "The receipt holds more lines than stand before it.", "HISTORY_FORKED", ledger_size=lambda d: d.size + 1)
with_receipt("receipt-smaller-with-newer-root", "The receipt's root is that of more lines than it says.", "HISTORY_FORKED", ledger_size=lambda d: d.size - 1)
with_receipt("receipt-of-257-objects", "A receipt that lists 257 objects.", objects=lambda d: [{"digest": Dice(f"object {number}").hex(64), "size": 1, "form": "age"} for number in range(257)])
with_receipt("receipt-of-other-typ", "A receipt that says it is a profile.", typ=PROFILE)
with_receipt("receipt-of-version-2", "A receipt of version 2.", v=2)
with_receipt("receipt-with-more", "A receipt with a field more.", more=1)


@scenario("receipt-of-wrong-size", "The entry says another size than the receipt's file has.")
def receipt_of_wrong_size(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        trial = d.size
        _, ref = d.receipt()
        del d.lines[trial:], d.keys_after[trial:]
        body = {"dock": DOCK, "object": ref | {"size": ref["size"] + 1}, "ledger_size": trial}
        b.expect("RECEIPT_INVALID", d.enter("receipt", body))
        b.expect("OBJECT_ALTERED", place_of(ref))

    brief(b, change)


@scenario("good-receipt-of-256-objects", "A receipt that lists as many objects as it may, none of which the ledger knows; and one that lists none.")
def good_receipt_of_256(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        d.receipt([{"digest": Dice(f"object {number}").hex(64), "size": 1, "form": "age"} for number in range(256)])
        d.receipt([], dock=OTHER_DOCK)

    brief(b, change)


@scenario("receipt-signature-small-r", "A receipt whose R is the neutral point.")
def receipt_small_r(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        key = d.agency.receipts[DOCK]
        shape = {"v": 1, "type": "receipt", "dock": DOCK, "device": DEVICE, "objects": [], "ledger_size": 0}
        shape |= {"ledger_root": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "issued_us": d.true_us}
        made = token(header_of(public(key), RECEIPT), compact(shape), lambda message: curve.sign_with_small_r(key, message))
        b.expect("RECEIPT_INVALID", d.enter("receipt", {"dock": DOCK, "object": d.put(made, "jws"), "ledger_size": 0}))

    brief(b, change)


@scenario("good-receipt-of-empty-ledger", "A receipt over no lines at all: the empty tree has a root.")
def good_receipt_of_empty(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        root = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        d.receipt([], ledger_size=0, ledger_root=root)

    brief(b, change)


# Releases


def released(name: str, about: str, change: Callable[[Bundle, Recorder, Recording], None]) -> None:
    """A recording, and something released of it."""

    def build(b: Bundle) -> None:
        brief(b, lambda d: change(b, d, d.record("first")))

    scenario(name, about)(build)


def missing(b: Bundle, r: Recording, *places: int) -> None:
    for place in places:
        b.expect("OBJECT_MISSING", place_of(r.objects[place]))


def without_receipt(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("RELEASED_UNCOVERED", d.release(Dice("no receipt").hex(64), [r.pieces[0]]))
    missing(b, r, 1)


def without_receipt_kept(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("RELEASED_UNCOVERED", d.release(Dice("no receipt").hex(64), r.pieces, delete=False))


def partly_covered(b: Bundle, d: Recorder, r: Recording) -> None:
    _, receipt = d.receipt([r.pieces[0]])
    b.expect("RELEASED_UNCOVERED", d.release(receipt, r.pieces))
    missing(b, r, 2)


def by_forged_receipt(b: Bundle, d: Recorder, r: Recording) -> None:
    seq, receipt = d.receipt(key=STRANGER)
    b.expect("RECEIPT_INVALID", seq)
    b.expect("RELEASED_UNCOVERED", d.release(receipt, [r.pieces[0]]))
    missing(b, r, 1)


def by_receipt_of_other_root(b: Bundle, d: Recorder, r: Recording) -> None:
    seq, receipt = d.receipt(ledger_root=Dice("another history").hex(64))
    b.expect("HISTORY_FORKED", seq)
    b.expect("RELEASED_UNCOVERED", d.release(receipt, [r.pieces[0]]))
    missing(b, r, 1)


def before_its_receipt(b: Bundle, d: Recorder, r: Recording) -> None:
    trial = d.size
    _, receipt = d.receipt()
    del d.lines[trial:], d.keys_after[trial:]
    d.at["receipt"].clear()
    d.named.pop()
    b.expect("RELEASED_UNCOVERED", d.release(receipt, [r.pieces[0]]))
    missing(b, r, 1)
    body = {"dock": DOCK, "object": receipt, "ledger_size": trial}
    d.enter("receipt", body)


def by_other_receipt(b: Bundle, d: Recorder, r: Recording) -> None:
    d.receipt([r.pieces[0]])
    _, other = d.receipt([r.pieces[1]], dock=OTHER_DOCK)
    b.expect("RELEASED_UNCOVERED", d.release(other, [r.pieces[0]]))
    missing(b, r, 1)


def everything(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("RELEASED_UNCOVERED", d.release(Dice("no receipt").hex(64), r.objects))
    b.expect("RECORDING_REMOVED", r.place)


def some_rightly(b: Bundle, d: Recorder, r: Recording) -> None:
    _, receipt = d.receipt([r.pieces[0]])
    d.release(receipt, [r.pieces[0]])
    del d.files[f"objects/{r.pieces[1]['digest']}.age"]
    missing(b, r, 2)


def kept_and_altered(b: Bundle, d: Recorder, r: Recording) -> None:
    _, receipt = d.receipt()
    d.release(receipt, r.pieces, delete=False)
    d.files[path_of(r.pieces[0])] = b"not what it was"
    b.expect("OBJECT_ALTERED", place_of(r.pieces[0]))


released("released-and-altered", "An object is rightly released, still there, and altered.", kept_and_altered)
released("released-without-receipt", "An object is released and deleted, and no receipt was entered.", without_receipt)
released("released-without-receipt-but-there", "Objects are released without a receipt; they are still there.", without_receipt_kept)
released("released-partly-covered", "Two objects are released against a receipt for one.", partly_covered)
released("released-by-forged-receipt", "An object is released against a forged receipt.", by_forged_receipt)
released("released-by-receipt-of-other-root", "An object is released against a receipt over another history.", by_receipt_of_other_root)
released("released-before-receipt", "An object is released before its receipt is entered.", before_its_receipt)
released("released-by-other-receipt", "An object is released against a receipt for another; its own was entered too.", by_other_receipt)
released("released-recording-whole", "A whole recording is released without a receipt.", everything)
released("released-one-and-lost-one", "Of two segments one was released rightly, and the other is gone.", some_rightly)


# Documents


def long_profile(b: Bundle) -> bytes:
    """White space makes it long."""
    payload = unb64url(b.agency.profile().split(b".")[1])
    return token(header_of(public(b.agency.documents), PROFILE), payload + b" " * 49_000, signer(b.agency.documents))


def adopts(name: str, about: str, profile: Callable[[Bundle], bytes] | None = None, policy: Callable[[Bundle], bytes] | None = None) -> None:
    """The first profile or policy is this: the second or third line after the first boot."""

    def build(b: Bundle) -> None:
        def begun(d: Recorder) -> None:
            d.begin(profile(b) if profile else None, policy(b) if policy else None)

        brief(b, lambda d: d.record("first"), begun=begun)
        b.expect("DOCUMENT_INVALID", 2 if profile else 3)

    scenario(name, about)(build)


adopts("profile-of-other-device", "The profile is for another device.", profile=lambda b: b.agency.profile(SECOND))
adopts("profile-of-other-agency", "The profile is another agency's, signed by a key of this one.", profile=lambda b: b.agency.profile(agency="other-agency"))
adopts("profile-by-unknown-key", "A key that the trust file does not know signed the profile.", profile=lambda b: b.agency.profile(key=STRANGER))
adopts("profile-by-receipt-key", "A dock signed the profile.", profile=lambda b: b.agency.profile(key=b.agency.receipts[DOCK]))
adopts("profile-of-other-version", "The profile's version is not the entry's.", profile=lambda b: b.agency.profile(version=2))
adopts("profile-of-other-typ", "The profile's header says that it is a policy.", profile=lambda b: b.agency.profile(typ=POLICY))
adopts("profile-is-a-policy", "A policy is adopted as the profile.", profile=lambda b: b.agency.policy())
adopts("profile-with-more", "The profile has a field more.", profile=lambda b: b.agency.profile(rank="high"))
adopts("profile-garbage", "The profile is no JWS.", profile=lambda b: b"not a document")
adopts("profile-trailing-newline", "The profile ends in a newline.", profile=lambda b: b.agency.profile() + b"\n")
adopts("profile-too-long", "The profile is a JWS of more than 65,536 bytes, rightly signed.", profile=long_profile)
adopts("profile-alg-none", "The profile has no signature, and says so.", profile=lambda b: token({"alg": "none", "typ": PROFILE}, compact({}), lambda message: b""))
adopts("policy-of-other-agency", "The policy is another agency's, signed by a key of this one.", policy=lambda b: b.agency.policy(agency="other-agency"))
adopts("policy-by-other-agency", "The policy is another agency's, in this agency's name.", policy=lambda b: b.agency.policy(key=OTHER.documents))
adopts("policy-of-other-version", "The policy's version is not the entry's.", policy=lambda b: b.agency.policy(version=7))
adopts("policy-is-a-profile", "The profile is adopted as the policy.", policy=lambda b: b.agency.profile())
adopts("policy-with-null-hazard", "The policy lacks what it must have.", policy=lambda b: b.agency.policy(hazard=None))


@scenario("profile-rolled-back", "An older profile is adopted: found, and in force all the same.")
def profile_rolled_back(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        d.adopt("profile", d.agency.profile(version=3), 3)
        b.expect("DOCUMENT_ROLLED_BACK", d.adopt("profile", d.agency.profile(version=2, officer="unassigned"), 2))
        d.record("second")
        b.expect("OFFICER_UNASSIGNED", d.recordings["second"].at["open"][0])

    brief(b, change)


@scenario("policy-rolled-back", "An older policy is adopted after an invalid newer one and a valid newer one.")
def policy_rolled_back(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("DOCUMENT_INVALID", d.adopt("policy", d.agency.policy(version=9, key=STRANGER), 9))
        d.adopt("policy", d.agency.policy(version=5), 5)
        b.expect("DOCUMENT_ROLLED_BACK", d.adopt("policy", d.agency.policy(), 1))
        d.record("first")

    brief(b, change)


@scenario("good-adopted-again", "The same profile and policy are adopted again after a restart; an invalid one in between would count for nothing.")
def good_adopted_again(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        d.boot()
        d.adopt("profile", d.agency.profile())
        d.adopt("policy", d.agency.policy())
        d.record("second")

    brief(b, change)


@scenario("document-invalid-keeps-old", "An invalid profile that names no officer is adopted: the old one stays in force.")
def document_invalid_keeps_old(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("DOCUMENT_INVALID", d.adopt("profile", d.agency.profile(version=2, officer="unassigned", key=STRANGER), 2))
        d.record("first")

    brief(b, change)
