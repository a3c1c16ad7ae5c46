"""The commands and the real server: a round trip over HTTP, a kill between memory and answer, what a user sees."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from samples import Enrolled, enrol, eventually
from witness_rig import Ledger

from agent.cli import main
from agent.errors import WitnessError
from agent.evidence.checkpoint import cosign, cosigned_at, open_note
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import from_b64url
from agent.evidence.folder import EvidenceFolder
from agent.witness.client import Target, ask, poster
from agent.witness.protocol import MAX_CHECKPOINT_BYTES
from provisioning.cli import main as provision

ROOT = Path(__file__).parents[2]
NAME = "witness.example"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


@dataclass
class Place:
    """An agency that trusts a witness, and the witness's configuration."""

    folder: Path
    enrolled: Enrolled
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "witness.toml"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.json"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def target(self) -> Target:
        keys = dict(TrustBundle.from_json(self.trust.read_bytes()).witness_keys())
        return Target(NAME, keys[NAME], self.url)

    def start(self, program: tuple[str, ...] = ("-m", "agent", "witness", "run")) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, *program, "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        eventually(self.answers, 20, "the witness")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return poster(self.url)("/add-keys", b"").status == 400
        except WitnessError:
            return False

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = Place(tmp_path, enrol(tmp_path), free_port())
    text = f'[witness]\nid = "{NAME}"\nfolder = "witness"\nlisten = "127.0.0.1:{found.port}"\ntrust = ["trust.json"]\n'
    found.config.write_text(text)
    monkeypatch.setenv("PROVISION_AGENCY", str(tmp_path / "agency"))
    assert main(["witness", "key", "--config", str(found.config), "--json"]) == 0
    key = json.loads(capsys.readouterr().out)["key"]
    assert provision(["witness", "add", NAME, f"--key={key}"]) == 0
    assert provision(["trust", "export", "--out", str(found.trust)]) == 0
    capsys.readouterr()
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait(5)


def device_folder(ledger: Ledger, path: Path) -> EvidenceFolder:
    folder = EvidenceFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    folder.ledger.write_bytes(b"".join(line + b"\n" for line in ledger.lines))
    folder.checkpoint.write_bytes(ledger.note())
    return folder


def asking(place: Place, path: Path, *more: str) -> int:
    return main(["witness", "ask", str(path), "--trust", str(place.trust), "--url", place.url, "--name", NAME, *more])


def test_a_folder_is_witnessed_over_http_grows_and_a_fork_is_found(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole round with the real commands; other cosignatures stay; status shows what happened."""
    place.start()
    ledger = Ledger(place.enrolled).boot().grow(3)
    folder = device_folder(ledger, place.folder / "archive" / "er-1")
    dock = place.enrolled.key("dock-1", "witness.key")
    folder.cosigned.write_bytes(cosign(ledger.note(), "dock-1", dock, 7))
    assert asking(place, folder.path) == 0
    note = open_note(folder.cosigned.read_bytes())
    assert cosigned_at(note, "dock-1", bytes(dock.verify_key)) == 7
    assert cosigned_at(note, NAME, place.target.key)
    other = ledger.copy().grow(2, "other")
    device_folder(ledger.epoch().grow(), folder.path)
    device_folder(Ledger(place.enrolled, "er-2").boot(), place.folder / "archive" / "er-2")
    capsys.readouterr()
    assert asking(place, place.folder / "archive", "--json") == 0
    assert [row["size"] for row in json.loads(capsys.readouterr().out)] == [ledger.size, 2]
    before = folder.cosigned.read_bytes()
    assert open_note(before).checkpoint.size == ledger.size
    device_folder(other, folder.path)
    assert asking(place, folder.path) == 7
    assert "ER-5005" in capsys.readouterr().err
    assert folder.cosigned.read_bytes() == before
    assert place.stop() == 0
    assert main(["witness", "status", "--config", str(place.config), "--json"]) == 0
    rows = {row["origin"]: row for row in json.loads(capsys.readouterr().out)["ledgers"]}
    row = rows["sample/enforcement-recorder/er-1"]
    assert row["size"] == ledger.size and [alarm["kind"] for alarm in row["alarms"]] == ["fork"]
    assert main(["witness", "status", "--config", str(place.config)]) == 0
    assert "账本分叉" in capsys.readouterr().out
    log = (place.folder / "log").read_text()
    assert "账本分叉" in log and "Traceback" not in log


KILLED = """
import os, sys
from agent.witness.memory import Memory
keep = Memory.keep
def and_die(self, remembered):
    keep(self, remembered)
    os._exit(9)
Memory.keep = and_die
from agent.cli import main
sys.exit(main(["witness", "run", *sys.argv[1:]]))
"""


def test_a_witness_killed_between_memory_and_answer_stands_by_its_memory(place: Place, tmp_path: Path) -> None:
    """No answer came, and yet it remembers: the same checkpoint is cosigned after the restart, a fork is not."""
    program = tmp_path / "killed.py"
    program.write_text(textwrap.dedent(KILLED))
    place.start((str(program),))
    ledger = Ledger(place.enrolled).boot().grow()
    other = ledger.copy().grow(1, "other")
    with pytest.raises(WitnessError):
        ask(place.target, ledger.grow().offer())
    assert place.process is not None and place.process.wait(10) == 9
    place.start()
    with pytest.raises(WitnessError):
        ask(place.target, other.offer())
    assert cosigned_at(open_note(ask(place.target, ledger.offer())), NAME, place.target.key)


def test_many_at_once_are_judged_one_after_another(place: Place) -> None:
    """Two different growths offered by eight clients at the same moment: one history is cosigned, never both."""
    from concurrent.futures import ThreadPoolExecutor

    place.start()
    base = Ledger(place.enrolled).boot().grow()
    ask(place.target, base.offer())
    branches = [base.copy().grow(1, f"branch {number}") for number in range(8)]

    def attempt(branch: Ledger) -> bool:
        try:
            ask(place.target, branch.offer(), base.size)
        except WitnessError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, branches)).count(True) == 1


def test_the_server_bounds_what_it_reads_and_how_long_it_waits(place: Place) -> None:
    """Too much is a 413, a chunked body is counted too, a client that says nothing is let go."""
    place.start()
    assert poster(place.url)("/add-checkpoint", b"x" * (MAX_CHECKPOINT_BYTES + 1)).status == 413
    link = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)
    link.request(
        "POST",
        "/add-checkpoint",
        iter([b"old 0\n", b"\n", b"x"]),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )
    assert link.getresponse().status == 400
    link.close()
    with socket.create_connection(("127.0.0.1", place.port), timeout=30) as silent:
        silent.sendall(b"POST /add-keys HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        while silent.recv(4096):
            pass  # the end of the connection ends the loop; the socket's own time limit fails the test


def test_two_witnesses_cannot_share_a_folder(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor a port: both are errors with a code, not a traceback."""
    place.start()
    assert main(["witness", "run", "--config", str(place.config)]) == 5
    assert "ER-3003" in capsys.readouterr().err
    place.config.write_text(place.config.read_text().replace('"witness"', '"second"'))
    assert main(["witness", "run", "--config", str(place.config)]) == 2
    assert f"127.0.0.1:{place.port}" in capsys.readouterr().err


def test_a_witness_that_lost_its_key_gets_no_new_one(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Its memory says that there was one; the key made first stays, private."""
    key = place.folder / "witness" / "witness.key"
    assert key.stat().st_mode & 0o777 == 0o600
    place.start()
    ask(place.target, Ledger(place.enrolled).boot().offer())
    place.stop()
    key.unlink()
    assert main(["witness", "key", "--config", str(place.config)]) == 5
    assert "witness.key is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("--name", "nobody"), 2, "names no witness 'nobody'; it names: dock-1, dock-2, witness.example"),
        (("--trust", "none.json"), 2, "none.json"),
        (("--url", "ftp://x"), 7, "URL"),
    ],
)
def test_what_cannot_be_asked_ends_in_one_line_and_advice(
    place: Place, capsys: pytest.CaptureFixture[str], change: tuple[str, str], code: int, said: str
) -> None:
    """A name, a file, an address that is wrong."""
    folder = device_folder(Ledger(place.enrolled).boot(), place.folder / "er-1-copy")
    given = {"--trust": str(place.trust), "--url": place.url, "--name": NAME} | dict([change])
    assert main(["witness", "ask", str(folder.path), *(part for pair in given.items() for part in pair)]) == code
    error = capsys.readouterr().err
    assert said in error and error.startswith("ER-")


def test_a_folder_without_a_ledger_is_said_to_hold_none(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error, not silence."""
    (place.folder / "empty").mkdir()
    assert asking(place, place.folder / "empty") == 2
    assert "holds no ledger" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [b"rubbish", None])
def test_what_is_kept_is_not_overwritten_by_less(
    place: Place, capsys: pytest.CaptureFixture[str], kept: bytes | None
) -> None:
    """A cosigned note that is damaged, or over more lines than the checkpoint, is left alone and said."""
    place.start()
    ledger = Ledger(place.enrolled).boot().grow()
    folder = device_folder(ledger, place.folder / "copy" / "er-1")
    key = place.enrolled.key("dock-1", "witness.key")
    folder.cosigned.write_bytes(kept or cosign(ledger.copy().grow().note(), "dock-1", key, 7))
    before = folder.cosigned.read_bytes()
    assert asking(place, folder.path) in (2, 7)
    assert folder.cosigned.read_bytes() == before


def test_the_key_is_printed_as_the_administrator_and_as_other_programs_take_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The provision command line, and a vkey."""
    main(["witness", "key", "--config", str(place.config)])
    text = capsys.readouterr().out
    (entry,) = [one for one in TrustBundle.from_json(place.trust.read_bytes()).witnesses if one.id == NAME]
    assert f"provision witness add {NAME} --key={entry.key}" in text and f"{NAME}+" in text
    assert len(from_b64url(entry.key)) == 32
