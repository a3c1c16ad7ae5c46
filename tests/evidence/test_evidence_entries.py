"""Entries: what was written is read back, and nothing that is not in the specification is accepted."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import TIME
from shape_strategies import any_body, bodies, shapes

from agent.errors import FormatError
from agent.evidence.documents import Assignment, Policy, Profile, TrustBundle
from agent.evidence.encoding import dump_json, load_object
from agent.evidence.entries import BODIES, Body, Entry, EntryTime, ObjectRef, Segment, entry_objects, load_entry
from agent.evidence.folder import EvidenceFolder, devices_of
from agent.evidence.receipts import Receipt
from agent.evidence.shapes import dump_shape, load_shape


def payload(body: Body, time: EntryTime = TIME) -> dict[str, Any]:
    return {
        "v": 1,
        "seq": 7,
        "prev": "0" * 64,
        "device": "er-1",
        "type": body.TYPE,
        "time": dump_shape(time),
        "body": dump_shape(body),
    }


SEGMENT = Segment("0" * 16, 0, ObjectRef("a" * 64, 1, "age"), 0, 0, None, 0, False)


@pytest.mark.parametrize("kind", BODIES.values(), ids=BODIES)
def test_every_type_of_entry_is_read_back_as_it_was_written(kind: type[Any]) -> None:
    @given(bodies(kind), shapes(EntryTime))
    def check(body: Any, time: EntryTime) -> None:
        read = load_entry(load_object(dump_json(payload(body, time))))
        assert read == Entry(7, "0" * 64, "er-1", time, body)
        assert read.type == kind.TYPE

    check()


@pytest.mark.parametrize("kind", [Assignment, Policy, Profile, Receipt, TrustBundle])
def test_every_document_is_read_back_as_it_was_written(kind: type[Any]) -> None:
    @given(shapes(kind))
    def check(value: Any) -> None:
        assert load_shape(kind, load_object(dump_json(dump_shape(value)))) == value

    check()


@given(any_body(), st.data())
def test_a_body_without_one_of_its_fields_or_with_a_foreign_one_is_refused(body: Any, data: st.DataObject) -> None:
    missing, foreign = payload(body), payload(body)
    required = [one.name for one in fields(body)]
    del missing["body"][data.draw(st.sampled_from(required))]
    foreign["body"]["another"] = 1
    for wrong in (missing, foreign):
        with pytest.raises(FormatError):
            load_entry(wrong)


@pytest.mark.parametrize("name", ["v", "seq", "prev", "device", "type", "time", "body"])
def test_an_entry_without_one_of_its_fields_is_refused(name: str) -> None:
    found = payload(SEGMENT)
    del found[name]
    with pytest.raises(FormatError, match=name):
        load_entry(found)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("v",), 2),
        (("v",), True),
        (("seq",), "7"),
        (("seq",), -1),
        (("prev",), "A" * 64),
        (("prev",), "0" * 64 + "\n"),
        (("device",), "ER 1"),
        (("device",), "er-1\n"),
        (("type",), "invented"),
        (("type",), "mark"),
        (("body", "frames"), 1.0),
        (("body", "frames"), "1"),
        (("body", "frames"), True),
        (("body", "frames"), 2**53),
        (("body", "recovered"), 0),
        (("body", "recovered"), "false"),
        (("body", "recording"), "0" * 15),
        (("body", "object", "form"), "zip"),
        (("body", "object", "digest"), "g" * 64),
        (("body", "object"), None),
        (("time", "source"), "sundial"),
        (("time", "boot"), "x"),
        (("extra",), 1),
    ],
)
def test_a_field_out_of_shape_is_refused(place: tuple[str, ...], value: object) -> None:
    found = inner = payload(SEGMENT)
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(FormatError):
        load_entry(found)


def test_a_value_out_of_shape_is_not_written_either() -> None:
    with pytest.raises(FormatError, match="index"):
        dump_shape(Segment("0" * 16, -1, ObjectRef("a" * 64, 1, "age"), 0, 0, None, 0, False))


@given(any_body())
def test_every_object_that_a_body_holds_is_found(body: Any) -> None:
    held = [value for value in (getattr(body, one.name) for one in fields(body)) if isinstance(value, ObjectRef)]
    assert list(entry_objects(Entry(0, "", "", TIME, body))) == held


def test_an_objects_file_is_named_by_digest_and_form(tmp_path: Any) -> None:
    ref = ObjectRef("a" * 64, 1, "age")
    assert EvidenceFolder(tmp_path).object_path(ref) == tmp_path / "objects" / ("a" * 64 + ".age")


def test_the_devices_of_a_path_are_itself_or_its_folders_by_name_and_no_symbolic_links(tmp_path: Any) -> None:
    for name in ("er-2", "er-1", "empty"):
        (tmp_path / name).mkdir()
    for name in ("er-2", "er-1"):
        EvidenceFolder(tmp_path / name).ledger.write_bytes(b"")
    (tmp_path / "er-3").symlink_to(tmp_path / "er-1")
    assert devices_of(tmp_path) == [tmp_path / "er-1", tmp_path / "er-2"]
    assert devices_of(tmp_path / "er-1") == [tmp_path / "er-1"]


@given(any_body())
def test_an_object_of_another_form_than_its_type_has_is_refused(body: Any) -> None:
    """Footage that calls itself a document would escape being sealed; a document, being signed."""
    swapped = payload(body)
    for value in swapped["body"].values():
        if isinstance(value, dict) and value.get("form"):
            value["form"] = "age" if value["form"] == "jws" else "jws"
            with pytest.raises(FormatError, match="form"):
                load_entry(swapped)
