"""Targets of witness, dock, recorder and administrator: requests, configuration, what they keep in files."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from agent import config
from agent.commands.judging import read_identity_file
from agent.dock.catalogue import Catalogue
from agent.dock.register import DeviceRegister
from agent.dock.staging import Staging
from agent.evidence.dispatch import Dispatch, code_of, may_be_assignment, sign_dispatch, token_of
from agent.evidence.documents import Assignment
from agent.evidence.entries import ObjectRef
from agent.recorder.assignments import AssignmentBook
from agent.recorder.control import Request, _serve
from agent.witness.alarms import AlarmBook
from agent.witness.core import WitnessCore
from agent.witness.memory import Memory
from agent.witness.protocol import dump_checkpoint
from agent.witness.trusts import Trusts
from provisioning.storage import DurableStorage
from provisioning.view import View, problems
from tests.fuzz.formats import trust
from tests.fuzz.scratch import clean, written
from tests.vectors.agency import DEVICE, agency
from tests.vectors.device import Device
from tests.vectors.primitives import compact, root_of

FIRMWARE = Path(__file__).parents[2] / "firmware-config"


def _device() -> Device:
    device = Device(agency())
    device.begin()
    return device


@cache
def _core() -> WitnessCore:
    """A witness that knows the sample device's keys."""
    place = clean("witness")
    (place / "trust.json").write_bytes(compact(agency().trust()))
    memory, alarms = Memory(place / "memory"), AlarmBook(place / "alarms")
    core = WitnessCore("witness.fuzz", agency().documents, Trusts([place / "trust.json"]), memory, alarms, lambda: 1)
    assert core.add_keys(_device().lines[0] + b"\n").status == HTTPStatus.OK
    return core


def witness_checkpoint(data: bytes) -> None:
    assert _core().add_checkpoint(data).status in HTTPStatus._value2member_map_


def checkpoint_requests() -> list[bytes]:
    device = _device()
    sizes = [(0, [], 1), (0, [], device.size), (1, [bytes(32)] * 2, 3)]
    return [dump_checkpoint(old, proof, device.note(size).encode()) for old, proof, size in sizes]


def witness_keys(data: bytes) -> None:
    assert _core().add_keys(data).status in HTTPStatus._value2member_map_


def key_requests() -> list[bytes]:
    device = _device()
    device.epoch("lines")
    device.boot()
    device.epoch("lines")
    named = [line for at, line in enumerate(device.lines) if at in (*device.at["boot"], *device.at["epoch"])]
    return [b"".join(line + b"\n" for line in named), named[0] + b"\n"]


def witness_memory(data: bytes) -> None:
    place = clean("memory")
    (place / f"{agency().name}.{DEVICE}.json").write_bytes(data)
    Memory(place).all()


def memories() -> list[bytes]:
    device, note = _device(), _device().note()
    signer = {"key": "A" * 43, "seq": 0, "certificate": "ab"}
    shape = {"v": 1, "origin": device.text().split("\n")[0], "size": device.size, "note": note, "signer": signer}
    return [compact(shape | {"root": root_of(device.leaves).hex()})]


def alarm(data: bytes) -> None:
    place = clean("alarms")
    (place / "one.json").write_bytes(data)
    AlarmBook(place)


def alarms() -> list[bytes]:
    note = _device().note()
    origin = note.split("\n", 1)[0]
    return [compact({"v": 1, "kind": "fork", "origin": origin, "at": 1, "cosigned": note, "offered": note})]


def configuration(data: bytes) -> None:
    path = written("fuzz.toml", data)
    for kind in (config.RecorderConfig, config.DockConfig, config.WitnessConfig):
        try:
            config.load(path, kind)
        except config.ConfigError:
            continue


def configurations() -> list[bytes]:
    hostile = [b"a = " + b"[" * 3000, b"a = " + b"9" * 5000, b'[witness]\nlisten = "\\u0000:1"', b"\xff"]
    return [path.read_bytes() for path in sorted(FIRMWARE.rglob("*.toml"))] + hostile


def register(data: bytes) -> None:
    """The administrator's register: every row of every table, and the rules over all of it."""
    list(problems(View(DurableStorage(written("register-of-agency.json", data)))))


def registers() -> list[bytes]:
    officer = {"id": "o-1", "name": "张三", "section": "s-1", "state": "active", "added_us": 1}
    device = {
        **{"id": "er-1", "serial": "SN1", "section": "s-1", "state": "active", "identity": "A" * 43},
        **{"ex_approval": None, "enrolled_us": 1},
    }
    holding = {"device": "er-1", "officer": "o-1", "since_us": 1, "until_us": None, "ending": None}
    return [compact({"officers": {"1": officer}, "devices": {"1": device}, "holdings": {"1": holding}})]


def catalogue(data: bytes) -> None:
    """Whatever stands in the file, the dock starts: at worst the catalogue is made anew."""
    place = clean("catalogue")
    (place / "archive").mkdir()
    (place / "catalogue.json").write_bytes(data)
    Catalogue(place / "catalogue.json", place / "archive").recordings()


def catalogues() -> list[bytes]:
    row: dict[str, Any] = {
        **{"device": "er-1", "recording": "0" * 16, "kind": "video", "action": None, "stage": None, "matter": None},
        **{"opened_us": 1, "closed_us": 2, "reason": "button", "segments": 1, "photos": 0, "gaps": 0, "bytes": 5},
    }
    return [compact({"recordings": {"1": row}, "lines": {"1": {"device": "er-1", "lines": 3}}}), b"{}"]


def accepted(data: bytes) -> None:
    """A dock's list of devices."""
    place = clean("accepted")
    (place / "register.json").write_bytes(data)
    (place / "crl.pem").write_text(agency().crl())
    DeviceRegister(place, trust())


def staging(data: bytes) -> None:
    """The list of an object's parts, as a crash may leave it."""
    path = written("staged", b"")
    path.with_name("staged.parts").write_bytes(data)
    found = Staging.resume(path, ObjectRef("a" * 64, 5000, "age"))
    found.close()


def assignment(data: bytes) -> None:
    """The file of the matter, in each of its forms."""
    place = clean("assignment")
    (place / "file").write_bytes(data)
    AssignmentBook(place / "file", place, trust(), DEVICE, unsigned_codes=True).read()


def code(data: bytes) -> None:
    """The text of a code before the camera."""
    text = data.decode("utf-8", "replace")
    ours = may_be_assignment(text)
    token_of(text, trust())
    assert ours


def _token() -> bytes:
    matter = Assignment("m-1", "inspection", "start", "某公司", "某街 1 号", ["张三"], None, None, mandatory=True)
    return sign_dispatch(Dispatch(1, "assignment", agency().name, DEVICE, 5, matter), agency().documents)


def assignments() -> list[bytes]:
    shape = {
        **{"matter": "m-1", "action": "inspection", "stage": "start", "party": "某公司", "site": "某街 1 号"},
        **{"officers": ["张三"], "restricted": None, "mandatory": True},
    }
    zone = {"zone": "1", "group": "IIB", "temperature_class": "T3", "surface_celsius": None}
    bare = [compact(shape | {"hazard": None}), compact(shape | {"hazard": zone})]
    shown = [code_of(_token()), _token().decode(), bare[0].decode()]
    return [*bare, _token(), *(compact({"source": "qr", "code": text}) for text in shown)]


def codes() -> list[bytes]:
    return [code_of(_token()).encode()]


def control(data: bytes) -> None:
    """A line at the recorder's control socket."""

    def answer(request: Request) -> None:
        request.answers.put({"ok": True})

    assert "ok" in _serve(data, answer)


def identity_file(data: bytes) -> None:
    read_identity_file(written("identity", data))


def accepted_lists() -> list[bytes]:
    return [compact({"v": 1, "type": "register", "agency": agency().name, "devices": ["er-1", "er-2"]})]


def staging_lists() -> list[bytes]:
    return [b'{"size":5000,"form":"age","part_bytes":1024}\n0\n3\n4', b'{"size":5000,"form":"age","part_bytes":0}\n']
