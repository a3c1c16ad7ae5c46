"""Keys that sign where they may not, keys that are none, keys kept too long."""

from __future__ import annotations

from collections.abc import Callable

from tests.vectors import curve
from tests.vectors.builder import Bundle, brief, scenario, small, tiny
from tests.vectors.primitives import Dice, b64url, public, signer, with_left_over_bits
from tests.vectors.recorder import Recorder


@scenario("key-changed-without-epoch", "The device goes on with a key that no epoch line named.")
def key_changed_without_epoch(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.next_key()
        b.expect("KEY_OUT_OF_SPAN", d.heartbeat())

    small(b, change)


@scenario("key-after-its-end", "An epoch key signs once more after the epoch line that replaced it.")
def key_after_its_end(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.epoch("lines")
        b.expect("KEY_OUT_OF_SPAN", d.heartbeat(key=d.old_keys[-1]))

    small(b, change)


@scenario("key-of-old-boot", "The key of the run before signs after the next boot.")
def key_of_old_boot(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.boot()
        b.expect("KEY_OUT_OF_SPAN", d.heartbeat(key=d.old_keys[-1]))

    small(b, change)


@scenario("epoch-signed-by-successor", "An epoch line signed by the key that it names.")
def epoch_signed_by_successor(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        fresh = d.next_key()
        body = {"key": b64url(public(fresh)), "reason": "lines"}
        b.expect("KEY_OUT_OF_SPAN", d.enter("epoch", body, key=fresh))

    small(b, change)


@scenario("epoch-signed-by-identity", "An epoch line signed by the identity key.")
def epoch_signed_by_identity(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        body = {"key": b64url(public(d.next_key())), "reason": "lines"}
        b.expect("KEY_OUT_OF_SPAN", d.enter("epoch", body, key=d.identity))

    small(b, change)


@scenario("line-signed-by-identity", "The identity key signs another line than a boot.")
def line_signed_by_identity(b: Bundle) -> None:
    small(b, lambda d: b.expect("KEY_OUT_OF_SPAN", d.heartbeat(key=d.identity)))


@scenario("boot-signed-by-epoch-key", "A boot line signed by the epoch key: whoever holds only that cannot restart.")
def boot_signed_by_epoch_key(b: Bundle) -> None:
    small(b, lambda d: b.expect("KEY_OUT_OF_SPAN", d.boot(key=d.key)))


@scenario("boot-signed-by-document-key", "A boot line signed by the agency's document key.")
def boot_signed_by_document_key(b: Bundle) -> None:
    small(b, lambda d: b.expect("KEY_OUT_OF_SPAN", d.boot(key=d.agency.documents)))


# Keys and signatures at the edges of the curve


def names_key(name: str, about: str, spelled: Callable[[bytes], bytes]) -> None:
    """An epoch line, rightly signed, that names a next key; ``spelled`` makes it from a good one."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            good = public(Dice("a key to be spoilt").key())
            b.expect("SIGNATURE_INVALID", d.epoch("lines", b64url(spelled(good))))

        tiny(b, change)

    scenario(name, about)(build)


names_key("epoch-key-neutral", "The next key is the neutral point.", lambda good: curve.encode(curve.NEUTRAL))
names_key("epoch-key-small-order", "The next key is a point of order 8.", lambda good: curve.encode(curve.eighth()))
names_key("epoch-key-order-two", "The next key is the point of order 2.", lambda good: curve.encode((0, curve.P - 1)))
names_key("epoch-key-order-four", "The next key is all zeros: a point of order 4.", lambda good: bytes(32))
names_key("epoch-key-mixed-order", "The next key is a good one with a part of small order added.", curve.mixed)
names_key("epoch-key-non-canonical", "The next key is a point whose y is spelled with p added.", lambda good: curve.non_canonical())
names_key("epoch-key-non-canonical-zero", "The next key is the neutral point with the sign of an x that is zero.", lambda good: (1 | 1 << 255).to_bytes(32, "little"))
names_key("epoch-key-off-curve", "The next key is no point.", lambda good: curve.not_on_curve())


@scenario("epoch-key-left-over-bits", "The next key is a good one, spelled with left-over bits.")
def epoch_key_left_over_bits(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        good = with_left_over_bits(b64url(public(Dice("a key to be spoilt").key())))
        b.expect("LINE_MALFORMED", d.epoch("lines", good))

    tiny(b, change)


@scenario("boot-key-small-order", "The first boot names a key of small order.")
def boot_key_small_order(b: Bundle) -> None:
    d = b.device()
    b.expect("SIGNATURE_INVALID", d.boot(epoch_key=b64url(curve.encode(curve.eighth()))))
    d.genesis()
    d.witness()
    d.write()


@scenario("boot-key-mixed-order", "A later boot names a key of mixed order.")
def boot_key_mixed_order(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("SIGNATURE_INVALID", d.boot(epoch_key=b64url(curve.mixed(public(Dice("a key to be spoilt").key())))))

    tiny(b, change)


@scenario("signature-small-r", "R is the neutral point and the equation holds: only the rule about R refuses it.")
def signature_small_r(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("SIGNATURE_INVALID", d.heartbeat(sign=lambda message: curve.sign_with_small_r(d.key, message)))

    tiny(b, change)


@scenario("signature-large-s", "S of a good signature with the group order added.")
def signature_large_s(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        sign = signer(d.key)
        b.expect("SIGNATURE_INVALID", d.heartbeat(sign=lambda message: curve.with_large_s(sign(message))))

    tiny(b, change)


@scenario("signature-zero", "A signature of 64 zeros.")
def signature_zero(b: Bundle) -> None:
    tiny(b, lambda d: b.expect("SIGNATURE_INVALID", d.heartbeat(sign=lambda message: bytes(64))))


@scenario("signature-of-payload-only", "The right key signed the payload without the header.")
def signature_of_payload_only(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        sign = signer(d.key)
        b.expect("SIGNATURE_INVALID", d.heartbeat(sign=lambda message: sign(message.split(b".")[1])))

    tiny(b, change)


@scenario("boot-signature-small-r", "A boot whose R is the neutral point.")
def boot_signature_small_r(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("SIGNATURE_INVALID", d.boot(sign=lambda message: curve.sign_with_small_r(d.identity, message)))

    tiny(b, change)


# Keys kept too long


@scenario("epoch-missing-at-end", "After a recording's close the same key goes on.")
def epoch_missing_at_end(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third")
        d.segment(r)
        d.mark(r)
        d.close(r, epoch=False)
        b.expect("EPOCH_OVERDUE", d.heartbeat())
        d.heartbeat()

    small(b, change)


@scenario("epoch-missing-at-begin", "A recording begins without a key of its own.")
def epoch_missing_at_begin(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("third")
        b.expect("EPOCH_OVERDUE", d.notice(r, epoch=False))
        d.open(r)
        d.segment(r)
        d.finish(r)

    small(b, change)


@scenario("epoch-missing-at-first-begin", "The first recording since the start begins with the key of the start.")
def epoch_missing_at_first_begin(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.boot()
        r = d.recording("third")
        b.expect("EPOCH_OVERDUE", d.notice(r, epoch=False))
        d.open(r)
        d.segment(r)
        d.finish(r)

    small(b, change)


@scenario("epoch-begin-before-boot", "The epoch that a recording begins with was before the start; the notice is after it.")
def epoch_begin_before_boot(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("third")
        d.own_epoch(r, "recording_begin")
        d.boot()
        b.expect("EPOCH_OVERDUE", d.notice(r, epoch=False))
        d.open(r)
        d.segment(r)
        d.finish(r)

    small(b, change)


@scenario("epoch-of-other-reason", "Before a notice stands an epoch, but for its number of lines.")
def epoch_of_other_reason(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.epoch("lines")
        r = d.recording("third")
        b.expect("EPOCH_OVERDUE", d.notice(r, epoch=False))
        d.open(r)
        d.segment(r)
        d.finish(r)

    small(b, change)


@scenario("epoch-missing-for-returning-notice", "Notices of one recording, of another, of the first again: it needs a key anew.")
def epoch_missing_for_returning_notice(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        one, two = d.recording("third"), d.recording("fourth")
        d.notice(one)
        d.notice(two)
        b.expect("EPOCH_OVERDUE", d.notice(one, epoch=False))
        d.open(one)
        d.segment(one)
        d.mark(one)
        d.close(one)

    small(b, change)


def few_lines(d: Recorder) -> None:
    """A policy by which a key signs at most six lines."""
    d.begin(policy=d.agency.policy(epoch_lines=6))


@scenario("epoch-too-many-lines", "A key signs two lines more than the policy allows: found once. The next one signs as many as it may.")
def epoch_too_many_lines(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        # genesis, two documents and the self-test were the first four.
        d.heartbeat()
        d.heartbeat()
        b.expect("EPOCH_OVERDUE", d.heartbeat())
        d.heartbeat()
        d.epoch("lines")
        for _ in range(6):
            d.heartbeat()
        d.epoch("lines")
        d.heartbeat()

    brief(b, change, begun=few_lines)
    b.recordings = False


@scenario("epoch-too-many-lines-twice", "Two keys, each over the limit: found for each.")
def epoch_too_many_lines_twice(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        for _ in range(2):
            d.epoch("lines")
            for _ in range(6):
                d.heartbeat()
            b.expect("EPOCH_OVERDUE", d.heartbeat())

    brief(b, change, begun=few_lines)
    b.recordings = False


@scenario("epoch-limit-adopted-late", "A key is over the limit of a policy that comes into force later: found at its next line.")
def epoch_limit_adopted_late(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        for _ in range(6):
            d.heartbeat()
        d.adopt("policy", d.agency.policy(version=2, epoch_lines=3), 2)
        b.expect("EPOCH_OVERDUE", d.heartbeat())

    brief(b, change)
    b.recordings = False
