"""How a line may not be spelled, though its own key signed it; and how it may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.vectors.builder import Bundle, brief, scenario, small, tiny
from tests.vectors.primitives import Dice, b64url, compact, header_of, public
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_lines import edit, mark

Spell = Callable[[bytes], bytes]


def malformed(name: str, about: str, spell: Spell, code: str = "LINE_MALFORMED") -> None:
    """A heartbeat whose payload is spelled otherwise; signed as it stands."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            b.expect(code, d.heartbeat(spell=spell))

        tiny(b, change)

    scenario(name, about)(build)


def entered(name: str, about: str, kind: str, body: Callable[[Recorder], Any], code: str = "LINE_MALFORMED", **envelope: Any) -> None:
    """An entry of another content; signed as it stands."""

    def build(b: Bundle) -> None:
        tiny(b, lambda d: b.expect(code, d.enter(kind, body(d), **envelope)))

    scenario(name, about)(build)


def put(old: bytes, new: bytes) -> Spell:
    """The payload with something else in one place."""

    def spell(payload: bytes) -> bytes:
        if payload.count(old) != 1:
            raise ValueError(f"{old!r} stands {payload.count(old)} times in {payload!r}")
        return payload.replace(old, new)

    return spell


STATE, ERROR = b'"state":"idle"', b'"error_us":1000'

malformed("json-duplicate-key", "The payload says its version twice.", put(b'"v":1', b'"v":1,"v":1'))
malformed("json-duplicate-key-inside", "A body has a field twice, once spelled with an escape.", put(STATE, STATE + b',"st\\u0061te":"x"'))
malformed("json-trailing-bytes", "Something follows the payload's object.", lambda payload: payload + b"x")
malformed("json-second-object", "A second object follows the payload.", lambda payload: payload + b"{}")
malformed("json-trailing-nul", "A zero byte follows the payload.", lambda payload: payload + b"\0")
malformed("json-byte-order-mark", "The payload begins with a byte order mark.", lambda payload: b"\xef\xbb\xbf" + payload)
malformed("json-utf-16", "The payload is UTF-16.", lambda payload: payload.decode().encode("utf-16"))
malformed("json-fraction", "A count is 1000.0.", put(ERROR, ERROR + b".0"))
malformed("json-exponent", "A count is 1e3.", put(ERROR, b'"error_us":1e3'))
malformed("json-minus-zero", "A count is -0.", put(ERROR, b'"error_us":-0'))
malformed("json-leading-zero", "A count is 01000.", put(ERROR, b'"error_us":01000'))
malformed("json-plus", "A count is +1000.", put(ERROR, b'"error_us":+1000'))
malformed("json-two-to-53", "A count is 2^53.", put(ERROR, b'"error_us":9007199254740992'))
malformed("json-huge-number", "A count has a thousand digits.", put(ERROR, b'"error_us":1' + b"0" * 999))
malformed("json-nan", "A count is NaN.", put(ERROR, b'"error_us":NaN'))
malformed("json-infinity", "A count is -Infinity.", put(ERROR, b'"error_us":-Infinity'))
malformed("json-lone-surrogate-escaped", "A string holds half a pair of surrogates, escaped.", put(b'"idle"', b'"\\ud83d"'))
malformed("json-surrogates-reversed", "A string holds a pair of surrogates the wrong way round.", put(b'"idle"', b'"\\ude00\\ud83d"'))
malformed("json-lone-surrogate-in-key", "A key holds half a pair of surrogates, in an entry that may be skipped.", lambda payload: put(b'"type":"heartbeat"', b'"type":"x-any"')(put(STATE, b'"\\udc00":1')(payload)))
malformed("json-surrogate-in-utf-8", "A surrogate is encoded as if it were a character.", put(b'"idle"', b'"\xed\xa0\x80"'))
malformed("json-overlong-utf-8", "A slash is encoded in two bytes.", put(b'"idle"', b'"\xc0\xaf"'))
malformed("json-raw-nul", "A string holds a zero byte as it is.", put(b'"idle"', b'"id\0le"'))
malformed("json-raw-newline", "A string holds a newline as it is.", put(b'"idle"', b'"id\nle"'))
malformed("json-bad-escape", "A string holds an escape that there is not.", put(b'"idle"', b'"\\x41"'))
malformed("json-short-escape", "A string holds an escape of three digits.", put(b'"idle"', b'"\\u041"'))
malformed("json-single-quotes", "A string in single quotes.", put(b'"idle"', b"'idle'"))
malformed("json-comment", "A comment.", put(b'"v":1', b'"v":1/*one*/'))
malformed("json-trailing-comma", "A comma after the last field.", put(b'"idle"}', b'"idle",}'))
malformed("json-form-feed", "A form feed between tokens.", put(b'"v":1', b'"v":\x0c1'))
malformed("json-no-break-space", "A space that is none to JSON between tokens.", put(b'"v":1', b'"v":\xc2\xa01'))
malformed("json-list", "The payload is a list.", lambda payload: b"[" + payload + b"]")
malformed("json-string", "The payload is a string.", lambda payload: b'"' + b64url(payload).encode() + b'"')
malformed("json-empty", "The payload is empty.", lambda payload: b"")
malformed("json-cut", "The payload lacks its last brace.", lambda payload: payload[:-1])
malformed("json-capital-true", "A word of JSON in capitals.", put(b'"idle"', b"True"))


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


entered("json-too-deep", "Arrays and objects nested 17 deep, in an entry that may be skipped.", "x-deep", lambda d: {"a": nested(15)})
entered("json-far-too-deep", "Arrays nested some 16,000 deep.", "x-deep", lambda d: {}, spell=lambda payload: payload.replace(b'"body":{}', b'"body":{"a":' + b"[" * 16_000 + b"]" * 16_000 + b"}"))
entered("string-too-long", "A string of 501 characters.", "heartbeat", lambda d: {"state": "a" * 501})
entered("string-too-long-astral", "A string of 501 characters beyond the basic plane.", "heartbeat", lambda d: {"state": "\U0001f4f9" * 501})
entered("field-unknown", "A body with a field more.", "heartbeat", lambda d: {"state": "idle", "mood": "good"})
entered("field-missing", "A body with a field less.", "health", lambda d: {"free_bytes": 1, "battery_percent": 1, "temperature_millicelsius": 1})
entered("field-null", "Null where it is not allowed.", "heartbeat", lambda d: {"state": None})
entered("field-bool-for-int", "True for a count.", "health", lambda d: {"free_bytes": True, "battery_percent": 1, "minutes_left": 1, "temperature_millicelsius": 1})
entered("field-string-for-int", "A count in quotes.", "health", lambda d: {"free_bytes": "1", "battery_percent": 1, "minutes_left": 1, "temperature_millicelsius": 1})
entered("field-int-for-bool", "Nought for false.", "segment", lambda d: segment_body(d) | {"recovered": 0})
entered("field-int-for-string", "A number for a text.", "heartbeat", lambda d: {"state": 1})
entered("field-negative", "A count below zero.", "health", lambda d: {"free_bytes": -1, "battery_percent": 1, "minutes_left": 1, "temperature_millicelsius": 1})
entered("field-name-with-newline", "A name with a newline after it.", "docked", lambda d: {"state": "in", "dock": "dock-sample\n"})
entered("field-name-upper-case", "A name in capitals.", "docked", lambda d: {"state": "in", "dock": "Dock-sample"})
entered("field-name-empty", "An empty name.", "docked", lambda d: {"state": "in", "dock": ""})
entered("field-name-too-long", "A name of 65 characters.", "docked", lambda d: {"state": "in", "dock": "a" * 65})
entered("field-not-of-the-words", "A word that is not of the list.", "docked", lambda d: {"state": "between", "dock": None})
entered("field-digest-upper-case", "A digest in capitals.", "released", lambda d: {"receipt": "AB" * 32, "objects": [], "bytes": 0})
entered("field-digest-other-digits", "A digest with digits of another script.", "released", lambda d: {"receipt": "٣" * 64, "objects": [], "bytes": 0})
entered("field-key-of-a-map", "A word in a map that is none.", "self_test", lambda d: {"results": {"Camera": "ok"}})
entered("field-list-for-map", "A list for a map.", "self_test", lambda d: {"results": []})
entered("body-list", "A body that is a list.", "heartbeat", lambda d: [{"state": "idle"}])
entered("body-null", "A body that is null.", "heartbeat", lambda d: None)
entered("body-null-of-optional-type", "An optional type whose body is no object.", "x-any", lambda d: 1)
entered("envelope-unknown-field", "An entry with a field more.", "heartbeat", lambda d: {"state": "idle"}, extra=1)
entered("envelope-version", "An entry of version 2.", "heartbeat", lambda d: {"state": "idle"}, v=2)
entered("envelope-seq-string", "A number in quotes for the sequence number.", "heartbeat", lambda d: {"state": "idle"}, seq="1")
entered("envelope-prev-null", "No line before.", "heartbeat", lambda d: {"state": "idle"}, prev=None)
entered("envelope-time-short", "A boot id of seven digits.", "heartbeat", lambda d: {"state": "idle"}, time={"utc_us": 0, "mono_us": 0, "boot": "abcdef0", "source": "ntp", "error_us": None})
entered("envelope-type-too-long", "A type of 501 characters, before anything is asked about it.", "x-" + "a" * 499, lambda d: {})
entered("type-unknown", "A type that nobody knows and nobody may skip.", "confession", lambda d: {}, "TYPE_UNKNOWN")
entered("type-unknown-body-too", "An unknown type, with an envelope that is wrong too: the shape counts first.", "confession", lambda d: {}, extra=1)
entered("type-optional-upper-case", "An optional type in capitals is none.", "x-Any", lambda d: {}, "TYPE_UNKNOWN")
entered("type-optional-empty", "An optional type without a name is none.", "x-", lambda d: {}, "TYPE_UNKNOWN")
entered("type-optional-too-long", "An optional type of 65 characters is none.", "x-" + "a" * 63, lambda d: {}, "TYPE_UNKNOWN")
entered("type-optional-newline", "An optional type with a newline after it is none.", "x-any\n", lambda d: {}, "TYPE_UNKNOWN")
entered("type-unknown-and-signed-by-nobody", "An unknown type, whose signature is wrong too: the type counts first.", "confession", lambda d: {}, "TYPE_UNKNOWN", sign=lambda message: bytes(64))


def segment_body(d: Recorder) -> dict[str, Any]:
    digest = Dice("a segment that is not").hex(64)
    return {
        "recording": digest[:16],
        "index": 0,
        "object": {"digest": digest, "size": 1, "form": "age"},
        "start_us": 0,
        "duration_us": 0,
        "first_frame_us": None,
        "frames": 0,
        "recovered": False,
    }


@scenario("envelope-missing-field", "An entry without its device.")
def envelope_missing_field(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("LINE_MALFORMED", d.heartbeat(spell=put(b'"device":"rec-sample",', b"")))

    tiny(b, change)


# The three parts


def bent(name: str, about: str, change: Callable[[bytes], bytes]) -> None:
    """A line in the middle is spelled otherwise; what was signed stands, as far as it goes."""

    def build(b: Bundle) -> None:
        d = small(b)
        edit(d, mark(d), change)
        b.expect("LINE_MALFORMED", mark(d))

    scenario(name, about)(build)


def left_over(line: bytes) -> bytes:
    """The last letter of the signature with its left-over bits set: 64 bytes leave four of them."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return line[:-1] + bytes([letters[letters.index(line[-1:]) | 1]])


bent("line-trailing-space", "A space after a line.", lambda line: line + b" ")
bent("line-trailing-return", "A carriage return after a line.", lambda line: line + b"\r")
bent("line-leading-space", "A space before a line.", lambda line: b" " + line)
bent("line-fourth-part", "A fourth part.", lambda line: line + b".AA")
bent("line-two-parts", "The signature is gone, with its dot.", lambda line: line[: line.rindex(b".")])
bent("line-empty", "An empty line in a line's place.", lambda line: b"")
bent("line-of-dots", "Two dots in a line's place.", lambda line: b"..")
bent("line-padded", "Padding after the signature.", lambda line: line + b"==")
bent("line-left-over-bits", "The same signature, spelled with left-over bits that are not zero.", left_over)
bent("line-standard-alphabet", "Base64 with plus and slash in place of minus and underscore.", lambda line: line[: line.rindex(b".") + 1] + b"+/" + line[line.rindex(b".") + 3 :])
bent("line-one-letter-more", "A letter that holds no byte after the signature.", lambda line: line + b"AAA")
bent("line-json", "The payload as it is, not encoded.", lambda line: b'{"v":1}')
bent("line-newline-inside", "A line is broken in two.", lambda line: line[:100] + b"\n" + line[100:])


@scenario("line-windows", "Every line ends in carriage return and newline.")
def line_windows(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] = b"".join(line + b"\r\n" for line in d.lines)
    b.expect("LINE_MALFORMED", 0)


@scenario("line-with-mark", "The ledger begins with a byte order mark.")
def line_with_mark(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] = b"\xef\xbb\xbf" + d.files["ledger.jws"]  # type: ignore[operator]
    b.expect("LINE_MALFORMED", 0)


def filled(d: Recorder, length: int) -> int:
    """An entry that may be skipped, in a line of exactly this many bytes; spaces in its header make it come out even."""
    header = compact(header_of(public(d.key)))
    for spaces in range(3):
        for count in range(48_700, 48_900):
            mono_us, named = d.mono_us, list(d.at.get("x-long", []))
            seq = d.enter("x-long", {"a": "a" * count}, header=header + b" " * spaces)
            if len(d.lines[seq]) == length:
                return seq
            d.lines.pop()
            d.keys_after.pop()
            d.mono_us, d.at["x-long"] = mono_us, named
    raise ValueError("no payload makes a line of this length")


@scenario("line-too-long", "A line of 65,537 bytes.")
def line_too_long(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("LINE_MALFORMED", filled(d, 65_537))
        d.record("first")

    brief(b, change)


@scenario("good-longest-line", "A line of 65,536 bytes: as long as a line may be.")
def good_longest_line(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        filled(d, 65_536)
        d.record("first")

    brief(b, change)


# What may be


@scenario("good-spellings", "All that is allowed: white space, escapes, fields in any order, the longest strings and numbers, the deepest nesting.")
def good_spellings(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.heartbeat(spell=lambda payload: payload.replace(b",", b" ,\r\n\t").replace(b":{", b" : {"))
        d.heartbeat(spell=put(STATE, b'"st\\u0061te":"\\u0000\\ud83d\\ude00\\/\\"\\n"'))
        d.heartbeat(header=b' {"typ" : "er-ledger+jws","kid":"%s","\\u0061lg":"EdDSA"}' % header_of(public(d.key))["kid"].encode())
        d.heartbeat(spell=reversed_fields)
        d.enter("heartbeat", {"state": "\U0001f4f9" * 500})
        d.enter("heartbeat", {"state": "样" * 500})
        d.enter("heartbeat", {"state": "e\u0301\u202e\ufeff\uffff\x7f"})
        d.enter("x-deep", {"a": nested(14), "b": -(2**53) + 1, "c": 2**53 - 1, "": {}})
        d.enter("x-" + "a" * 62, {"body": [True, False, None, 0]})
        d.enter("health", {"free_bytes": 2**53 - 1, "battery_percent": None, "minutes_left": 0, "temperature_millicelsius": -40_000})
        d.enter("clock", {"step_us": -1_500_000, "before": "", "after": ""})
        d.record("first")

    brief(b, change)


def reversed_fields(payload: bytes) -> bytes:
    def turned(value: Any) -> Any:
        return {name: turned(value[name]) for name in reversed(value)} if isinstance(value, dict) else value

    return compact(turned(json.loads(payload)))
