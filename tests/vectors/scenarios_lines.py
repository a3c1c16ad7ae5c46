"""What somebody does to lines of the ledger who holds no key, or a key of his own."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from tests.vectors.builder import Bundle, scenario, small, tiny
from tests.vectors.primitives import Dice, b64url, compact, header_of, public, sha256, signer, token, unb64url
from tests.vectors.recorder import Recorder


def parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, payload and signature, decoded."""
    header, payload, signature = line.split(b".")
    return unb64url(header), unb64url(payload), unb64url(signature)


def spelled(header: bytes, payload: bytes, signature: bytes) -> bytes:
    return b".".join(b64url(part).encode() for part in (header, payload, signature))


def edit(d: Recorder, seq: int, change: Callable[[bytes], bytes]) -> None:
    """One line is replaced; the others stand."""
    d.lines[seq] = change(d.lines[seq])
    d.write()


def with_payload(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def apply(line: bytes) -> bytes:
        header, payload, signature = parts(line)
        return spelled(header, change(payload), signature)

    return apply


def with_signature(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def apply(line: bytes) -> bytes:
        header, payload, signature = parts(line)
        return spelled(header, payload, change(signature))

    return apply


def flipped(data: bytes, where: int, mask: int = 1) -> bytes:
    changed = bytearray(data)
    changed[where] ^= mask
    return bytes(changed)


def mark(d: Recorder) -> int:
    """The entry that most attacks here aim at: an innocent one in the middle."""
    return d.recordings["first"].at["mark"][0]


@scenario("bit-of-payload", "One bit of a payload is flipped, so that a digit is another: the signature is not of this.")
def bit_of_payload(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_payload(lambda payload: flipped(payload, payload.index(b'"at_us":') + 8)))
    b.expect("SIGNATURE_INVALID", mark(d))


@scenario("bit-of-payload-not-text", "The highest bit of a letter is flipped: the payload is not UTF-8 any more.")
def bit_of_payload_not_text(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_payload(lambda payload: flipped(payload, payload.index(b"site_sign"), 0x80)))
    b.expect("LINE_MALFORMED", mark(d))


@scenario("bit-of-header-kid", "One bit of a header is flipped: it names another key.")
def bit_of_header_kid(b: Bundle) -> None:
    d = small(b)

    def change(line: bytes) -> bytes:
        header, payload, signature = parts(line)
        where = header.index(b'"kid":"') + 7
        other = b"A" if header[where : where + 1] != b"A" else b"B"
        return spelled(header[:where] + other + header[where + 1 :], payload, signature)

    edit(d, mark(d), change)
    b.expect("KEY_OUT_OF_SPAN", mark(d))


@scenario("bit-of-header-alg", "One bit of a header is flipped: EdDSA is EdDSC.")
def bit_of_header_alg(b: Bundle) -> None:
    d = small(b)

    def change(line: bytes) -> bytes:
        header, payload, signature = parts(line)
        return spelled(header.replace(b"EdDSA", b"EdDSC"), payload, signature)

    edit(d, mark(d), change)
    b.expect("ALGORITHM_REFUSED", mark(d))


@scenario("bit-of-signature-r", "One bit of the first half of a signature is flipped.")
def bit_of_signature_r(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_signature(lambda signature: flipped(signature, 0)))
    b.expect("SIGNATURE_INVALID", mark(d))


@scenario("bit-of-signature-s", "One bit of the second half of a signature is flipped.")
def bit_of_signature_s(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_signature(lambda signature: flipped(signature, 40)))
    b.expect("SIGNATURE_INVALID", mark(d))


@scenario("bit-of-boot-signature", "One bit of the first line's signature is flipped: nothing can be judged.")
def bit_of_boot_signature(b: Bundle) -> None:
    d = small(b)
    edit(d, 0, with_signature(lambda signature: flipped(signature, 40)))
    b.expect("SIGNATURE_INVALID", 0)


@scenario("bit-of-last-line", "One bit of the last line is flipped: everything before it is judged, and nothing after it.")
def bit_of_last_line(b: Bundle) -> None:
    d = small(b)
    edit(d, d.size - 1, with_signature(lambda signature: flipped(signature, 40)))
    b.expect("SIGNATURE_INVALID", d.size - 1)


@scenario("bit-of-line-and-of-segment", "A segment before the broken line is altered, one after it too: only the first shows.")
def bit_of_line_and_of_segment(b: Bundle) -> None:
    d = small(b)
    seq = d.recordings["second"].at["mark"][0]
    edit(d, seq, with_signature(lambda signature: flipped(signature, 40)))
    one, two = d.recordings["second"].pieces
    for ref in (one, two):
        path = f"objects/{ref['digest']}.age"
        d.files[path] = flipped(d.files[path], -1)  # type: ignore[arg-type]
    b.expect("SIGNATURE_INVALID", seq)
    b.expect("OBJECT_ALTERED", f"object {one['digest']}")


@scenario("line-removed", "A line in the middle is removed.")
def line_removed(b: Bundle) -> None:
    d = small(b)
    seq = mark(d)
    del d.lines[seq]
    d.write()
    b.expect("LINE_OUT_OF_PLACE", seq)


@scenario("line-removed-and-renumbered", "A line is removed and the next one says its number; nobody signed that.")
def line_removed_and_renumbered(b: Bundle) -> None:
    d = small(b)
    seq = mark(d)
    del d.lines[seq]
    edit(d, seq, with_payload(lambda payload: payload.replace(b'"seq":%d,' % (seq + 1), b'"seq":%d,' % seq)))
    b.expect("LINE_OUT_OF_PLACE", seq)


@scenario("first-line-removed", "The first line is removed.")
def first_line_removed(b: Bundle) -> None:
    d = small(b)
    del d.lines[0]
    d.write()
    b.expect("LINE_OUT_OF_PLACE", 0)
    b.recordings = False


@scenario("epoch-line-removed", "The line that names a recording's key is removed.")
def epoch_line_removed(b: Bundle) -> None:
    d = small(b)
    seq = d.recordings["second"].at["epoch"][0]
    del d.lines[seq]
    d.write()
    b.expect("LINE_OUT_OF_PLACE", seq)


@scenario("oldest-recording-cut-out", "All lines of the oldest recording are removed, and its objects.")
def oldest_recording_cut_out(b: Bundle) -> None:
    d = small(b)
    begin, end = d.recordings["first"].at["epoch"]
    del d.lines[begin : end + 1]
    d.write()
    for ref in d.recordings["first"].objects:
        del d.files[f"objects/{ref['digest']}.age"]
    b.expect("LINE_OUT_OF_PLACE", begin)
    b.recordings = False


@scenario("lines-swapped", "Two neighbouring lines are swapped.")
def lines_swapped(b: Bundle) -> None:
    d = small(b)
    seq = mark(d)
    d.lines[seq], d.lines[seq + 1] = d.lines[seq + 1], d.lines[seq]
    d.write()
    b.expect("LINE_OUT_OF_PLACE", seq)


@scenario("line-repeated", "A line stands twice.")
def line_repeated(b: Bundle) -> None:
    d = small(b)
    seq = mark(d)
    d.lines.insert(seq, d.lines[seq])
    d.write()
    b.expect("LINE_OUT_OF_PLACE", seq + 1)


@scenario("ledger-repeated", "The whole ledger stands twice.")
def ledger_repeated(b: Bundle) -> None:
    d = small(b)
    size = d.size
    d.files["ledger.jws"] *= 2  # type: ignore[operator]
    b.expect("LINE_OUT_OF_PLACE", size)


def inserted(d: Recorder, seq: int, **how: Any) -> None:
    """A line between two others, right in every field but its key."""
    intruder = Dice("intruder").key()
    template = parts(d.lines[seq])[1]
    payload = template.replace(b'"kind":"site_sign"', b'"kind":"moment"')
    line = token(how.get("header") or header_of(public(intruder)), payload, signer(intruder))
    d.lines.insert(seq, line)
    d.write()


@scenario("line-inserted-by-stranger", "A line is inserted, signed by a key that no line names.")
def line_inserted_by_stranger(b: Bundle) -> None:
    d = small(b)
    inserted(d, mark(d))
    b.expect("KEY_OUT_OF_SPAN", mark(d))


@scenario("line-inserted-in-a-key-s-name", "A line is inserted that names the right key; a stranger signed it.")
def line_inserted_in_a_keys_name(b: Bundle) -> None:
    d = small(b)
    inserted(d, mark(d), header=header_of(public(d.keys_after[mark(d) - 1])))
    b.expect("SIGNATURE_INVALID", mark(d))


@scenario("line-of-other-device", "A line of another device, signed by the right key of this one.")
def line_of_other_device(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("LINE_OUT_OF_PLACE", d.heartbeat(device="rec-second"))

    small(b, change)


@scenario("seq-skipped", "The device skips a number.")
def seq_skipped(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("LINE_OUT_OF_PLACE", d.heartbeat(seq=d.size + 1))

    small(b, change)


@scenario("prev-wrong", "The device names another line before it.")
def prev_wrong(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("LINE_OUT_OF_PLACE", d.heartbeat(prev=sha256(d.lines[-2]).hex()))

    small(b, change)


@scenario("genesis-twice", "A second genesis.")
def genesis_twice(b: Bundle) -> None:
    small(b, lambda d: b.expect("LINE_OUT_OF_PLACE", d.genesis()))


def begun_with(b: Bundle, begin: Callable[[Recorder], None]) -> None:
    """A ledger that begins otherwise, and goes on as if nothing were."""
    d = b.device()
    begin(d)
    d.adopt("profile", d.agency.profile())
    d.adopt("policy", d.agency.policy())
    d.record("first")
    d.witness()
    d.write()
    b.recordings = False


@scenario("genesis-missing", "No genesis after the first boot.")
def genesis_missing(b: Bundle) -> None:
    begun_with(b, lambda d: b.expect("LINE_OUT_OF_PLACE", d.boot() + 1))


@scenario("genesis-of-other-device", "The genesis names another device.")
def genesis_of_other_device(b: Bundle) -> None:
    def begin(d: Recorder) -> None:
        d.boot()
        b.expect("LINE_OUT_OF_PLACE", d.genesis(device="rec-second"))

    begun_with(b, begin)


@scenario("genesis-of-other-agency", "The genesis names another agency.")
def genesis_of_other_agency(b: Bundle) -> None:
    def begin(d: Recorder) -> None:
        d.boot()
        b.expect("LINE_OUT_OF_PLACE", d.genesis(agency="other-agency"))

    begun_with(b, begin)


@scenario("first-line-genesis", "The first line is the genesis, signed by the identity key.")
def first_line_genesis(b: Bundle) -> None:
    def begin(d: Recorder) -> None:
        d.boot_id = Dice("no boot yet").hex(32)
        b.expect("LINE_OUT_OF_PLACE", d.genesis())
        d.boot()

    begun_with(b, begin)


# Headers


def with_header(b: Bundle, code: str, header: Callable[[dict[str, Any]], Any], sign: Any = None) -> None:
    """A line of the device with another header, signed as it stands."""

    def change(d: Recorder) -> None:
        made = header(header_of(public(d.key)))
        seq = d.heartbeat(header=made if isinstance(made, bytes) else compact(made), sign=sign)
        b.expect(code, seq)

    tiny(b, change)


@scenario("alg-none", "A line with algorithm none and no signature.")
def alg_none(b: Bundle) -> None:
    with_header(b, "ALGORITHM_REFUSED", lambda header: header | {"alg": "none"}, lambda message: b"")


@scenario("alg-hs256", "A line with a MAC, keyed with the public key, for a signature.")
def alg_hs256(b: Bundle) -> None:
    def sign(message: bytes) -> bytes:
        return hmac.digest(b"the public key, say", message, "sha256")

    with_header(b, "ALGORITHM_REFUSED", lambda header: header | {"alg": "HS256"}, sign)


@scenario("alg-es256", "A line that says ES256.")
def alg_es256(b: Bundle) -> None:
    with_header(b, "ALGORITHM_REFUSED", lambda header: header | {"alg": "ES256"})


@scenario("alg-lower-case", "A line that says eddsa.")
def alg_lower_case(b: Bundle) -> None:
    with_header(b, "ALGORITHM_REFUSED", lambda header: header | {"alg": "eddsa"})


@scenario("alg-not-a-string", "The algorithm is a list that holds EdDSA.")
def alg_not_a_string(b: Bundle) -> None:
    with_header(b, "ALGORITHM_REFUSED", lambda header: header | {"alg": ["EdDSA"]})


@scenario("alg-none-and-more-faults", "Algorithm none in a header that is wrong otherwise, before a payload that is nothing: the algorithm counts.")
def alg_none_and_more_faults(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("ALGORITHM_REFUSED", d.heartbeat(header={"alg": "none", "x": 1}, spell=lambda payload: b"no"))

    tiny(b, change)


@scenario("alg-missing", "A header without algorithm.")
def alg_missing(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: {name: header[name] for name in ("kid", "typ")})


@scenario("typ-of-receipt", "A line that says it is a receipt.")
def typ_of_receipt(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: header | {"typ": "er-receipt+jws"})


@scenario("kid-missing", "A header that names no key.")
def kid_missing(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: {name: header[name] for name in ("alg", "typ")})


@scenario("kid-null", "A header whose key is null.")
def kid_null(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: header | {"kid": None})


@scenario("kid-cut", "A header whose key id lacks a character.")
def kid_cut(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: header | {"kid": header["kid"][:42]})


@scenario("header-extra", "A header with a field more.")
def header_extra(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: header | {"crit": ["b64"]})


@scenario("header-with-key", "A header that brings its own key.")
def header_with_key(b: Bundle) -> None:
    key = {"kty": "OKP", "crv": "Ed25519", "x": b64url(public(Dice("intruder").key()))}
    with_header(b, "LINE_MALFORMED", lambda header: header | {"jwk": key})


@scenario("header-duplicate-key", "A header that names two algorithms.")
def header_duplicate_key(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: b'{"alg":"none",' + compact(header)[1:])


@scenario("header-a-list", "A header that is a list.")
def header_a_list(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: [header])


@scenario("header-with-mark", "A header that begins with a byte order mark.")
def header_with_mark(b: Bundle) -> None:
    with_header(b, "LINE_MALFORMED", lambda header: b"\xef\xbb\xbf" + compact(header))


@scenario("signature-short", "A signature of 63 bytes.")
def signature_short(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_signature(lambda signature: signature[:63]))
    b.expect("LINE_MALFORMED", mark(d))


@scenario("signature-long", "A signature of 65 bytes.")
def signature_long(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_signature(lambda signature: signature + b"\0"))
    b.expect("LINE_MALFORMED", mark(d))


@scenario("signature-empty", "No signature, under EdDSA.")
def signature_empty(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), with_signature(lambda signature: b""))
    b.expect("LINE_MALFORMED", mark(d))
