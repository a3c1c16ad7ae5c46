"""What is no evidence at all, trust files that are none, and more evidence than fits into memory."""

from __future__ import annotations

from collections.abc import Callable

from nacl.signing import SigningKey

from tests.vectors.agency import WITNESS
from tests.vectors.builder import Bundle, scenario, small
from tests.vectors.pieces import Folder
from tests.vectors.primitives import Dice, b64url, compact, public, with_left_over_bits


def ledger(name: str, about: str, data: bytes) -> None:
    """The ledger is this; nothing of it is a line."""

    def build(b: Bundle) -> None:
        d = small(b)
        d.files["ledger.jws"] = data
        b.expect("LINE_MALFORMED", 0)
        b.recordings = False

    scenario(name, about)(build)


ledger("garbage-ledger", "A ledger of random bytes.", Dice("random ledger").bytes(4_000) + b"\n")
ledger("garbage-newlines", "A ledger of newlines.", b"\n" * 100)
ledger("garbage-zeros", "A ledger of zeros.", bytes(5_000) + b"\n")
ledger("garbage-json", "A ledger of JSON, a line each, that nobody signed.", b'{"v":1,"seq":0}\n{"v":1,"seq":1}\n')


@scenario("garbage-objects", "Every object is random bytes of its own length.")
def garbage_objects(b: Bundle) -> None:
    d = small(b)
    for path, content in d.files.items():
        if path.startswith("objects/") and isinstance(content, bytes):
            d.files[path] = Dice(path).bytes(len(content))
            b.expect("OBJECT_ALTERED", f"object {path.removeprefix('objects/').split('.')[0]}")
    b.expect("RECEIPT_INVALID", d.at["receipt"][0])


@scenario("nothing-there", "An empty folder is no evidence.")
def nothing_there(b: Bundle) -> None:
    b.files[b.path] = Folder()
    b.error = True


@scenario("nothing-there-but-objects", "A folder of objects without a ledger is no evidence.")
def nothing_but_objects(b: Bundle) -> None:
    d = small(b)
    d.files = {path: content for path, content in d.files.items() if path.startswith("objects/")}
    b.error = True


@scenario("no-such-path", "What is given is not there.")
def no_such_path(b: Bundle) -> None:
    b.path = "not-there"
    b.error = True


@scenario("path-is-a-file", "What is given is a file.")
def path_is_a_file(b: Bundle) -> None:
    b.path = "trust.json"
    b.error = True


def trust(name: str, about: str, make: Callable[[Bundle], bytes]) -> None:
    """The trust file cannot be read: an error, and no verdict."""

    def build(b: Bundle) -> None:
        small(b)
        b.files["trust.json"] = make(b)
        b.error = True

    scenario(name, about)(build)


def left_over(key: SigningKey) -> str:
    return with_left_over_bits(b64url(public(key)))


trust("trust-garbage", "The trust file is random bytes.", lambda b: Dice("random trust").bytes(500))
trust("trust-empty", "The trust file is empty.", lambda b: b"")
trust("trust-cut", "The trust file lacks its last brace.", lambda b: compact(b.agency.trust())[:-1])
trust("trust-duplicate-key", "The trust file names its agency twice.", lambda b: compact(b.agency.trust()).replace(b'"v":1', b'"v":1,"agency":"other-agency"', 1))
trust("trust-with-more", "The trust file has a field more.", lambda b: compact(b.agency.trust(more=1)))
trust("trust-without-keys", "The trust file has no document keys.", lambda b: compact({key: value for key, value in b.agency.trust().items() if key != "document_keys"}))
trust("trust-of-version-2", "The trust file is of version 2.", lambda b: compact(b.agency.trust(v=2)))
trust("trust-version-fraction", "The trust file's version is 1.0.", lambda b: compact(b.agency.trust()).replace(b'"v":1', b'"v":1.0', 1))
trust("trust-root-garbage", "The trust file's root certificate is none.", lambda b: compact(b.agency.trust(root_certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")))


trust(
    "trust-witness-key-left-over-bits",
    "The key of a witness is spelled with left-over bits.",
    lambda b: compact(b.agency.trust(witnesses=[{"id": WITNESS, "key": left_over(b.agency.witnesses[WITNESS])}])),
)
trust(
    "trust-document-key-left-over-bits",
    "One more document key is spelled with left-over bits.",
    lambda b: compact(
        b.agency.trust(document_keys=[*b.agency.trust()["document_keys"], left_over(b.agency.documents)])
    ),
)


@scenario("trust-of-other-agency", "The trust file is this root's in another agency's name: neither certificate nor notes are its.")
def trust_of_other_agency(b: Bundle) -> None:
    small(b)
    b.trust["agency"] = "other-agency"
    b.expect("CERTIFICATE", 0)
    b.expect("CHECKPOINT_INVALID", "checkpoint")
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("million-entries", "A ledger of a million lines, with a recording every fifty; everything was handed over and released.")
def million_entries(b: Bundle) -> None:
    b.repeat = {"lines": 1_000_000}
    b.recordings = True
